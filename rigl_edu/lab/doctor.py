"""`python -m rigl_edu doctor`: what is here, what it costs, and what to do about problems."""

import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from rigl_edu.sparse import Static, sparsify

from .data import CIFAR_FILES
from .models import wide_resnet
from .records import RESULTS, load_records
from .run import device_name, versions

REPEATS = 5
BATCH = 128


def report(root: Path = Path("data")) -> str:
    """Several lines of text; problems last, each with what to do."""
    problems: list[str] = []
    lines = [f"{name} {number}" for name, number in versions().items()]
    missing = [line.split()[0] for line in lines if line.endswith("not installed")]
    problems += [f"{name} is missing: pip install {name}" for name in missing]
    lines += [f"device {device_name(torch.device(name))}" for name in devices()]
    lines.append(f"threads {torch.get_num_threads()}")
    if not torch.cuda.is_available():
        problems.append(
            "no CUDA device: the chapters and the mini-* recipes run on a CPU in minutes, but each "
            "wrn22-* run takes 88 000 steps, about a day on two cores; use a GPU for those"
        )
    for name, (folder, archive) in CIFAR_FILES.items():
        if (root / folder).is_dir():
            lines.append(f"data {name}: in {root / folder}")
        elif (root / archive).exists():
            lines.append(f"data {name}: {root / archive}, unpacked when first used")
        else:
            lines.append(f"data {name}: absent, 170 MB are downloaded when first used")
    lines.append("data digits: bundled with scikit-learn")
    free = shutil.disk_usage(root if root.exists() else Path(".")).free / 1e9
    lines.append(f"disk {free:.1f} GB free")
    if free < 1:
        problems.append(f"{free:.1f} GB of disk are little: CIFAR-10 and its checkpoints take 0.5")
    try:
        lines.append(f"records {len(load_records(RESULTS))} in {RESULTS}/")
    except ValueError as error:
        problems.append(str(error))
    for name in devices():
        dense, masked = step_times(torch.device(name))
        lines.append(
            f"one step of WRN-10-1, batch {BATCH}, {name}: dense {1e3 * dense:.1f} ms, masked at "
            f"density 0.1 {1e3 * masked:.1f} ms (a mask saves no time by itself)"
        )
    lines += ["problems:", *[f"  - {p}" for p in problems]] if problems else ["no problems found"]
    return "\n".join(lines)


def devices() -> list[str]:
    """Names that --device takes on this machine."""
    return ["cpu", *[f"cuda:{i}" for i in range(torch.cuda.device_count())]]


def step_times(device: torch.device) -> tuple[float, float]:
    """Median seconds of a dense and of a masked training step, measured in turns."""
    dense, masked = wide_resnet(10, 1).to(device), wide_resnet(10, 1).to(device)
    sparsify(masked, density=0.1)
    optimizers = [torch.optim.SGD(n.parameters(), lr=0.1, momentum=0.9) for n in (dense, masked)]
    rule = Static(masked, optimizers[1])
    images = torch.randn(BATCH, 3, 32, 32, device=device)
    labels = torch.zeros(BATCH, dtype=torch.long, device=device)

    def seconds(network: nn.Module, step: Callable[[], object]) -> float:
        begin = time.perf_counter()
        network.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - begin

    pairs = [
        (seconds(dense, optimizers[0].step), seconds(masked, rule.step))
        for _ in range(REPEATS + 1)  # the first pair warms up
    ]
    return statistics.median(p[0] for p in pairs[1:]), statistics.median(p[1] for p in pairs[1:])
