"""F0 is the SHA-256 of all of the file, whoever makes it."""

from __future__ import annotations

import hashlib
from threading import Thread

import numpy as np
import pytest

from mithridate.ledger.fingerprint import file_hash
from mithridate.ledger.fingerprint.file_hash import begin_file_hash

_LARGE = np.random.default_rng(0).bytes(file_hash._LARGE)


@pytest.mark.parametrize("data", [b"", _LARGE[:-1], _LARGE], ids=["empty", "small", "large"])
def test_it_is_the_hash_of_the_file(data: bytes) -> None:
    result = begin_file_hash(data)
    assert result() == result() == hashlib.sha256(data).digest()


def test_it_is_made_at_once_where_no_thread_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Thread, "start", start)
    assert begin_file_hash(_LARGE)() == hashlib.sha256(_LARGE).digest()


def test_a_hash_that_fails_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(data: bytes) -> None:
        raise MemoryError

    monkeypatch.setattr(hashlib, "sha256", fail)
    with pytest.raises(MemoryError):
        begin_file_hash(_LARGE)()
