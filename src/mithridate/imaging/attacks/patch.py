"""The adversarial patch (Brown et al. 2017): a disc that makes a model see one class wherever it is put."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own alias
from torch import Tensor

from mithridate.attack import Examples
from mithridate.errors import UserError
from mithridate.imaging.attacks.losses import cross_entropy
from mithridate.imaging.budgets import Patch
from mithridate.imaging.engine.oracles import GradientOracle
from mithridate.seeds import ExampleRandom, generator


@dataclass(frozen=True, eq=False)
class AdversarialPatch:
    """Puts a patch (C x S x S in [0, 1]) on every image, at a random place and turned by up to `turn` degrees.

    With a crop of another image for a patch this is the control: a natural patch.
    """

    patch: Tensor
    turn: float = 22.5

    def run(self, oracle: object, examples: Examples, budget: Patch, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W.  Raises UserError when channels disagree or the disc does not fit the image."""
        if examples.inputs.shape[1] != self.patch.shape[0]:
            raise UserError(
                f"the patch has {self.patch.shape[0]} channels and the images {examples.inputs.shape[1]}: "
                "train one for these images"
            )
        drawn = rng.uniform(torch.arange(len(examples)), (3,))
        return paste(examples.inputs, self.patch, budget, *_placed(drawn, examples.inputs, budget, self.turn))


def natural_patch(examples: Examples, target: int, budget: Patch, turn: float) -> AdversarialPatch:
    """The control: the middle of the first image (by id) of the target class, as large as the patch."""
    row = min(
        (row for row in range(len(examples)) if int(examples.labels[row]) == target), key=examples.ids.__getitem__
    )
    image = examples.inputs[row]
    height, width = image.shape[1:]
    side = max(1, min(round(budget.diameter(height, width)), height, width))
    top, left = (height - side) // 2, (width - side) // 2
    return AdversarialPatch(image[:, top : top + side, left : left + side].clone(), turn)


@dataclass(frozen=True)
class PatchTraining:
    """Plain gradient descent on the patch of one class, over random images, places and angles.

    target: the class.  epochs, learning_rate and turn (degrees either way) as in the public code of Finlayson et al.;
    batch: images a step.  An example's place in the order given does not matter.
    """

    target: int
    epochs: int = 7
    batch: int = 16
    learning_rate: float = 5.0
    turn: float = 22.5
    seed: int = 0

    def train(
        self,
        oracle: GradientOracle,
        examples: Examples,
        budget: Patch,
        progress: Callable[[int, int], None] | None = None,
    ) -> AdversarialPatch:
        """The attack with its patch.  progress: called with (steps done, steps in all).

        Images of the target class teach nothing and are left out; raises UserError when there are no others.
        """
        others = [row for row in range(len(examples)) if int(examples.labels[row]) != self.target]
        order = sorted(others, key=lambda row: examples.ids[row])
        if not order:
            raise UserError(f"all images are of class {self.target}: a patch for it needs images of other classes")
        channels, height, width = examples.inputs.shape[1:]
        side = max(1, round(budget.diameter(height, width)))
        patch = torch.full((channels, side, side), 0.5)
        total, done = self.epochs * -(-len(order) // self.batch), 0
        for epoch in range(self.epochs):
            random = generator(self.seed, "patch", self.target, epoch)
            shuffled = torch.tensor(order)[torch.from_numpy(random.permutation(len(order)))]
            for rows in torch.split(shuffled, self.batch):
                drawn = torch.from_numpy(random.random((len(rows), 3))).float()
                patch = self._step(oracle, patch, examples.inputs[rows], rows, drawn, budget)
                done += 1
                if progress:
                    progress(done, total)
        return AdversarialPatch(patch, self.turn)

    def _step(
        self, oracle: GradientOracle, patch: Tensor, images: Tensor, rows: Tensor, drawn: Tensor, budget: Patch
    ) -> Tensor:
        with torch.enable_grad():
            leaf = patch.clone().requires_grad_(True)
            shown = paste(images, leaf, budget, *_placed(drawn, images, budget, self.turn))
        target = torch.full((len(rows),), self.target)
        _, _, gradient = oracle.loss_and_gradient(shown.detach(), target, rows, cross_entropy)
        (slope,) = torch.autograd.grad(shown, leaf, gradient / len(rows))
        return (patch - self.learning_rate * slope).clamp(0, 1)


def paste(images: Tensor, patch: Tensor, budget: Patch, centers: Tensor, degrees: Tensor) -> Tensor:
    """Images N x C x H x W with the patch's inscribed disc, as large as the budget allows, at its own center (x, y in
    pixels, N x 2) and turned counter-clockwise by its own angle (N).  Differentiable in the patch."""
    height, width = images.shape[2:]
    radius = budget.diameter(height, width) / 2
    y = torch.arange(height, dtype=torch.float32).view(1, -1, 1) - centers[:, 1].view(-1, 1, 1)
    x = torch.arange(width, dtype=torch.float32).view(1, 1, -1) - centers[:, 0].view(-1, 1, 1)
    angle = torch.deg2rad(degrees).view(-1, 1, 1)
    across = (angle.cos() * x - angle.sin() * y) / radius
    down = (angle.sin() * x + angle.cos() * y) / radius
    grid = torch.stack([across, down], -1)
    shown = F.grid_sample(
        patch.expand(len(images), *patch.shape), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    # A hair inside the rim: the budget measures the disc in float64.
    inside = (x.square() + y.square() <= (radius * (1 - 1e-5)) ** 2)[:, None]
    return torch.where(inside, shown.clamp(0, 1), images)


def _placed(drawn: Tensor, images: Tensor, budget: Patch, turn: float) -> tuple[Tensor, Tensor]:
    """Centers and angles from uniform draws N x 3: the whole disc on the image."""
    height, width = images.shape[2:]
    room = torch.tensor([width, height]) - budget.diameter(height, width)
    if float(room.min()) < 0:
        raise UserError(f"a disc of {budget.area:.0%} of the area does not fit the image: give a smaller patch")
    # Pixel centers are whole numbers: the image spans [-0.5, side - 0.5].
    centers = budget.diameter(height, width) / 2 - 0.5 + drawn[:, :2] * room
    return centers, (2 * drawn[:, 2] - 1) * turn
