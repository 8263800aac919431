"""Tiles on disk: their names, what is refused, and a log that grows, stops and goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mithridate.errors import UserError
from mithridate.ledger import merkle
from mithridate.ledger.errors import ProofError, TileError
from mithridate.ledger.tile_reader import TileReader, folder_source
from mithridate.ledger.tile_writer import TileWriter
from mithridate.ledger.tiles import Tile, decode_bundle, encode_bundle, parse_path, tile_at, tiles_of

TILES = st.builds(
    Tile,
    st.one_of(st.none(), st.integers(0, 63)),
    st.one_of(st.integers(0, 2000), st.integers(0, 2**63 - 1)),
    st.integers(1, 256),
)


def _entries(count: int, begin: int = 0) -> list[bytes]:
    return [f"entry {n}".encode() * (n % 7) for n in range(begin, begin + count)]


def _root(count: int) -> bytes:
    return merkle.tree_root(merkle.leaf_hash(entry) for entry in _entries(count))


@given(TILES)
def test_a_tiles_path_names_it_alone(tile: Tile) -> None:
    assert parse_path(tile.path) == tile


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 1234067), "tile/0/x001/x234/067"),  # the specification's example
        (Tile(63, 999, 1), "tile/63/999.p/1"),
        (Tile(None, 1000, 255), "tile/entries/x001/000.p/255"),
    ],
)
def test_paths_are_those_of_the_specification(tile: Tile, path: str) -> None:
    assert tile.path == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0",
        "tile/0/1",
        "tile/00/001",
        "tile/64/001",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001",
        "tile/0/001.p/0",
        "tile/0/001.p/256",
        "tile/0/001.p/01",
        "tile/0/001\n",
        "/tile/0/001",
        "tile/0/../001",
        "tile/8/٠٠١",
        "tile/-1/001",
        "tile/0/x" + "/x".join(["999"] * 9) + "/999",
    ],
)
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(TileError):
        parse_path(path)


def test_a_tree_of_70000_has_the_tiles_that_the_specification_counts() -> None:
    tiles = list(tiles_of(70_000))
    hashes = [tile for tile in tiles if tile.level is not None]
    assert sum(tile.level == 0 and tile.width == 256 for tile in hashes) == 273
    assert [(t.level, t.index, t.width) for t in hashes if t.width < 256] == [(0, 273, 112), (1, 1, 17), (2, 0, 1)]
    assert [t for t in hashes if t.level == 1 and t.width == 256] == [Tile(1, 0)]
    assert sum(tile.level is None for tile in tiles) == 274
    assert [t for t in tiles_of(256) if t.level is not None] == [Tile(0, 0), Tile(1, 0, 1)]
    with pytest.raises(TileError):
        tile_at(0, 1, 256)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=256))
def test_bundles_are_read_as_written(entries: list[bytes]) -> None:
    tile = Tile(None, 0, len(entries))
    data = encode_bundle(entries)
    assert decode_bundle(data, tile) == tuple(entries)
    for wrong in (data[:-1], data + b"\x00", data + b"\x00\x00"):
        with pytest.raises(TileError):
            decode_bundle(wrong, tile)


def test_the_largest_entry_fits_and_the_next_does_not(tmp_path: Path) -> None:
    writer = TileWriter(tmp_path)
    with pytest.raises(TileError, match="65,535"):
        writer.append([b"fits", bytes(65_536)])
    assert writer.size == 0
    assert not list(tmp_path.iterdir())
    writer.append([bytes(65_535)])
    assert TileReader(folder_source(tmp_path), 1).entry(0) == bytes(65_535)


@settings(max_examples=12, deadline=None)
@given(batches=st.lists(st.integers(0, 300), min_size=1, max_size=4), resume=st.booleans())
def test_a_log_reads_back_whatever_its_batches(
    batches: list[int], resume: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("log")
    writer = TileWriter(folder)
    for batch in batches:
        root = writer.append(_entries(batch, writer.size))
        assert root == _root(writer.size)
        if resume:
            writer = TileWriter(folder, writer.size, root)
    size = writer.size
    reader = TileReader(folder_source(folder), size)
    reader.verify(_root(size))
    assert list(reader.entries()) == _entries(size)
    for index in {0, size // 2, size - 1} if size else ():
        leaf = merkle.leaf_hash(reader.entry(index))
        merkle.verify_inclusion(index, size, leaf, reader.inclusion_proof(index), _root(size))


def test_levels_above_the_first_are_written_and_superseded_beginnings_go(tmp_path: Path) -> None:
    count = 256 * 256 + 3
    leaves = [b"%d" % n for n in range(count)]
    writer = TileWriter(tmp_path)
    writer.append(leaves[:65_000])
    writer.append(leaves[65_000:])
    reader = TileReader(folder_source(tmp_path), count)
    assert writer.root() == merkle.tree_root(merkle.leaf_hash(leaf) for leaf in leaves)
    assert reader.root() == writer.root()
    assert (tmp_path / "tile/1/000").stat().st_size == 8192
    assert (tmp_path / "tile/2/000.p/1").read_bytes() == merkle.tree_root(reader.hashes(1, 0))
    assert not (tmp_path / "tile/1/000.p").exists()
    wanted = {tile.path for tile in tiles_of(count)}
    assert {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()} == wanted
    older = TileReader(folder_source(tmp_path), 65_000)  # its beginnings are read from what replaced them
    root = merkle.tree_root(merkle.leaf_hash(leaf) for leaf in leaves[:65_000])
    assert older.root() == root
    merkle.verify_consistency(65_000, count, root, writer.root(), reader.consistency_proof(65_000))


def test_a_batch_cut_short_is_written_again_from_the_checkpoint(tmp_path: Path) -> None:
    writer = TileWriter(tmp_path)
    root = writer.append(_entries(200))
    writer.append([b"never acknowledged"] * 100)  # no checkpoint covers these
    again = TileWriter(tmp_path, 200, root)
    again.append(_entries(150, 200))
    TileReader(folder_source(tmp_path), 350).verify(_root(350))


def test_a_failed_write_leaves_the_writer_at_its_former_size(tmp_path: Path) -> None:
    writer = TileWriter(tmp_path)
    root = writer.append(_entries(10))
    blocked = tmp_path / "tile" / "0" / "000.p" / "20"
    blocked.mkdir()
    (blocked / "in the way").touch()
    with pytest.raises(UserError, match="cannot be written"):
        writer.append(_entries(10, 10))
    assert (writer.size, writer.root()) == (10, root)
    (blocked / "in the way").unlink()
    blocked.rmdir()
    assert writer.append(_entries(10, 10)) == _root(20)


def test_a_writer_refuses_a_folder_that_is_not_what_its_checkpoint_says(tmp_path: Path) -> None:
    root = TileWriter(tmp_path).append(_entries(10))
    for size, stated in ((9, root), (10, _root(9)), (11, root), (0, root)):
        with pytest.raises(TileError):
            TileWriter(tmp_path, size, stated)


@pytest.mark.parametrize("name", ["tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000"])
def test_every_changed_byte_is_found(tmp_path: Path, name: str) -> None:
    root = TileWriter(tmp_path).append(_entries(300))
    path = tmp_path / name
    content = path.read_bytes()
    for place in range(0, len(content), max(1, len(content) // 25)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
        with pytest.raises((TileError, ProofError)):
            TileReader(folder_source(tmp_path), 300).verify(root)
    for wrong in (content[:-1], content + b"\x00", b""):
        path.write_bytes(wrong)
        with pytest.raises(TileError):
            TileReader(folder_source(tmp_path), 300).verify(root)
    path.unlink()
    with pytest.raises(TileError, match="absent"):
        TileReader(folder_source(tmp_path), 300).verify(root)


def test_a_changed_entry_is_refused_when_it_is_read(tmp_path: Path) -> None:
    TileWriter(tmp_path).append([b"one", b"two"])
    (tmp_path / "tile/entries/000.p/2").write_bytes(encode_bundle([b"one", b"owt"]))
    reader = TileReader(folder_source(tmp_path), 2)
    assert reader.entry(0) == b"one"
    with pytest.raises(TileError, match="entry 1 was changed"):
        reader.entry(1)


def test_a_checkpoint_is_published_whole(tmp_path: Path) -> None:
    writer = TileWriter(tmp_path)
    writer.publish(b"first")
    writer.publish(b"second")
    assert (tmp_path / "checkpoint").read_bytes() == b"second"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]
