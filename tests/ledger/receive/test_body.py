"""An object while it streams in: whole, or dropped with a reason, wherever it lies."""

from __future__ import annotations

import errno
import hashlib
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mithridate.ledger.receive.body import Body, Room


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40)), st.integers(0, 60), st.binary(max_size=10))
def test_what_went_in_comes_out_behind_the_header(chunks: list[bytes], in_memory: int, header: bytes) -> None:
    body = Body(1 << 20, in_memory=in_memory)
    for chunk in chunks:
        assert body.write(chunk) == len(chunk)
    assert body.size == sum(map(len, chunks))
    assert body.fault is None
    assert body.take(header) == header + b"".join(chunks)
    assert body.take() == b""


@pytest.mark.parametrize("in_memory", [5, 1000])
def test_the_limit_is_exact_and_what_is_beyond_it_is_not_kept(in_memory: int) -> None:
    body = Body(100, in_memory=in_memory)
    body.write(bytes(100))
    assert body.fault is None
    body.write(b"x")
    assert body.fault is not None
    assert "more than the 100 bytes" in body.fault
    body.write(bytes(50))
    assert body.size == 151
    assert body.take() == b""


def test_a_large_object_lies_on_disk_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    real = tempfile.TemporaryFile

    def spy(**options: Any) -> Any:
        opened.append(options["dir"])
        return real(**options)

    monkeypatch.setattr(tempfile, "TemporaryFile", spy)
    body = Body(1000, tmp_path, in_memory=10)
    body.write(bytes(10))
    assert opened == []
    body.write(bytes(10))
    assert opened == [tmp_path]
    assert list(tmp_path.iterdir()) == []
    body.close()


def test_a_full_disk_is_a_fault_of_the_object_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    body = Body(1000, in_memory=10)
    body.write(bytes(20))
    assert body.fault == "it cannot be kept while it arrives (No space left on device)"


def test_no_more_is_worked_on_than_there_is_room_for() -> None:
    room, lock = Room(100), threading.Lock()
    used = peak = done = 0

    def work(size: int) -> None:
        nonlocal used, peak, done
        with room.hold(size):
            with lock:
                used += min(size, 100)
                peak = max(peak, used)
            pause.wait(0.01)
            with lock:
                used -= min(size, 100)
                done += 1

    pause = threading.Event()
    threads = [threading.Thread(target=work, args=(size,)) for size in (60, 50, 30, 30, 500, 10, 90, 1, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert done == len(threads)
    assert 60 <= peak <= 100


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40)), st.binary(max_size=10))
def test_the_hash_made_meanwhile_is_that_of_all_that_is_taken(chunks: list[bytes], header: bytes) -> None:
    body = Body(1 << 20)
    body.begin(header)
    for chunk in chunks:
        body.write(chunk)
    assert body.digest(header + b"other") is None
    assert body.digest(header) == hashlib.sha256(body.take(header)).digest()


def test_no_hash_is_made_of_what_was_dropped_or_lies_on_disk(tmp_path: Path) -> None:
    dropped, spilled, unbegun = Body(10), Body(1000, tmp_path, in_memory=10), Body(1000)
    for body in (dropped, spilled):
        body.begin(b"")
    for body in (dropped, spilled, unbegun):
        body.write(bytes(8))
        body.write(bytes(8))
        assert body.digest(b"") is None
    assert spilled.take() == bytes(16)
