from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from skimage.metrics import structural_similarity as peer_ssim

from mithridate.audit.distances import peak_signal_to_noise, structural_similarity
from mithridate.audit.findings import success
from mithridate.audit.metrics import summarize
from mithridate.audit.summary import refusal
from mithridate.statistics import wilson


def findings(labels: list[int], before: list[float], after: list[float], **columns: list[object]) -> pd.DataFrame:
    n = len(labels)
    table = pd.DataFrame(
        {
            "group": [f"g{i}" for i in range(n)],
            "label": labels,
            "clean_probability": before,
            "clean_prediction": [int(p > 0.5) for p in before],
            "probability": after,
            "prediction": [int(p > 0.5) for p in after],
            "stored_prediction": [int(p > 0.5) for p in after],
            "confidence": [max(p, 1 - p) for p in after],
            "ssim": [0.9] * n,
            "psnr": [40.0] * (n - 1) + [np.inf],
            "violation": [0.0] * n,
            "verified": [True] * n,
        }
    )
    return table.assign(**columns)


def test_metrics_by_hand() -> None:
    table = findings([1, 1, 1, 0, 0], [0.9, 0.8, 0.4, 0.1, 0.2], [0.2, 0.7, 0.3, 0.9, 0.05])
    m = summarize(table, threshold=0.25, clean=False)
    assert m["accuracy"].value == pytest.approx(2 / 5)  # right: the second and the last
    assert m["auc"].value == pytest.approx(3 / 6)
    assert m["sensitivity"].value == pytest.approx(2 / 3)  # 0.7 and 0.3 reach 0.25
    assert m["specificity"].value == pytest.approx(1 / 2)
    assert m["confidence"].value == pytest.approx(np.mean([0.8, 0.7, 0.7, 0.9, 0.95]))
    assert m["attack_success_rate"].value == pytest.approx(2 / 4)  # the third was wrong before
    assert m["psnr"].value == pytest.approx(40.0)
    expected = wilson(2, 5)
    assert (m["accuracy"].low, m["accuracy"].high) == pytest.approx((expected.low, expected.high))
    assert m["accuracy"].method.startswith("Wilson")


def test_the_clean_condition_has_no_success_rate() -> None:
    m = summarize(findings([1, 0], [0.9, 0.1], [0.9, 0.1]), threshold=0.5, clean=True)
    assert m["attack_success_rate"].value is None


def test_outside_the_budget_or_unverified_is_no_success() -> None:
    table = findings([1, 1, 1], [0.9] * 3, [0.1] * 3, violation=[0.0, 0.01, 0.0], verified=[True, True, False])
    assert success(table).tolist() == [True, False, False]


def test_a_collapsed_model_is_refused_and_a_working_one_is_not() -> None:
    rng = np.random.default_rng(0)
    labels = [0, 1] * 60
    collapsed = findings(labels, list(rng.random(120)), [0.5] * 120)
    assert "includes 0.5" in str(refusal(collapsed))
    inverted = findings(labels, [0.9 - 0.8 * y for y in labels], [0.5] * 120)
    assert "below 0.5" in str(refusal(inverted))
    working = findings(
        labels, [0.3 + 0.4 * y + 0.1 * r for y, r in zip(labels, rng.random(120), strict=True)], [0.5] * 120
    )
    assert refusal(working) is None


@pytest.mark.parametrize(("channels", "size"), [(3, 40), (1, 25), (1, 15)])
def test_ssim_and_psnr_equal_scikit_image(channels: int, size: int) -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.rand(3, channels, size, size, generator=g)
    y = (x + 0.1 * torch.randn(x.shape, generator=g)).clamp(0, 1)
    # scikit-image crops a border before averaging; compare maps' means away from it by asking it for the full map.
    ours = structural_similarity(x, y)
    window = min(11, size - 1 if size % 2 == 0 else size)
    for row in range(3):
        a, b = x[row].double().numpy(), y[row].double().numpy()
        _, full = peer_ssim(
            a, b, channel_axis=0, data_range=1.0, full=True, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False, truncate=(window // 2) / 1.5,
        )  # fmt: skip
        edge = window // 2
        inner = full[:, edge : size - edge, edge : size - edge]
        assert float(ours[row]) == pytest.approx(float(inner.mean()), abs=2e-3)
        assert float(peak_signal_to_noise(x, y)[row]) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=1.0))


def test_identical_images() -> None:
    x = torch.rand(2, 1, 16, 16)
    tiny = torch.rand(2, 1, 8, 8)  # smaller than the window
    assert structural_similarity(tiny, tiny).tolist() == pytest.approx([1.0, 1.0])
    assert float(structural_similarity(tiny, 1 - tiny).max()) < 0.5
    assert structural_similarity(x, x).tolist() == pytest.approx([1.0, 1.0])
    assert peak_signal_to_noise(x, x).tolist() == [torch.inf] * 2
