"""What an investigation found, in plain values: shown by the report, written as JSON, checked by tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mithridate.ledger.fingerprint import Verdict

Picture = NDArray[np.float32]
"""Height x width x channels (1 or 3) in [0, 1]."""

Change = NDArray[np.float32]
"""Height x width: the change of the sample that changed most at each pixel, with its sign, in stored units."""


@dataclass(frozen=True)
class Box:
    """Where pixels differ: rows top..bottom-1 and columns left..right-1 of so many rows and columns."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class Difference:
    """How an image's samples differ from those captured, in stored units (before rescale and window).

    Attributes: frame (shown, from 0: the one with the largest change), frames (that differ, of `total`), rows and
    columns, changed (pixels of that frame that differ), largest (change at any sample), mean (absolute change over all
    samples of the frame), box (around what differs), change (reduced to a page's size; None when nothing differs).
    """

    frame: int
    frames: tuple[int, ...]
    total: int
    rows: int
    columns: int
    changed: int
    largest: float
    mean: float
    box: Box | None
    change: Change | None = field(repr=False, compare=False)

    @property
    def pixels(self) -> int:
        """How many pixels a frame has."""
        return self.rows * self.columns


@dataclass(frozen=True)
class Comparison:
    """An image beside the one captured, each as its own attributes have it displayed.

    `difference` is None, and `reason` says why, when the samples cannot be compared one by one.
    """

    captured: Picture = field(repr=False, compare=False)
    found: Picture = field(repr=False, compare=False)
    difference: Difference | None
    reason: str | None


@dataclass(frozen=True)
class AttributeChange:
    """An attribute that is not as recorded: its values in words, None where they are unknown or withheld."""

    name: str
    recorded: str | None
    found: str | None
    is_identity: bool


@dataclass(frozen=True)
class Route:
    """How a record came into the log.

    Attributes: index, leaf (hash, hexadecimal), kind ("capture" or "derivation"), device and its make in words, key
    (its identity's ID, hexadecimal), sequence (the device's own count), time (microseconds since 1970, by the device's
    clock), channel ("dimse", "stow", "file", ...; for a derivation what was done, with which software, from which
    record), revoked (index of the entry that revokes it, or None).
    """

    index: int
    leaf: str
    kind: str
    device: str
    make: str
    key: str
    sequence: int
    time: int
    channel: str
    revoked: int | None


@dataclass(frozen=True)
class Twin:
    """The same pixels in another record, under another identity."""

    index: int
    device: str
    attributes: tuple[str, ...]


@dataclass(frozen=True)
class ImageFinding:
    """What became of one file: its verdict against the log and, where it can be shown, how it differs."""

    name: str
    sha256: str
    size: int
    verdict: Verdict
    reason: str
    attributes: tuple[AttributeChange, ...]
    route: Route | None
    twins: tuple[Twin, ...]
    comparison: Comparison | None
    note: str | None

    @property
    def is_accepted(self) -> bool:
        """Whether it is the image that was captured."""
        return self.verdict.is_accepted


@dataclass(frozen=True)
class DeviceFinding:
    """A device's records over the whole log: how many, their numbers, and those that are missing between.

    Attributes: name, key, records, first and last sequence number, gaps (runs of numbers that no entry has, both ends
    included), repeats (numbers that several entries have), stated (how many the device itself says it made, or None).
    """

    name: str
    key: str
    records: int
    first: int
    last: int
    gaps: tuple[tuple[int, int], ...]
    repeats: tuple[int, ...]
    stated: int | None = None

    @property
    def missing(self) -> int:
        """How many records are missing: between others, and at the end by the device's own count."""
        between = sum(last - first + 1 for first, last in self.gaps)
        return between + max(0, (self.stated or 0) - (self.last + 1))


@dataclass(frozen=True)
class LogState:
    """The log as of the investigation.

    Attributes: origin, key (its verifier key), size, root (hexadecimal) and checkpoint (the signed note) as they stand;
    vouched_size (entries under the last checkpoint that others signed, or under this one), cosigners (names that stand
    under it beside the log's, to be checked with a policy), timestamp (of that checkpoint, in words, or None).
    """

    origin: str
    key: str
    size: int
    root: str
    checkpoint: str
    vouched_size: int
    cosigners: tuple[str, ...]
    timestamp: str | None


@dataclass(frozen=True)
class Investigation:
    """All findings.

    Attributes: case (what was asked, in words), created (seconds since 1970), log, images, absent (records of the case
    that no file was judged against), devices, outside (files that were left out because they are not of the case),
    proofs (bundle bytes by record index; private, with salts).
    """

    case: Mapping[str, str]
    created: int
    log: LogState
    images: tuple[ImageFinding, ...]
    absent: tuple[Route, ...]
    devices: tuple[DeviceFinding, ...]
    outside: int
    proofs: Mapping[int, bytes] = field(repr=False)

    @property
    def altered(self) -> tuple[ImageFinding, ...]:
        """Images that are not as captured: other pixels or other attributes than recorded."""
        return tuple(image for image in self.images if image.verdict in (Verdict.MISMATCH, Verdict.METADATA_EDITED))

    @property
    def unknown(self) -> tuple[ImageFinding, ...]:
        """Images that the log holds no record of, or that cannot be read."""
        return tuple(image for image in self.images if image.verdict is Verdict.UNKNOWN)

    @property
    def revoked(self) -> tuple[ImageFinding, ...]:
        """Images whose record counts no more."""
        return tuple(image for image in self.images if image.verdict is Verdict.REVOKED)

    @property
    def shared(self) -> tuple[ImageFinding, ...]:
        """Images whose pixels stand in the log under several identities."""
        return tuple(image for image in self.images if image.twins)

    @property
    def missing(self) -> int:
        """Records that devices numbered and the log does not hold."""
        return sum(device.missing for device in self.devices)

    def to_json(self) -> dict[str, Any]:
        """Everything but pictures and proofs, as JSON values."""
        found = asdict(self)
        found.pop("proofs")
        for image in found["images"]:
            image["verdict"] = image["verdict"].value
            if comparison := image["comparison"]:
                comparison.pop("captured")
                comparison.pop("found")
                if comparison["difference"]:
                    comparison["difference"].pop("change")
        return {"mithridate": "investigation/1"} | found
