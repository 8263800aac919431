"""Torch models of the user's: a factory, TorchScript, and torch.export archives."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import re
import sys
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from mithridate.errors import UserError
from mithridate.models.archive_guard import refuse_code
from mithridate.models.description import TorchExportPlan, TorchPlan, TorchScriptPlan
from mithridate.models.opened import Opened, digest, existing, network

_HOW_TO_ALLOW = "give --allow-code if you trust it as you trust a program"


def open_factory(plan: TorchPlan, *, kernel_batch: int, allow_code: bool, name: str) -> Opened:
    """Call the user's function and fill in its weights.  Raises UserError when code is not allowed or fails."""
    if not allow_code:
        raise UserError(f"{name}: 'factory: {plan.factory}' runs code of yours; {_HOW_TO_ALLOW}")
    place, _, function = plan.factory.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:  # an installed command does not look for modules where it is called
        sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(place), function)()
    except Exception as error:
        raise UserError(f"{name}: {plan.factory} failed with {type(error).__name__}: {error}") from error
    if not isinstance(found, nn.Module):
        raise UserError(f"{name}: {plan.factory} returned {type(found).__name__}, not a torch.nn.Module")
    files = []
    if plan.weights is not None:
        files.append(existing(plan.weights, "safetensors with the module's state dict"))
        try:
            found.load_state_dict(load_file(files[0]))
        except (SafetensorError, RuntimeError) as error:
            raise UserError(f"{files[0]} does not fit {plan.factory}: {str(error).splitlines()[0]}") from error
    identity = digest(plan, *files) if files else _with_weights(digest(plan), found)
    return network(
        found, plan, kernel_batch=kernel_batch, name=name, sha256=identity, reason="a torch module, differentiated"
    )


def open_torchscript(plan: TorchScriptPlan, *, kernel_batch: int, allow_code: bool, name: str) -> Opened:
    """Raises UserError when the file is no TorchScript archive; a pickled module needs `allow_code`."""
    file = existing(plan.path, "a TorchScript archive")
    try:
        module: nn.Module = torch.jit.load(file, map_location="cpu")  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        if not allow_code:
            raise UserError(
                f"{file} is no TorchScript archive; if it is a pickled module, loading it runs code from the file: "
                f"save it with torch.jit or torch.export, or {_HOW_TO_ALLOW}"
            ) from error
        module = _unpickled(file)
    return network(
        module,
        plan,
        kernel_batch=kernel_batch,
        name=name,
        sha256=digest(plan, file),
        reason="TorchScript, differentiated",
    )


def _unpickled(file: Path) -> nn.Module:
    try:
        found = torch.load(file, map_location="cpu", weights_only=False)
    except Exception as error:
        raise UserError(f"{file} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(found, nn.Module):
        raise UserError(f"{file} holds {type(found).__name__}, not a module: name a factory and give it as 'weights'")
    return found


def open_exported(plan: TorchExportPlan, *, kernel_batch: int, allow_code: bool, name: str) -> Opened:
    """Raises UserError when the archive is damaged, or holds code and `allow_code` is not given."""
    file = existing(plan.path, "an archive of torch.export.save")
    if not allow_code:
        refuse_code(file)
    try:
        program = torch.export.load(file)
        # The archive's guards are Python text that torch would run; our own check of the shape replaces them.
        module = program.module(**({"check_guards": False} if _has_guards(program) else {}))
    except Exception as error:  # torch raises whatever its parsers raise
        raise UserError(f"{file} is no torch.export archive that this torch reads: {_first(error)}") from error
    fixed = _fixed_batch(program)
    return network(
        module, plan, kernel_batch=fixed or kernel_batch, name=name, sha256=digest(plan, file),
        reason="torch.export, differentiated" + (f", exported for batches of {fixed}" if fixed else ""),
        fixed=fixed is not None,
    )  # fmt: skip


def _has_guards(program: torch.export.ExportedProgram) -> bool:
    return "check_guards" in inspect.signature(program.module).parameters  # torch 2.9 and later


def _fixed_batch(program: torch.export.ExportedProgram) -> int | None:
    """The batch size that the program was exported for, or None when any will do."""
    for node in program.graph.nodes:
        value = node.meta.get("val")
        if node.op == "placeholder" and node.name in program.graph_signature.user_inputs and value is not None:
            return value.shape[0] if isinstance(value.shape[0], int) else None
    return None


def _with_weights(identity: str, module: nn.Module) -> str:
    found = hashlib.sha256(identity.encode())
    for key, value in sorted(module.state_dict().items()):
        found.update(key.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def _first(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error)).strip()[:200] or type(error).__name__
