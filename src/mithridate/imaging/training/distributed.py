"""Several processes, one training: the gradients, the batch statistics and the data order of a single process.

Start with `torchrun --no-python --nproc-per-node N mithridate train ...`: gloo on CPUs, NCCL on GPUs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mithridate.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """This process's place among those that train together."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def leads(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def share(self, rows: Any) -> Any:
        """The rows of a batch (or of a whole set) that fall to this process."""
        return rows[self.rank :: self.size]

    def total(self, values: Tensor) -> Tensor:
        """Sum over all processes."""
        if self.size > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def gather(self, value: T) -> list[T]:
        """The value of every process, by rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        if self.size > 1:
            dist.barrier()


@contextmanager
def world(device: str = "auto") -> Iterator[World]:
    """Join the processes that torchrun started; alone, a world of one.

    device: "auto" (a GPU when there is one), "cpu", "cuda" or "cuda:N".  Raises UserError when it is not available.
    """
    size, rank, local = (int(os.environ.get(name, default)) for name, default in _ENVIRONMENT)
    place = _pick(device, local if size > 1 else None)
    if size == 1:
        yield World(device=place)
        return
    mine = not dist.is_initialized()
    if mine:
        if place.type == "cuda":
            torch.cuda.set_device(place)
        dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield World(rank, size, place)
    finally:
        if mine:
            dist.destroy_process_group()


_ENVIRONMENT = (("WORLD_SIZE", "1"), ("RANK", "0"), ("LOCAL_RANK", "0"))


def _pick(device: str, local: int | None) -> torch.device:
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise UserError(f"device '{device}' is not known: use auto, cpu, cuda or cuda:N") from error
    if place.type == "cuda":
        count = torch.cuda.device_count()
        index = local if local is not None else place.index or 0
        if index >= count:
            raise UserError(f"device cuda:{index} is not there: this machine shows {count} GPU(s) to PyTorch")
        return torch.device("cuda", index)
    return place


def wrap(network: nn.Module, here: World) -> nn.Module:
    """The network as the loop calls it: its gradients averaged over processes when there are several."""
    if here.size == 1 or not any(parameter.requires_grad for parameter in network.parameters()):
        return network
    devices = [here.device] if here.device.type == "cuda" else None
    # Every process computes the same batch statistics (SharedBatchNorm2d), so buffers need no broadcast.
    return DistributedDataParallel(network, device_ids=devices, broadcast_buffers=False)


def share_batch_norm(module: nn.Module) -> None:
    """Let every batch-norm layer, in place, take its statistics over the batches of all processes together."""
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            shared = SharedBatchNorm2d(child.num_features, child.eps, child.momentum, child.affine)
            shared.load_state_dict(child.state_dict())
            setattr(module, name, shared.to(child.weight.device).train(child.training))
        else:
            share_batch_norm(child)


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over all processes, on any back end (torch's own SyncBatchNorm needs GPUs)."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        kind, x = x.dtype, x.float()
        ones = torch.ones(1, dtype=x.dtype, device=x.device)
        count = _total(ones * (x.numel() // x.shape[1]))
        mean = _total(x.sum((0, 2, 3))) / count
        centered = x - mean.view(1, -1, 1, 1)
        variance = _total((centered * centered).sum((0, 2, 3))) / count
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            self.num_batches_tracked += 1
            momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * count / (count - 1), momentum)
        scale = torch.rsqrt(variance + self.eps) * self.weight
        return (centered * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(kind)


class _Total(torch.autograd.Function):
    """Sum over processes, whose gradient is the sum over processes of the gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        values = values.clone()
        dist.all_reduce(values)
        return values

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].clone()
        dist.all_reduce(gradient)
        return gradient


def _total(values: Tensor) -> Tensor:
    total: Tensor = _Total.apply(values)  # type: ignore[no-untyped-call]
    return total
