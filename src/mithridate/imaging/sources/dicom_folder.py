"""A folder of DICOM files with a CSV table of labels.

The table's rows are matched by SOP Instance UID, patient ID or file name, whichever of these it has.  Only headers are
read.  Patient IDs serve as groups under a pseudonym (a keyless hash: it keeps the ID out of files and reports, but
whoever knows the IDs can recompute it, so a catalog of patients remains confidential).
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from mithridate.errors import UserError
from mithridate.imaging.catalog import Catalog
from mithridate.imaging.sources.build import make_catalog, make_rows
from mithridate.imaging.sources.files import listed, walk
from mithridate.imaging.sources.folder_csv import label_rows
from mithridate.imaging.sources.request import Request
from mithridate.imaging.sources.tables import read_table, require_columns, require_filled, require_unique
from mithridate.media.decoders import sniff
from mithridate.media.dicom import open_dicom

SOURCE = "dicom-folder"
_TAGS = ["SOPClassUID", "SOPInstanceUID", "PatientID", "StudyInstanceUID", "Modality", "ViewPosition"]
_TAGS += ["Rows", "Columns", "NumberOfFrames", "PhotometricInterpretation"]
_KEYS = {
    "SOPInstanceUID": ("sopinstanceuid", "instanceuid", "uid"),
    "PatientID": ("patientid", "patient", "subjectid", "subject"),
    "file": ("file", "filename", "image", "imageid", "path", "id"),
}


def build(request: Request) -> Catalog:
    """DICOM images labelled by a rule on a table, split by patient.  Raises UserError."""
    root = request.folder(SOURCE)
    paths = request.table_paths(SOURCE, "labels.csv")
    if len(paths) > 1:
        raise UserError(f"{SOURCE} takes one label table and {len(paths)} were given: merge them first")
    path, notes = paths[0], list[str]()
    table = read_table(path)
    key, column = _key(table, request, path)
    require_filled(table, column, path)
    require_unique(table, column, path)
    task, labels = label_rows(table, request, path)
    headers = _headers(root, request, notes)
    headers = _match(headers, table.assign(positive=labels), key, column, path, request, notes)
    rows = make_rows(
        headers,
        ids=headers["id"],
        paths=headers["path"],
        labels=headers["positive"].to_numpy(dtype=bool),
        groups=headers["group"],
        metadata={name: name for name in ("Modality", "ViewPosition", "frames", "rows", "columns")},
    )
    return make_catalog(rows, request=request, task=task, root=root, source=SOURCE, where=str(path), notes=notes)


def pseudonym(value: str) -> str:
    """A patient ID as a group name: 16 hex digits of its SHA-256."""
    return hashlib.sha256(b"mithridate patient\x1f" + value.encode()).hexdigest()[:16]


def _key(table: pd.DataFrame, request: Request, path: Path) -> tuple[str, str]:
    """What the table is keyed on, and in which of its columns."""
    if request.image_column is not None:
        require_columns(table, [request.image_column], path)
        plain = request.image_column.casefold().replace("_", "").replace(" ", "")
        return next((key for key, names in _KEYS.items() if plain in names), "file"), request.image_column
    by_name = {str(c).casefold().replace("_", "").replace(" ", ""): str(c) for c in table.columns}
    for key, names in _KEYS.items():
        for name in names:
            if name in by_name:
                return key, by_name[name]
    raise UserError(
        f"{path} has no column SOPInstanceUID, PatientID or file: its columns are "
        f"{', '.join(map(str, table.columns))}; name one with --image-column"
    )


def _headers(root: Path, request: Request, notes: list[str]) -> pd.DataFrame:
    """One row an image below the folder: path, id, group and what the header says."""
    files = [name for name in walk(root) if sniff(root / name) == "dicom"]
    if not files:
        raise UserError(f"{root} holds no DICOM file: check the path")
    rows: list[dict[str, str] | None] = []
    with ThreadPoolExecutor(8) as pool:  # reading headers waits for the disk
        for done, row in enumerate(pool.map(lambda name: _header(root, name, request.frame), files), start=1):
            rows.append(row)
            if request.progress is not None:
                request.progress("reading DICOM headers", done, len(files))
    images = [row for row in rows if row is not None]
    if len(images) < len(rows):
        notes.append(f"{len(rows) - len(images):,} DICOM files without an image (reports, waveforms) were left out.")
    if not images:
        raise UserError(f"{root} holds no DICOM image: its {len(rows)} files are of other kinds")
    table = pd.DataFrame(images)
    unnamed = int((table["PatientID"] == "").sum())
    if unnamed:
        notes.append(f"{unnamed:,} images name no patient; their study is the group.")
    repeated = table["id"].duplicated(keep=False)
    if repeated.any():
        same = table[table["id"] == table.loc[repeated, "id"].iloc[0]]["path"].tolist()
        raise UserError(f"{root / same[0]} and {root / same[1]} are the same SOP instance: remove one")
    return table


def _header(root: Path, name: str, frame: int) -> dict[str, str] | None:
    """What the catalog needs of one header, or None for an object without an image."""
    dataset = open_dicom(root / name, header_only=True, tags=_TAGS)
    if "Rows" not in dataset or "PhotometricInterpretation" not in dataset:
        return None
    text = {tag: str(dataset.get(tag) or "").strip() for tag in _TAGS}
    frames = int(text["NumberOfFrames"]) if text["NumberOfFrames"].isdigit() else 1
    if frames > 1 and frame >= frames:
        raise UserError(f"{root / name} has no frame {frame}: it holds {frames}, counted from 0")
    owner = text["PatientID"] or text["StudyInstanceUID"] or text["SOPInstanceUID"] or name
    return {
        **text,
        "path": f"{name}#{frame}" if frames > 1 else name,
        "file": name,
        "id": text["SOPInstanceUID"] or name,
        "group": pseudonym(owner),
        "frames": str(frames),
        "rows": text["Rows"],
        "columns": text["Columns"],
    }


def _match(
    headers: pd.DataFrame, table: pd.DataFrame, key: str, column: str, path: Path, request: Request, notes: list[str]
) -> pd.DataFrame:
    """The headers that the table labels, with the column `positive`."""
    positive = dict(zip(table[column].str.replace("\\", "/"), table["positive"], strict=True))
    if key == "file":
        bases = headers["file"].str.rpartition("/")[2]
        candidates = [headers["file"], bases, bases.str.replace(r"\.[^.]*$", "", regex=True)]
    else:
        candidates = [headers[key]]
    keys = pd.Series(None, index=headers.index, dtype=object)
    for names in candidates:
        keys = keys.where(keys.notna(), names.where(names.isin(list(positive)), None))
    absent = [name for name in positive if name not in set(keys.dropna())]
    if absent:
        told = f"{path} names {len(absent):,} of {len(positive):,} {key} values that no image has ({listed(absent)})"
        if request.missing != "drop" or len(absent) == len(positive):
            raise UserError(f"{told}: complete the folder, correct the table, or leave them out with --missing drop")
        notes.append(f"{told}; they were left out.")
    labelled = np.asarray(keys.notna())
    if not labelled.all():
        notes.append(f"{int((~labelled).sum()):,} images have no line in {path.name} and were left out.")
    chosen = headers[labelled].reset_index(drop=True)
    return chosen.assign(positive=[bool(positive[name]) for name in keys[labelled]])
