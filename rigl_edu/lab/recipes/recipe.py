"""A recipe: everything that decides the outcome of a run except its data files and its seed."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ..paper import PaperCell

METHODS = (
    "dense",
    "small_dense",
    "static",
    "set",
    "snfs",
    "snfs_reproduced",
    "dsr",
    "rigl",
    "rigl_sg",
    "rigl_sm",
    "rigl_struct",
    "pruning",
    "lottery",
    "snip",
)
PRECISIONS = ("fp32", "bf16", "fp16")
CROPS = ("padded", "zoomed")
ENGINES = ("eager", "compiled")


@dataclass(frozen=True)
class Recipe:
    """One experiment as data.

    Attributes:
        name: what `python -m rigl_edu run` calls it.
        chapter: of the book.
        title: one line for people.
        model: a key of `lab.models.BUILDERS`; the number of classes comes from the data.
        model_args: its other arguments.
        data: default of --data.
        method: one of `METHODS`.
        density: of all convolution and linear weights; 1 for dense. A small dense network has
            its channel counts scaled by the root of it.
        distribution: "erk", "er" or "uniform".
        every: steps between rewirings (Delta T).
        fraction: of a layer's weights rewired at first (alpha).
        until: first step without rewiring (T_end); of pruning the last step that prunes.
        prune_start: step before which gradual pruning takes nothing.
        regrown: "keep" or "reset", see `rigl_edu.UpdateRule`.
        epochs: passes over the training images.
        batch: images a step; the last, smaller batch of an epoch is kept.
        lr: peak learning rate.
        drops: steps after which the learning rate is multiplied by `drop_factor`.
        drop_factor: see `drops`.
        warmup: steps of linear warm-up from 0.
        momentum: of SGD with Nesterov momentum.
        weight_decay: L2, on tensors with more than one dimension.
        label_smoothing: of the training loss.
        augment: random crops and flips.
        crop: one of `CROPS`: of the old size from an image padded by 4, or of any size, enlarged.
        held_out: training images at the end of the order that are kept for validation.
        precision: one of `PRECISIONS`; bf16 and fp16 are autocast with float32 weights.
        engine: one of `ENGINES`; "compiled" is torch.compile, on a GPU with recorded graphs. The
            rewirings are outside.
        channels_last: memory layout of weights and images.
        checkpoint_every: steps between checkpoints.
        ticket_of: of a lottery run, the name of the recipe whose final masks it starts from; of a
            rigl run, the same where it starts from such masks instead of random ones.
        limit: (training, test) images to keep, None for all.
        seeds: run by default.
        paper: the published result that this recipe reproduces, None if there is none.
    """

    name: str
    chapter: int
    title: str
    model: str
    data: str
    method: str
    epochs: int
    batch: int
    lr: float
    model_args: Mapping[str, Any] = field(default_factory=dict)
    density: float = 1.0
    distribution: str = "erk"
    every: int = 100
    fraction: float = 0.3
    until: int = 0
    prune_start: int = 0
    regrown: str = "keep"
    drops: tuple[int, ...] = ()
    drop_factor: float = 0.2
    warmup: int = 0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    augment: bool = True
    crop: str = "padded"
    held_out: int = 0
    precision: str = "fp32"
    engine: str = "eager"
    channels_last: bool = False
    checkpoint_every: int = 500
    ticket_of: str = ""
    limit: tuple[int, int] | None = None
    seeds: tuple[int, ...] = (0, 1, 2)
    paper: PaperCell | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"{self.name}: method {self.method!r}, allowed: {', '.join(METHODS)}")
        for what, allowed in (("precision", PRECISIONS), ("engine", ENGINES), ("crop", CROPS)):
            if getattr(self, what) not in allowed:
                found = f"{self.name}: {what} {getattr(self, what)!r}"
                raise ValueError(f"{found}, allowed: {', '.join(allowed)}")
        if (self.method == "dense") != (self.density == 1.0):
            raise ValueError(
                f"{self.name}: method {self.method!r} with density {self.density}; "
                "dense has density 1, the others less"
            )
        takes = {"lottery": (True,), "rigl": (True, False)}.get(self.method, (False,))
        if bool(self.ticket_of) not in takes:
            raise ValueError(
                f"{self.name}: method {self.method!r} with ticket_of {self.ticket_of!r}; a lottery "
                "run names the recipe it takes its masks from, a rigl run may, the others do not"
            )


def steps_per_epoch(recipe: Recipe, train_size: int) -> int:
    """Optimizer steps in one pass over `train_size` images, held-out ones not counted."""
    return math.ceil(train_size / recipe.batch)


def recipe_fields(recipe: Recipe) -> dict[str, Any]:
    """All fields as plain JSON values."""
    return json.loads(json.dumps(asdict(recipe)))


def recipe_fingerprint(recipe: Recipe) -> str:
    """Sha256 over the fields that decide what a run computes; titles and the like are left out.

    So is every field that has its default: a field added later does not disown older records.
    """
    unread = {"chapter", "title", "data", "seeds", "paper", "checkpoint_every"}
    defaults = {f.name: f.default for f in dataclasses.fields(recipe)}
    decided = {name for name, default in defaults.items() if getattr(recipe, name) != default}
    fields = {k: v for k, v in recipe_fields(recipe).items() if k in decided - unread}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def fast(recipe: Recipe) -> Recipe:
    """The same experiment by the faster arithmetic of a GPU: bf16, channels_last, compiled."""
    return replace(
        recipe,
        name=f"{recipe.name}-fast",
        title=f"{recipe.title}, fast",
        precision="bf16",
        engine="compiled",
        channels_last=True,
        ticket_of=f"{recipe.ticket_of}-fast" if recipe.ticket_of else "",
    )


def smoke(recipe: Recipe) -> Recipe:
    """The recipe's twin that takes seconds on a CPU: ten steps, two of them rewirings.

    Same network, same code path; 40 training images in batches of 8, of which 8 are held out if
    the recipe holds any out, and 16 test images. ResNet-50 sees digits of 8x8 pixels, for which
    its first layer has one input channel: images of 32x32 pixels cost it sixteen times as much.
    """
    small = recipe.data == "digits" or recipe.model == "resnet50"
    held_out = 8 if recipe.held_out else 0
    steps = 2 * math.ceil((40 - held_out) / 8)
    return replace(
        recipe,
        name=f"{recipe.name}-smoke",
        title=f"smoke twin of {recipe.name}",
        data="digits" if small else "digits-3x32x32",
        epochs=2,
        batch=8,
        every=3,
        until=min(recipe.until, steps),
        prune_start=min(recipe.prune_start, 2),
        drops=tuple(steps * (i + 1) // (len(recipe.drops) + 1) for i in range(len(recipe.drops))),
        warmup=min(recipe.warmup, 2),
        held_out=held_out,
        checkpoint_every=4,
        ticket_of=f"{recipe.ticket_of}-smoke" if recipe.ticket_of else "",
        limit=(40, 16),
        seeds=recipe.seeds[:1],
        paper=None,
    )
