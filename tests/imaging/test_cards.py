"""A model comes back from disk as it was written, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mithridate.errors import UserError
from mithridate.imaging.cards import DataRecord, Estimate, ModelCard, PartMetrics, load_model, round_weights, save_model
from mithridate.imaging.networks import Classifier, Normalization, build
from mithridate.imaging.zoo import resolve
from mithridate.statistics import wilson

NORMALIZATION = Normalization((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def network(**changes: Any) -> Classifier:
    torch.manual_seed(0)
    fixed = {"architecture": "resnet-small", "channels": 1, "head": "paper", "normalization": NORMALIZATION}
    return build(**(fixed | changes)).eval()


def card(**changes: Any) -> ModelCard:
    half = Estimate.of(wilson(5, 10))
    metrics = PartMetrics(
        images=10, groups=5, positives=4, accuracy=half, majority_accuracy=0.6, auc=half,
        sensitivity=Estimate.of(wilson(0, 0)), specificity=half, loss=0.7,
    )  # fmt: skip
    values: dict[str, Any] = {
        "name": "a model", "architecture": "resnet-small", "head": "paper", "task": "chest",
        "modality": "chest radiograph", "positive": "pneumothorax", "negative": "no finding", "channels": 1, "size": 32,
        "mean": NORMALIZATION.mean, "std": NORMALIZATION.std, "preprocessing": "none", "seed": 3, "epochs": 2,
        "data": DataRecord(fingerprint="f" * 64, images={"test": {"pneumothorax": 4}}, groups={"test": 5}),
        "recipe": {"epochs": 2}, "test": metrics, "thresholds": {"default": 0.5, "paper": 0.025},
    }  # fmt: skip
    return ModelCard(**(values | changes))


def test_a_saved_model_answers_as_before_and_its_card_reads_the_same(tmp_path: Path) -> None:
    x = torch.rand(3, 1, 32, 32)
    saved = save_model(tmp_path, network(), card())
    loaded, read = load_model(tmp_path)
    assert torch.equal(loaded(x), network()(x))
    assert read == saved
    assert read == card(sha256=saved.sha256)
    assert not loaded.training
    assert sorted(path.name for path in tmp_path.iterdir()) == ["card.json", "model.safetensors"]


def test_half_precision_storage_is_what_rounding_first_gives(tmp_path: Path) -> None:
    rounded = network()
    round_weights(rounded, "float16")
    saved = save_model(tmp_path, network(), card(), storage="float16")
    loaded, _ = load_model(tmp_path)
    x = torch.rand(3, 1, 32, 32)
    assert torch.equal(loaded(x), rounded(x))
    assert not torch.equal(loaded(x), network()(x))
    stored = load_file(tmp_path / "model.safetensors")
    assert stored["backbone.conv1.weight"].dtype == torch.float16
    assert stored["backbone.bn1.running_var"].dtype == torch.float32
    assert (tmp_path / "model.safetensors").stat().st_size < 1.6e6
    assert len(saved.sha256) == 64


def test_what_shapes_the_network_is_on_the_card(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"architecture": "efficientnet-lite0", "levels": (1, 4), "inner_size": 48}
    original = network(**changes)
    save_model(tmp_path, original, card(**changes))
    x = torch.rand(2, 1, 32, 32)
    assert torch.equal(load_model(tmp_path)[0](x), original(x))


@pytest.mark.parametrize("place", [200, -1])
def test_a_single_changed_byte_is_refused(tmp_path: Path, place: int) -> None:
    save_model(tmp_path, network(), card())
    path = tmp_path / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"model\.safetensors is not the file that card\.json describes"):
        load_model(tmp_path)


def rehashed(folder: Path, **changes: object) -> None:
    """Make the card agree with the weights file, as a forger would."""
    import hashlib

    text = json.loads((folder / "card.json").read_text())
    text["sha256"] = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    (folder / "card.json").write_text(json.dumps(text | changes))


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    save_model(tmp_path, network(), card())
    rehashed(tmp_path, head="linear")
    with pytest.raises(UserError, match=r"does not fit the card's architecture: \d+ tensors differ"):
        load_model(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    state["backbone.bn1.weight"] = torch.zeros(3)
    save_file(state, tmp_path / "model.safetensors")
    rehashed(tmp_path, head="paper")
    with pytest.raises(UserError, match=r"1 tensors differ, first backbone\.bn1\.weight"):
        load_model(tmp_path)


def test_weights_that_are_no_numbers_or_no_safetensors_are_refused(tmp_path: Path) -> None:
    broken = network()
    with torch.no_grad():
        broken.head[0].weight[0, 0] = torch.nan
    save_model(tmp_path, broken, card())
    with pytest.raises(UserError, match="not finite"):
        load_model(tmp_path)
    torch.save(network().state_dict(), tmp_path / "model.safetensors")  # a pickle under the name of a safetensors file
    rehashed(tmp_path)
    with pytest.raises(UserError, match="is not a safetensors file"):
        load_model(tmp_path)


def test_missing_and_malformed_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no card\.json"):
        load_model(tmp_path)
    save_model(tmp_path, network(), card())
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"model\.safetensors cannot be read: No such file.*incomplete"):
        load_model(tmp_path)
    rewritten = json.loads((tmp_path / "card.json").read_text()) | {"channels": 2}
    (tmp_path / "card.json").write_text(json.dumps(rewritten))
    with pytest.raises(UserError, match=r"card\.json is not a model card: channels"):
        load_model(tmp_path)
    (tmp_path / "card.json").write_text("{")
    with pytest.raises(UserError, match=r"card\.json is not a model card"):
        load_model(tmp_path)


def test_an_unwritable_folder_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written: Not a directory"):
        save_model(tmp_path / "file" / "model", network(), card())
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_references_are_folders_or_shipped_models(tmp_path: Path) -> None:
    saved = save_model(tmp_path / "mine", network(), card())
    assert resolve(str(tmp_path / "mine"))[1] == saved
    with pytest.raises(UserError, match="there is no model folder"):
        resolve(str(tmp_path / "other"))
    for reference in ("builtin:liver/victim", "builtin:chest/../chest/victim", "builtin:chest/bystander"):
        with pytest.raises(UserError, match="there is no model builtin:"):
            resolve(reference)
