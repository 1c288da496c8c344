"""The queue: take the next run that nobody has, train it, take the next one.

Each run is claimed by a lock on a file beside its checkpoint. The operating system releases a lock
when its process ends, in whatever way, so that a killed run is free again and goes on from its
last checkpoint. Several queues on one folder, on one machine or on a file system that supports
locks, so share the work without knowing of each other: `--jobs N` is N of them.
"""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from . import distributed
from .plans import Plan, is_done
from .recipes import needed
from .tickets import beside, is_ready

UNITS = {"s": 1, "m": 60, "h": 3600}
PATIENCE = 2.0  # seconds between two looks at what another process holds


def seconds_of(text: str) -> float:
    """Seconds of a time such as "90s", "25m" or "2h".

    Raises:
        ValueError: not a positive number with one of these units.
    """
    number, unit = text[:-1], text[-1:]
    try:
        seconds = float(number) * UNITS[unit]
    except (KeyError, ValueError):
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError(f"--budget {text}: expected a time such as 90s, 25m or 2h")
    return seconds


@contextmanager
def claimed(plan: Plan) -> Iterator[bool]:
    """Whether this process now holds the run; if so, until the end of the block."""
    plan.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(plan.checkpoint.with_suffix(".lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def work(
    plans: Sequence[Plan],
    train: Callable[[Plan], None],
    deadline: float | None = None,
    again: bool = False,
) -> list[Plan]:
    """Train the plans in their order; returns those that were left.

    A run that another process holds is passed over and tried again later: it may have been killed.
    So is a run that starts from another one which is not finished yet. What is held and nobody here
    needs is left to its holder; what is needed is waited for.

    Args:
        plans: what to do; what is done by the time its turn comes is skipped.
        train: called with each plan while it is claimed.
        deadline: reading of `time.monotonic` after which nothing new is begun; None for no end.
        again: do also what is done.
    """
    left = list(plans)
    waits = False
    while left:
        taken, held = None, set()
        for plan in left:
            if deadline is not None and time.monotonic() >= deadline:
                return left
            # In this order: the second looks into a checkpoint.
            if (again or not is_done(plan)) and not is_ready(plan.recipe, plan.checkpoint):
                continue
            with claimed(plan) as mine:
                if mine:
                    taken = plan
                    if again or not is_done(plan):
                        train(plan)
                    break
            held.add(plan.checkpoint)
        if taken is not None:
            left.remove(taken)
            waits = False
            continue
        waited_for = [plan for plan in left if needs_any(plan, held)]
        if not waited_for:
            break
        if not waits:
            waits = True
            print(f"waiting: {len(waited_for)} runs start from another process's", flush=True)
        time.sleep(PATIENCE)
    return left


def needs_any(plan: Plan, held: Collection[Path]) -> bool:
    """Whether the run starts from one of those with these checkpoints."""
    names = needed(plan.recipe)
    return any(beside(plan.recipe, plan.checkpoint, name) in held for name in names)


def work_together(plans: Sequence[Plan], train: Callable[[Plan], None]) -> list[Plan]:
    """`work` for the processes that torchrun started, which train each plan together.

    Raises:
        ValueError: somebody else holds a run.
    """
    for plan in plans:
        with claimed(plan) if distributed.rank() == 0 else nullcontext(True) as mine:
            if not all(distributed.from_all(mine)):
                raise ValueError(f"{plan.record.stem}: another process is at this run")
            train(plan)
            distributed.wait()
    return []


def why_left(plan: Plan, deadline: float | None) -> str:
    """Why `work` did not do a plan, in words."""
    if deadline is not None and time.monotonic() >= deadline:
        return "the budget is used up"
    if not is_ready(plan.recipe, plan.checkpoint):
        return f"{' or '.join(needed(plan.recipe))} did not finish"
    return "another process is at it"


def in_parallel(argv: Sequence[str], jobs: int, threads: int, devices: Sequence[str]) -> int:
    """Run one command in several processes; returns the highest exit status.

    Args:
        argv: of `python -m rigl_edu`, a `run --pending`.
        jobs: number of processes.
        threads: CPU threads of each.
        devices: dealt out in turn.
    """
    children = []
    for job in range(jobs):
        device = devices[job % len(devices)]
        own = ["--jobs", "1", "--threads", str(threads), "--device", device, "--quiet"]
        # A session of their own, so that Ctrl-C reaches them once, through this process.
        child = subprocess.Popen(
            [sys.executable, "-m", "rigl_edu", *argv, *own],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        children.append(child)
    readers = [
        threading.Thread(target=repeat_lines, args=(f"[{job}] ", child))
        for job, child in enumerate(children)
    ]
    for reader in readers:
        reader.start()

    def stop(number: int, _frame: Any) -> None:
        for child in children:
            child.send_signal(signal.SIGINT)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for reader in readers:
            reader.join()
        ends = [child.wait() for child in children]
        for job, end in enumerate(ends):
            if end < 0:  # killed, it had no last words
                print(f"[{job}] was ended by {signal.Signals(-end).name}", flush=True)
        return max(end if end >= 0 else 128 - end for end in ends)  # as a shell counts signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def repeat_lines(prefix: str, child: "subprocess.Popen[str]") -> None:
    """Print a process's output line by line, saying whose it is."""
    assert child.stdout is not None
    for line in child.stdout:
        print(f"{prefix}{line}", end="", flush=True)
