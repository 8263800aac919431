"""On to a PACS: everything that is logged arrives, byte for byte, whatever breaks on the way."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom.uid import ImplicitVRLittleEndian

from ledger.dicom_files import read, write
from ledger.receive.pacs import Pacs
from ledger.receive.sending import image, split, wait_for
from mithridate.errors import UserError
from mithridate.ledger.receive.forward import Destination, Forwarder
from mithridate.ledger.receive.spool import Spool


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    made = Pacs()
    yield made
    made.server.shutdown()


@pytest.fixture
def waiting(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", forward=True, keep=False)


def put(spool: Spool, *files: bytes) -> None:
    for data in files:
        spool.accept(spool.write(data, hashlib.sha256(data).digest()))


def to(pacs: Pacs) -> Destination:
    return Destination("PACS", "127.0.0.1", pacs.port)


def test_objects_arrive_as_they_were_received_in_one_association(pacs: Pacs, waiting: Spool) -> None:
    big_endian = write(read("MR_small_bigendian.dcm"))
    files = [image(), big_endian, image()]
    put(waiting, *files)
    forwarder = Forwarder(waiting, to(pacs))
    assert forwarder.send_waiting() == 3
    assert [data_set for _, data_set in pacs.received] == [split(file)[1] for file in files]
    assert waiting.waiting() == []
    assert pacs.associations == 1
    assert forwarder.send_waiting() == 0
    assert pacs.associations == 1


def test_what_comes_while_it_runs_is_sent_and_nothing_twice(pacs: Pacs, waiting: Spool) -> None:
    with Forwarder(waiting, to(pacs), first_delay=0.1) as forwarder:
        for _ in range(3):
            put(waiting, image())
            forwarder.wake()
            wait_for(lambda: not waiting.waiting())
    assert len(pacs.received) == 3


def test_a_pacs_that_is_away_is_tried_again_until_it_is_back(waiting: Spool, caplog: pytest.LogCaptureFixture) -> None:
    away = Pacs()
    away.server.shutdown()
    put(waiting, image(), image())
    with Forwarder(waiting, to(away), first_delay=0.05, longest_delay=0.2):
        wait_for(lambda: caplog.text.count("trying again") >= 3)
        assert len(waiting.waiting()) == 2
        back = Pacs(port=away.port)
        wait_for(lambda: not waiting.waiting())
    back.server.shutdown()
    assert len({uid for uid, _ in back.received}) == len(back.received) == 2


def test_what_the_pacs_refuses_for_good_is_set_aside_and_the_rest_goes_on(pacs: Pacs, waiting: Spool) -> None:
    bad, good = image(), image()
    uid = str(split(bad)[0].SOPInstanceUID)
    pacs.answer = lambda instance: 0xA900 if instance == uid else 0x0000
    put(waiting, bad, good)
    assert Forwarder(waiting, to(pacs)).send_waiting() == 1
    assert [data_set for _, data_set in pacs.received] == [split(good)[1]]
    assert waiting.waiting() == []
    (aside,) = waiting.failed.glob("*.dcm")
    assert aside.read_bytes() == bad
    reason = aside.with_suffix(".txt").read_text()
    assert "refused it for good with the status 0xa900" in reason
    assert str(waiting.pending) in reason


def test_what_the_pacs_cannot_take_in_this_syntax_is_set_aside_with_the_syntaxs_name(
    pacs: Pacs, waiting: Spool
) -> None:
    put(waiting, image(syntax=ImplicitVRLittleEndian), image())
    assert Forwarder(waiting, to(pacs)).send_waiting() == 1
    (reason,) = waiting.failed.glob("*.txt")
    assert "does not accept CT Image Storage in Implicit VR Little Endian" in reason.read_text()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.replace(b"\2\0\2\0UI", b"\2\0\2\1UI", 1),
        lambda data: data.replace(b"1.2.840.10008.5.1.4.1.1.2\0", b"not/a/uid/at/all/../../..\0", 1),
        lambda _: b"nothing",
    ],
    ids=["no class", "no UID", "no file"],
)
def test_a_file_that_cannot_be_sent_is_set_aside_and_holds_up_no_other(
    pacs: Pacs, waiting: Spool, spoil: Callable[[bytes], bytes]
) -> None:
    put(waiting, spoil(image()), image())
    assert Forwarder(waiting, to(pacs)).send_waiting() == 1
    assert len(pacs.received) == 1
    assert waiting.waiting() == []
    assert len(list(waiting.failed.glob("*.dcm"))) == 1


def test_an_object_that_may_pass_later_is_sent_again_and_holds_up_no_other(pacs: Pacs, waiting: Spool) -> None:
    slow, good = image(), image()
    uid = str(split(slow)[0].SOPInstanceUID)
    refusals = iter([0xA700, 0xA700])
    pacs.answer = lambda instance: next(refusals, 0x0000) if instance == uid else 0x0000
    put(waiting, slow, good)
    with Forwarder(waiting, to(pacs), first_delay=0.1):
        wait_for(lambda: not waiting.waiting())
    assert [data_set for _, data_set in pacs.received] == [split(good)[1], split(slow)[1]]


def test_a_warning_counts_as_taken(pacs: Pacs, waiting: Spool, caplog: pytest.LogCaptureFixture) -> None:
    pacs.answer = lambda _: 0xB000
    put(waiting, image())
    assert Forwarder(waiting, to(pacs)).send_waiting() == 1
    assert waiting.waiting() == []
    assert any(record.levelno == logging.WARNING and "0xb000" in record.message for record in caplog.records)


def test_an_association_that_breaks_off_loses_nothing(pacs: Pacs, waiting: Spool) -> None:
    def break_off(_: str) -> int:
        if len(pacs.received) == 1 and pacs.associations == 1:
            pacs.server.active_associations[0].abort()
        return 0x0000

    pacs.answer = break_off
    put(waiting, *(image() for _ in range(4)))
    with Forwarder(waiting, to(pacs), first_delay=0.05):
        wait_for(lambda: not waiting.waiting())
    assert len({uid for uid, _ in pacs.received}) == 4
    assert len(pacs.received) <= 5  # at most the one whose answer was lost is sent again


def test_stopping_finishes_the_object_at_work_and_keeps_the_others(pacs: Pacs, waiting: Spool) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(_: str) -> int:
        begun.set()
        go_on.wait(60)
        return 0x0000

    pacs.answer = slowly
    put(waiting, *(image() for _ in range(3)))
    forwarder = Forwarder(waiting, to(pacs))
    forwarder.start()
    begun.wait(60)
    stopping = threading.Thread(target=forwarder.stop)
    stopping.start()
    wait_for(forwarder._stopping.is_set)
    go_on.set()
    stopping.join(60)
    assert len(pacs.received) == 1
    assert len(waiting.waiting()) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PACS@192.0.2.7:104", ("PACS", "192.0.2.7", 104)),
        ("MY PACS@pacs.example:11112", ("MY PACS", "pacs.example", 11112)),
        ("PACS@[::1]:104", ("PACS", "::1", 104)),
    ],
)
def test_destinations_are_read(text: str, expected: tuple[str, str, int]) -> None:
    found = Destination.parse(text)
    assert (found.ae_title, found.host, found.port) == expected


@pytest.mark.parametrize("text", ["", "PACS", "PACS@host", "@host:104", "PACS@host:0", "PACS@host:99999", "P@h:1:2"])
def test_what_is_no_destination_is_said_so(text: str) -> None:
    with pytest.raises(UserError, match="names no PACS: write TITLE@HOST:PORT"):
        Destination.parse(text)
