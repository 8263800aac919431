"""The quick proofs are the proofs of the arithmetic, for every leaf of every size."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mithridate.ledger import merkle
from mithridate.ledger.errors import ProofError, TileError
from mithridate.ledger.merkle import Frontier
from mithridate.ledger.proof_reader import ProofReader, TreeCache
from mithridate.ledger.tiles import TILE_WIDTH, encode_bundle, parse_path

LEAVES = 70_000
"""Enough for tiles on three levels."""


class Nodes:
    """All complete nodes of a tree in memory, served as tiles of any size."""

    def __init__(self, leaves: int) -> None:
        self.nodes: dict[tuple[int, int], bytes] = {}
        frontier = Frontier()
        for number in range(leaves):
            for node in frontier.append(number.to_bytes(32, "big")):
                self.nodes[node.level, node.index] = node.hash
        self.asked = 0

    def fetch(self, path: str) -> bytes | None:
        tile = parse_path(path)
        self.asked += 1
        if tile.level is None:
            return encode_bundle([])
        first = tile.index * TILE_WIDTH
        return b"".join(self.nodes[tile.level * 8, first + place] for place in range(tile.width))

    def read(self, level: int, index: int) -> bytes:
        return self.nodes[level, index]


@pytest.fixture(scope="module")
def tree() -> Nodes:
    return Nodes(LEAVES)


def test_every_proof_of_small_trees(tree: Nodes) -> None:
    for size in [*range(1, 20), 255, 256, 257, 300]:
        reader = ProofReader(tree.fetch, size)
        for index in range(size):
            assert reader.inclusion_proof(index) == merkle.inclusion_proof(index, size, tree.read)
        assert reader.root() == Frontier.load(size, tree.read).root()


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, LEAVES), data=st.data())
def test_proofs_of_large_trees(tree: Nodes, size: int, data: st.DataObject) -> None:
    reader = ProofReader(tree.fetch, size)
    index = data.draw(st.integers(0, size - 1))
    assert reader.inclusion_proof(index) == merkle.inclusion_proof(index, size, tree.read)
    assert reader.consistency_proof(index + 1) == merkle.consistency_proof(index + 1, size, tree.read)


def test_what_is_not_there_is_refused(tree: Nodes) -> None:
    reader = ProofReader(tree.fetch, 300)
    for index in (-1, 300):
        with pytest.raises(ProofError, match="no leaf"):
            reader.inclusion_proof(index)
    with pytest.raises(TileError, match="does not yet hold"):
        reader.node(6, 4)
    with pytest.raises(ProofError):
        ProofReader(tree.fetch, 0).inclusion_proof(0)


def test_tiles_are_read_once_and_not_all_kept(tree: Nodes) -> None:
    trees = TreeCache(capacity=4)
    reader = ProofReader(tree.fetch, LEAVES, trees)
    reader.inclusion_proof(5)
    asked = tree.asked
    reader.inclusion_proof(200)
    assert tree.asked == asked
    ProofReader(tree.fetch, LEAVES, trees).node(7, 1)  # another reader of the same log
    assert tree.asked == asked
    for index in range(0, LEAVES, 5000):
        assert reader.inclusion_proof(index) == merkle.inclusion_proof(index, LEAVES, tree.read)
    assert len(trees) == 4
