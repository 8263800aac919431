"""The arithmetic of a Merkle tree: RFC 6962 section 2.1 for hashes and proofs, RFC 9162 section 2.1 for their checks.

A node is named by (level, index) and covers the leaves index * 2**level up to (index + 1) * 2**level.  Only nodes whose
leaves all exist are ever asked for, so they never change once written: a proof is made from any store of such nodes,
and the tree grows with nothing kept but its frontier, one hash for each bit set in its size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from mithridate.ledger.errors import ProofError

HASH_SIZE = 32
MAX_SIZE = 2**63 - 1
"""Largest accepted tree size: what a signed 64-bit integer of a database or of another program holds."""

EMPTY_ROOT = hashlib.sha256(b"").digest()

ReadNode = Callable[[int, int], bytes]
"""Gives the 32-byte hash of the complete node (level, index)."""


@dataclass(frozen=True, slots=True)
class Node:
    """A complete subtree: its place and its hash."""

    level: int
    index: int
    hash: bytes


def leaf_hash(entry: bytes) -> bytes:
    """The hash of an entry; the leading byte 0 keeps an entry from passing for an inner node."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_root(leaf_hashes: Iterable[bytes]) -> bytes:
    """The root over the leaves' hashes, in memory that grows with their logarithm."""
    frontier = Frontier()
    for leaf in leaf_hashes:
        frontier.append(leaf)
    return frontier.root()


@dataclass
class Frontier:
    """A growing tree of which only the roots of its complete subtrees are kept, largest first."""

    size: int = 0
    peaks: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_SIZE or len(self.peaks) != self.size.bit_count():
            raise ProofError(f"a tree of {self.size} leaves has not {len(self.peaks)} complete subtrees")
        for peak in self.peaks:
            _check_hash(peak, "a complete subtree")

    @classmethod
    def load(cls, size: int, read: ReadNode) -> Frontier:
        """The frontier of the first `size` leaves of a stored tree."""
        return cls(size, [read(level, index) for level, index in cover(0, size)])

    def append(self, leaf: bytes) -> list[Node]:
        """Add one leaf by its hash; gives the nodes that it completes, itself first, for a store to keep."""
        _check_hash(leaf, "a leaf")
        if self.size == MAX_SIZE:
            raise ProofError(f"the tree is full: it holds {MAX_SIZE} leaves")
        level, index, current = 0, self.size, leaf
        completed = [Node(0, index, leaf)]
        while index & 1:
            current = node_hash(self.peaks.pop(), current)
            level, index = level + 1, index >> 1
            completed.append(Node(level, index, current))
        self.peaks.append(current)
        self.size += 1
        return completed

    def root(self) -> bytes:
        """The root of the tree as it stands."""
        return _fold(self.peaks)


def cover(begin: int, end: int) -> list[tuple[int, int]]:
    """The fewest complete nodes, from left to right, that cover the leaves begin..end-1 of one subtree of the tree.

    `begin` must be where a subtree of at least end - begin leaves starts, as it is for every range in a proof.
    """
    nodes = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        nodes.append((level, begin >> level))
        begin += 1 << level
    return nodes


def inclusion_proof(index: int, size: int, read: ReadNode) -> tuple[bytes, ...]:
    """The proof that leaf `index` is in the tree of the first `size` leaves (RFC 6962 section 2.1.1), leaf end first.

    Reads at most two nodes a level.  Raises ProofError when the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise ProofError(f"a tree of {size} leaves has no leaf {index}: its leaves are counted from 0")
    path = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _largest_power_below(end - begin)
        if index < middle:
            path.append(_range_root(middle, end, read))
            end = middle
        else:
            path.append(_range_root(begin, middle, read))
            begin = middle
    return tuple(reversed(path))


def consistency_proof(old: int, new: int, read: ReadNode) -> tuple[bytes, ...]:
    """The proof that the first `old` of `new` leaves were not changed (RFC 6962 section 2.1.2); empty for equal sizes.

    Raises ProofError for an old size of zero, of which nothing can be proved, and for one above the new size.
    """
    if not 0 < old <= new:
        raise ProofError(f"no consistency proof leads from {old} leaves to {new}: give 0 < old <= new")
    path = []
    begin, end = 0, new
    while old != end:
        middle = begin + _largest_power_below(end - begin)
        if old <= middle:
            path.append(_range_root(middle, end, read))
            end = middle
        else:
            path.append(_range_root(begin, middle, read))
            begin = middle
    if begin:  # otherwise the old tree is a complete node of the new one, and its checker holds its root already
        path.append(_range_root(begin, end, read))
    return tuple(reversed(path))


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that a leaf's hash stands at `index` in the tree of `size` leaves with this root (RFC 9162, 2.1.3.2).

    Raises ProofError unless it is proved.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise ProofError(f"the proof is for leaf {index} of {size}, which does not exist")
    _check_hashes(proof, leaf=leaf, root=root)
    found = root_from_inclusion(index, size, leaf, proof)
    if found != root:
        raise ProofError(f"the inclusion proof of leaf {index} leads to another root than that of the {size} leaves")


def root_from_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes:
    """The root to which an inclusion proof leads.  Raises ProofError when it has the wrong number of hashes."""
    if not 0 <= index < size <= MAX_SIZE:
        raise ProofError(f"the proof is for leaf {index} of {size}, which does not exist")
    node, last, current = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofError(f"the inclusion proof of leaf {index} of {size} is too long")
        if node & 1 or node == last:
            current = node_hash(sibling, current)
            while not node & 1 and node:  # levels at which the last node has no sibling
                node, last = node >> 1, last >> 1
        else:
            current = node_hash(current, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofError(f"the inclusion proof of leaf {index} of {size} is too short")
    return current


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that a tree of `new` leaves extends that of `old` leaves unchanged (RFC 9162, 2.1.4.2).

    For equal sizes nothing is hashed: the roots need only be equal.  Nothing can be proved from an empty tree, because
    every tree extends it; a caller who starts from nothing must say so by not asking.
    Raises ProofError unless it is proved.
    """
    if not 0 < old <= new <= MAX_SIZE:
        raise ProofError(f"no consistency can be proved from {old} leaves to {new}: sizes must be 0 < old <= new")
    if old == new:
        if proof or not old_root or old_root != new_root:
            raise ProofError(f"two different roots, or a proof where none belongs, for the same {old} leaves")
        return
    _check_hashes(proof, old_root=old_root, new_root=new_root)
    found_old, found_new = _roots_from_consistency(old, new, old_root, proof)
    if found_old != old_root or found_new != new_root:
        raise ProofError(f"the tree of {new} leaves is not an extension of the tree of {old} leaves")


def _roots_from_consistency(old: int, new: int, old_root: bytes, proof: Sequence[bytes]) -> tuple[bytes, bytes]:
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        raise ProofError(f"the consistency proof from {old} to {new} leaves is empty")
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    former = latter = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofError(f"the consistency proof from {old} to {new} leaves is too long")
        if node & 1 or node == last:
            former, latter = node_hash(sibling, former), node_hash(sibling, latter)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            latter = node_hash(latter, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofError(f"the consistency proof from {old} to {new} leaves is too short")
    return former, latter


def _range_root(begin: int, end: int, read: ReadNode) -> bytes:
    return _fold([read(level, index) for level, index in cover(begin, end)])


def _fold(peaks: Sequence[bytes]) -> bytes:
    """Join complete subtrees from the right, the smallest, to the left."""
    if not peaks:
        return EMPTY_ROOT
    current = peaks[-1]
    for peak in reversed(peaks[:-1]):
        current = node_hash(peak, current)
    return current


def _largest_power_below(count: int) -> int:
    """The largest power of two smaller than `count` >= 2: where a tree of so many leaves is split."""
    return 1 << ((count - 1).bit_length() - 1)


def _check_hashes(proof: Sequence[bytes], **named: bytes) -> None:
    for name, value in named.items():
        _check_hash(value, f"the {name.replace('_', ' ')}")
    for place, value in enumerate(proof):
        _check_hash(value, f"hash {place} of the proof")


def _check_hash(value: bytes, what: str) -> None:
    if len(value) != HASH_SIZE:
        raise ProofError(f"{what} has {len(value)} bytes instead of the {HASH_SIZE} of a SHA-256 hash")
