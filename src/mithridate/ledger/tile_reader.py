"""A log read from its tiles: any entry, any proof, and the check that every hash belongs where it stands."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

from mithridate.ledger import merkle
from mithridate.ledger.errors import TileError
from mithridate.ledger.merkle import Frontier
from mithridate.ledger.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, decode_bundle, decode_hashes, tile_at, tiles_of

Fetch = Callable[[str], bytes | None]
"""Gives the content at a path below the log's prefix, None when there is nothing."""

CACHED_TILES = 256
"""Tiles kept in memory, 8 KiB each."""


def folder_source(folder: Path) -> Fetch:
    """Read tiles from a folder.  The source raises TileError for a file that is there and cannot be read."""

    def fetch(path: str) -> bytes | None:
        try:
            return (folder / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise TileError(f"{folder / path} cannot be read: {error.strerror or error}") from error

    return fetch


class TileReader:
    """The first `size` leaves of a log.

    What it reads is only as true as the proofs made from it: check them, or call `verify`, against a signed root.
    """

    def __init__(self, fetch: Fetch, size: int) -> None:
        self.size = size
        self._fetch = fetch
        self._cache: OrderedDict[Tile, tuple[bytes, ...]] = OrderedDict()

    def node(self, level: int, index: int) -> bytes:
        """The hash of a complete node, as proofs ask for it.  Raises TileError when its tile is absent or malformed."""
        height = level % TILE_HEIGHT
        first = index << height
        hashes = self.hashes(level // TILE_HEIGHT, first // TILE_WIDTH)
        row = hashes[first % TILE_WIDTH : first % TILE_WIDTH + (1 << height)]
        if len(row) != 1 << height:
            raise TileError(f"the log of {self.size} entries does not yet hold all of the node {index} at {level}")
        return merkle.tree_root(row) if height else row[0]

    def root(self) -> bytes:
        """The root that the tiles lead to."""
        return Frontier.load(self.size, self.node).root()

    def inclusion_proof(self, index: int) -> tuple[bytes, ...]:
        """The proof that leaf `index` is in this tree."""
        return merkle.inclusion_proof(index, self.size, self.node)

    def consistency_proof(self, old: int) -> tuple[bytes, ...]:
        """The proof that this tree extends that of its first `old` leaves."""
        return merkle.consistency_proof(old, self.size, self.node)

    def leaf(self, index: int) -> bytes:
        """The hash of leaf `index`."""
        return self.node(0, index)

    def entry(self, index: int) -> bytes:
        """Entry `index`, which hashes to its leaf.  Raises TileError when it does not."""
        if not 0 <= index < self.size:
            raise TileError(f"the log of {self.size} entries has no entry {index}: entries are counted from 0")
        entry = self._bundle(index // TILE_WIDTH)[index % TILE_WIDTH]
        if merkle.leaf_hash(entry) != self.leaf(index):
            raise TileError(f"entry {index} was changed: it does not hash to its leaf")
        return entry

    def entries(self, begin: int = 0) -> Iterator[bytes]:
        """All entries from `begin` on, in order, each checked against its leaf."""
        for index in range(begin // TILE_WIDTH, -(-self.size // TILE_WIDTH)):
            start = index * TILE_WIDTH
            for place, entry in enumerate(self._bundle(index)):
                if start + place < begin:
                    continue
                if merkle.leaf_hash(entry) != self.leaf(start + place):
                    raise TileError(f"entry {start + place} was changed: it does not hash to its leaf")
                yield entry

    def hashes(self, level: int, index: int) -> tuple[bytes, ...]:
        """The hashes of a tile in a log of this size."""
        tile = tile_at(level, index, self.size)
        if tile in self._cache:
            self._cache.move_to_end(tile)
            return self._cache[tile]
        found, data = self._content(tile)
        self._cache[tile] = decode_hashes(data, found)[: tile.width]
        if len(self._cache) > CACHED_TILES:
            self._cache.popitem(last=False)
        return self._cache[tile]

    def verify(self, root: bytes, *, entries: bool = True) -> None:
        """Hash every tile, and every entry unless told not to, and compare with the tile above and with the root.

        Raises TileError naming the first place that does not fit.
        """
        for tile in tiles_of(self.size):
            if (
                tile.level is not None
                and tile.width == TILE_WIDTH
                and self._parent_hash(tile) != merkle.tree_root(self.hashes(tile.level, tile.index))
            ):
                raise TileError(f"{tile.path} was changed: it does not hash to what the tile above it holds")
        if self.root() != root:
            raise TileError(f"the tiles of {self.size} entries lead to another root than the one stated")
        for _ in self.entries() if entries else ():
            pass

    def _parent_hash(self, tile: Tile) -> bytes:
        level = (tile.level or 0) + 1
        return self.hashes(level, tile.index // TILE_WIDTH)[tile.index % TILE_WIDTH]

    def _bundle(self, index: int) -> tuple[bytes, ...]:
        tile = tile_at(None, index, self.size)
        found, data = self._content(tile)
        return decode_bundle(data, found)[: tile.width]

    def _content(self, tile: Tile) -> tuple[Tile, bytes]:
        """A partial tile's content, or that of the full tile that has replaced it."""
        for candidate in dict.fromkeys((tile, tile.full)):
            data = self._fetch(candidate.path)
            if data is not None:
                return candidate, data
        raise TileError(f"{tile.path} is absent from the log: restore it from a mirror")
