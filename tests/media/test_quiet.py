from __future__ import annotations

import threading
import warnings

import pytest

from mithridate.media.quiet import DecoderPanic, decoding, quiet


def test_silence_ends_with_the_last_thread_and_the_filters_come_back() -> None:
    """Entered A, B; left A, B: the order in which nested savers would keep the silence for ever."""
    before = list(warnings.filters)
    a_inside, b_inside, a_left = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with quiet():
            a_inside.set()
            b_inside.wait(10)
        a_left.set()

    def second() -> None:
        a_inside.wait(10)
        with quiet():
            b_inside.set()
            a_left.wait(10)

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert list(warnings.filters) == before


def test_warnings_inside_are_not_shown() -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with quiet():
            warnings.warn("inside", stacklevel=1)
        warnings.warn("outside", stacklevel=1)
    assert [str(warning.message) for warning in shown] == ["outside"]


class Panic(BaseException):
    """As a Rust extension raises it."""


def test_a_decoders_panic_is_an_error_like_any_other() -> None:
    with pytest.raises(DecoderPanic, match="index out of range"), decoding():
        raise Panic("index out of range")
    with pytest.raises(KeyboardInterrupt), decoding():
        raise KeyboardInterrupt
    with pytest.raises(ValueError, match="as it is"), decoding():
        raise ValueError("as it is")
