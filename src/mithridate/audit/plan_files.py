"""`read_plan`: a YAML file into a typed plan, or one sentence for each thing that is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from mithridate.errors import UserError

P = TypeVar("P", bound=BaseModel)

UNIONS = (
    "noise", "fgsm", "pgd", "transfer", "apgd", "apgd-targeted", "fab", "deepfool", "minimum-norm", "carlini-wagner",
    "standard-ensemble", "square", "finite-differences", "hop-skip-jump", "boundary", "rotation", "motion", "universal",
    "patch", "str", "PhantomData", "folder", "model",
    "torch", "torchscript", "torch-export", "onnx", "keras", "scikit-learn", "http", "float", "tuple[float, ...]",
    "PopulationData", "FileData", "callable",
)  # fmt: skip
"""Names of a union's members, which pydantic puts into an error's location though they are no keys of the file."""


def read_plan(path: Path, kind: type[P], command: str) -> P:
    """The plan in a file, validated as `kind`.

    command: the command whose help shows an example plan.  Raises UserError that names the file, the line, the field
    and what is wrong with it.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not text in UTF-8: see the example in `{command} --help`") from None
    try:
        tree, data = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{where}: this is not YAML ({getattr(error, 'problem', error)})") from None
    if not isinstance(data, dict):
        raise UserError(f"{path} is empty or not a mapping: see the example in `{command} --help`")
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        lines = [_explain(path, tree, item) for item in error.errors()]
        raise UserError("\n".join(dict.fromkeys(lines))) from None


def _explain(path: Path, tree: yaml.Node | None, error: Any) -> str:
    location = [part for part in error["loc"] if part not in UNIONS]
    line = _line(tree, location)
    field = ".".join(str(part + 1) if isinstance(part, int) else str(part) for part in location) or "the plan"
    union = error["type"] == "union_tag_not_found" and error["ctx"]["discriminator"]
    message = {
        "extra_forbidden": "there is no such field; check its spelling",
        "missing": "this field is missing",
        "union_tag_not_found": f"this has no field {union} (an attack's name, or a model's format)",
    }.get(error["type"], error["msg"].removeprefix("Value error, "))
    return f"{path}, line {line}: {field}: {message}"


def _line(node: yaml.Node | None, location: list[Any]) -> int:
    """The line of the deepest part of the location that the file has, from 1."""
    line = node.start_mark.line + 1 if node else 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            match = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if match is None:
                break
            line, node = match[0].start_mark.line + 1, match[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
