"""Refuses torch.export archives whose loading would run code: pickles, foreign operators, expressions with calls.

`torch.export.load` unpickles members that are marked so, resolves operator names by attribute look-up, and evaluates
symbolic expressions as Python text.  An honest archive of a network needs none of the three beyond what is listed here.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch

from mithridate.errors import UserError

_OPERATORS: Final = re.compile(
    r"torch\.ops\.(aten|prims|prim|higher_order|quantized_decomposed|torchvision)\.\w+(\.\w+)?"
    r"|_?operator\.\w+|math\.\w+|torch\.sym_\w+|torch\._sym_\w+"
)
_EXPRESSION: Final = re.compile(r"[\w\s'+\-*/%(),<>=&|~]*")
_CALLS: Final = re.compile(r"(\w+)\s*\(")
_FUNCTIONS: Final = {
    "Integer", "Symbol", "Max", "Min", "Mod", "PythonMod", "FloorDiv", "CleanDiv", "CeilDiv", "Add", "Mul", "Pow", "Eq",
    "Ne", "Le", "Lt", "Ge", "Gt", "And", "Or", "Not", "TruncToInt", "FloorToInt", "CeilToInt", "IntTrueDiv",
}  # fmt: skip


def refuse_code(file: Path) -> None:
    """Raises UserError when loading the archive could run code from it, or when it is no archive."""
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.namelist():
                fault = _fault(member, archive.read(member))
                if fault:
                    raise UserError(f"{file} holds {fault}: loading it can run code; give --allow-code if you trust it")
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise UserError(f"{file} is no torch.export archive: {error}") from error


def _fault(member: str, content: bytes) -> str | None:
    if "/data/sample_inputs/" in member or member.endswith(".pt"):
        try:
            torch.load(io.BytesIO(content), weights_only=True)
        except Exception:
            return f"a pickle that is no tensor ({member})"
        return None
    if member.endswith(".json"):
        return _json_fault(member, json.loads(content))
    if "/aotinductor/" in member or member.endswith((".so", ".py", ".cpp")):
        return f"compiled code ({member})"
    if "/constants/" in member and member.rsplit("/", 1)[-1].startswith(("custom_obj", "opaque")):
        return f"a pickled object ({member})"
    return None


def _json_fault(member: str, content: Any) -> str | None:
    for key, value in _pairs(content):
        if key == "use_pickle" and value is True:
            return f"pickled weights ({member})"
        if key == "target" and isinstance(value, str) and "." in value and not _OPERATORS.fullmatch(value):
            return f"the operator {value}"
        if key == "expr_str" and isinstance(value, str) and not _plain(value):
            return f"the expression {value[:60]}"
    return None


def _plain(expression: str) -> bool:
    calls = _CALLS.findall(expression)
    return bool(_EXPRESSION.fullmatch(expression)) and "__" not in expression and set(calls) <= _FUNCTIONS


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from _pairs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _pairs(inner)
