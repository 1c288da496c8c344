"""Shared by all tests: one thread, so that results do not depend on the number of cores."""

import os

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(int(os.environ.get("RIGL_TEST_THREADS", "1")))

# The same examples in every run, and no example fails for being slow on a busy machine.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty working directory, and the number of threads as it was afterwards."""
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
