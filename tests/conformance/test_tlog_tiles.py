"""A mirror of 300 leaves written by another program in the C2SP tile layout, with its signed checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mithridate.ledger import merkle
from mithridate.ledger.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from mithridate.ledger.errors import NoteError, ProofError
from mithridate.ledger.note import parse_note
from mithridate.ledger.note_keys import COSIGNATURE, VerifierKey
from mithridate.ledger.tile_reader import TileReader, folder_source
from mithridate.ledger.tiles import parse_path

LOG = "000de184301123b9278c086a7d9f68c9577e83872224c197058fd90784ea9706"
ORIGIN = "rome2026h1.example.org"


@pytest.fixture(scope="module")
def witness(shared_data: Path) -> Path:
    return shared_data / "vectors" / "tlog-tiles" / "mirror"


@pytest.fixture(scope="module")
def mirror(witness: Path) -> Path:
    return witness / "mirror"


@pytest.fixture(scope="module")
def head(mirror: Path) -> Checkpoint:
    return parse_checkpoint(parse_note((mirror / LOG / "checkpoint").read_bytes()).text)


@pytest.fixture(scope="module")
def reader(mirror: Path, head: Checkpoint) -> TileReader:
    return TileReader(folder_source(mirror / LOG), head.size)


@pytest.mark.parametrize("name", ["witness", "mirror"])
def test_the_cosigned_checkpoints_verify(name: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(name)
    key = _key(folder / f"{name}.v0.json")
    checkpoint, endorsements = open_checkpoint((folder / LOG / "checkpoint").read_bytes(), [key], origin=ORIGIN)
    assert (checkpoint.origin, checkpoint.size) == (ORIGIN, 300)
    assert [(e.name, e.time) for e in endorsements] == [(f"{name}.example.org", 1767139200)]
    assert key.kind == COSIGNATURE


def test_checkpoints_are_written_as_they_were_read(witness: Path, mirror: Path) -> None:
    for folder in (witness, mirror):
        data = (folder / LOG / "checkpoint").read_bytes()
        note = parse_note(data)
        assert note.encode() == data
        assert parse_checkpoint(note.text).text() == note.text


def test_any_change_to_a_cosigned_checkpoint_is_refused(mirror: Path) -> None:
    key = _key(mirror / "mirror.v0.json")
    data = (mirror / LOG / "checkpoint").read_bytes()
    for place in range(len(data)):
        with pytest.raises(NoteError):
            open_checkpoint(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :], [key])


def test_a_file_that_is_no_checkpoint_is_refused(witness: Path) -> None:
    with pytest.raises(NoteError):
        open_checkpoint((witness / "checkpoint").read_bytes(), [_key(witness / "witness.v0.json")])


def test_the_tiles_lead_to_the_cosigned_root(reader: TileReader, head: Checkpoint) -> None:
    assert reader.root() == head.root
    reader.verify(head.root, entries=False)


def test_every_leaf_is_proved_from_the_tiles(reader: TileReader, head: Checkpoint) -> None:
    for index in range(head.size):
        proof = reader.inclusion_proof(index)
        merkle.verify_inclusion(index, head.size, reader.leaf(index), proof, head.root)
        with pytest.raises(ProofError):
            merkle.verify_inclusion(index, head.size, reader.leaf((index + 1) % head.size), proof, head.root)


def test_every_smaller_tree_is_consistent_with_the_mirrors(reader: TileReader, head: Checkpoint) -> None:
    leaves = [reader.leaf(index) for index in range(head.size)]
    for old in range(1, head.size + 1):
        root = merkle.tree_root(leaves[:old])
        merkle.verify_consistency(old, head.size, root, head.root, reader.consistency_proof(old))


def test_every_tile_of_the_mirror_has_the_path_that_we_would_give_it(mirror: Path) -> None:
    paths = [path.relative_to(mirror / LOG).as_posix() for path in (mirror / LOG / "tile").rglob("*") if path.is_file()]
    assert sorted(parse_path(path).path for path in paths) == sorted(paths)
    assert len(paths) == 5


def _key(path: Path) -> VerifierKey:
    (text,) = json.loads(path.read_text())["verifier_keys"]
    key = VerifierKey.parse(text)
    assert str(key) == text
    return key
