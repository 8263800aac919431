"""`mithridate ledger`: what a person types, sees, and gets as an exit code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ledger.dicom_files import FOLDER, read, write
from mithridate.cli import main

MR = FOLDER / "MR_small.dcm"
RLE = FOLDER / "MR_small_RLE.dcm"
CT = FOLDER / "CT_small.dcm"


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Said]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The program from its entry point on."""

    def call(*arguments: object) -> Said:
        monkeypatch.setattr("sys.argv", ["mithridate", "ledger", *map(str, arguments)])
        code = 0
        try:
            main.run()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return call


@pytest.fixture
def folder(run: Run, tmp_path: Path) -> Path:
    made = tmp_path / "ledger"
    assert run("init", made, "--origin", "hospital.example/log").code == 0
    assert run("enroll", made, "CT1", "--manufacturer", "Maker").code == 0
    return made


def test_an_image_goes_in_and_is_known_again(run: Run, folder: Path, tmp_path: Path) -> None:
    added = run("add", folder, MR, CT)
    assert added.code == 0, added.err
    assert "2 logged, 0 logged before, 0 refused" in added.out
    same = run("verify", folder, MR)
    assert (same.code, same.out.split()[0]) == (0, "IDENTICAL")
    transcoded = run("verify", folder, RLE)
    assert (transcoded.code, transcoded.out.split()[0]) == (0, "TRANSCODED")
    bad = tmp_path / "bad.dcm"
    dataset = read(MR)
    dataset.PixelData = bytes([dataset.PixelData[0] ^ 1]) + dataset.PixelData[1:]
    bad.write_bytes(write(dataset))
    changed = run("verify", folder, bad)
    assert (changed.code, changed.out.split()[0]) == (1, "MISMATCH")
    unknown = run("verify", folder, FOLDER / "rtdose.dcm", "--json")
    assert (unknown.code, unknown.json[0]["verdict"]) == (1, "UNKNOWN")
    assert run("verify", folder, MR, bad).code == 1, "one image that is not accepted is enough"


def test_an_edited_picture_is_told_from_one_that_was_never_logged(run: Run, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "eye.png"
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray(pixels).save(file)
    assert run("add", folder, file).code == 0
    assert run("verify", folder, file).code == 0
    pixels[3, 3] ^= 1
    Image.fromarray(pixels).save(file)
    changed = run("verify", folder, file)
    assert (changed.code, changed.out.split()[0]) == (1, "MISMATCH")
    assert "record: entry 2" in changed.out
    elsewhere = file.rename(tmp_path / "other.png")
    assert run("verify", folder, elsewhere).out.split()[0] == "UNKNOWN"
    named = run("verify", folder, elsewhere, "--entry", 2, "--json")
    assert (named.code, named.json[0]["verdict"], named.json[0]["entry"]) == (1, "MISMATCH", 2)
    assert run("verify", folder, elsewhere, file, "--entry", 2).code == 2


def test_two_words_make_a_ledger_that_takes_images(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "a ledger + more"
    assert run("init", folder).code == 0
    assert run("show", folder, "--json").json["origin"] == "local/a-ledger-more"
    added = run("add", folder, MR)
    assert added.code == 0
    assert "this host is enrolled as the station this-host" in added.err
    assert run("add", folder, CT).err == ""
    assert run("verify", folder, CT).out.split()[0] == "IDENTICAL"
    assert run("enroll", folder, "CT1").code == 0
    assert "name one of CT1, this-host with --station" in run("add", folder, MR, "--again").err


def test_adding_goes_on_where_it_stopped_and_names_what_it_refuses(run: Run, folder: Path, tmp_path: Path) -> None:
    images = tmp_path / "images" / "deep"
    images.mkdir(parents=True)
    shutil.copy(MR, images)
    (images / "notes.txt").write_text("no image")
    first = run("add", folder, tmp_path / "images")
    assert first.code == 2
    assert "1 logged, 0 logged before, 1 refused" in first.out
    assert "notes.txt is no DICOM, PNG, JPEG or TIFF file" in first.err
    (images / "notes.txt").unlink()
    shutil.copy(CT, images)
    second = run("add", folder, tmp_path / "images", "--json")
    assert second.code == 0
    assert {Path(row["file"]).name: row["was_logged"] for row in second.json} == {CT.name: False, MR.name: True}
    again = run("add", folder, images / MR.name, "--again")
    assert "its SOP instance UID was logged before" in again.err


def test_a_proof_is_checked_offline_with_the_key_alone(run: Run, folder: Path, tmp_path: Path) -> None:
    run("add", folder, MR, CT)
    proof = tmp_path / "image.proof"
    assert run("prove", folder, RLE, "--out", proof).code == 0
    key = run("show", folder, "--json").json["verifier_key"]
    folder.rename(tmp_path / "away")
    checked = run("check-proof", proof, RLE, "--key", key)
    assert (checked.code, checked.out.split()[0]) == (0, "TRANSCODED")
    (tmp_path / "key.txt").write_text(key + "\n")
    other = run("check-proof", proof, CT, "--key", tmp_path / "key.txt", "--json")
    assert (other.code, other.json["verdict"]) == (1, "MISMATCH")
    broken = tmp_path / "broken.proof"
    broken.write_bytes(proof.read_bytes()[:-1])
    refused = run("check-proof", broken, RLE, "--key", key)
    assert (refused.code, refused.out) == (2, "")


def test_revoked_records_and_devices_count_no_more(run: Run, folder: Path) -> None:
    entry = run("add", folder, MR, "--json").json[0]["entry"]
    assert run("revoke", folder, "--entry", entry, "--reason", "wrong patient").code == 0
    revoked = run("verify", folder, MR)
    assert (revoked.code, revoked.out.split()[0]) == (1, "REVOKED")
    assert run("rotate", folder, "CT1", "--software-version", "2").code == 0
    assert run("add", folder, CT).code == 0
    assert run("revoke", folder, "--device", "CT1", "--reason", "stolen").code == 0
    refused = run("add", folder, FOLDER / "rtdose.dcm")
    assert refused.code == 2
    assert "was revoked by entry" in refused.err
    assert [row["kind"] for row in run("list", folder, "--json").json] == [
        "enrolment", "enrolment", "capture", "revocation", "enrolment", "revocation", "capture", "revocation",
    ]  # fmt: skip


def test_fsck_names_the_first_bad_entry_and_repairs_tiles(run: Run, folder: Path) -> None:
    run("add", folder, MR, CT)
    clean = run("fsck", folder)
    assert (clean.code, clean.out.split(":")[0]) == (0, "clean")
    bundle = next((folder / "tiles" / "tile" / "entries").rglob("4"))
    held = bundle.read_bytes()
    bundle.write_bytes(held[:-1] + bytes([held[-1] ^ 1]))
    found = run("fsck", folder)
    assert found.code == 1
    assert "the first at entry 3" in found.out
    assert run("fsck", folder, "--json").json["problems"][0]["entry"] == 3
    assert run("fsck", folder, "--repair-tiles").code == 0
    assert run("fsck", folder, "--json").json == {"clean": True, "size": 4, "entries": 4, "problems": []}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["verify", "absent", "x.dcm"], "holds no ledger"),
        (["init", "{folder}", "--origin", "hospital.example/log"], "already"),
        (["init", "new", "--origin", "two words"], "not a key name"),
        (["init", "new", "--origin", "a", "--database", "mysql://x/y"], "postgresql://"),
        (["enroll", "{folder}", "CT1"], "already"),
        (["enroll", "{folder}", "../CT1"], "not a station's name"),
        (["enroll", "{folder}"], "one of the two"),
        (["add", "{folder}", "nowhere.dcm"], "does not exist"),
        (["add", "{folder}", "{folder}", "--station", "XX"], "no station 'XX'"),
        (["verify", "{folder}", "nowhere.dcm"], "cannot be read"),
        (["prove", "{folder}"], "one of the two"),
        (["prove", "{folder}", "--entry", "99"], "no entry 99"),
        (["revoke", "{folder}", "--entry", "99", "--reason", "x"], "no entry 99"),
        (["revoke", "{folder}", "--device", "XX", "--reason", "x"], "name one by its ID"),
        (["revoke", "{folder}", "--reason", "x"], "one of the two"),
        (["check-proof", "{folder}/ledger.json", "{folder}/ledger.json", "--key", "x"], "proof bundle"),
    ],
)
def test_mistakes_are_told_in_one_sentence(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    said = run(*(argument.format(folder=folder) for argument in arguments))
    assert said.code == 2
    assert words in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert not (tmp_path / "new" / "ledger.json").exists()


def test_a_failure_is_not_a_mistake(run: Run, tmp_path: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:1/none"
    said = run("init", tmp_path / "ledger", "--origin", "hospital.example/log", "--database", url)
    assert said.code == 1
    assert "127.0.0.1" in said.err


def test_an_older_database_is_upgraded_by_command(run: Run, folder: Path) -> None:
    assert run("upgrade", folder).code == 0
    assert run("fsck", folder).code == 0
