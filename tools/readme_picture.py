"""Draw the README's picture: where static, SET and RigL keep their connections on digits.

Trains three sparse networks for a few seconds on scikit-learn's 8x8 digits and counts, for every
input pixel, the connections of the first layer that hold on to it at the end::

    python tools/readme_picture.py [TARGET.png]
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

import rigl_edu
from rigl_edu.sparse import masked_layers

TARGET = Path(__file__).resolve().parent.parent / "book" / "_static" / "readme.png"
STEPS, BATCH, DENSITY, HIDDEN = 1200, 64, 0.05, 300
METHODS = {"static": rigl_edu.Static, "SET": rigl_edu.SET, "RigL": rigl_edu.RigL}


def connections_per_pixel(method: str, images: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    """Train one network; how many connections of its first layer each pixel ends with, 8x8."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10))
    rigl_edu.sparsify(model, density=DENSITY, distribution="er", seed=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    schedule = {} if method == "static" else {"every": 20, "until": STEPS * 3 // 4, "seed": 0}
    rule = METHODS[method](model, optimizer, **schedule)
    first = next(iter(masked_layers(model).values()))
    order = torch.Generator().manual_seed(0)
    for _ in range(STEPS):
        batch = torch.randint(len(images), (BATCH,), generator=order)
        optimizer.zero_grad()
        F.cross_entropy(model(images[batch]), labels[batch]).backward()
        rule.step()
    return first.mask.sum(0).reshape(8, 8).numpy()


def draw(target: Path) -> None:
    """Write the picture."""
    digits = load_digits()
    images = torch.tensor(digits.data, dtype=torch.float32) / 16
    labels = torch.tensor(digits.target)
    results = {name: connections_per_pixel(name, images, labels) for name in METHODS}

    titles = {"static": "static: as drawn at random", "SET": "SET", "RigL": "RigL"}
    top = max(after.max() for after in results.values())
    figure, axes = plt.subplots(1, 4, figsize=(10, 2.9), facecolor="w", layout="constrained")
    axes[0].imshow(digits.images.mean(0), cmap="Greys")
    axes[0].set_title("the mean digit")
    for axis, (name, counts) in zip(axes[1:], results.items(), strict=True):
        shown = axis.imshow(counts, cmap="viridis", vmin=0, vmax=top)
        axis.set_title(titles[name])
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.colorbar(shown, ax=axes[1:], shrink=0.8, label="connections per pixel")
    figure.savefig(target, dpi=110, metadata={"Software": None})
    print(target)


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
