"""What one task of a plan names, loaded: the images, the model under audit and its surrogates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from mithridate.attack import Examples
from mithridate.audit.plan import PhantomData, TaskPlan
from mithridate.errors import UserError
from mithridate.imaging.cards import ModelCard
from mithridate.imaging.catalog import Catalog
from mithridate.imaging.images import ImageStore
from mithridate.imaging.sources.phantom import phantom_catalog
from mithridate.imaging.zoo import resolve
from mithridate.models.torch_module import TorchModel
from mithridate.seeds import derive


@dataclass(frozen=True)
class Subject:
    """One task, ready to be attacked.  Examples are sorted by id; their order in the catalog does not matter."""

    name: str
    catalog: Catalog
    card: ModelCard
    model: TorchModel
    surrogates: tuple[tuple[TorchModel, ModelCard], ...]
    store: ImageStore
    order: tuple[int, ...]
    """Row of the store of each example, in order of id."""

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

    def pictured(self, per_class: int, seed: int) -> frozenset[str]:
        """Ids of the examples kept for figures: a seeded choice that no prediction influences."""
        labels = {str(self.store.ids[row]): int(self.store.labels[row]) for row in self.order}
        chosen: list[str] = []
        for label in (0, 1):
            mine = [i for i in labels if labels[i] == label]
            chosen += sorted(mine, key=lambda i: derive(seed, "picture", i))[:per_class]
        return frozenset(chosen)


@lru_cache(maxsize=16)
def load_subject(task: TaskPlan, kernel_batch: int, seed: int, cache: Path | None) -> Subject:
    """Load everything that a task names.  Raises UserError when data and model do not fit each other."""
    module, card = resolve(task.victim)
    catalog = load_catalog(task, seed)
    name = task.name or catalog.task.name
    surrogates = []
    for reference in task.surrogates:
        other, other_card = resolve(reference)
        if (other_card.size, other_card.channels) != (card.size, card.channels):
            raise UserError(
                f"task {name}: surrogate {reference} takes {other_card.channels} x {other_card.size} px and the victim "
                f"{card.channels} x {card.size} px; give a surrogate with the victim's input"
            )
        surrogates.append((TorchModel(other, kernel_batch=kernel_batch, name=reference), other_card))
    store = ImageStore(catalog, card.size, channels=card.channels, cache=cache)
    ids = [str(i) for i in store.ids]
    return Subject(
        name=name,
        catalog=catalog,
        card=card,
        model=TorchModel(module, kernel_batch=kernel_batch, name=task.victim),
        surrogates=tuple(surrogates),
        store=store,
        order=tuple(sorted(range(len(ids)), key=ids.__getitem__)),
    )


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
