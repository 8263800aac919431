"""How jobs are carried out: here, or in worker processes.  Both give the same numbers."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from typing import TypeVar

import torch

from mithridate.errors import MithridateError

J = TypeVar("J")
R = TypeVar("R")


PRELOADED = ["mithridate.audit.runner", "monai.metrics.regression"]
"""What every worker imports: seconds' worth of libraries."""


def warm_up() -> None:
    """Begin to import what workers need, in a process from which they will be forked, while this one does other work.

    That process runs no kernel and starts no thread, so that forking it is safe.  Nothing happens on systems that
    cannot fork.
    """
    if _context().get_start_method() == "forkserver":
        from multiprocessing import forkserver

        forkserver.ensure_running()


def _context() -> BaseContext:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def prepare_worker() -> None:
    """One kernel thread a worker, so that sums are taken in one order; Ctrl-C left to the parent, but not its death."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    single_thread()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that was killed asks for no results: its workers would wait for jobs for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


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
        count = min(workers or os.cpu_count() or 1, len(waiting))
        pool = ProcessPoolExecutor(count, mp_context=_context(), initializer=prepare_worker)
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
