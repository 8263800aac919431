"""A log written as tiles, batch by batch, with nothing in memory but the last, unfinished tile of each level."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from mithridate.files import replace_file, replace_files
from mithridate.ledger import merkle
from mithridate.ledger.errors import TileError
from mithridate.ledger.merkle import Frontier
from mithridate.ledger.tile_reader import TileReader, folder_source
from mithridate.ledger.tiles import CHECKPOINT_PATH, TILE_HEIGHT, TILE_WIDTH, Tile, encode_entry, tile_at


class TileWriter:
    """Appends entries to a log in a folder.  One writer at a time; readers need no lock.

    Files appear whole or not at all, and entries before the hashes that cover them.  What is written counts only when
    a signed checkpoint covers it, so a batch that was cut short is written again from the same size.
    """

    def __init__(self, folder: Path, size: int = 0, root: bytes = merkle.EMPTY_ROOT) -> None:
        """Continue the log whose last checkpoint states this size and root.

        Raises TileError when the folder holds other hashes or entries than these.
        """
        self._folder = folder
        self._tails: list[list[bytes]] = []
        self._bundle: list[bytes] = []
        self._frontier = Frontier()
        if size:
            self._resume(TileReader(folder_source(folder), size))
        if self._frontier.root() != root:
            raise TileError(f"{folder} holds other tiles than those of the {size} entries with the root stated")

    @property
    def size(self) -> int:
        """How many entries are written."""
        return self._frontier.size

    def root(self) -> bytes:
        """The root over all entries written."""
        return self._frontier.root()

    def append(self, entries: Sequence[bytes], leaves: Sequence[bytes] | None = None) -> bytes:
        """Write a batch and give the new root; when it returns, every file is on disk.

        `leaves` are the entries' leaf hashes, when the caller has just computed them.
        Raises TileError for an entry of more than 65,535 bytes, before anything is written, and UserError when the disk
        refuses; the writer then still stands at its former size and the batch may be tried again.
        """
        encoded = [encode_entry(entry) for entry in entries]
        if leaves is None:
            leaves = [merkle.leaf_hash(entry) for entry in entries]
        frontier = Frontier(self.size, list(self._frontier.peaks))
        tails = [list(tail) for tail in self._tails]
        bundle = list(self._bundle)
        bundles: list[tuple[Tile, bytes]] = []
        tiles: list[tuple[Tile, bytes]] = []
        for leaf, framed in zip(leaves, encoded, strict=True):
            bundle.append(framed)
            if len(bundle) == TILE_WIDTH:
                bundles.append((Tile(None, frontier.size // TILE_WIDTH), b"".join(bundle)))
                bundle.clear()
            for node in frontier.append(leaf):
                if node.level % TILE_HEIGHT == 0:
                    tiles += _extend(tails, node)
        bundles += _unfinished(None, bundle, frontier.size, self.size)
        for level, tail in enumerate(tails):
            tiles += _unfinished(level, tail, frontier.size, self.size)
        self._write(bundles + tiles)
        self._frontier, self._tails, self._bundle = frontier, tails, bundle
        return self.root()

    def publish(self, checkpoint: bytes) -> None:
        """Put a signed checkpoint in place of the former one."""
        replace_file(self._folder / CHECKPOINT_PATH, partial(_fill, checkpoint))

    def _resume(self, reader: TileReader) -> None:
        self._frontier = Frontier.load(reader.size, reader.node)
        level = 0
        while count := reader.size >> (TILE_HEIGHT * level):
            self._tails.append(list(reader.hashes(level, count // TILE_WIDTH)) if count % TILE_WIDTH else [])
            level += 1
        begin = reader.size - reader.size % TILE_WIDTH
        self._bundle = [encode_entry(entry) for entry in reader.entries(begin)]

    def _write(self, tiles: Sequence[tuple[Tile, bytes]]) -> None:
        replace_files([(self._folder / tile.path, partial(_fill, content)) for tile, content in tiles])
        for tile, _ in tiles:
            if tile.width == TILE_WIDTH:  # its beginnings are no longer needed: readers fall back on the full tile
                path = self._folder / tile.path
                shutil.rmtree(path.with_name(f"{path.name}.p"), ignore_errors=True)


def _extend(tails: list[list[bytes]], node: merkle.Node) -> list[tuple[Tile, bytes]]:
    """Add a hash to the last tile of its level; the tile, if that has filled it."""
    level = node.level // TILE_HEIGHT
    if level == len(tails):
        tails.append([])
    tails[level].append(node.hash)
    if len(tails[level]) < TILE_WIDTH:
        return []
    full = b"".join(tails[level])
    tails[level].clear()
    return [(Tile(level, node.index // TILE_WIDTH), full)]


def _unfinished(level: int | None, items: list[bytes], size: int, former: int) -> list[tuple[Tile, bytes]]:
    """The partial tile at the end of a level, unless it is empty or stands on disk already."""
    height = TILE_HEIGHT * (level or 0)
    if not items or size >> height == former >> height:
        return []
    return [(tile_at(level, (size >> height) // TILE_WIDTH, size), b"".join(items))]


def _fill(content: bytes, path: Path) -> None:
    path.write_bytes(content)
