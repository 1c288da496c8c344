"""Processes forked from one that has torch imported, which otherwise takes seconds each time."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any


def start(target: Callable[..., None], *args: Any) -> BaseProcess:
    """Call a module's function in a process of its own; `join` it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rigl_edu.lab.run", "sklearn.datasets"])
    process = context.Process(target=target, args=args)
    process.start()
    return process
