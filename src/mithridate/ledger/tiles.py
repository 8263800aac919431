"""Names and contents of tiles (C2SP tlog-tiles): a Merkle tree as files that never change once they are full.

A tile holds up to 256 consecutive hashes of one height of the tree, and level L's hashes are the roots of whole tiles
of level L - 1.  An entry bundle holds the entries under one tile of level 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mithridate.ledger.errors import TileError
from mithridate.ledger.merkle import HASH_SIZE, MAX_SIZE

TILE_WIDTH = 256
TILE_HEIGHT = 8
MAX_LEVEL = 63
MAX_ENTRY_BYTES = 0xFFFF
CHECKPOINT_PATH = "checkpoint"

_PATH = re.compile(r"tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True)
class Tile:
    """A tile's place: its level (None for an entry bundle), its index in the level, and how many items it holds."""

    level: int | None
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        if self.level is not None and not 0 <= self.level <= MAX_LEVEL:
            raise TileError(f"no tile has the level {self.level}: levels are 0 to {MAX_LEVEL}")
        if not 0 <= self.index <= MAX_SIZE or not 1 <= self.width <= TILE_WIDTH:
            raise TileError(f"no tile has the index {self.index} and the width {self.width}")

    @property
    def path(self) -> str:
        """Where the tile stands below the log's prefix, with '/' between folders."""
        kind = "entries" if self.level is None else str(self.level)
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{kind}/{_groups(self.index)}{partial}"

    @property
    def full(self) -> Tile:
        """The tile that this one is the beginning of, or itself."""
        return Tile(self.level, self.index)


def parse_path(path: str) -> Tile:
    """The inverse of `Tile.path`.  Raises TileError for any other path, other spellings of a tile's path included."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise TileError(f"{path!r} is not the path of a tile")
    kind, groups, width = match.groups()
    tile = Tile(
        None if kind == "entries" else int(kind),
        int(groups.replace("x", "").replace("/", "")),
        TILE_WIDTH if width is None else int(width),
    )
    if tile.path != path:
        raise TileError(f"{path!r} is not the one spelling of a tile's path, {tile.path!r}")
    return tile


def tile_at(level: int | None, index: int, size: int) -> Tile:
    """The tile with its width in a tree of `size` leaves.  Raises TileError when it would be empty."""
    items = size >> (TILE_HEIGHT * (level or 0))
    width = min(TILE_WIDTH, items - index * TILE_WIDTH)
    if width < 1:
        raise TileError(f"a log of {size} entries has no tile {index} on level {level or 0}")
    return Tile(level, index, width)


def tiles_of(size: int, *, begin: int = 0) -> Iterator[Tile]:
    """Every tile and bundle of a tree of `size` leaves that did not stand in the same form in one of `begin`."""
    yield from _level_tiles(None, begin, size)
    level = 0
    while size >> (TILE_HEIGHT * level):
        yield from _level_tiles(level, begin >> (TILE_HEIGHT * level), size >> (TILE_HEIGHT * level))
        level += 1


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Entries one after another, each after its length in two bytes, big-endian.

    Raises TileError for an entry of more than 65,535 bytes.
    """
    return b"".join(encode_entry(entry) for entry in entries)


def encode_entry(entry: bytes) -> bytes:
    """One entry as it stands in a bundle."""
    if len(entry) > MAX_ENTRY_BYTES:
        raise TileError(f"the entry has {len(entry):,} bytes, above the limit of {MAX_ENTRY_BYTES:,}")
    return len(entry).to_bytes(2, "big") + entry


def decode_bundle(data: bytes, tile: Tile) -> tuple[bytes, ...]:
    """The inverse of `encode_bundle`.  Raises TileError unless the data are exactly as many entries as the tile's."""
    entries = []
    place = 0
    while place < len(data):
        length = int.from_bytes(data[place : place + 2], "big")
        entry = data[place + 2 : place + 2 + length]
        if place + 2 > len(data) or len(entry) != length:
            raise TileError(f"{tile.path} ends inside an entry")
        entries.append(entry)
        place += 2 + length
    if len(entries) != tile.width:
        raise TileError(f"{tile.path} holds {len(entries)} entries instead of {tile.width}")
    return tuple(entries)


def decode_hashes(data: bytes, tile: Tile) -> tuple[bytes, ...]:
    """The hashes of a tile.  Raises TileError unless there are exactly as many as its width."""
    if len(data) != tile.width * HASH_SIZE:
        raise TileError(f"{tile.path} has {len(data):,} bytes instead of {tile.width * HASH_SIZE:,}")
    return tuple(data[place : place + HASH_SIZE] for place in range(0, len(data), HASH_SIZE))


def _level_tiles(level: int | None, begin: int, end: int) -> Iterator[Tile]:
    """Tiles over the items begin..end-1 of a level."""
    for index in range(begin // TILE_WIDTH, -(-end // TILE_WIDTH)):
        width = min(TILE_WIDTH, end - index * TILE_WIDTH)
        if index * TILE_WIDTH + width > begin:
            yield Tile(level, index, width)


def _groups(index: int) -> str:
    """Three digits a folder, all but the last marked by an x, so that no folder's name is ever a file's."""
    groups = [f"{index % 1000:03d}"]
    while index := index // 1000:
        groups.insert(0, f"x{index % 1000:03d}")
    return "/".join(groups)
