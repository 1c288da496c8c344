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
    "imp",
    "reinit",
    "shuffled",
    "greedy",
    "greedy_global",
    "random_units",
    "snip",
)
# What a run with `ticket_of` takes from the run that it names, see `lab.tickets` and `lab.thin`.
TICKETS = ("lottery", "imp", "reinit", "shuffled")
THIN = ("greedy", "greedy_global", "random_units")
# Those that cost all the trainings that led to them; a lottery run has its own formula.
LAST_OF_SEVERAL = ("imp", "reinit", "shuffled", *THIN)
INITIALISATIONS = ("dense", "per_neuron")
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
            its channel counts scaled by the root of it, a thin one as many units left in each
            layer as it takes.
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
        ticket_of: the name of the recipe whose finished run this one starts from: its masks
            (lottery, reinit, shuffled; a rigl run that does not draw its own), its weights' size
            (imp) or its whole network (greedy, greedy_global, random_units).
        rewind: of a run with `ticket_of`, the step to which its weights go back; 0 is the start.
        initialisation: one of `INITIALISATIONS`: the builder's weights as they are, or each
            neuron's made up for the inputs that its mask took away.
        repellent: strength of the repellent loss against the solutions of all runs that led to
            this one; below 0 it attracts.
        twin_of: the name of the recipe that differs from this one in the order of images and in
            the crops only; the record holds the barrier between both networks.
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
    rewind: int = 0
    initialisation: str = "dense"
    repellent: float = 0.0
    twin_of: str = ""
    limit: tuple[int, int] | None = None
    seeds: tuple[int, ...] = (0, 1, 2)
    paper: PaperCell | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"{self.name}: method {self.method!r}, allowed: {', '.join(METHODS)}")
        for what, allowed in (
            ("precision", PRECISIONS),
            ("engine", ENGINES),
            ("crop", CROPS),
            ("initialisation", INITIALISATIONS),
        ):
            if getattr(self, what) not in allowed:
                found = f"{self.name}: {what} {getattr(self, what)!r}"
                raise ValueError(f"{found}, allowed: {', '.join(allowed)}")
        if (self.method == "dense") != (self.density == 1.0):
            raise ValueError(
                f"{self.name}: method {self.method!r} with density {self.density}; "
                "dense has density 1, the others less"
            )
        takes = {**dict.fromkeys(TICKETS + THIN, (True,)), "rigl": (True, False)}
        if bool(self.ticket_of) not in takes.get(self.method, (False,)):
            raise ValueError(
                f"{self.name}: method {self.method!r} with ticket_of {self.ticket_of!r}; "
                f"{', '.join(TICKETS + THIN)} name the recipe they start from, rigl may, the "
                "others do not"
            )
        if self.rewind and self.method not in TICKETS:
            raise ValueError(
                f"{self.name}: method {self.method!r} with rewind {self.rewind}; only "
                f"{', '.join(TICKETS)} go back to a step"
            )


def steps_per_epoch(recipe: Recipe, train_size: int) -> int:
    """Optimizer steps in one pass over `train_size` images, held-out ones not counted."""
    return math.ceil(train_size / recipe.batch)


def recipe_fields(recipe: Recipe) -> dict[str, Any]:
    """All fields as plain JSON values."""
    return json.loads(json.dumps(asdict(recipe)))


def needed(recipe: Recipe) -> list[str]:
    """The recipes whose finished runs, of the same seed and data, this one reads."""
    return [name for name in (recipe.ticket_of, recipe.twin_of) if name]


def own_fingerprint(recipe: Recipe) -> str:
    """Sha256 over the fields that decide what a run computes; titles and the like are left out.

    So is every field that has its default: a field added later does not disown older records.
    """
    unread = {"chapter", "title", "data", "seeds", "paper", "checkpoint_every"}
    defaults = {f.name: f.default for f in dataclasses.fields(recipe)}
    decided = {name for name, default in defaults.items() if getattr(recipe, name) != default}
    fields = {k: v for k, v in recipe_fields(recipe).items() if k in decided - unread}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def those_it_names(recipe: Recipe, ending: str) -> dict[str, Any]:
    """The fields that name other recipes, each with the ending if it is not empty."""
    named = {"ticket_of": recipe.ticket_of, "twin_of": recipe.twin_of}
    return {field: f"{name}-{ending}" for field, name in named.items() if name}


def fast(recipe: Recipe) -> Recipe:
    """The same experiment by the faster arithmetic of a GPU: bf16, channels_last, compiled."""
    return replace(
        recipe,
        name=f"{recipe.name}-fast",
        title=f"{recipe.title}, fast",
        precision="bf16",
        engine="compiled",
        channels_last=True,
        **those_it_names(recipe, "fast"),
    )


def smoke(recipe: Recipe) -> Recipe:
    """The recipe's twin that takes seconds on a CPU: ten steps, two of them rewirings.

    Same network, same code path; 40 training images in batches of 8, of which 8 are held out if
    the recipe holds any out, and 16 test images. ResNets and WRN-22 see digits of 8x8 pixels, for
    which their first layer has one input channel: images of 32x32 pixels cost sixteen times as
    much.
    """
    deep = recipe.model.startswith("resnet") or recipe.model_args.get("depth") == 22
    small = recipe.data == "digits" or deep
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
        rewind=min(recipe.rewind, 2),
        held_out=held_out,
        checkpoint_every=4,
        **those_it_names(recipe, "smoke"),
        limit=(40, 16),
        seeds=recipe.seeds[:1],
        paper=None,
    )
