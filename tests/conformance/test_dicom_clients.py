"""Programs that hospitals run, on the other side of the receiver and of the forwarder: DCMTK and Orthanc.

Debian and Ubuntu have them as the packages dcmtk and orthanc.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from ledger.dicom_files import FOLDER, read, write
from ledger.receive.certificates import self_signed
from ledger.receive.sending import PATIENT, image, split
from mithridate.ledger.fingerprint import Verdict
from mithridate.ledger.log import Ledger
from mithridate.ledger.receive.dicom import DicomReceiver, server_tls
from mithridate.ledger.receive.forward import Destination, Forwarder
from mithridate.ledger.receive.intake import Intake
from mithridate.ledger.receive.spool import Spool
from mithridate.ledger.station import Station

ACCEPTED = (Verdict.IDENTICAL, Verdict.TRANSCODED)


def program(name: str) -> str:
    """Where a program is; the test skips, visibly, where it is not installed."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@dataclass
class House:
    """A ledger with its receiver, and what it has kept."""

    ledger: Ledger
    station: Station
    spool: Spool
    port: int

    def kept(self) -> list[bytes]:
        return [path.read_bytes() for path in self.spool.kept.iterdir()]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    spool = Spool(folder / "spool", forward=False, keep=True)
    with Ledger.create(folder / "log", origin="hospital.example/ledger") as ledger:
        station = ledger.add_station("GATEWAY")
        with DicomReceiver(Intake(ledger, station, limits=PATIENT, spool=spool), port=0, ae_title="LEDGER") as receiver:
            yield House(ledger, station, spool, receiver.port)


def call(name: str, *arguments: str | Path, succeeds: bool | None = True) -> str:
    """What a program writes; `succeeds` is whether it must, None for either."""
    done = subprocess.run(
        [program(name), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=300
    )
    assert succeeds is None or (done.returncode == 0) is succeeds, done.stderr + done.stdout
    return done.stderr + done.stdout


def test_echoscu_is_answered(house: House) -> None:
    said = call("echoscu", "-v", "-aec", "LEDGER", "127.0.0.1", str(house.port))
    assert "Received Echo Response (Success)" in said
    assert "Received Echo Response" not in call(
        "echoscu", "-v", "-aec", "LEDGER", "127.0.0.1", str(free_port()), succeeds=False
    )


@pytest.mark.parametrize(
    ("name", "proposal"),
    [
        ("CT_small.dcm", "-x="),
        ("MR_small_implicit.dcm", "-xi"),
        ("MR_small_bigendian.dcm", "-xb"),
        ("image_dfl.dcm", "-xd"),
        ("MR_small_RLE.dcm", "-xr"),
        ("MR_small_jp2klossless.dcm", "-xv"),
        ("JPEG2000.dcm", "-xw"),
        ("MR_small_jpeg_ls_lossless.dcm", "-xt"),
        ("SC_rgb_jpeg_dcmd.dcm", "-x="),
        ("SC_rgb_small_odd_jpeg.dcm", "-xy"),
        ("SC_rgb_rle_16bit_2frame.dcm", "-xr"),
        ("rtdose.dcm", "-xi"),
    ],
)
def test_storescu_sends_in_every_syntax_that_it_knows(house: House, tmp_path: Path, name: str, proposal: str) -> None:
    data = write(read(name))
    (tmp_path / name).write_bytes(data)
    before = set(house.kept())
    call("storescu", proposal, "-aec", "LEDGER", "127.0.0.1", str(house.port), tmp_path / name)
    assert house.ledger.judge(data, name).verdict in ACCEPTED
    (kept,) = set(house.kept()) - before
    assert house.ledger.judge(kept, name).verdict is Verdict.IDENTICAL


def test_storescu_sends_small_and_large_objects_in_one_association(house: House, tmp_path: Path) -> None:
    files = [image() for _ in range(20)]
    files.append(image(Rows=2048, Columns=2048, PixelData=os.urandom(1 << 13) * (1 << 10)))
    for number, data in enumerate(files):
        (tmp_path / f"{number:02}.dcm").write_bytes(data)
    size = house.ledger.size
    call("storescu", "+sd", "127.0.0.1", str(house.port), tmp_path)
    assert house.ledger.size == size + len(files)
    assert all(house.ledger.judge(data, "sent").verdict in ACCEPTED for data in files)


def test_parallel_senders_are_all_served(house: House, tmp_path: Path) -> None:
    senders = []
    size = house.ledger.size
    for number in range(5):
        folder = tmp_path / str(number)
        folder.mkdir()
        for index in range(4):
            (folder / f"{index}.dcm").write_bytes(image())
        arguments = [program("storescu"), "+sd", "127.0.0.1", str(house.port), str(folder)]
        senders.append(subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True))
    assert [sender.communicate(timeout=300)[1] for sender in senders] == [""] * 5
    assert house.ledger.size == size + 20
    assert not house.ledger.fsck().problems


def test_dcmsend_sends_a_folder_of_many_syntaxes(house: House, tmp_path: Path) -> None:
    names = ["CT_small.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "image_dfl.dcm", "examples_palette.dcm"]
    for name in names:
        shutil.copy(FOLDER / name, tmp_path / name)
    call("dcmsend", "--scan-directories", "--decompress-never", "127.0.0.1", str(house.port), tmp_path)
    for name in names:
        assert house.ledger.judge((FOLDER / name).read_bytes(), name).verdict in ACCEPTED, name


def test_storescu_sends_a_report(house: House) -> None:
    report = FOLDER / "reportsi.dcm"
    call("storescu", "-aec", "LEDGER", "127.0.0.1", str(house.port), report)
    assert house.ledger.judge(report.read_bytes(), report.name).verdict in ACCEPTED


def test_a_refusal_reaches_the_sender_with_its_status_and_comment(house: House, tmp_path: Path) -> None:
    size = house.ledger.size
    empty = read("CT_small.dcm")
    del empty.PixelData
    (tmp_path / "empty.dcm").write_bytes(write(empty))
    said = call("storescu", "-v", "127.0.0.1", str(house.port), tmp_path / "empty.dcm", succeeds=None)
    assert "0xc000" in said.lower() or "cannotunderstand" in said.lower(), said
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(image(Rows=256))
    said = call("dcmsend", "-v", "127.0.0.1", str(house.port), cut, succeeds=None)
    assert "0xc000" in said.lower() or "cannotunderstand" in said.lower(), said
    assert house.ledger.size == size


def test_storescu_sends_over_tls(house: House, tmp_path: Path) -> None:
    ours, theirs = self_signed(tmp_path, "receiver"), self_signed(tmp_path, "sender")
    data = image()
    (tmp_path / "a.dcm").write_bytes(data)
    tls = server_tls(*ours, clients=theirs[0])
    with DicomReceiver(
        Intake(house.ledger, house.station, limits=PATIENT), port=0, ae_title="LEDGER", tls=tls
    ) as receiver:
        arguments = ("127.0.0.1", str(receiver.port), tmp_path / "a.dcm")
        call("storescu", "+tls", theirs[1], theirs[0], "+cf", ours[0], *arguments)
        assert house.ledger.judge(data, "sent").verdict in ACCEPTED
        size = house.ledger.size
        call("storescu", *arguments, succeeds=False)  # without TLS
        assert house.ledger.size == size


@dataclass
class Orthanc:
    """A running Orthanc: its REST address and its DICOM port."""

    url: str
    port: int

    def instances(self) -> list[bytes]:
        found = httpx.get(f"{self.url}/instances", timeout=60).json()
        return [httpx.get(f"{self.url}/instances/{one}/file", timeout=60).content for one in found]


@pytest.fixture(scope="module")
def orthanc(house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    folder = tmp_path_factory.mktemp("orthanc")
    http, dicom = free_port(), free_port()
    configuration = {
        "HttpPort": http,
        "DicomPort": dicom,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomModalities": {"ledger": ["LEDGER", "127.0.0.1", house.port]},
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with (folder / "orthanc.log").open("w") as log:
        process = subprocess.Popen([program("Orthanc"), str(folder / "orthanc.json")], stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{http}"
            wait_until_answered(f"{url}/system", process, folder / "orthanc.log")
            yield Orthanc(url, dicom)
        finally:
            process.terminate()
            process.wait(60)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_until_answered(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 120
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        try:
            httpx.get(url, timeout=5).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_RLE.dcm", "examples_jpeg2k.dcm", "SC_rgb_small_odd.dcm"])
def test_orthanc_sends_to_the_receiver(house: House, orthanc: Orthanc, name: str) -> None:
    data = (FOLDER / name).read_bytes()
    uploaded = httpx.post(f"{orthanc.url}/instances", content=data, timeout=60).json()["ID"]
    size = house.ledger.size
    answer = httpx.post(f"{orthanc.url}/modalities/ledger/store", content=uploaded, timeout=120)
    assert answer.status_code == 200, answer.text
    assert answer.json()["FailedInstancesCount"] == 0
    assert house.ledger.size == size + 1
    assert house.ledger.judge(data, name).verdict in ACCEPTED


def test_orthanc_echoes(orthanc: Orthanc) -> None:
    assert httpx.post(f"{orthanc.url}/modalities/ledger/echo", content="{}", timeout=60).status_code == 200


def test_orthanc_receives_what_was_forwarded_and_it_is_still_the_same(
    house: House, orthanc: Orthanc, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "spool", forward=True, keep=False)
    forwarder = Forwarder(spool, Destination("ORTHANC", "127.0.0.1", orthanc.port))
    files = [image() for _ in range(5)] + [write(read("MR_small_jp2klossless.dcm")), write(read("MR_small_RLE.dcm"))]
    with DicomReceiver(
        Intake(house.ledger, house.station, limits=PATIENT, spool=spool), port=0, ae_title="LEDGER"
    ) as receiver:
        for number, data in enumerate(files):
            (tmp_path / f"{number}.dcm").write_bytes(data)
        for files_of, proposal in ((range(5), "-x="), ((5,), "-xv"), ((6,), "-xr")):
            paths = [tmp_path / f"{number}.dcm" for number in files_of]
            call("storescu", proposal, "127.0.0.1", str(receiver.port), *paths)
    assert len(spool.waiting()) == len(files)
    assert forwarder.send_waiting() == len(files)
    assert spool.waiting() == []
    wanted = {str(split(data)[0].SOPInstanceUID) for data in files}
    arrived = {str(split(data)[0].SOPInstanceUID): data for data in orthanc.instances()}
    assert wanted <= set(arrived)
    for uid in wanted:
        judgement = house.ledger.judge(arrived[uid], uid)
        assert judgement.verdict in ACCEPTED, judgement.reason
