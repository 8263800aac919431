"""Proofs against a second, recursive implementation written straight from the RFC's definitions."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mithridate.ledger import merkle
from mithridate.ledger.errors import ProofError
from mithridate.ledger.merkle import Frontier

LEAVES = [merkle.leaf_hash(str(n).encode()) for n in range(140)]
SIZES = st.integers(1, len(LEAVES))


def _mth(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, over leaf hashes."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = _split(len(leaves))
    return hashlib.sha256(b"\x01" + _mth(leaves[:k]) + _mth(leaves[k:])).digest()


def _path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = _split(len(leaves))
    if m < k:
        return [*_path(m, leaves[:k]), _mth(leaves[k:])]
    return [*_path(m - k, leaves[k:]), _mth(leaves[:k])]


def _subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2."""
    if m == len(leaves):
        return [] if whole else [_mth(leaves)]
    k = _split(len(leaves))
    if m <= k:
        return [*_subproof(m, leaves[:k], whole), _mth(leaves[k:])]
    return [*_subproof(m - k, leaves[k:], False), _mth(leaves[:k])]


def _split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def _store(size: int = len(LEAVES)) -> merkle.ReadNode:
    nodes: dict[tuple[int, int], bytes] = {}
    frontier = Frontier()
    for leaf in LEAVES[:size]:
        nodes |= {(node.level, node.index): node.hash for node in frontier.append(leaf)}
    return lambda level, index: nodes[level, index]


READ = _store()


def test_known_answers() -> None:
    # SHA-256 of nothing and of the single byte 0, from FIPS 180 implementations everywhere.
    assert merkle.EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle.leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert Frontier().root() == merkle.EMPTY_ROOT


def test_an_entry_never_hashes_like_an_inner_node() -> None:
    left, right = LEAVES[:2]
    assert merkle.leaf_hash(left + right) != merkle.node_hash(left, right)
    assert merkle.leaf_hash(b"\x01" + left + right) != merkle.node_hash(left, right)


@given(SIZES)
def test_the_frontier_has_the_root_of_the_definition(size: int) -> None:
    assert merkle.tree_root(LEAVES[:size]) == _mth(LEAVES[:size])


@given(SIZES)
def test_the_frontier_keeps_one_hash_for_each_bit_of_the_size(size: int) -> None:
    frontier = Frontier()
    for leaf in LEAVES[:size]:
        frontier.append(leaf)
    assert len(frontier.peaks) == size.bit_count()
    assert Frontier.load(size, READ) == frontier


@given(SIZES, st.data())
def test_inclusion_proofs_are_those_of_the_definition_and_verify(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(index, size, READ)
    assert list(proof) == _path(index, LEAVES[:size])
    merkle.verify_inclusion(index, size, LEAVES[index], proof, _mth(LEAVES[:size]))


@given(SIZES, st.data())
def test_consistency_proofs_are_those_of_the_definition_and_verify(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    proof = merkle.consistency_proof(old, new, READ)
    assert list(proof) == _subproof(old, LEAVES[:new], True)
    merkle.verify_consistency(old, new, _mth(LEAVES[:old]), _mth(LEAVES[:new]), proof)


@given(SIZES, st.data())
def test_a_proof_only_reads_nodes_whose_leaves_all_exist(size: int, data: st.DataObject) -> None:
    read = _store(size)  # raises KeyError for any other node
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    assert len(merkle.inclusion_proof(index, size, read)) <= size.bit_length()
    assert len(merkle.consistency_proof(old, size, read)) <= size.bit_length() + 1


@given(SIZES, st.data())
def test_no_inclusion_proof_stands_a_change(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof, root = merkle.inclusion_proof(index, size, READ), _mth(LEAVES[:size])
    leaf = LEAVES[index]
    other = data.draw(st.integers(0, size - 1).filter(lambda n: n != index)) if size > 1 else 1
    attempts = [
        (other, size, leaf, proof, root),
        (index, size, merkle.leaf_hash(b"other"), proof, root),
        (index, size, leaf, (*proof, root), root),
        (index, size, leaf, (root, *proof), root),
        (index, size, leaf, proof, _flip(root, data)),
    ]
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        changed = (*proof[:place], _flip(proof[place], data), *proof[place + 1 :])
        attempts += [(index, size, leaf, changed, root), (index, size, leaf, proof[:-1], root)]
    for attempt in attempts:
        with pytest.raises(ProofError):
            merkle.verify_inclusion(*attempt)


@given(SIZES, st.data())
def test_no_consistency_proof_stands_a_change(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    proof = merkle.consistency_proof(old, new, READ)
    roots = _mth(LEAVES[:old]), _mth(LEAVES[:new])
    attempts = [
        (old, new, _flip(roots[0], data), roots[1], proof),
        (old, new, roots[0], _flip(roots[1], data), proof),
        (old, new, *roots, (*proof, roots[1])),
        (old, new, *roots, (roots[0], *proof)),
    ]
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        changed = (*proof[:place], _flip(proof[place], data), *proof[place + 1 :])
        attempts += [(old, new, *roots, changed), (old, new, *roots, proof[:-1])]
    for attempt in attempts:
        with pytest.raises(ProofError):
            merkle.verify_consistency(*attempt)


def test_a_rewritten_prefix_cannot_be_made_consistent() -> None:
    forged = [merkle.leaf_hash(b"forged"), *LEAVES[1:]]
    for old in range(1, 20):
        proof = _subproof(old, forged[:20], True)
        with pytest.raises(ProofError):
            merkle.verify_consistency(old, 20, _mth(LEAVES[:old]), _mth(forged[:20]), proof)


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 5), (6, 5), (-1, 5), (1, 2**63)])
def test_sizes_of_which_nothing_can_be_proved_are_refused(old: int, new: int) -> None:
    with pytest.raises(ProofError):
        merkle.verify_consistency(old, new, LEAVES[0], LEAVES[0], [])
    if new < 2**63:
        with pytest.raises(ProofError):
            merkle.consistency_proof(old, new, READ)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_hashes_of_another_length_are_refused(length: int) -> None:
    wrong = bytes(length)
    with pytest.raises(ProofError, match="bytes"):
        merkle.verify_inclusion(0, 1, wrong, [], wrong)
    with pytest.raises(ProofError, match="bytes"):
        merkle.verify_consistency(1, 2, LEAVES[0], LEAVES[1], [wrong])
    with pytest.raises(ProofError, match="bytes"):
        Frontier().append(wrong)
    with pytest.raises(ProofError, match="bytes"):
        Frontier(1, [wrong])


def test_a_frontier_with_the_wrong_number_of_hashes_is_refused() -> None:
    with pytest.raises(ProofError):
        Frontier(3, LEAVES[:1])


def _flip(value: bytes, data: st.DataObject) -> bytes:
    bit = data.draw(st.integers(0, len(value) * 8 - 1))
    changed = bytearray(value)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
