"""The findings of an investigation in sentences: what was done to an image, where, and what follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mithridate.ledger.fingerprint import Verdict
from mithridate.ledger.investigate.findings import DeviceFinding, Difference, ImageFinding, Investigation, Route
from mithridate.report.words import percent

CHANNELS = {"dimse": "DICOM C-STORE", "stow": "DICOMweb STOW-RS", "http": "the HTTP service", "file": "a file"}

HEADLINES = {
    Verdict.IDENTICAL: "As captured",
    Verdict.TRANSCODED: "As captured, in another encoding",
    Verdict.DERIVED: "Derived, and signed for",
    Verdict.METADATA_EDITED: "Altered: other attributes than captured",
    Verdict.MISMATCH: "Altered: other content than captured",
    Verdict.UNKNOWN: "Unknown: never recorded as it is",
    Verdict.REVOKED: "Revoked: its record counts no more",
}
LEVELS = {
    Verdict.IDENTICAL: "held",
    Verdict.TRANSCODED: "held",
    Verdict.DERIVED: "held",
    Verdict.METADATA_EDITED: "fooled",
    Verdict.MISMATCH: "fooled",
    Verdict.UNKNOWN: "weakened",
    Verdict.REVOKED: "weakened",
}
VERDICTS = (
    ("IDENTICAL", "Every byte of the file is as recorded."),
    ("TRANSCODED", "Other bytes, but pixels, attributes and identity are as recorded: another lossless encoding."),
    ("DERIVED", "Made from a recorded image by an operation that a signed record states."),
    ("METADATA-EDITED", "The pixels are as recorded under changed attributes, such as the patient or the window."),
    ("MISMATCH", "A record of this image exists, and its pixels, or what a report says, are not those recorded."),
    ("UNKNOWN", "No record fits: the image was never recorded, or so much was changed that nothing names it."),
    ("REVOKED", "The record exists and was declared void, with a reason, by an entry in the log."),
)
LIMITS = (
    "What was done before an image was recorded, in the scanner or in front of it, leaves no trace here.",
    "Times of capture are stated by the devices. The order of the log and, where there is one, the time stamp of its "
    "checkpoint are not.",
    "An altered PNG, JPEG or TIFF file names no patient and no instance: it is judged by the record of a file of its "
    "name, and without one it is unknown.",
    "A record that no file was given for may lie elsewhere: it is missing among the files given, not from the world.",
    "Whether a change was made in good faith, by a converter or a correction, is for people to find out.",
)


@dataclass(frozen=True)
class Tile:
    """A count for the top of the page."""

    count: int
    label: str
    level: str


def title(found: Investigation) -> str:
    """What the investigation is about, for the head of the page."""
    names = {"PatientID": "Patient", "AccessionNumber": "Accession", "SOPInstanceUID": "Image"}
    parts = [f"{names[key]} {value}" for key, value in found.case.items() if key in names]
    if not parts and ("From" in found.case or "To" in found.case):
        parts = [" ".join(f"{key.lower()} {found.case[key]}" for key in ("From", "To") if key in found.case)]
    if not parts:
        parts = [count(len(found.images), "image")]
    return ", ".join(parts)


def lead(found: Investigation) -> str:
    """The answer in one sentence or two."""
    total, altered, unknown = len(found.images), len(found.altered), len(found.unknown)
    if not total:
        sentences = ["No file was judged."]
    elif altered == unknown == len(found.revoked) == 0:
        sentences = [f"All {total} images are those that were captured." if total > 1 else "The image is as captured."]
    elif altered:
        sentences = [f"{altered} of {count(total, 'image')} {'was' if altered == 1 else 'were'} altered after capture."]
    else:
        sentences = [f"None of {count(total, 'image')} is known to be altered, but not all can be used."]
    if unknown:
        sentences.append(f"The log holds no record of {count(unknown, 'image')}.")
    if found.revoked:
        sentences.append(f"The records of {count(len(found.revoked), 'image')} were revoked.")
    if found.absent:
        sentences.append(f"For {count(len(found.absent), 'record')} of the case no file was given.")
    if found.missing:
        sentences.append(f"{count(found.missing, 'record')} that devices numbered never reached the log.")
    return " ".join(sentences)


def tiles(found: Investigation) -> list[Tile]:
    """The counts at a glance."""
    sound = sum(image.is_accepted for image in found.images)
    rows = [
        Tile(sound, "as captured", "held"),
        Tile(len(found.altered), "altered after capture", "fooled"),
        Tile(len(found.unknown), "never recorded as they are", "weakened"),
        Tile(len(found.revoked), "revoked", "weakened"),
        Tile(len(found.shared), "under two identities", "fooled"),
        Tile(len(found.absent), "recorded, no file given", "weakened"),
        Tile(found.missing, "numbered, never logged", "fooled"),
    ]
    return [row if row.count else Tile(0, row.label, "none") for row in rows]


def statements(image: ImageFinding) -> list[tuple[str, str]]:
    """What is to be said of one image, each under a topic."""
    said = [("The log says", sentence(image.reason))]
    comparison = image.comparison
    if comparison is not None and comparison.difference is not None and comparison.difference.changed:
        said.append(("Where it differs", where(comparison.difference)))
    elif comparison is not None and comparison.difference is not None:
        said.append(("Pixels", "Every stored value is as captured."))
    elif comparison is not None and comparison.reason:
        said.append(("Pixels", sentence(comparison.reason) + " They cannot be compared one by one."))
    if image.note:
        said.append(("Note", sentence(image.note)))
    said.extend(
        (
            "Two identities",
            f"The same pixels stand in record {twin.index} of {twin.device}, which differs in "
            f"{listed(twin.attributes) or 'nothing that is recorded'}.",
        )
        for twin in image.twins
    )
    return said


def gist(image: ImageFinding) -> str:
    """Why an image needs a look, in a line."""
    difference = image.comparison.difference if image.comparison is not None else None
    if difference is not None and difference.changed:
        return f"{_share(difference)} of the pixels differ, by at most {_size(difference)}."
    if image.is_accepted and image.twins:
        return (
            f"The same pixels stand under another identity in {listed([f'record {one.index}' for one in image.twins])}."
        )
    return sentence(image.reason)


def where(difference: Difference) -> str:
    """How much differs, by how much, and where."""
    text = (
        f"{difference.changed:,} of {difference.pixels:,} pixels ({_share(difference)}) differ, by at most "
        f"{_size(difference)}."
    )
    box = difference.box
    if box is not None and (box.bottom - box.top, box.right - box.left) != (difference.rows, difference.columns):
        rows = f"rows {box.top + 1:,} to {box.bottom:,}" if box.bottom > box.top + 1 else f"row {box.bottom:,}"
        columns = f"columns {box.left + 1:,} to {box.right:,}" if box.right > box.left + 1 else f"column {box.right:,}"
        text += f" They lie within {rows} and {columns}, counted from 1."
    if difference.total > 1:
        text += (
            f" {len(difference.frames):,} of {difference.total:,} frames differ; frame {difference.frame + 1} is shown."
        )
    return text


def _share(difference: Difference) -> str:
    return percent(difference.changed / difference.pixels)


def _size(difference: Difference) -> str:
    return f"{difference.largest:,.6g} stored {'value' if difference.largest == 1 else 'values'}"


def way(route: Route) -> str:
    """By which road a record came in."""
    return CHANNELS.get(route.channel, route.channel)


def numbers(device: DeviceFinding) -> str:
    """Which numbers are missing or doubled."""
    parts = []
    if device.gaps:
        runs = [f"{first:,}" if first == last else f"{first:,} to {last:,}" for first, last in device.gaps]
        parts.append(f"missing between others: {listed(runs)}")
    if device.stated is not None and device.stated > device.last + 1:
        parts.append(f"missing at the end: {device.last + 1:,} to {device.stated - 1:,}, by the device's own count")
    if device.repeats:
        parts.append(f"used twice: {listed([f'{number:,}' for number in device.repeats])}")
    return "; ".join(parts) or "complete"


def proof_name(index: int) -> str:
    """The file name of a record's proof."""
    return f"record-{index}.proof"


def moment(seconds: float) -> str:
    """A time as people of all countries read it."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def count(number: int, what: str) -> str:
    """ "1 image", "2 images"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def listed(items: Sequence[str], most: int = 12) -> str:
    """ "a, b and c"; the rest counted where there are too many."""
    shown = list(items[:most]) + ([f"{len(items) - most:,} more"] if len(items) > most else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else ""
