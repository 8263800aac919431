from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mithridate.errors import MithridateError, UserError
from mithridate.imaging.catalog import Catalog
from mithridate.imaging.labels import LabelRule
from mithridate.imaging.splits import split_groups
from mithridate.imaging.tasks import SPLITS, TASKS, Fractions, Task


def make(groups: list[tuple[str, list[int]]], seed: int = 0, fractions: Fractions | None = None) -> Catalog:
    """A catalog of groups with the labels of their images."""
    rows = [(f"{g}-{i}", f"{g}/{i}.png", y, g) for g, labels in groups for i, y in enumerate(labels)]
    table = pd.DataFrame(rows, columns=["id", "path", "label", "group"])
    split = split_groups(table["group"], table["label"].to_numpy(np.int8), fractions or Fractions(), seed)
    table = table.assign(split=split, age=np.arange(len(table), dtype=float), sex="F")
    return Catalog(table, TASKS["chest"], Path("/data"), "test", "Pneumothorax", seed)


def cohort(patients: int = 60) -> Catalog:
    rng = np.random.default_rng(0)
    return make([(f"p{i:03d}", rng.integers(0, 2, rng.integers(1, 5)).tolist()) for i in range(patients)])


group_labels = st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=4), min_size=20, max_size=60).filter(
    lambda groups: min(sum(any(g) for g in groups), sum(not any(g) for g in groups)) >= 4
)


@settings(deadline=None, max_examples=30)
@given(groups=group_labels, seed=st.integers(0, 2**32), test=st.floats(0.05, 0.5), validation=st.floats(0.0, 0.2))
def test_groups_stay_together_and_parts_have_their_share(
    groups: list[list[int]], seed: int, test: float, validation: float
) -> None:
    catalog = make([(f"g{i}", labels) for i, labels in enumerate(groups)], seed, Fractions(validation, test))
    table = catalog.table
    assert (table.groupby("group")["split"].nunique() == 1).all()
    positive = table.groupby("group")["label"].max()
    part = table.groupby("group")["split"].first()
    for label in (0, 1):
        mine = part[positive == label]
        assert abs((mine == "test").sum() - test * len(mine)) <= 1
        assert (mine == "test").any()
        assert abs((mine == "validation").sum() - validation * len(mine)) <= 1
        assert (mine == "train").any()


@settings(deadline=None, max_examples=20)
@given(order=st.permutations(range(40)), seed=st.integers(0, 1000))
def test_split_and_fingerprint_do_not_depend_on_row_or_index_order(order: list[int], seed: int) -> None:
    rows = pd.DataFrame({"group": [f"g{i // 2}" for i in range(40)], "label": [i % 4 // 3 for i in range(40)]})
    rows["id"] = [f"i{i:02d}" for i in range(40)]

    def build(table: pd.DataFrame) -> Catalog:
        split = split_groups(table["group"], table["label"].to_numpy(np.int8), Fractions(0.2, 0.2), seed)
        table = table.assign(path=table["id"] + ".png", split=split, note=table["id"].str[-1])
        return Catalog(table, TASKS["skin"], Path(), "test", "r", seed)

    shuffled = rows.iloc[order]
    shuffled.index = pd.Index(np.random.default_rng(seed).permutation(len(rows)))
    first, second = build(rows), build(shuffled)
    assert first.fingerprint == second.fingerprint
    pd.testing.assert_frame_equal(first.table, second.table)
    assert list(second.table.index) == list(range(40))


def test_fingerprint_ignores_root_and_column_order_and_notes() -> None:
    catalog = cohort()
    moved = replace(catalog, root=Path("/elsewhere"), notes=("other",))
    turned = replace(catalog, table=catalog.table[catalog.table.columns[::-1]])
    assert moved.fingerprint == turned.fingerprint == catalog.fingerprint
    assert moved == catalog


@pytest.mark.parametrize("column", ["id", "path", "label", "group", "split", "age", "sex"])
def test_fingerprint_sees_every_cell(column: str) -> None:
    catalog = cohort()
    table = catalog.table.copy()
    changes = {
        "label": 1 - table["label"],
        "split": table["split"].map(dict(zip(SPLITS, SPLITS[1:] + SPLITS[:1], strict=True))),
    }
    if column in changes:
        table[column] = changes[column]
    elif column == "group":
        table["group"] = table["group"] + "x"
    else:
        table.loc[3, column] = -1.0 if column == "age" else "changed"
    assert replace(catalog, table=table).fingerprint != catalog.fingerprint


def test_fingerprint_sees_task_rule_and_seed() -> None:
    catalog = cohort()
    other_task = replace(catalog, task=TASKS["chest"].with_positive(LabelRule.parse("Pneumonia")))
    for other in (replace(catalog, rule="x"), replace(catalog, seed=1), other_task):
        assert other.fingerprint != catalog.fingerprint


def test_fingerprint_is_the_same_on_every_machine() -> None:
    table = pd.DataFrame(
        {"id": ["b", "a"], "path": ["b.png", "ä.png"], "label": [1, 0], "group": ["2", "1"], "split": ["test", "train"]}
    )
    catalog = Catalog(table.assign(age=[1.5, np.nan]), TASKS["skin"], Path(), "s", "r", 7)
    # The definition, spelled out: SHA-256 over canonical JSON lines.
    import hashlib
    import json

    head = {"task": TASKS["skin"].to_dict(), "source": "s", "rule": "r", "seed": 7}
    columns = [
        ["id", ["a", "b"]],
        ["path", ["ä.png", "b.png"]],
        ["label", [0, 1]],
        ["group", ["1", "2"]],
        ["split", ["train", "test"]],
        ["age", [None, 1.5]],
    ]
    lines = [json.dumps(x, sort_keys=True, separators=(",", ":")) + "\n" for x in (head, *columns)]
    assert catalog.fingerprint == hashlib.sha256(("mithridate catalog 1\n" + "".join(lines)).encode()).hexdigest()


def test_a_group_in_two_parts_cannot_be_constructed() -> None:
    table = cohort().table.copy()
    group = table["group"].value_counts().index[0]
    rows = table.index[table["group"] == group]
    table.loc[rows[0], "split"] = "train"
    table.loc[rows[1], "split"] = "test"
    with pytest.raises(MithridateError, match=f"the group {group} lies in more than one part"):
        replace(cohort(), table=table)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("label", 2, "0 or 1"),
        ("split", "dev", "parts are"),
        ("group", "", "no id, path or group"),
        ("id", "p001-0", "called p001-0"),
    ],
)
def test_unsound_tables_cannot_be_constructed(column: str, value: object, words: str) -> None:
    catalog = cohort()
    table = catalog.table.copy()
    table.loc[table.index[-1], column] = value
    with pytest.raises(MithridateError, match=words):
        replace(catalog, table=table)


def test_save_and_load_round_trip(tmp_path: Path) -> None:
    catalog = replace(cohort(), notes=("a note",))
    catalog.save(tmp_path / "c.parquet")
    loaded = Catalog.load(tmp_path / "c.parquet")
    assert loaded.fingerprint == catalog.fingerprint
    assert (loaded.task, loaded.root, loaded.notes, loaded.seed) == (catalog.task, catalog.root, ("a note",), 0)
    pd.testing.assert_frame_equal(loaded.table, catalog.table)
    assert [path.name for path in tmp_path.iterdir()] == ["c.parquet"]
    assert Catalog.load(tmp_path / "c.parquet", root=tmp_path).root == tmp_path


def test_a_catalog_moved_with_its_images_finds_them(tmp_path: Path) -> None:
    (tmp_path / "old" / "images").mkdir(parents=True)
    replace(cohort(), root=tmp_path / "old" / "images").save(tmp_path / "old" / "c.parquet")
    (tmp_path / "old").rename(tmp_path / "new")
    assert Catalog.load(tmp_path / "new" / "c.parquet").root == tmp_path / "new" / "images"


def test_an_edited_catalog_is_refused(tmp_path: Path) -> None:
    cohort().save(tmp_path / "c.parquet")
    table = pq.read_table(tmp_path / "c.parquet")
    labels = table["label"].to_pylist()
    labels[0] = 1 - labels[0]
    import pyarrow as pa

    edited = table.set_column(table.schema.get_field_index("label"), "label", pa.array(labels, pa.int8()))
    pq.write_table(edited, tmp_path / "c.parquet")
    with pytest.raises(UserError, match=r"c\.parquet was changed after it was written"):
        Catalog.load(tmp_path / "c.parquet")


def test_other_files_are_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no catalog at"):
        Catalog.load(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("id,path\n")
    with pytest.raises(UserError, match=r"text\.parquet cannot be read as a Parquet file"):
        Catalog.load(tmp_path / "text.parquet")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(UserError, match=r"other\.parquet is not a catalog"):
        Catalog.load(tmp_path / "other.parquet")


def test_a_failed_write_leaves_the_old_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = cohort()
    catalog.save(tmp_path / "c.parquet")
    before = (tmp_path / "c.parquet").read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mithridate.imaging.catalog_files.pq.write_table", full)
    with pytest.raises(UserError, match=r"c\.parquet cannot be written.*No space left"):
        replace(catalog, seed=5).save(tmp_path / "c.parquet")
    assert (tmp_path / "c.parquet").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_parts_are_disjoint_and_complete() -> None:
    catalog = cohort()
    parts = [set(catalog.part(split).table["id"]) for split in SPLITS]
    assert set.union(*parts) == set(catalog.table["id"])
    assert sum(map(len, parts)) == len(catalog)
    with pytest.raises(UserError, match="no validation images"):
        catalog.part("test").part("validation")


@settings(deadline=None, max_examples=15)
@given(n=st.integers(1, 200), seed=st.integers(0, 99))
def test_take_keeps_proportions_and_is_nested_in_the_catalog(n: int, seed: int) -> None:
    catalog = cohort()
    taken = catalog.take(n, seed)
    assert len(taken) == min(n, len(catalog))
    assert set(taken.table["id"]) <= set(catalog.table["id"])
    whole = catalog.table.groupby(["split", "label"]).size()
    some = taken.table.groupby(["split", "label"]).size().reindex(whole.index, fill_value=0)
    if n >= len(whole):
        assert (some >= 1).all()
        assert ((some - whole * min(1, n / len(catalog))).abs() <= len(whole)).all()
    again = replace(catalog, table=catalog.table.sample(frac=1, random_state=seed)).take(n, seed)
    assert again.fingerprint == taken.fingerprint


def test_counts_add_up_and_count_mixed_groups_once() -> None:
    counts = make(
        [("a", [1, 0, 1]), *((f"n{i}", [0, 0]) for i in range(5)), *((f"p{i}", [1]) for i in range(4))]
    ).counts()
    assert counts["total"] == {
        "positive": {"images": 6, "groups": 5},
        "negative": {"images": 11, "groups": 6},
        "all": {"images": 17, "groups": 10},
    }
    for kind in ("positive", "negative", "all"):
        for what in ("images", "groups"):
            assert sum(counts[split][kind][what] for split in SPLITS) == counts["total"][kind][what]


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(UserError, match=r"only 2 groups .* have a positive image, too few"):
        make([("a", [1]), ("b", [1]), *((f"n{i}", [0]) for i in range(20))])


@pytest.mark.parametrize(("validation", "test"), [(0.5, 0.5), (-0.1, 0.2), (0.1, 1.0), (0.1, float("nan"))])
def test_bad_fractions_are_refused(validation: float, test: float) -> None:
    with pytest.raises(UserError, match="fraction"):
        Fractions(validation, test)


def test_tasks_are_those_of_the_paper() -> None:
    assert {name: (task.channels, task.fractions.test) for name, task in TASKS.items()} == {
        "fundus": (3, 0.12),
        "chest": (1, 0.15),
        "skin": (3, 0.15),
    }
    assert all(task.is_paper and Task.from_dict(task.to_dict()) == task for task in TASKS.values())


def test_other_positives_are_another_task_with_its_own_words() -> None:
    pneumonia = TASKS["chest"].with_positive(LabelRule.parse("Pneumonia"))
    assert (pneumonia.name, pneumonia.positive, pneumonia.is_paper) == ("chest", "pneumonia", False)
    other_column = TASKS["fundus"].with_positive(LabelRule.parse("icdr_grade>=2"))
    assert (other_column.positive, other_column.is_paper) == ("referable diabetic retinopathy", True)
    assert TASKS["fundus"].with_positive(LabelRule.parse("level>=3")).positive == "level>=3"
