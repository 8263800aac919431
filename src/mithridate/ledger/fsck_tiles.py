"""Checking the published tiles against each other, against the checkpoint, and against the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from mithridate.ledger import merkle
from mithridate.ledger.checkpoint import Checkpoint
from mithridate.ledger.errors import TileError
from mithridate.ledger.store.rows import EntryRow
from mithridate.ledger.store.store import Store
from mithridate.ledger.tile_reader import TileReader, folder_source
from mithridate.ledger.tiles import TILE_WIDTH, Tile, decode_bundle, tile_at

Add = Callable[[int | None, str], None]


def check_tiles(
    folder: Path, published: Checkpoint, store: Store, add: Add, tell: Callable[[str, int, int], None]
) -> None:
    """Compare every bundle and every tile with the entries of the database, and the tree with the published root."""
    fetch = folder_source(folder)
    reader = TileReader(fetch, published.size)
    rows = store.entries(0, published.size)
    for number in range(-(-published.size // TILE_WIDTH)):
        begin = number * TILE_WIDTH
        width = min(TILE_WIDTH, published.size - begin)
        _check_range(reader, fetch, begin, width, _take(rows, begin + width), add)
        if number % 16 == 0:
            tell("tiles", begin, published.size)
    try:
        reader.verify(published.root, entries=False)
    except TileError as error:
        add(None, str(error))
    tell("tiles", published.size, published.size)


def _check_range(
    reader: TileReader,
    fetch: Callable[[str], bytes | None],
    begin: int,
    width: int,
    rows: dict[int, EntryRow],
    add: Add,
) -> None:
    try:
        hashes = reader.hashes(0, begin // TILE_WIDTH)
        entries = _bundle(fetch, tile_at(None, begin // TILE_WIDTH, reader.size))
    except TileError as error:
        add(begin, str(error))
        return
    for place in range(width):
        index = begin + place
        row = rows.get(index)
        if merkle.leaf_hash(entries[place]) != hashes[place]:
            add(index, f"entry {index} in the tiles was changed: it does not hash to its leaf there")
        elif row is not None and entries[place] != row.entry:
            add(index, f"entry {index} is another in the tiles than in the database")


def _bundle(fetch: Callable[[str], bytes | None], tile: Tile) -> tuple[bytes, ...]:
    for candidate in dict.fromkeys((tile, tile.full)):
        data = fetch(candidate.path)
        if data is not None:
            return decode_bundle(data, candidate)[: tile.width]
    raise TileError(f"{tile.path} is absent from the log: run  mithridate ledger fsck --repair-tiles")


def _take(rows: Iterator[EntryRow], end: int) -> dict[int, EntryRow]:
    """The rows up to the index before `end`; where rows are missing, those that follow are dropped with them."""
    taken: dict[int, EntryRow] = {}
    for row in rows:
        taken[row.position] = row
        if row.position >= end - 1:
            break
    return taken
