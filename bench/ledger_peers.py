"""`python bench/ledger_peers.py`: what dcmsign and c2pa-health-imaging say of edited images, and what the ledger says.

One image is signed by each peer and logged by the ledger; then each edit is made to what the peer signed, and each is
asked again.  Writes docs/ledger-peers.md.  dcmsign comes from Debian's dcmtk; c2pa-health-imaging is installed into a
virtual environment of its own below a temporary folder, or taken from the Python that MITHRIDATE_C2PA_PYTHON names.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pydicom
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from ledger_environment import python_with
from pydicom import Dataset, dcmread
from pydicom.uid import ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless, generate_uid

from mithridate.ledger.log import Ledger

IMAGE = Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "ledger-peers.md"
C2PA = "c2pa-health-imaging"
C2PA_VERSION = "0.0.1"
PYTHON_VARIABLE = "MITHRIDATE_C2PA_PYTHON"
COMMAND = "make bench-ledger"

Edit = Callable[[Dataset], object]


def _set(keyword: str, value: object) -> Edit:
    return lambda dataset: setattr(dataset, keyword, value)


def _pixels(change: Callable[[np.ndarray], object]) -> Edit:
    def apply(dataset: Dataset) -> None:
        pixels = np.frombuffer(dataset.PixelData, "<i2").copy().reshape(dataset.Rows, dataset.Columns)
        change(pixels)
        dataset.PixelData = pixels.tobytes()

    return apply


def _lut(keyword: str) -> Edit:
    def apply(dataset: Dataset) -> None:
        item = Dataset()
        item.LUTDescriptor = [256, 0, 16]
        if keyword == "ModalityLUTSequence":
            item.ModalityLUTType = "US"
        item.add_new("LUTData", "OW", np.arange(255, -1, -1, dtype="<u2").tobytes())
        setattr(dataset, keyword, [item])

    return apply


def _insert_window(dataset: Dataset) -> None:
    dataset.WindowCenter, dataset.WindowWidth = "40", "80"


def _new_instance(dataset: Dataset) -> None:
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["another"])


def _strip(dataset: Dataset) -> None:
    """Take away whatever a peer put in, as anybody can who does not like the signature."""
    for tag in list(dataset.keys()):
        if tag.is_private or dataset[tag].keyword in ("DigitalSignaturesSequence", "MACParametersSequence"):
            del dataset[tag]
    _pixels(lambda pixels: pixels.__iadd__(1))(dataset)


EDITS: Mapping[str, Edit] = {
    "one pixel changed by one": _pixels(lambda pixels: pixels.__setitem__((64, 64), pixels[64, 64] + 1)),
    "every pixel changed by at most one": _pixels(
        lambda pixels: pixels.__iadd__(np.random.default_rng(0).integers(-1, 2, pixels.shape, dtype=np.int16))
    ),
    "rows turned upside down": _pixels(lambda pixels: pixels.__setitem__(slice(None), pixels[::-1].copy())),
    "RescaleSlope changed": _set("RescaleSlope", "2"),
    "RescaleIntercept changed": _set("RescaleIntercept", "0"),
    "WindowCenter and WindowWidth inserted": _insert_window,
    "Modality LUT inserted": _lut("ModalityLUTSequence"),
    "VOI LUT inserted": _lut("VOILUTSequence"),
    "PhotometricInterpretation inverted": _set("PhotometricInterpretation", "MONOCHROME1"),
    "ImageOrientationPatient mirrored": _set("ImageOrientationPatient", [-1, 0, 0, 0, 1, 0]),
    "PixelSpacing doubled": _set("PixelSpacing", [1.323438, 1.323438]),
    "Laterality changed": _set("Laterality", "L"),
    "PatientID changed": _set("PatientID", "another"),
    "SOPInstanceUID changed": _new_instance,
    "StudyDate changed": _set("StudyDate", "20250101"),
    "signature stripped, pixels changed": _strip,
}
"""Each must be noticed."""


def _recode(syntax: pydicom.uid.UID) -> Edit:
    def apply(dataset: Dataset) -> None:
        if syntax == ImplicitVRLittleEndian:
            for element in dataset.iterall():
                str(element.value)  # read before the former syntax is forgotten
            dataset.file_meta.TransferSyntaxUID = syntax
            dataset.set_original_encoding(True, True, dataset.original_character_set)
        else:
            dataset.compress(syntax, encoding_plugin="pylibjpeg", generate_instance_uid=False)

    return apply


TRANSCODINGS: Mapping[str, Edit] = {
    "written anew": lambda dataset: None,
    "implicit little endian": _recode(ImplicitVRLittleEndian),
    "RLE lossless": _recode(RLELossless),
    "JPEG 2000 lossless": _recode(JPEG2000Lossless),
}
"""None may be refused: the image is the same."""


@dataclass(frozen=True)
class Peer:
    """A program that signs a file and later accepts files or does not; `version` as it states it."""

    name: str
    version: str
    sign: Callable[[Path, Path], None]
    accepts: Callable[[Sequence[Path]], list[bool]]


def variants(signed: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """The signed file with each edit made to it, and in each other encoding."""
    for number, (name, edit) in enumerate((EDITS | TRANSCODINGS).items()):
        dataset = dcmread(signed)
        edit(dataset)
        path = folder / f"{number:02d}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        yield name, path


def judge(peer: Peer, folder: Path) -> dict[str, bool]:
    """Whether the peer accepts each variant of what it has signed."""
    folder.mkdir()
    signed = folder / "signed.dcm"
    peer.sign(IMAGE, signed)
    if peer.accepts([signed]) != [True]:
        raise RuntimeError(f"{peer.name} does not accept what it has just signed")
    named = list(variants(signed, folder))
    return dict(zip((name for name, _ in named), peer.accepts([path for _, path in named]), strict=True))


def ledger_peer(folder: Path) -> Peer:
    """The ledger itself: `sign` leaves the file as it is, and logs it."""
    from mithridate import __version__

    def sign(image: Path, signed: Path) -> None:
        shutil.copyfile(image, signed)
        with Ledger.create(folder, origin="bench.example/peers") as ledger:
            ledger.capture(signed.read_bytes(), signed.name, station=ledger.add_station("CT1"))

    def accepts(paths: Sequence[Path]) -> list[bool]:
        with Ledger.open(folder) as ledger:
            return [ledger.judge(path.read_bytes(), path.name).is_accepted for path in paths]

    return Peer("this ledger", __version__, sign, accepts)


def dcmsign_peer(folder: Path, *, strict: bool) -> Peer | None:
    """DCMTK's dcmsign over the whole data set with SHA-256, None where it is not installed."""
    program = shutil.which("dcmsign")
    if program is None:
        return None
    folder.mkdir(exist_ok=True)
    _make_certificate(folder)
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.split()[2]

    def sign(image: Path, signed: Path) -> None:
        command = [program, "+s", str(key), str(certificate), "+m2", str(image), str(signed)]
        subprocess.run(command, check=True, capture_output=True)

    def accepts(paths: Sequence[Path]) -> list[bool]:
        options = ["--verify", "+cf", str(certificate), *(["+rg"] if strict else [])]
        runs = (subprocess.run([program, *options, str(path)], capture_output=True, check=False) for path in paths)
        return [run.returncode == 0 for run in runs]

    return Peer("dcmsign, signature required" if strict else "dcmsign", version, sign, accepts)


def c2pa_peer(python: Path, folder: Path) -> Peer:
    """c2pa-health-imaging by its own command line, run inside one process for many files."""
    folder.mkdir(exist_ok=True)

    def call(lines: list[list[str]]) -> list[int]:
        code = (
            "import sys, json\nfrom typer.testing import CliRunner\nfrom c2pa_health_imaging.cli import app\n"
            "print(json.dumps([CliRunner().invoke(app, line).exit_code for line in json.load(sys.stdin)]))"
        )
        run = subprocess.run([python, "-c", code], input=json.dumps(lines), capture_output=True, text=True, check=True)
        codes: list[int] = json.loads(run.stdout.splitlines()[-1])
        return codes

    key, certificate = str(folder / "key.pem"), str(folder / "certificate.pem")
    if call([["keygen", "--out-key", key, "--out-cert", certificate]]) != [0]:
        raise RuntimeError(f"{C2PA} cannot make a key")

    def sign(image: Path, signed: Path) -> None:
        if call([["sign", str(image), "--key", key, "--cert", certificate, "--out", str(signed)]]) != [0]:
            raise RuntimeError(f"{C2PA} cannot sign {image.name}")

    def accepts(paths: Sequence[Path]) -> list[bool]:
        return [code == 0 for code in call([["verify", str(path), "--trust-cert", certificate] for path in paths])]

    return Peer(C2PA, C2PA_VERSION, sign, accepts)


def page(found: Mapping[str, Mapping[str, bool]], versions: Mapping[str, str], missing: Sequence[str]) -> str:
    """The table as a page of the manual."""
    names = list(found)
    lines = [
        "# Head to head",
        "",
        f"Written by `{COMMAND}`. pydicom's `CT_small.dcm` is signed by each program, or logged; then each edit is",
        "made to what was signed, and the program is asked whether the file still holds. An edit is caught when it",
        "says no.",
        "",
        f"Versions: {', '.join(f'{name} {versions[name]}' for name in names)}.",
        *([f"Not measured, because not installed: {', '.join(missing)}."] if missing else []),
        "",
        f"| edit | {' | '.join(names)} |",
        f"|---|{'---|' * len(names)}",
    ]
    for edit in EDITS:
        lines.append(f"| {edit} | {' | '.join('**missed**' if found[name][edit] else 'caught' for name in names)} |")
    caught = (sum(not found[name][edit] for edit in EDITS) for name in names)
    lines.append(f"| **caught, of {len(EDITS)}** | {' | '.join(f'**{count}**' for count in caught)} |")
    lines += [
        "",
        "The same image in another encoding is the same image. It is kept when the program still says yes.",
        "",
    ]
    lines += [f"| encoding | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for encoding in TRANSCODINGS:
        lines.append(
            f"| {encoding} | {' | '.join('kept' if found[name][encoding] else '**lost**' for name in names)} |"
        )
    lines += [
        "",
        "A signature inside the file answers another question than a log does: it travels with the file, and it can be",
        "taken out of it. dcmsign signs every attribute that is there and none that is not; c2pa-health-imaging signs",
        "the attributes of its binding profile, here the default one. Both are used as their help describes.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peers: list[Peer] = [ledger_peer(folder / "ledger")]
        missing = []
        for strict in (False, True):
            if peer := dcmsign_peer(folder / "dcmsign", strict=strict):
                peers.append(peer)
        if len(peers) == 1:
            missing.append("dcmsign")
        python = python_with(f"{C2PA}=={C2PA_VERSION}", PYTHON_VARIABLE, folder / "venv")
        if python is None:
            missing.append(C2PA)
        else:
            peers.append(c2pa_peer(python, folder / "c2pa"))
        found = {peer.name: judge(peer, folder / f"work-{number}") for number, peer in enumerate(peers)}
        PAGE.write_text(page(found, {peer.name: peer.version for peer in peers}, missing))
    print(PAGE.read_text())


def _make_certificate(folder: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test signer")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
    certificate = builder.not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    options = (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(*options))
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


if __name__ == "__main__":
    main()
