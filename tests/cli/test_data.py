from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from mithridate.cli.data import data_app
from mithridate.errors import UserError
from mithridate.imaging.catalog import Catalog


def run(*arguments: str) -> Result:
    """Run `mithridate data ...`; a mistake of the user's comes back as the UserError that the entry point prints."""
    result = CliRunner().invoke(data_app, arguments)
    if isinstance(result.exception, UserError):
        raise result.exception
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = ["image,grade,patient"]
    for i in range(60):
        coarse = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        coarse.resize((64, 64), Image.Resampling.BICUBIC).save(tmp_path / f"{i}.png")
        rows.append(f"{i}.png,{i % 3},p{i}")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_catalog_json_is_clean_and_complete(folder: Path) -> None:
    out = folder / "c.parquet"
    result = run("catalog", "folder-csv", str(folder), "--positive", "grade>=2", "--out", str(out), "--json")
    assert result.exit_code == 0
    facts = json.loads(result.stdout)
    assert facts["counts"]["total"]["positive"] == {"images": 20, "groups": 20}
    assert set(facts["counts"]) == {"train", "validation", "test", "total"}
    assert facts["rule"] == "grade>=2"
    assert Catalog.load(out).fingerprint == facts["fingerprint"]


def test_fractions_and_seed_change_the_split_as_asked(folder: Path) -> None:
    def counts(*more: str) -> dict[str, dict[str, dict[str, int]]]:
        facts = json.loads(run("catalog", "folder-csv", str(folder), "--positive", "grade>=2", "--json", *more).stdout)
        assert isinstance(facts["counts"], dict)
        return facts["counts"]  # type: ignore[no-any-return]

    found = counts("--test-fraction", "0.5", "--validation-fraction", "0.25")
    assert [found[part]["all"]["groups"] for part in ("train", "validation", "test")] == [15, 15, 30]
    assert counts("--test-fraction", "0.5")["validation"]["all"]["groups"] == 6  # the other one keeps its default


def test_the_seed_decides_who_is_tested(folder: Path) -> None:
    prints = {
        json.loads(
            run("catalog", "folder-csv", str(folder), "--positive", "grade>=2", "--json", "--seed", seed).stdout
        )["fingerprint"]
        for seed in ("0", "0", "1")
    }
    assert len(prints) == 2


def test_show_says_what_a_catalog_holds(folder: Path) -> None:
    out = folder / "c.parquet"
    run(
        "catalog", "folder-csv", str(folder), "--positive", "grade>=2", "--positive-name", "bad eyes", "--out", str(out)
    )
    shown = run("show", str(out))
    assert shown.exit_code == 0
    assert "bad eyes against not bad eyes" in shown.stdout
    assert Catalog.load(out).fingerprint in shown.stdout
    assert json.loads(run("show", str(out), "--json").stdout)["task"]["positive"] == "bad eyes"


def test_check_exits_with_one_when_a_check_fails(folder: Path) -> None:
    out = folder / "c.parquet"
    run("catalog", "folder-csv", str(folder), "--positive", "grade>=2", "--out", str(out))
    assert run("check", str(out)).exit_code == 0
    split = Catalog.load(out).table.set_index("id")["split"]
    first, second = split.index[split == "train"][0], split.index[split == "test"][0]
    (folder / second).write_bytes((folder / first).read_bytes())
    failed = run("check", str(out), "--json")
    assert failed.exit_code == 1
    assert json.loads(failed.stdout)["checks"][-1]["numbers"]["pairs"] == 1
    built = run("catalog", "folder-csv", str(folder), "--positive", "grade>=2", "--check", "--json")
    assert built.exit_code == 1
    assert len(json.loads(built.stdout)["checks"]) == 5


def test_phantoms_need_no_files() -> None:
    facts = json.loads(run("catalog", "phantom", "--task", "chest", "--images", "200", "--json").stdout)
    assert facts["counts"]["total"]["positive"]["images"] == 100


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["catalog", "nih"], "there is no source 'nih'"),
        (["catalog", "folder-csv", "{folder}", "--positive", "grade>="], "is not understood"),
        (
            ["catalog", "folder-csv", "{folder}", "--positive", "grade>=2", "--test-fraction", "1.5"],
            "test fraction is 1.5",
        ),
        (["catalog", "phantom", "--task", "brain"], "there is no task 'brain'"),
        (["show", "{folder}/labels.csv"], "cannot be read as a Parquet file"),
        (["check", "{folder}/none.parquet"], "there is no catalog at"),
    ],
)
def test_mistakes_become_one_sentence(folder: Path, arguments: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        run(*(argument.format(folder=folder) for argument in arguments))
    assert "\n" not in str(caught.value)


def test_a_mistake_writes_nothing(folder: Path) -> None:
    before = sorted(folder.iterdir())
    with pytest.raises(UserError):
        run("catalog", "folder-csv", str(folder), "--positive", "grade>=9", "--out", str(folder / "c.parquet"))
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("command", ["catalog", "show", "check"])
def test_help_has_an_example(command: str) -> None:
    assert f"mithridate data {command}" in " ".join(run(command, "--help").stdout.split())
