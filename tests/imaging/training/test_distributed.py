"""Two processes train as one: the same card and, up to rounding, the same weights."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from imaging.training.blobs import RECIPE, fit
from mithridate.errors import UserError
from mithridate.imaging.cards import read_card
from mithridate.imaging.training.distributed import SharedBatchNorm2d, share_batch_norm, world

# Dropout masks are drawn per process, so they are left out of the comparison.
TOGETHER = RECIPE.override({"dropout": 0, "epochs": 1, "learning_rate": 1e-3, "class_weights": "balanced"})

SCRIPT = """
import sys
from pathlib import Path
import torch
from imaging.training.blobs import fit
from mithridate.imaging.training import Request
from mithridate.imaging.training.recipe import Recipe
torch.set_num_threads(1)
recipe = Recipe.model_validate_json(Path(sys.argv[1]).read_text())
fit(Path(sys.argv[2]), recipe, Request(device="cpu"))
"""


def test_two_processes_train_the_network_of_one(tmp_path: Path) -> None:
    script, recipe = tmp_path / "script.py", tmp_path / "recipe.json"
    script.write_text(SCRIPT)
    recipe.write_text(TOGETHER.model_dump_json())
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, str(script), str(recipe), str(tmp_path / "two")], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    one = fit(tmp_path / "one", TOGETHER)
    two = read_card(tmp_path / "two")
    assert two.model_dump(exclude={"sha256", "validation", "test", "thresholds"}) == one.model_dump(
        exclude={"sha256", "validation", "test", "thresholds"}
    )
    assert two.test is not None
    assert one.test is not None
    assert two.test.loss == pytest.approx(one.test.loss, rel=1e-3)
    alone, together = load_file(tmp_path / "one/model.safetensors"), load_file(tmp_path / "two/model.safetensors")
    assert alone.keys() == together.keys()
    start = fit(tmp_path / "start", TOGETHER.override({"learning_rate": 1e-30}))
    untrained = load_file(tmp_path / "start/model.safetensors")
    assert start.epochs == 1
    for key, expected in alone.items():
        # The processes add their parts in another order: compare with how far training moved the tensor.
        moved = float((expected.double() - untrained[key].double()).norm())
        assert float((together[key].double() - expected.double()).norm()) <= 1e-3 * moved + 1e-5, key


def test_sharing_batch_norm_keeps_names_and_weights() -> None:
    from mithridate.imaging.networks import build

    network = build("resnet-small", channels=1).eval()
    x = torch.rand(2, 1, 32, 32)
    before, keys = network(x), list(network.state_dict())
    share_batch_norm(network)
    assert list(network.state_dict()) == keys
    assert torch.equal(network(x), before)
    assert sum(isinstance(module, SharedBatchNorm2d) for module in network.modules()) == 20


@pytest.mark.parametrize(
    ("device", "words"), [("gpu", "device 'gpu' is not known"), ("cuda:99", "cuda:99 is not there")]
)
def test_a_device_that_is_not_there_is_named(device: str, words: str) -> None:
    with pytest.raises(UserError, match=words), world(device):
        pass
