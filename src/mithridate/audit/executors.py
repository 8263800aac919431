"""How jobs are carried out: here, or in worker processes.  Both give the same numbers."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import torch

from mithridate.errors import MithridateError

J = TypeVar("J")
R = TypeVar("R")


def prepare_worker() -> None:
    """One kernel thread a worker, so that sums are taken in one order, and Ctrl-C left to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    single_thread()


def single_thread() -> None:
    """Kernels of this process use one thread: with two, a sum may be split and its last bit differ."""
    torch.set_num_threads(1)


def run_inline(work: Callable[[J], R], jobs: Iterable[J]) -> Iterator[R]:
    """Each result as it is made, in this process."""
    threads = torch.get_num_threads()
    single_thread()
    try:
        for job in jobs:
            yield work(job)
    finally:
        torch.set_num_threads(threads)


def run_processes(work: Callable[[J], R], jobs: Sequence[J], workers: int | None = None) -> Iterator[R]:
    """Results in the order in which they are finished.

    When a worker is killed, the jobs that had not come back are done again in fresh workers, once; `work` must
    therefore leave nothing half-done.  Raises MithridateError when workers die again.
    """
    waiting = dict(enumerate(jobs))
    for attempt in (1, 2):
        if not waiting:
            return
        context = multiprocessing.get_context("spawn")
        count = min(workers or os.cpu_count() or 1, len(waiting))
        pool = ProcessPoolExecutor(count, mp_context=context, initializer=prepare_worker)
        try:
            futures = {pool.submit(work, job): number for number, job in waiting.items()}
            for future in as_completed(futures):
                result = future.result()
                del waiting[futures[future]]
                yield result
        except BrokenProcessPool:
            if attempt == 2:
                raise MithridateError(
                    "a worker process was killed twice (often: out of memory); findings so far are kept, "
                    "run the same command again with fewer workers to go on"
                ) from None
        except BaseException:
            # An error, or Ctrl-C: do not wait for work that nobody will look at.  Jobs write whole files or none.
            for process in list((pool._processes or {}).values()):
                process.terminate()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
