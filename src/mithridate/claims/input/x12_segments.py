"""X12 interchanges as segments: the delimiters come from the ISA header, so any of them is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mithridate.errors import UserError

_ISA_LENGTH = 106


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: its elements, the name first; `place` ("line 3, segment 25"); the component separator."""

    elements: tuple[str, ...]
    place: str
    component: str

    @property
    def name(self) -> str:
        return self.elements[0]

    def element(self, number: int) -> str:
        """An element by its number in the standard (CLM01 is 1); "" when it is not there."""
        return self.elements[number] if number < len(self.elements) else ""

    def parts(self, number: int) -> list[str]:
        """The components of a composite element."""
        return self.element(number).split(self.component)


def segments(path: Path) -> Iterator[Segment]:
    """The segments of a file.  Raises UserError when it does not begin with a whole ISA segment."""
    content = path.read_text(encoding="utf-8-sig", errors="replace").lstrip()
    if not content.startswith("ISA") or len(content) < _ISA_LENGTH:
        raise UserError(f"{path} does not begin with the 106 characters of an ISA segment: give an X12 interchange")
    element, component, end = content[3], content[104], content[105]
    line = 1
    for number, raw in enumerate(content.split(end), 1):
        text = raw.strip()
        begins = line + raw[: len(raw) - len(raw.lstrip())].count("\n")
        line += raw.count("\n")
        if text:
            elements = tuple(part.strip() for part in text.split(element))
            yield Segment(elements, f"line {begins}, segment {number}", component)
