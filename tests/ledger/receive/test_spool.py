"""The spool through crashes: what was acknowledged goes on, what was not goes away, nothing waits twice."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mithridate.errors import UserError
from mithridate.ledger.receive.spool import Spool

DATA = b"an object"
DIGEST = hashlib.sha256(DATA).digest()


def files(spool: Spool) -> set[str]:
    return {str(path.relative_to(spool.folder)) for path in spool.folder.rglob("*") if path.is_file()}


@pytest.fixture
def forwarding(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", forward=True, keep=False)


def test_an_object_waits_only_once_it_is_accepted(forwarding: Spool) -> None:
    path = forwarding.write(DATA, DIGEST)
    assert forwarding.waiting() == []
    forwarding.accept(path)
    (waiting,) = forwarding.waiting()
    assert waiting.read_bytes() == DATA
    assert files(forwarding) == {f"pending/{DIGEST.hex()}.dcm"}
    forwarding.forwarded(waiting)
    assert files(forwarding) == set()


def test_the_same_object_received_twice_at_once_waits_once(forwarding: Spool) -> None:
    first, second = forwarding.write(DATA, DIGEST), forwarding.write(DATA, DIGEST)
    assert first != second
    forwarding.accept(first)
    forwarding.accept(second)
    assert len(forwarding.waiting()) == 1


@pytest.mark.parametrize(
    ("content", "is_logged", "goes_on"), [(DATA, True, True), (DATA, False, False), (DATA[:4], True, False)]
)
def test_after_a_crash_only_what_is_whole_and_logged_goes_on(
    tmp_path: Path, content: bytes, is_logged: bool, goes_on: bool
) -> None:
    before = Spool(tmp_path / "spool", forward=True, keep=False)
    before.write(DATA, DIGEST).write_bytes(content)
    after = Spool(tmp_path / "spool", forward=True, keep=False)
    assert after.recover(lambda _: is_logged) == int(goes_on)
    assert files(after) == ({f"pending/{DIGEST.hex()}.dcm"} if goes_on else set())


def test_what_is_kept_is_kept_after_forwarding_or_at_once(tmp_path: Path) -> None:
    both = Spool(tmp_path / "both", forward=True, keep=True)
    both.accept(both.write(DATA, DIGEST))
    both.forwarded(both.waiting()[0])
    only = Spool(tmp_path / "only", forward=False, keep=True)
    only.accept(only.write(DATA, DIGEST))
    assert files(both) == files(only) == {f"kept/{DIGEST.hex()}.dcm"}


def test_objects_wait_in_the_order_in_which_they_came(forwarding: Spool) -> None:
    names = []
    for number in range(5):
        data = bytes([number])
        forwarding.accept(forwarding.write(data, hashlib.sha256(data).digest()))
        names.append(hashlib.sha256(data).hexdigest())
    assert [path.stem for path in forwarding.waiting()] == names


def test_what_is_given_up_lies_beside_its_reason(forwarding: Spool) -> None:
    forwarding.accept(forwarding.write(DATA, DIGEST))
    target = forwarding.give_up(forwarding.waiting()[0], "the PACS refuses it")
    assert target.read_bytes() == DATA
    assert target.with_suffix(".txt").read_text() == "the PACS refuses it\n"
    assert forwarding.waiting() == []


def test_a_place_where_nothing_can_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/spool cannot be used as a spool \(Not a directory\): name another"):
        Spool(tmp_path / "file" / "spool", forward=True, keep=False)
