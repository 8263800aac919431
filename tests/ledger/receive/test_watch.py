"""The folder door: each file once, when it is whole, through restarts and crashes."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ledger.receive.sending import image
from mithridate.errors import UserError
from mithridate.ledger.fingerprint import Verdict
from mithridate.ledger.log import Ledger
from mithridate.ledger.receipt import LedgerFailure
from mithridate.ledger.receive.intake import Intake
from mithridate.ledger.receive.journal import Journal, State, Version
from mithridate.ledger.receive.limits import ReceiveLimits
from mithridate.ledger.receive.watch import Look, Watcher
from mithridate.ledger.station import Station

Watch = Callable[..., Watcher]


def png() -> bytes:
    buffer = io.BytesIO()
    Image.frombytes("L", (16, 16), os.urandom(256)).save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "images"
    made.mkdir()
    return made


@pytest.fixture
def watch(ledger: Ledger, station: Station, folder: Path, tmp_path: Path) -> Watch:
    """Watchers as of one process after another: they share a journal and nothing else."""

    def make(intake: Intake | None = None, **options: Any) -> Watcher:
        settings = {"settle_seconds": 0.0, **options}
        return Watcher(intake or Intake(ledger, station), folder, tmp_path / "state" / "journal", **settings)

    return make


def test_dicom_and_pictures_are_logged_once_through_restarts(watch: Watch, ledger: Ledger, folder: Path) -> None:
    (folder / "deep" / "er").mkdir(parents=True)
    files = {"a.dcm": image(), "b.png": png(), "deep/er/c.dcm": image()}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    size = ledger.size
    assert watch().look() == Look(logged=3)
    assert all(ledger.judge(data, name).verdict is Verdict.IDENTICAL for name, data in files.items())
    for _ in range(2):
        assert watch().look() == Look()
    assert ledger.size == size + 3
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == set(files)


def test_a_file_waits_until_it_has_not_changed_for_a_while(watch: Watch, folder: Path) -> None:
    data, path = image(), folder / "a.dcm"
    path.write_bytes(data[:5000])
    watcher = watch(settle_seconds=3600.0)
    assert watcher.look() == Look(unfinished=1)
    path.write_bytes(data)  # another size: what was waited so far does not count
    assert watcher.look() == Look(unfinished=1)
    watcher._settle_seconds = 0.0
    assert watcher.look() == Look(logged=1)


def test_unfinished_names_hidden_files_and_links_are_left_alone(watch: Watch, folder: Path, tmp_path: Path) -> None:
    for name in (".a.dcm", "a.dcm.part", "a.TMP", "a.dcm~"):
        (folder / name).write_bytes(image())
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "a.dcm").write_bytes(image())
    (tmp_path / "elsewhere.dcm").write_bytes(image())
    (folder / "link.dcm").symlink_to(tmp_path / "elsewhere.dcm")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    watcher = watch()
    assert watcher.look() == Look()
    (folder / "a.dcm.part").rename(folder / "a.dcm")
    assert watcher.look() == Look(logged=1)


def test_bad_files_are_named_left_and_tried_again_only_when_they_change(
    watch: Watch, folder: Path, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    path, size = folder / "bad.dcm", ledger.size
    path.write_bytes(image()[:-3000])
    (folder / "notes.txt").write_text("no image")
    assert watch().look() == Look(refused=2)
    assert f"{path} ends early" in caplog.text
    assert f"{folder / 'notes.txt'} is no DICOM, PNG, JPEG or TIFF file" in caplog.text
    assert watch().look() == Look()
    path.write_bytes(image())
    assert watch().look() == Look(logged=1)
    assert ledger.size == size + 1


def test_too_large_a_file_is_refused_unread(
    watch: Watch, ledger: Ledger, station: Station, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (folder / "huge.dcm").open("wb") as stream:
        stream.truncate(1 << 40)  # a sparse file: reading it would end the test
    assert watch(Intake(ledger, station, limits=ReceiveLimits(object_bytes=1 << 20))).look() == Look(refused=1)
    assert "huge.dcm has more bytes than an object may have" in caplog.text


def test_a_crash_between_logging_and_noting_it_logs_nothing_twice(
    watch: Watch, folder: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.dcm").write_bytes(image())
    size = ledger.size

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "settle", killed)
        with pytest.raises(KeyboardInterrupt):
            watch().look()
    assert ledger.size == size + 1
    assert watch().look() == Look(logged=1)  # found in the ledger, not logged
    assert ledger.size == size + 1


def test_when_the_ledger_cannot_answer_files_wait(
    watch: Watch, ledger: Ledger, station: Station, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Away:
        def __getattr__(self, _: str) -> Any:
            raise LedgerFailure("the database does not answer")

    (folder / "a.dcm").write_bytes(image())
    size = ledger.size
    away = watch(Intake(Away(), station))  # type: ignore[arg-type]
    assert away.look() == Look(postponed=1)
    assert away.look() == Look(postponed=1)
    assert "the database does not answer" in caplog.text
    assert watch().look() == Look(logged=1)
    assert ledger.size == size + 1


def test_a_file_that_cannot_be_read_holds_up_no_other(
    watch: Watch, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.dcm", "b.dcm", "c.dcm"):
        (folder / name).write_bytes(image())
    real = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if path.name == "a.dcm":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    monkeypatch.setattr("mithridate.ledger.receive.watch._CHUNK", 1)
    assert watch().look() == Look(logged=2, postponed=1)
    assert "a.dcm cannot be read (Permission denied); trying again" in caplog.text


def test_logged_files_are_moved_and_never_over_another(watch: Watch, folder: Path, tmp_path: Path) -> None:
    done = tmp_path / "done"
    (folder / "sub").mkdir()
    contents = set()
    for _ in range(2):
        data = image()
        contents.add(data)
        (folder / "sub" / "a.dcm").write_bytes(data)
        assert watch(move_to=done).look() == Look(logged=1)
    assert {path.read_bytes() for path in done.rglob("*.dcm")} == contents
    assert {str(path.relative_to(done)) for path in done.rglob("*.dcm")} == {"sub/a.dcm", "sub/a-2.dcm"}
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_a_file_logged_before_a_crash_is_only_moved(watch: Watch, folder: Path, ledger: Ledger, tmp_path: Path) -> None:
    (folder / "a.dcm").write_bytes(image())
    watch().look()
    size = ledger.size
    watch(move_to=tmp_path / "done").look()
    assert ledger.size == size
    assert (tmp_path / "done" / "a.dcm").exists()


def test_names_that_are_no_text_are_logged_too(watch: Watch, folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.dcm")).write_bytes(image())
    assert watch().look() == Look(logged=1)
    assert watch().look() == Look()


def test_it_runs_until_it_is_stopped(watch: Watch, folder: Path, ledger: Ledger) -> None:
    watcher, size = watch(interval=0.01), ledger.size
    thread = threading.Thread(target=watcher.run)
    thread.start()
    (folder / "a.dcm").write_bytes(image())
    while ledger.size == size:
        assert thread.is_alive()
    watcher.stop()
    thread.join(60)
    assert not thread.is_alive()
    assert watch().look() == Look()


def test_places_that_cannot_be_watched_are_said_so(
    ledger: Ledger, station: Station, folder: Path, tmp_path: Path
) -> None:
    intake = Intake(ledger, station)
    with pytest.raises(UserError, match="is no folder"):
        Watcher(intake, tmp_path / "nowhere", tmp_path / "journal")
    for options in ({"journal": folder / "journal"}, {"journal": tmp_path / "journal", "move_to": folder / "done"}):
        with pytest.raises(UserError, match=r"is inside .*, which is watched"):
            Watcher(intake, folder, **options)
    assert list(folder.iterdir()) == []


def test_a_journal_forgets_the_line_that_a_crash_cut_off_and_refuses_other_files(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    one, two = Version("a", 1, 2), Version("b", 3, 4)
    journal = Journal(path)
    journal.begin([one, two])
    journal.settle(one, State.LOGGED)
    journal.close()
    text = path.read_text()
    path.write_text(text[:-5])
    again = Journal(path)
    assert again.state(one) is State.BEGUN
    assert again.state(two) is State.BEGUN
    assert again.state(Version("a", 1, 3)) is None
    path.write_text("something else\n")
    with pytest.raises(UserError, match="journal line 1 is no line of a journal"):
        Journal(path)
    assert path.read_text() == "something else\n"
