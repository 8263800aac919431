"""Inclusion proofs in quantity: tiles with the nodes between their hashes remembered, and the log's peaks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property

from mithridate.ledger.errors import ProofError, TileError
from mithridate.ledger.merkle import HASH_SIZE, cover, node_hash
from mithridate.ledger.tile_reader import Fetch, TileReader
from mithridate.ledger.tiles import TILE_HEIGHT, TILE_WIDTH

CACHED_TREES = 1024
"""Tiles kept with their inner nodes, 16 KiB each: they cover the last 262,144 entries, or any that are in use."""

_Tree = tuple[bytes, ...]  # for each height from the leaves up, the hashes of its complete nodes, one after another


class TreeCache:
    """Full tiles, which never change, with their inner nodes; shared by the readers of one log, in any thread."""

    def __init__(self, capacity: int = CACHED_TREES) -> None:
        self._capacity = capacity
        self._trees: OrderedDict[tuple[int, int], _Tree] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._trees)

    def get(self, place: tuple[int, int]) -> _Tree | None:
        """The tree at (level, index), if it is kept."""
        with self._lock:
            if place in self._trees:
                self._trees.move_to_end(place)
            return self._trees.get(place)

    def put(self, place: tuple[int, int], tree: _Tree) -> None:
        """Keep a tree, instead of the one that was not asked for longest."""
        with self._lock:
            self._trees[place] = tree
            if len(self._trees) > self._capacity:
                self._trees.popitem(last=False)


class ProofReader(TileReader):
    """A `TileReader` that hashes the inside of a tile once for all proofs through it; for one thread at a time."""

    def __init__(self, fetch: Fetch, size: int, trees: TreeCache | None = None) -> None:
        """`trees` may be shared between readers of different sizes of the same log."""
        super().__init__(fetch, size)
        self._full = TreeCache() if trees is None else trees
        self._partial: dict[tuple[int, int], _Tree] = {}  # one a level at most: the last of each

    def node(self, level: int, index: int) -> bytes:
        """As `TileReader.node`."""
        height = level % TILE_HEIGHT
        first = index << height
        row = self._tree(level // TILE_HEIGHT, first // TILE_WIDTH)[height]
        place = ((first % TILE_WIDTH) >> height) * HASH_SIZE
        if place >= len(row):
            raise TileError(f"the log of {self.size} entries does not yet hold all of the node {index} at {level}")
        return row[place : place + HASH_SIZE]

    def inclusion_proof(self, index: int) -> tuple[bytes, ...]:
        """As `TileReader.inclusion_proof`.

        The tree is a row of complete subtrees, its peaks, joined from the right: the proof climbs to the peak over the
        leaf, takes all peaks to the right as one node, then those to the left one by one.
        """
        if not 0 <= index < self.size:
            raise ProofError(f"a tree of {self.size} leaves has no leaf {index}: its leaves are counted from 0")
        places, hashes, joined = self._peaks
        number = next(number for number, (level, place) in enumerate(places) if index >> level == place)
        path = self._climb(index, places[number][0])
        if number + 1 < len(places):
            path.append(joined[number + 1])
        path += reversed(hashes[:number])
        return tuple(path)

    def _climb(self, index: int, top: int) -> list[bytes]:
        """The siblings of a leaf and of the nodes above it, up to the level `top` of a complete subtree."""
        path: list[bytes] = []
        for level in range(0, top, TILE_HEIGHT):
            place = index >> level
            tree = self._tree(level // TILE_HEIGHT, place // TILE_WIDTH)
            place %= TILE_WIDTH
            for row in tree[: top - level]:
                sibling = (place ^ 1) * HASH_SIZE
                path.append(row[sibling : sibling + HASH_SIZE])
                place >>= 1
        return path

    @cached_property
    def _peaks(self) -> tuple[list[tuple[int, int]], list[bytes], list[bytes]]:
        """The peaks' places, their hashes, and for each the root of it joined with all to its right."""
        places = cover(0, self.size)
        hashes = [self.node(level, index) for level, index in places]
        joined = hashes[-1:]
        for peak in reversed(hashes[:-1]):
            joined.append(node_hash(peak, joined[-1]))
        return places, hashes, joined[::-1]

    def _tree(self, level: int, index: int) -> _Tree:
        """A tile's hashes and, height by height, the complete nodes over them."""
        place = (level, index)
        tree = self._full.get(place) or self._partial.get(place)
        if tree is None:
            hashes: Sequence[bytes] = self.hashes(level, index)
            rows = [b"".join(hashes)]
            for _ in range(TILE_HEIGHT - 1):
                hashes = [node_hash(hashes[left], hashes[left + 1]) for left in range(0, len(hashes) - 1, 2)]
                rows.append(b"".join(hashes))
            tree = tuple(rows)
            if len(rows[0]) == TILE_WIDTH * HASH_SIZE:
                self._full.put(place, tree)
            else:
                self._partial[place] = tree
        return tree
