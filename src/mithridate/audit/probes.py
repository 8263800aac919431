"""What the checks need to know about a model, measured on a few of its examples."""

from __future__ import annotations

import torch
from torch import Tensor

from mithridate.attack import Examples
from mithridate.audit.checks.evidence import SPREAD, ModelProbe
from mithridate.audit.folder import Pictures
from mithridate.imaging.attacks.losses import cross_entropy, margin
from mithridate.models.acceptance import agrees_with_native, repeats
from mithridate.models.heads import checked, mislabeled
from mithridate.models.opened import Opened
from mithridate.models.state import digest, in_training_mode
from mithridate.models.torch_module import TorchModel
from mithridate.seeds import ExampleRandom

PASSES = 5
ALONE = 2
"""Images that are asked about alone."""
DIRECTIONS = 4
STEP = 1 / 255
"""Half the distance over which a slope is measured: one gray level, so that an 8-bit rounding shows."""
BETWEEN = tuple((i + 0.5) / 4 - 1 for i in range(8))
"""Where on that way, in steps, slopes are computed: the middles of its eighths."""
VANISHED = 1e-20
DICOM_BITS = (12, 16)


def probe_model(opened: Opened, examples: Examples, pictures: Pictures | None, seed: int) -> ModelProbe:
    """Show the model `examples`, and the kept candidates of its strongest attack as DICOM would store them."""
    x, labels = examples.inputs, examples.labels
    before = digest(opened.module) if opened.module is not None else ""
    raw = checked(opened.native(opened.image, x), opened.answer.output, len(x), "the model")
    repeated = repeats(opened, x[:4] if opened.module is None else x, PASSES)
    small = opened.small(len(x))
    zero = broken = starved = None
    slope = None
    if isinstance(small, TorchModel):
        zero, broken, starved = _gradients(small, x, labels, examples.ids)
        slope = _slope_error(small, examples, seed) if not broken else None
    among = opened.model.logits(x).double().softmax(1)
    # An image in the middle of the batch and one at its end: what mixes images rarely treats both alike.
    rows = sorted({len(x) // 2, len(x) - 1})[:ALONE]
    alone = torch.cat([opened.small(1).logits(x[row : row + 1]) for row in rows]).double().softmax(1)
    return ModelProbe(
        examples=len(x),
        white_box=opened.white_box,
        access=opened.reason,
        classes=opened.model.classes,
        native_difference=agrees_with_native(opened, x),
        state_kept=opened.module is None or digest(opened.module) == before,
        training_parts=0 if opened.module is None else in_training_mode(opened.module),
        batch_tested=len(rows),
        batch_difference=float((alone - among[rows]).abs().max()),
        batch_decisions=int((alone.argmax(1) != among[rows].argmax(1)).sum()),
        passes=PASSES,
        spread=float((repeated.amax(0) - repeated.amin(0)).max()),
        flips=int(((repeated > 0.5).sum(0) % PASSES != 0).sum()),
        output=opened.answer.output,
        mislabeled=mislabeled(raw, opened.answer.output),
        zero=zero,
        broken=broken,
        starved=starved,
        slope_error=slope,
        stored=_stored(opened, pictures),
    )


def _gradients(
    model: TorchModel, x: Tensor, labels: Tensor, ids: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Ids without a gradient of the margin, with one that is not finite, and without one of the cross-entropy alone."""
    sizes = [model.logits_and_gradient(x, labels, loss)[2].abs().flatten(1).amax(1) for loss in (margin, cross_entropy)]
    zero, finite = sizes[0] < VANISHED, torch.isfinite(sizes[0]) & torch.isfinite(sizes[1])
    starved = (sizes[1] < VANISHED) & ~zero
    return tuple(tuple(ids[int(row)] for row in torch.nonzero(flags)[:, 0]) for flags in (zero, ~finite, starved))  # type: ignore[return-value]


def _slope_error(model: TorchModel, examples: Examples, seed: int) -> float | None:
    """The share of the measured slopes' square that the computed ones do not explain, over random directions; None
    where the margin does not move.

    A measured slope is the difference of the margin over two gray levels.  An undefended network bends so much over
    such a distance that the gradient in its middle says little of it; but the mean of the gradients along the way is
    the slope, however the function bends, as long as they are its gradients (the fundamental theorem of calculus).
    """
    x, labels = examples.inputs, examples.labels
    rng, rows = ExampleRandom(seed, "slope", examples.ids), torch.arange(len(x))
    together = measured_square = computed_square = moved = 0.0
    for _ in range(DIRECTIONS):
        way = rng.uniform(rows, x.shape[1:], -1, 1).sign()
        ends = [margin(model.logits(x + t * way), labels).double() for t in (STEP, -STEP)]
        measured = (ends[0] - ends[1]) / (2 * STEP)
        slopes = [
            (model.logits_and_gradient(x + t * STEP * way, labels, margin)[2].double() * way).flatten(1).sum(1)
            for t in BETWEEN
        ]
        computed = torch.stack(slopes).mean(0)
        together += float((measured * computed).sum())
        measured_square += float(measured.square().sum())
        computed_square += float(computed.square().sum())
        moved += float(measured.abs().sum())
    if moved * STEP <= SPREAD * len(x) * DIRECTIONS:
        return None
    return 1 - together * abs(together) / (measured_square * computed_square) if computed_square else 1.0


def _stored(opened: Opened, pictures: Pictures | None) -> dict[str, tuple[int, int]]:
    """bits -> (still fooled after rounding, fooled before), over kept pictures."""
    if pictures is None or len(pictures.ids) == 0:
        return {}
    candidate, labels = torch.from_numpy(pictures.candidate), torch.from_numpy(pictures.labels)
    right = torch.from_numpy(pictures.clean_probability > 0.5) == (labels == 1)
    fooled = right & (torch.from_numpy(pictures.probability > 0.5) != (labels == 1))
    if not bool(fooled.any()):
        return {}
    chosen, truth = candidate[fooled], labels[fooled]
    found = {}
    for bits in DICOM_BITS:
        steps = 2**bits - 1
        wrong = (
            opened.small(len(chosen)).logits((chosen.double() * steps).round().div(steps).float()).argmax(1) != truth
        )
        found[str(bits)] = (int(wrong.sum()), int(fooled.sum()))
    return found
