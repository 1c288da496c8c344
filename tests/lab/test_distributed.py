"""Several processes on one run: the same training as one process on the same batches."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rigl_edu.lab import distributed
from rigl_edu.lab.data import digits
from rigl_edu.lab.recipes import Recipe
from rigl_edu.lab.records import read_record
from rigl_edu.lab.run import run
from rigl_edu.lab.saved import read_checkpoint

REPOSITORY = Path(__file__).parents[2]

# No batch norm and no dropout, so that one process and two compute the same. 70 images in batches
# of 15: the parts differ by one image, and the last batch has 10. RigL-SM keeps a momentum.
WORKER = """
import sys
from pathlib import Path
import torch
from rigl_edu.lab import distributed, train
from rigl_edu.lab.data import digits
from rigl_edu.lab.recipes import Recipe
from rigl_edu.lab.run import run

recipe = Recipe(
    name="shared", chapter=0, title="an MLP", model="mlp", model_args={"hidden": (20,)},
    data="digits", method="rigl_sm", density=0.3, distribution="er", every=3, until=10, epochs=3,
    batch=15, lr=0.1, augment=False, checkpoint_every=4,
)
if __name__ == "__main__":
    torch.set_num_threads(1)
    out, stop = Path(sys.argv[1]), int(sys.argv[2])
    distributed.join(torch.device("cpu"))
    step = train.training_step
    calls = []
    def counted(job, *args):
        calls.append(job.step)
        return step(job, *args)
    train.training_step = counted
    try:
        # Only the second process runs out of time; the first must stop at the same step.
        run(recipe, 3, digits().head(70, 50), out, out / "c.pt", resume=True,
            out_of_time=lambda: distributed.rank() == 1 and calls[-1] + 1 == stop)
    except train.OutOfTime:
        # A file for each process: their lines on a shared stdout may be cut into one another.
        (out / f"stopped-{distributed.rank()}").write_text(str(calls[-1] + 1))
"""


def two_processes(out, stop=0):
    out.mkdir(exist_ok=True)
    script = out / "worker.py"
    script.write_text(WORKER)
    done = subprocess.run(
        [*torchrun(), str(script), str(out), str(stop)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr


def torchrun():
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def test_two_processes_train_as_one_and_resume(tmp_path):
    namespace = {"__name__": "here"}
    exec(WORKER, namespace)
    recipe: Recipe = namespace["recipe"]
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
    record = read_record(next(tmp_path.rglob("*.json")))
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
