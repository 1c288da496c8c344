"""Figures: one style for the whole book, one colour and marker for each method, four pictures.

Colours are those of Okabe & Ito (2008), told apart by readers with any colour vision; no figure
relies on colour alone. The background is a white card, which stays legible in the dark theme.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike


class Look(NamedTuple):
    """How a method is drawn, everywhere in the book."""

    label: str
    color: str
    marker: str


METHODS: dict[str, Look] = {
    "dense": Look("Dense", "#000000", "D"),
    "small_dense": Look("Small dense", "#767676", "d"),
    "static": Look("Static", "#CC79A7", "X"),
    "set": Look("SET", "#E69F00", "^"),
    "snfs": Look("SNFS", "#009E73", "s"),
    "dsr": Look("DSR", "#8A6A1F", "<"),
    "rigl": Look("RigL", "#0072B2", "o"),
    "rigl_sg": Look("RigL-SG", "#56B4E9", "p"),
    "rigl_sm": Look("RigL-SM", "#4B4FA8", "h"),
    "pruning": Look("Pruning", "#D55E00", "v"),
    "lottery": Look("Lottery", "#7A3B69", "P"),
    "snfs_reproduced": Look("SNFS reproduced", "#00573F", "8"),
    "rigl_struct": Look("RigL struct", "#0B2A57", "H"),
    "snip": Look("SNIP", "#9C2F2F", "*"),
}

BLUE, ORANGE, INK, MUTED, RING = "#0072B2", "#E69F00", "#1b2129", "#545d68", "#00795a"
# Negative weights orange, positive ones blue, as in the toys; pale enough for dark numbers on top.
WEIGHTS = LinearSegmentedColormap.from_list("weights", ["#f0b658", "#ffffff", "#7db8dc"])


def set_style() -> None:
    """The book's style, for every figure drawn after this call."""
    sns.set_theme(
        context="notebook",
        style="whitegrid",
        palette=[look.color for look in METHODS.values()],
        rc={
            "figure.figsize": (7.0, 3.6),  # inches; at 110 dots an inch, a text column wide
            "figure.dpi": 110,
            "savefig.dpi": 110,
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "figure.constrained_layout.use": True,
            "axes.titlesize": 12,
            "axes.labelsize": 11,
            "xtick.labelsize": 10,
            "ytick.labelsize": 10,
            "legend.fontsize": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "grid.color": "#e3e7eb",
            "text.color": INK,
            "axes.labelcolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine draws the same
        },
    )


def look(method: str) -> Look:
    """The look of a method, by key or label: "rigl_sg", "RigL-SG".

    Raises:
        ValueError: for a method without one.
    """
    key = method.lower().replace("-", "_").replace(" ", "_")
    if key not in METHODS:
        raise ValueError(f"no look for method {method!r}; there is one for {', '.join(METHODS)}")
    return METHODS[key]


def mask_grid(
    mask: ArrayLike,
    values: ArrayLike | None = None,
    ax: Axes | None = None,
    title: str = "",
) -> Axes:
    """One layer as tiles: an active weight is a filled tile, an inactive one an empty tile.

    Args:
        mask: shape (outputs, inputs); nonzero where a connection exists.
        values: same shape; colours the active tiles by sign and size, and is written on them
            if the layer is at most 10 wide.
        ax: where to draw.
        title: above it.
    """
    on = np.asarray(mask, dtype=bool)
    numbers = None if values is None else np.asarray(values, dtype=float)
    if on.ndim != 2 or (numbers is not None and numbers.shape != on.shape):
        shape = None if numbers is None else numbers.shape
        raise ValueError(f"mask has shape {on.shape}, values {shape}; both must be one matrix's")
    ax = ax or plt.subplots(figsize=(3.4, 3.4))[1]
    _tiles(ax, on.shape, title)
    top = 1.0 if numbers is None or not on.any() else float(np.abs(numbers[on]).max()) or 1.0
    for i, j in np.ndindex(*on.shape):
        if not on[i, j]:
            _tile(ax, i, j, "white", "#d5dae0")
        elif numbers is None:
            _tile(ax, i, j, BLUE, BLUE)
        else:
            _tile(ax, i, j, to_hex(tuple(WEIGHTS(0.5 + numbers[i, j] / top / 2))), "#aab4c0")
            if on.shape[1] <= 10:
                number = f"{numbers[i, j]:+.2f}".replace("-", "−") if numbers[i, j] else "0.00"
                ax.text(j, i, number, ha="center", va="center", fontsize=8)
    return ax


def update_strip(
    before: ArrayLike, kept: ArrayLike, after: ArrayLike, values: ArrayLike | None = None
) -> Figure:
    """One rewiring in three pictures: before, after the drop, after the grow.

    Args:
        before: mask, shape (outputs, inputs).
        kept: mask after the drop, as `drop` returns it.
        after: mask after the grow, as `grow` returns it.
        values: the weights before, written on the tiles; grown ones are shown as 0.

    Dropped tiles have a dashed edge and a cross, grown ones a green edge and a plus.
    """
    old, mid, new = (np.asarray(mask, dtype=bool) for mask in (before, kept, after))
    if not (old >= mid).all() or not (new >= mid).all():
        raise ValueError("kept must be part of before and of after: it is what the drop left")
    weights = None if values is None else np.asarray(values, dtype=float)
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.5))
    counts = [int(mask.sum()) for mask in (old, mid, new)]
    mask_grid(old, weights, axes[0], f"before: {counts[0]} active")
    mask_grid(mid, weights, axes[1], f"drop {counts[0] - counts[1]}: {counts[1]} left")
    shown = None if weights is None else np.where(old, weights, 0.0)
    mask_grid(new, shown, axes[2], f"grow {counts[2] - counts[1]}: {counts[2]} active")
    for i, j in np.argwhere(old & ~mid):
        _tile(axes[1], i, j, "white", INK, linestyle="--", linewidth=1.5)
        axes[1].text(j, i, "×", ha="center", va="center", fontsize=14, color=MUTED)
    for i, j in np.argwhere(new & ~mid):
        _tile(axes[2], i, j, "none", RING, linewidth=2.5)
        axes[2].text(j + 0.4, i - 0.36, "+", ha="right", va="top", fontsize=10, color=RING)
    return figure


def seeds_dots(
    results: Mapping[str, Sequence[float]],
    ax: Axes | None = None,
    ylabel: str = "test accuracy (%)",
) -> Axes:
    """Runs as dots, one a seed, their mean as a bar with its number: no claim from one seed.

    Args:
        results: method -> one value a seed.
        ax: where to draw.
        ylabel: what the values are.
    """
    empty = [method for method, values in results.items() if len(values) == 0]
    if empty:
        raise ValueError(f"no values for {empty}")
    ax = ax or plt.subplots()[1]
    for x, (method, values) in enumerate(results.items()):
        _, color, marker = look(method)
        # Side by side, evenly: random jitter would redraw the figure at each run.
        spread = np.linspace(-0.12, 0.12, len(values)) if len(values) > 1 else np.zeros(1)
        mean = float(np.mean(values))
        ax.plot([x - 0.28, x + 0.28], [mean, mean], color=color, linewidth=2.5, zorder=2)
        ax.plot(
            x + spread, values, marker, color=color, markersize=7, markeredgecolor="white", zorder=3
        )
        ax.text(x + 0.32, mean, f"{mean:.1f}", va="center", fontsize=10)
    ax.set_xticks(range(len(results)), [look(method).label for method in results])
    ax.set_xlim(-0.6, len(results) - 0.3)
    ax.set_ylabel(ylabel)
    ax.grid(axis="x", visible=False)
    return ax


def layer_densities(
    tables: Mapping[str, Mapping[str, float]],
    ax: Axes | None = None,
) -> Axes:
    """Density of every layer, one line a table: how a distribution, or a rule, spreads the ones.

    Args:
        tables: label -> layer name -> density. Labels that name a method get its look.
        ax: where to draw.
    """
    names = {tuple(table) for table in tables.values()}
    if len(names) != 1:
        raise ValueError("the tables must name the same layers in the same order")
    layers = names.pop()
    ax = ax or plt.subplots()[1]
    spare = [METHODS[key] for key in ("rigl", "set", "snfs", "pruning", "static", "dense")]
    for i, (label, table) in enumerate(tables.items()):
        known = label.lower().replace("-", "_").replace(" ", "_") in METHODS
        _, color, marker = look(label) if known else spare[i % len(spare)]
        ax.plot(list(table.values()), marker=marker, color=color, label=label, linewidth=1.2)
    ax.set_xticks(range(len(layers)), layers, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_ylim(0, 1.05)
    ax.set_ylabel("density")
    ax.legend(frameon=False)
    return ax


def _tiles(ax: Axes, shape: tuple[int, ...], title: str) -> None:
    rows, columns = shape
    ax.set(xlim=(-0.55, columns - 0.45), ylim=(rows - 0.45, -0.55), aspect="equal", title=title)
    step = max(1, max(shape) // 10)
    ax.set_xticks(range(0, columns, step))
    ax.set_yticks(range(0, rows, step))
    ax.tick_params(length=0, labelsize=8, labelcolor=MUTED, pad=0)
    ax.xaxis.tick_top()
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _tile(
    ax: Axes,
    i: int,
    j: int,
    face: str,
    edge: str,
    linestyle: str = "-",
    linewidth: float = 1.0,
) -> None:
    ax.add_patch(
        Rectangle(
            (j - 0.45, i - 0.45),
            0.9,
            0.9,
            facecolor=face,
            edgecolor=edge,
            linestyle=linestyle,
            linewidth=linewidth,
        )
    )
