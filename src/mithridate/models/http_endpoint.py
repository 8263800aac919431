"""An HTTP endpoint as a black box: every image is sent once, its answer kept, the budget of questions respected."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mithridate.errors import MithridateError
from mithridate.models.answers import AnswerStore
from mithridate.models.description import HttpPlan
from mithridate.models.http_wire import Wire
from mithridate.models.image_input import ImageInput
from mithridate.models.opened import Opened, digest
from mithridate.models.views import FunctionModel


class Endpoint:
    """Connects on the first question of each process: neither sockets nor SQLite survive a fork."""

    def __init__(self, plan: HttpPlan, store: Path, identity: str, name: str) -> None:
        self._plan, self._store_file, self._identity, self._name = plan, store, identity, name
        self._meaning = plan.answer()
        self._process = 0

    def predict(self, images: NDArray[np.float32]) -> NDArray[Any]:
        """Answers, kept ones where there are any."""
        self._connect()
        keys = [self._answers.key(image) for image in images]
        known = {key: self._answers.get(key) for key in keys}
        new = [i for i, key in enumerate(keys) if known[key] is None and keys.index(key) == i]
        for first in range(0, len(new), self._plan.batch):
            rows = new[first : first + self._plan.batch]
            for row, answer in zip(rows, self._send(images[rows]), strict=True):
                known[keys[row]] = np.atleast_1d(answer)
            self._answers.put([keys[row] for row in rows], [np.asarray(known[keys[row]]) for row in rows])
        widths = {np.asarray(known[key]).shape for key in keys}
        if len(widths) > 1:
            raise MithridateError(f"{self._name}: the endpoint changes the number of its answers ({widths})")
        return np.stack([np.asarray(known[key]) for key in keys])

    def fresh(self, images: NDArray[np.float32]) -> NDArray[Any]:
        """Answers asked for now, charged, and not kept: for finding out whether the endpoint changes its mind."""
        self._connect()
        parts = [self._send(images[i : i + self._plan.batch]) for i in range(0, len(images), self._plan.batch)]
        return np.concatenate(parts)

    def _send(self, images: NDArray[np.float32]) -> NDArray[np.float64]:
        self._answers.charge(len(images))
        found = self._wire.ask(images)
        # An answer that means nothing must not be kept: the endpoint may mend its ways.
        self._meaning.logits(torch.from_numpy(found).float(), len(found), self._name)
        return found

    def _connect(self) -> None:
        if self._process != os.getpid():
            self._answers = AnswerStore(self._store_file, self._identity, self._plan.queries)
            rate, store = self._plan.per_second, self._answers
            self._wire = Wire(self._plan, self._name, (lambda: store.turn(rate)) if rate else None)
            self._process = os.getpid()


def open_http(plan: HttpPlan, *, store: Path, name: str) -> Opened:
    """Nothing is sent before the first question.  `store` keeps the answers unless the plan names a file."""
    identity = digest(
        plan.model_copy(update={"queries": None, "batch": 1, "per_second": None, "timeout": 30.0, "retries": 4})
    )
    endpoint = Endpoint(plan, Path(plan.cache) if plan.cache else store, identity, name)
    spec, answer = plan.input.build(), plan.answer()

    def native(other: ImageInput, x: Tensor) -> Tensor:
        return torch.from_numpy(endpoint.fresh(np.ascontiguousarray(other.apply(x).numpy())).astype(np.float32))

    return Opened(
        model=FunctionModel(endpoint.predict, spec, answer, batch=plan.batch, name=name), native=native, image=spec,
        answer=answer, module=None, reason="black box only: an endpoint answers with scores", sha256=identity,
        architecture="HTTP endpoint",
    )  # fmt: skip
