"""What one task of a plan names, loaded: the images, the model under audit and its surrogates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from mithridate.attack import Examples
from mithridate.audit.identity import Identity, from_card, from_plan
from mithridate.audit.plan import ModelReference, PhantomData, TaskPlan
from mithridate.errors import UserError
from mithridate.imaging.catalog import Catalog
from mithridate.imaging.images import ImageStore
from mithridate.imaging.sources.phantom import phantom_catalog
from mithridate.imaging.zoo import resolve
from mithridate.models.opened import Opened
from mithridate.models.opening import model_name, open_model
from mithridate.models.torch_module import TorchModel
from mithridate.models.views import FunctionModel
from mithridate.seeds import derive


@dataclass(frozen=True)
class Subject:
    """One task, ready to be attacked.  Examples are sorted by id; their order in the catalog does not matter."""

    name: str
    catalog: Catalog
    card: Identity
    model: TorchModel | FunctionModel
    surrogates: tuple[tuple[TorchModel | FunctionModel, Identity], ...]
    store: ImageStore
    order: tuple[int, ...]
    """Row of the store of each example, in order of id."""
    opened: Opened

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(str(self.store.ids[row]) for row in self.order)

    def examples(self, first: int, last: int) -> tuple[Examples, list[str]]:
        """Examples [first, last) in order of id, decoded now, and their groups."""
        rows = list(self.order[first:last])
        labels = torch.from_numpy(np.asarray(self.store.labels)[rows].astype(np.int64))
        images = torch.from_numpy(np.ascontiguousarray(self.store.load(rows)))
        ids = tuple(str(self.store.ids[row]) for row in rows)
        return Examples(images, labels, ids, targets=1 - labels), [str(self.store.groups[row]) for row in rows]

    def chosen(self, ids: Sequence[str]) -> Examples:
        """Some examples by id, in that order."""
        places = {example: place for place, example in enumerate(self.ids)}
        rows = [self.order[places[example]] for example in ids]
        labels = torch.from_numpy(np.asarray(self.store.labels)[rows].astype(np.int64))
        images = torch.from_numpy(np.ascontiguousarray(self.store.load(rows)))
        return Examples(images, labels, tuple(ids), targets=1 - labels)

    def pictured(self, per_class: int, seed: int) -> frozenset[str]:
        """Ids of the examples kept for figures: a seeded choice that no prediction influences."""
        labels = {str(self.store.ids[row]): int(self.store.labels[row]) for row in self.order}
        chosen: list[str] = []
        for label in (0, 1):
            mine = [i for i in labels if labels[i] == label]
            chosen += sorted(mine, key=lambda i: derive(seed, "picture", i))[:per_class]
        return frozenset(chosen)


@lru_cache(maxsize=16)
def load_subject(
    task: TaskPlan,
    kernel_batch: int,
    seed: int,
    cache: Path | None,
    allow_code: bool = False,
    answers: Path | None = None,
) -> Subject:
    """Load everything that a task names; `answers` is where endpoints keep theirs.

    Raises UserError when data and model do not fit each other.
    """
    catalog = load_catalog(task, seed)
    name = task.name or catalog.task.name
    opened, card = _open(task.victim, catalog, kernel_batch, allow_code, answers)
    surrogates = []
    for reference in task.surrogates:
        other, other_card = _open(reference, catalog, kernel_batch, allow_code, answers)
        if (other_card.size, other_card.channels) != (card.size, card.channels):
            raise UserError(
                f"task {name}: surrogate {_called(reference)} takes {other_card.channels} x {other_card.size} px and "
                f"the victim {card.channels} x {card.size} px; give a surrogate with the victim's input"
            )
        if not other.white_box:
            raise UserError(
                f"task {name}: surrogate {_called(reference)} is a {other.reason}; an attacker computes on a "
                "surrogate's gradients, so give one that has them"
            )
        surrogates.append((other.model, other_card))
    store = ImageStore(catalog, card.size, channels=card.channels, cache=cache)
    ids = [str(i) for i in store.ids]
    return Subject(
        name=name,
        catalog=catalog,
        card=card,
        model=opened.model,
        surrogates=tuple(surrogates),
        store=store,
        order=tuple(sorted(range(len(ids)), key=ids.__getitem__)),
        opened=opened,
    )


def _open(
    reference: ModelReference, catalog: Catalog, kernel_batch: int, allow_code: bool, answers: Path | None
) -> tuple[Opened, Identity]:
    if isinstance(reference, str):
        network, card = resolve(reference)
        return from_card(network, card, reference, kernel_batch)
    opened = open_model(reference, kernel_batch=kernel_batch, allow_code=allow_code, store=answers)
    return opened, from_plan(reference, opened, _called(reference), catalog.task)


def _called(reference: ModelReference) -> str:
    return reference if isinstance(reference, str) else model_name(reference)


def load_catalog(task: TaskPlan, seed: int) -> Catalog:
    """The task's images: its part of the catalog, cut to its limit.  Raises UserError when a class is missing."""
    if isinstance(task.data, PhantomData):
        catalog = phantom_catalog(task.data.phantom, patients=task.data.patients, seed=task.data.seed)
    else:
        catalog = Catalog.load(Path(task.data))
    if task.part != "all":
        catalog = catalog.part(task.part)
    if task.limit is not None and task.limit < len(catalog.table):
        catalog = catalog.take(task.limit, seed)
    classes = set(catalog.table["label"])
    if classes != {0, 1}:
        missing = [catalog.task.positive if 1 not in classes else catalog.task.negative]
        raise UserError(
            f"{task.data}: part '{task.part}' has no image of class '{missing[0]}', so nothing can be measured"
        )
    return catalog
