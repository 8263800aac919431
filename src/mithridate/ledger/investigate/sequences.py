"""Devices number what they sign, so what was dropped on the way leaves a hole in the numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from mithridate.errors import UserError
from mithridate.ledger.entry import read_entry
from mithridate.ledger.identity import DeviceIdentity
from mithridate.ledger.investigate.findings import DeviceFinding

Progress = Callable[[str, int, int], None]

_STEP = 1000


@dataclass
class _Count:
    """The numbers seen so far.  In a log in order it holds one run; memory grows with disorder, not with records."""

    records: int = 0
    runs: list[list[int]] = field(default_factory=list)
    repeats: set[int] = field(default_factory=set)

    def add(self, number: int) -> None:
        self.records += 1
        if any(first <= number <= last for first, last in self.runs):
            self.repeats.add(number)
        elif self.runs and self.runs[-1][1] + 1 == number:
            self.runs[-1][1] = number
        else:
            self.runs.append([number, number])

    def gaps(self) -> tuple[tuple[int, int], ...]:
        """Runs of numbers that nobody has, from 0 to the last that somebody has."""
        found, expected = [], 0
        for first, last in sorted(self.runs):
            if first > expected:
                found.append((expected, first - 1))
            expected = max(expected, last + 1)
        return tuple(found)


def count_sequences(
    entries: Iterable[bytes],
    size: int,
    devices: Mapping[bytes, DeviceIdentity],
    stated: Mapping[str, int] | None = None,
    progress: Progress | None = None,
) -> tuple[DeviceFinding, ...]:
    """Count every device's records over all entries of a log of `size`, in order of the devices' first.

    `stated` is what devices, by name, say of themselves: how many records their present identity has made.
    Raises RecordError when an entry is none, UserError when no device of a stated name is enrolled.
    """
    counts: dict[bytes, _Count] = {}
    for index, entry in enumerate(entries):
        record, _ = read_entry(entry)
        counts.setdefault(record.device, _Count()).add(record.sequence)
        if progress is not None and (index % _STEP == 0 or index + 1 == size):
            progress("reading the log", index + 1, size)
    said = _by_device(stated or {}, devices)
    found = []
    for device in dict.fromkeys((*counts, *said)):
        count = counts.get(device, _Count())
        found.append(
            DeviceFinding(
                name=devices[device].name if device in devices else device.hex()[:16],
                key=device.hex(),
                records=count.records,
                first=min((run[0] for run in count.runs), default=0),
                last=max((run[1] for run in count.runs), default=-1),
                gaps=count.gaps(),
                repeats=tuple(sorted(count.repeats)),
                stated=said.get(device),
            )
        )
    return tuple(found)


def _by_device(stated: Mapping[str, int], devices: Mapping[bytes, DeviceIdentity]) -> dict[bytes, int]:
    """What is stated by name, for the newest identity of that name."""
    newest = {identity.name: device for device, identity in devices.items()}
    for name in stated:
        if name not in newest:
            raise UserError(f"no device {name!r} is enrolled: name one of {', '.join(sorted(newest))}")
    return {newest[name]: count for name, count in stated.items()}
