"""The tiles' follower: what is committed is written soon, together, and never in a way that loses an error."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

from ledger.samples import digest
from mithridate.ledger import following
from mithridate.ledger.following import MAX_BEHIND, TileFollower
from mithridate.ledger.store.rows import EntryRow, Head


def rows(begin: int, end: int) -> list[EntryRow]:
    return [EntryRow(n, digest(n), 0, n, 0, b"entry") for n in range(begin, end)]


def head(size: int) -> Head:
    return Head("log", size, digest("root", size), (), b"note")


class Tiles:
    """Takes what is published; `fault` is raised instead while it is set, and `gate` holds every call up."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int, list[int]]] = []
        self.fault: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()

    def publish(self, head: Head, begin: int, recent: Sequence[EntryRow]) -> None:
        assert self.gate.wait(30)
        if self.fault is not None:
            raise self.fault
        self.calls.append((head.size, begin, [row.position for row in recent]))


def test_what_comes_while_tiles_are_written_is_written_together() -> None:
    tiles = Tiles()
    follower = TileFollower(tiles.publish)
    tiles.gate.clear()
    for size in range(1, 8):
        follower.follow(head(size), rows(size - 1, size))
    tiles.gate.set()
    follower.close()
    assert tiles.calls[-1][0] == 7
    assert 1 < len(tiles.calls) < 7 or tiles.calls == [(7, 0, list(range(7)))]
    assert [place for _, begin, places in tiles.calls for place in (begin, *places[1:])] == list(range(7))


def test_rows_that_others_wrote_between_are_left_to_the_database() -> None:
    tiles = Tiles()
    follower = TileFollower(tiles.publish)
    tiles.gate.clear()
    follower.follow(head(1), rows(0, 1))
    time.sleep(0.05)  # the first is being written
    follower.follow(head(2), rows(1, 2))
    follower.follow(head(9), rows(8, 9))
    tiles.gate.set()
    follower.wait()
    assert tiles.calls[-1] == (9, 8, [8])
    follower.close()


def test_an_error_is_told_to_the_next_and_over_once_the_tiles_can_be_written() -> None:
    tiles = Tiles()
    follower = TileFollower(tiles.publish)
    follower.retry(head(0))
    assert tiles.calls == [], "where nothing failed there is nothing to try again"
    tiles.fault = OSError("the disk is full")
    follower.follow(head(1), rows(0, 1))
    follower.wait()
    with pytest.raises(OSError, match="full"):
        follower.retry(head(1))
    tiles.fault = None
    follower.retry(head(1))
    follower.retry(head(1))
    assert tiles.calls == [(1, 1, [])]
    follower.close()


def test_submitters_wait_for_tiles_that_lag_far_behind() -> None:
    tiles = Tiles()
    follower = TileFollower(tiles.publish)
    tiles.gate.clear()
    follower.follow(head(1), rows(0, 1))
    time.sleep(0.05)
    held = threading.Thread(target=follower.follow, args=(head(1 + MAX_BEHIND), rows(1, 1 + MAX_BEHIND)))
    held.start()
    held.join(0.2)
    assert held.is_alive()
    tiles.gate.set()
    held.join(30)
    assert not held.is_alive()
    follower.close()
    assert tiles.calls[-1][0] == 1 + MAX_BEHIND


def test_after_the_end_tiles_are_written_at_once() -> None:
    tiles = Tiles()
    follower = TileFollower(tiles.publish)
    follower.close()
    follower.follow(head(2), rows(0, 2))
    assert tiles.calls == [(2, 0, [0, 1])]


def test_a_lone_entry_is_written_once_the_pause_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "PAUSE_SECONDS", 0.1)
    tiles = Tiles()
    follower = TileFollower(tiles.publish)
    for size in (1, 2, 3):
        follower.follow(head(size), rows(size - 1, size))
        end = time.monotonic() + 30
        while [call[0] for call in tiles.calls][-1:] != [size] and time.monotonic() < end:
            time.sleep(0.005)
        assert tiles.calls[-1][0] == size
    follower.close()


@pytest.mark.parametrize("how", ["many", "awaited", "closed"])
def test_the_pause_is_cut_short_where_someone_waits(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(following, "PAUSE_SECONDS", 3600.0)
    tiles = Tiles()
    follower = TileFollower(tiles.publish)
    follower.follow(head(1), rows(0, 1))
    while not tiles.calls:
        time.sleep(0.005)
    follower.follow(head(2), rows(1, 2))
    if how == "many":
        follower.follow(head(2 + MAX_BEHIND // 4), rows(2, 2 + MAX_BEHIND // 4))
    if how == "awaited":
        follower.wait()
    end = time.monotonic() + 30
    while how != "closed" and len(tiles.calls) < 2 and time.monotonic() < end:
        time.sleep(0.005)
    assert len(tiles.calls) == (1 if how == "closed" else 2)
    follower.close()
    assert tiles.calls[-1][0] >= 2
