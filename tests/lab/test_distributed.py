"""Several processes on one run: the same training as one process on the same batches."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rigl_edu.lab import distributed
from rigl_edu.lab.data import digits
from rigl_edu.lab.records import read_record
from rigl_edu.lab.run import run
from rigl_edu.lab.saved import read_checkpoint
from tests.lab import forked, shared_run

REPOSITORY = Path(__file__).parents[2]


def two_processes(out, stop=0):
    out.mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    parts = [forked.start(shared_run.part, rank, port, str(out), stop) for rank in (0, 1)]
    for process in parts:
        process.join(timeout=200)
    assert [process.exitcode for process in parts] == [0, 0]


def torchrun():
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def test_two_processes_train_as_one_and_resume(tmp_path):
    recipe = shared_run.RECIPE
    one = read_record(run(recipe, 3, digits().head(70, 50), tmp_path, tmp_path / "one.pt"))

    two_processes(tmp_path / "two")
    two = read_record(next((tmp_path / "two").glob("*.json")))
    assert two["device"].startswith("2 x cpu: ") and not one["device"].startswith("2 x")
    assert two["layers"] == one["layers"]
    for row, expected in zip(two["curve"], one["curve"], strict=True):
        assert row["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-5)
    whole, alone = (
        read_checkpoint(p)["model"] for p in (tmp_path / "two/c.pt", tmp_path / "one.pt")
    )
    for name, value in alone.items():
        torch.testing.assert_close(whole[name], value, rtol=1e-4, atol=1e-5)
        assert not name.endswith("mask") or torch.equal(whole[name], value)

    two_processes(tmp_path / "stopped", stop=6)
    assert [(tmp_path / f"stopped/stopped-{rank}").read_text() for rank in (0, 1)] == ["6", "6"]
    assert read_checkpoint(tmp_path / "stopped/c.pt")["step"] == 6
    with pytest.raises(ValueError, match="saved by 2 processes, not 1: go on with as many"):
        run(recipe, 3, digits().head(70, 50), tmp_path, tmp_path / "stopped/c.pt", resume=True)
    two_processes(tmp_path / "stopped")
    resumed = read_checkpoint(tmp_path / "stopped/c.pt")["model"]
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())


def test_the_command_line_under_torchrun(tmp_path):
    done = subprocess.run(
        [*torchrun(), "-m", "rigl_edu", "run", "mini-set-0.1", "--smoke", "--threads", "1"],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("test accuracy") == 1, "one process speaks"
    (path,) = tmp_path.rglob("*.json")
    assert path.stem.endswith("__seed0__2processes")
    assert [found.stem for found in tmp_path.rglob("*.pt")] == [path.stem]
    record = read_record(path)
    assert record["device"].startswith("2 x cpu: ") and record["density"] == pytest.approx(
        0.1, 1e-3
    )


def test_parts_of_a_batch(monkeypatch):
    for size, count in ((1, 5), (2, 15), (3, 128), (4, 4)):
        monkeypatch.setattr(distributed, "size", lambda size=size: size)
        rows = []
        for rank in range(size):
            monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
            part = distributed.my_part(count)
            rows += range(count)[part]
            assert abs(len(range(count)[part]) - count / size) < 1
        assert rows == list(range(count))
    with pytest.raises(ValueError, match="3 images cannot be shared by 4 processes"):
        distributed.my_part(3)
