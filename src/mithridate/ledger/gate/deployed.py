"""The first step of an audit's "deployed" condition: which of a study's images would reach the model at all?

An attack on pixels is measured against the bare model; deployed behind the gate, the same image must first be admitted.
`screen_images` says for each image whether it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mithridate.ledger.gate.admission import Admitted, Gate
from mithridate.ledger.gate.expected import Expected
from mithridate.ledger.gate.refusal import GateRefusal


@dataclass(frozen=True)
class Presented:
    """One image as an attacker, or the hospital, presents it: a name for the report, its file or bytes, and what the
    request says of it."""

    name: str
    image: bytes | Path
    expected: Expected


@dataclass(frozen=True)
class Screened:
    """What the gate said: exactly one of `admitted` and `refusal` is there."""

    name: str
    admitted: Admitted | None = None
    refusal: GateRefusal | None = None

    @property
    def is_admitted(self) -> bool:
        """Whether the model gets to see it."""
        return self.admitted is not None


def screen_images(
    gate: Gate, images: Iterable[Presented], *, progress: Callable[[str, int, int], None] | None = None, total: int = 0
) -> Iterator[Screened]:
    """Present each image to the gate, in order, holding no more than one in memory."""
    for number, presented in enumerate(images, 1):
        try:
            admitted = gate.admit(presented.image, expected=presented.expected, name=presented.name)
            yield Screened(presented.name, admitted)
        except GateRefusal as refusal:
            yield Screened(presented.name, refusal=refusal)
        if progress is not None:
            progress("screening", number, total)
