"""`mithridate train` on a small cohort of phantoms: a model with its card, mistakes in one sentence, going on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mithridate.cli.train import parse_changes, read_recipe, train
from mithridate.errors import UserError
from mithridate.imaging.cards import load_model, read_card
from mithridate.imaging.sources.phantom import phantom_catalog
from mithridate.imaging.tasks import Fractions

app = typer.Typer()
app.command()(train)
SMALL = ["--recipe", "small", "--size", "32", "--epochs", "1", "--batch-size", "8"]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("catalog") / "skin.parquet"
    phantom_catalog("skin", 40, fractions=Fractions(0.2, 0.2)).save(path)
    return path


def test_it_writes_a_model_that_loads_and_says_how_good_it_is(catalog: Path, tmp_path: Path) -> None:
    options = [*SMALL, "--seed", "4", "--role", "surrogate", "--set", "augmentation.rotation=10"]
    result = CliRunner().invoke(app, [str(catalog), "--out", str(tmp_path / "m"), *options], catch_exceptions=False)
    assert result.exit_code == 0
    network, card = load_model(tmp_path / "m")
    assert (card.task, card.role, card.seed, card.size, network.channels) == ("skin", "surrogate", 4, 32, 3)
    assert card.recipe["augmentation"]["rotation"] == 10
    assert (card.positive, card.thresholds["paper"]) == ("melanoma", 0.02)
    assert card.test is not None
    assert f"{card.test.images} images" in result.stdout
    assert str(tmp_path / "m") in result.stdout
    assert sorted(p.name for p in (tmp_path / "m").iterdir() if p.is_file()) == [
        "card.json", "model.safetensors", "run.json", "training.csv",
    ]  # fmt: skip


def test_an_interrupt_leaves_a_checkpoint_and_the_same_command_goes_on(catalog: Path, tmp_path: Path) -> None:
    command = [str(catalog), "--out", str(tmp_path / "m"), *SMALL, "--epochs", "2000", "--set", "monitor=loss"]
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; from mithridate.cli.main import run; sys.exit(run())", "train", *command],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    log = tmp_path / "m/training.csv"
    while child.poll() is None and not log.exists():
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=120)
    assert child.returncode == 130, said
    assert "the same command goes on from there" in said
    assert "Traceback" not in said
    assert (tmp_path / "m/checkpoint-select.pt").exists()
    assert not (tmp_path / "m/card.json").exists()
    with pytest.raises(UserError, match=r"a training with other settings.*recipe\.epochs was 2000, is now 1"):
        CliRunner().invoke(app, [str(catalog), "--out", str(tmp_path / "m"), *SMALL], catch_exceptions=False)
    again = [str(catalog), "--out", str(tmp_path / "m"), *SMALL, "--restart"]
    assert CliRunner().invoke(app, again, catch_exceptions=False).exit_code == 0
    assert read_card(tmp_path / "m").epochs == 1


def test_help_shows_an_example() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert "mithridate train chest.parquet --out models/chest" in result.stdout


def test_changes_are_read_as_yaml() -> None:
    texts = ["epochs=3", "learning_rate=1e-4", "clip_norm=null", "augmentation.zoom=[0.9, 1.1]", "monitor=auc"]
    found = parse_changes(texts)
    assert found == {
        "epochs": 3, "learning_rate": 1e-4, "clip_norm": None, "augmentation.zoom": [0.9, 1.1], "monitor": "auc",
    }  # fmt: skip
    with pytest.raises(UserError, match="--set 'epochs' is not FIELD=VALUE"):
        parse_changes(["epochs"])


def test_a_recipe_may_come_from_a_file_and_its_mistakes_name_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(read_recipe("fine-tune", "chest").model_dump_json())
    assert read_recipe(str(path), "skin") == read_recipe("fine-tune", "chest")
    path.write_text(json.dumps({"epoch": 3}))
    with pytest.raises(UserError, match=r"mine\.json: recipe, field epoch: Extra inputs"):
        read_recipe(str(path), "skin")
    (tmp_path / "bad.yaml").write_text("epochs: 3\n  size: [")
    with pytest.raises(UserError, match=r"bad\.yaml is not valid YAML or JSON at line 2"):
        read_recipe(str(tmp_path / "bad.yaml"), "skin")
    with pytest.raises(UserError, match=r"absent\.yaml cannot be read"):
        read_recipe(str(tmp_path / "absent.yaml"), "skin")
