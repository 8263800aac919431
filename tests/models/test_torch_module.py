from __future__ import annotations

import hashlib

import pytest
import torch
from torch import Tensor, nn

from mithridate.errors import MithridateError, UserError
from mithridate.imaging.attacks.losses import margin
from mithridate.models.torch_module import TorchModel, infer_output


def network(units: int = 2) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, units)).eval()


X = torch.rand(21, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def digest(module: nn.Module) -> str:
    state = b"".join(v.numpy().tobytes() for v in module.state_dict().values())
    flags = [(p.requires_grad, p.grad is None) for p in module.parameters()]
    return hashlib.sha256(state + repr(flags).encode()).hexdigest()


def test_the_callers_model_is_not_changed() -> None:
    module = network()
    before = digest(module)
    model = TorchModel(module)
    model.logits(X)
    model.logits_and_gradient(X, torch.zeros(21, dtype=torch.int64), margin)
    assert digest(module) == before


def test_grouping_does_not_change_a_bit() -> None:
    model = TorchModel(network(), kernel_batch=8)
    labels = torch.arange(21) % 2
    whole = model.logits_and_gradient(X, labels, margin)
    for size in (1, 3, 8, 20):
        parts = [
            model.logits_and_gradient(a, b, margin) for a, b in zip(X.split(size), labels.split(size), strict=True)
        ]
        for k in range(3):
            assert torch.equal(torch.cat([part[k] for part in parts]), whole[k])
        assert torch.equal(torch.cat([model.logits(a) for a in X.split(size)]), whole[0])


def test_gradients_are_those_of_autograd() -> None:
    module = network().double()
    x = X[:5].double().requires_grad_(True)
    labels = torch.tensor([0, 1, 1, 0, 1])
    (expected,) = torch.autograd.grad(margin(module(x), labels).sum(), x)
    _, _, ours = TorchModel(module.float()).logits_and_gradient(X[:5], labels, margin)
    assert torch.allclose(ours.double(), expected, atol=1e-5)


@pytest.mark.parametrize("output", ["logits", "probabilities", "logit", "probability"])
def test_every_kind_of_head_gives_the_same_decisions_and_is_recognized(output: str) -> None:
    """One binary model, worded four ways: softmax, sigmoid, and the logits behind them."""

    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = network(1)

        def forward(self, x: Tensor) -> Tensor:
            z = self.net(x) * 3
            if output == "logit":
                return z
            if output == "probability":
                return z.sigmoid()
            two = torch.cat([torch.zeros_like(z), z], 1)
            return two if output == "logits" else two.softmax(1)

    module = Head().eval()
    assert infer_output(module, X) == output
    z = module.net(X) * 3
    logits = TorchModel(module, output).logits(X)  # type: ignore[arg-type]
    assert torch.allclose(logits.softmax(1)[:, 1], z.sigmoid()[:, 0], atol=1e-5)


def test_a_wrong_head_is_refused_with_its_shape() -> None:
    with pytest.raises(UserError, match=r"\(16, 1\).*logit, probability"):
        TorchModel(network(1)).logits(X)
    with pytest.raises(UserError, match="does not fit output 'logit'"):
        TorchModel(network(2), "logit").logits(X)


def test_nan_is_a_failure_not_a_verdict() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1)[:, :2] / 0

    with pytest.raises(MithridateError, match="m returned NaN"):
        TorchModel(Broken().eval(), name="m").logits(X)


def test_training_mode_is_refused() -> None:
    with pytest.raises(UserError, match=r"\.eval\(\)"):
        TorchModel(network().train())
