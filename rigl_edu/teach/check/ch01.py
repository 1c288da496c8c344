"""Chapter 1, a mask: counting FLOPs, exact masks, a step that cannot leak, when storage pays."""

from __future__ import annotations

from math import isclose
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ... import sparse
from ..layers import places, six_by_six
from .result import Answer, Case, Exercise, draws_anew

NOTHING = "It returned nothing."

# --- 1: FLOPs of a masked convolution -----------------------------------------------------------


class _Conv(NamedTuple):
    mask: Tensor  # (n_out, n_in, k_h, k_w), bool
    height: int
    width: int


def _conv(shape: tuple[int, ...], active: int, height: int, width: int) -> _Conv:
    generator = torch.Generator().manual_seed(active)
    return _Conv(sparse.random_mask(shape, active, generator), height, width)


def _flops(name: str, given: _Conv) -> Case:
    mask, height, width = given
    active, size = int(mask.count_nonzero()), mask.numel()
    right = 2 * active * height * width
    mistakes = {
        right // 2: "Only multiplications. Each product is added too: two FLOPs a weight.",
        2 * active: "That is one output position. A convolution uses each weight at all of them.",
        2 * size * height * width: "That is the dense layer: count the ones of the mask.",
        right * mask.shape[1]: "The mask's ones span the input channels already.",
        right * mask.shape[0]: "The mask's ones span the output channels already.",
        2 * active * (height + width): "height × width positions, not height + width.",
        right - height * width: "The papers count an addition for every product: 2 FLOPs a weight.",
    }

    def test(answer: Answer) -> str:
        count = answer(mask.clone(), height, width)
        if count is None or count is ...:
            return NOTHING
        number = float(count)
        if isclose(number, right, rel_tol=1e-5):  # a density in float32 is a hair off
            return ""
        if number != int(number):
            return f"It gave {number:,}: FLOPs are whole. Count the ones; a density was rounded."
        return mistakes.get(int(number)) or f"It gave {int(number):,}; right is {right:,}."

    return Case(name, test)


conv_flops = Exercise(
    name="ch01.conv_flops",
    task="`conv_flops(mask, height, width)`: FLOPs of one forward pass of a masked convolution "
    "on one image. `mask` is bool, of shape (n_out, n_in, k_h, k_w); the output has "
    "`height` × `width` positions. No bias.",
    minutes=5,
    difficulty=1,
    clues=(
        "How often is one weight of a convolution used for one image?",
        "Once at each output position. Each use is a multiplication and an addition.",
        "`2 * int(mask.sum()) * height * width`",
    ),
    cases=(
        _flops("a 3 × 3 convolution, 5 × 7 positions", _conv((8, 3, 3, 3), 29, 5, 7)),
        _flops("a dense one", _conv((4, 3, 3, 3), 108, 4, 4)),
        _flops("an empty one", _conv((4, 3, 3, 3), 0, 4, 4)),
    ),
)

# --- 2: a mask of exact size --------------------------------------------------------------------


def _a_mask(given: Any, shape: tuple[int, ...]) -> str:
    if given is None or given is ...:
        return NOTHING
    if not isinstance(given, Tensor) or tuple(given.shape) != shape:
        what = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
        return f"It returned {what}; it should be a mask of shape {shape}."
    if not ((given == 0) | (given == 1)).all():
        return "A mask has zeros and ones only."
    return ""


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _exact(answer: Answer) -> str:
    shape, wanted = (30, 20), 60
    counts = []
    for seed in range(5):
        mask = answer(shape, 0.1, _seeded(seed))
        problem = _a_mask(mask, shape)
        if problem:
            return problem
        counts.append(int(mask.sum()))
    if len(set(counts)) > 1:
        how = "Draws with repetition hit some positions twice. " if max(counts) <= wanted else ""
        return f"Five masks have {counts} ones, not {wanted} each. {how}Shuffle and take the first."
    if counts[0] == 600 - wanted:
        return f"{counts[0]} ones: that is the sparsity. The density is the share that is on."
    if counts[0] != wanted:
        return f"Every mask has {counts[0]} ones, not {wanted}."
    return ""


def _rounds(answer: Answer) -> str:
    count = int(answer((7, 3), 0.3, _seeded(0)).sum())
    if count == 6:
        return ""
    return f"0.3 × 21 = 6.3, rounded 6. It has {count} ones."


def _rounds_up(answer: Answer) -> str:
    count = int(answer((10, 10), 0.29, _seeded(0)).sum())
    if count == 29:
        return ""
    return (
        f"0.29 × 100 is 28.999999999999996 in floating point; `int` cuts it to 28. Use `round`. "
        f"It has {count} ones."
    )


def _draws_anew(answer: Answer) -> str:
    return draws_anew(lambda generator: answer((30, 20), 0.1, generator).bool())


def _reaches_everything(answer: Answer) -> str:
    generator = _seeded(1)
    hits = sum(answer((6, 6), 1 / 3, generator).float() for _ in range(200))
    # 200 draws of one third: 66.7 hits expected, with a standard deviation of 6.7.
    uneven = (hits < 33) | (hits > 100)
    if not uneven.any():
        return ""
    return f"Positions are not equally likely: {places(uneven)} comes too often or too rarely."


exact_mask = Exercise(
    name="ch01.exact_mask",
    task="`exact_mask(shape, density, generator)`: a random bool mask with exactly "
    "round(density × N) ones of N positions, every position equally likely. Draw from "
    "`generator`.",
    minutes=10,
    difficulty=2,
    clues=(
        "A coin flip for each weight gives the right density on average only. What does not?",
        "`torch.randperm(N, generator=generator)` is all positions in random order.",
        "Start from N zeros, switch on the first round(density × N) of that order, and give it "
        "the shape by `view`.",
    ),
    cases=(
        Case("the number of ones, five seeds", _exact),
        Case("rounding", _rounds),
        Case("rounding in floating point", _rounds_up),
        Case("the generator", _draws_anew),
        Case("every position", _reaches_everything),
    ),
)

# --- 3: a step that cannot leak -----------------------------------------------------------------


class _Step(NamedTuple):
    weight: Tensor
    mask: Tensor
    gradient: Tensor
    momentum: Tensor
    lr: float
    decay: float


def _before(decay: float, moving: bool) -> _Step:
    layer = six_by_six()
    momentum = layer.momentum * layer.mask if moving else torch.zeros(6, 6)
    return _Step(layer.weight, layer.mask, layer.gradient, momentum, 0.1, decay)


def _after(s: _Step) -> tuple[Tensor, Tensor]:
    momentum = 0.9 * s.momentum + s.mask * (s.gradient + s.decay * s.weight)
    return s.weight - s.lr * momentum, momentum


def _steps(name: str, given: _Step) -> Case:
    right = _after(given)

    def test(answer: Answer) -> str:
        inputs = tuple(x.clone() if isinstance(x, Tensor) else x for x in given)
        result = answer(*inputs)
        if result is None or result is ...:
            return NOTHING
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            return "Return two tensors: the new weight and the new momentum."
        for what, before, now in zip(given._fields, given, inputs, strict=True):
            if isinstance(before, Tensor) and not torch.equal(before, torch.as_tensor(now)):
                return f"It changed its input {what} in place; return new tensors."
        off = ~given.mask
        for what, new in zip(("weight", "momentum"), result, strict=True):
            if not isinstance(new, Tensor) or new.shape != given.mask.shape:
                return f"The new {what} should be a tensor of shape {tuple(given.mask.shape)}."
            leak = off & (new != 0)
            if leak.any():
                more = (
                    "The gradient is dense: mask it before it enters the momentum."
                    if what == "momentum"
                    else "Nothing that is missing may move."
                )
                return f"The {what} leaks at {int(leak.sum())} missing positions. {more}"
        return _step_is_right(given, right, result)

    return Case(name, test)


def _step_is_right(given: _Step, right: tuple[Tensor, Tensor], result: Any) -> str:
    weight, momentum = (tensor.to(right[0].dtype) for tensor in result)
    if torch.allclose(momentum, right[1], atol=1e-6):
        if torch.allclose(weight, right[0], atol=1e-6):
            return ""
        if torch.allclose(weight, given.weight + given.lr * right[1], atol=1e-6):
            return "The weight went uphill: subtract lr × momentum."
        if torch.allclose(weight, right[0] * (1 - given.lr * given.decay), atol=1e-6):
            return "Weight decay came twice: it is in the momentum already."
        return "The momentum is right, the weight is not: new weight = weight - lr × new momentum."
    masked = given.mask * given.gradient
    if torch.allclose(momentum, 0.9 * given.momentum + masked, atol=1e-6):
        return "Weight decay is missing: it adds decay × weight to the gradient."
    if torch.allclose(
        momentum, 0.9 * given.momentum + 0.1 * (masked + given.decay * given.weight), atol=1e-6
    ):
        return "torch's momentum is 0.9 × old + gradient, without a factor 0.1."
    if torch.allclose(momentum, masked + given.decay * given.weight, atol=1e-6):
        return "The old momentum is lost: new momentum = 0.9 × old + gradient."
    return "The momentum is not right: new momentum = 0.9 × old + (gradient + decay × weight)."


masked_step = Exercise(
    name="ch01.masked_step",
    task="`masked_step(weight, mask, gradient, momentum, lr, decay)`: the new weight and the new "
    "momentum after one step of SGD with momentum 0.9 and weight decay, as torch takes it. "
    "`gradient` is dense, `mask` is bool; weight and momentum are 0 off the mask and must stay so.",
    minutes=15,
    difficulty=2,
    clues=(
        "Which of the three things that come in is not zero off the mask?",
        "torch adds decay × weight to the gradient, then momentum = 0.9 × momentum + that, then "
        "weight = weight - lr × momentum.",
        "Mask the gradient once, at the start. Nothing else needs the mask.",
    ),
    cases=(
        _steps("the first step, without decay", _before(0.0, moving=False)),
        _steps("a step with momentum", _before(0.0, moving=True)),
        _steps("a step with weight decay", _before(0.5, moving=True)),
    ),
)

# --- 4: when compression pays -------------------------------------------------------------------


def _csr(rows: int, active: int) -> int:
    return 8 * active + 4 * (rows + 1)


def _pays(rows: int, columns: int) -> Case:
    size = rows * columns
    right = max((a for a in range(size + 1) if _csr(rows, a) < 4 * size), default=0)
    mistakes = {
        right + 1: f"With {right + 1:,} weights CSR takes as many bytes, or more. It has rows + 1 "
        "row starts, not rows; and it should take fewer bytes, not as many.",
        (4 * size - 1) // 8: "Values and columns are counted. Each row's start takes 4 bytes too, "
        "and one more closes the last row.",
    }

    def test(answer: Answer) -> str:
        count = answer(rows, columns)
        if count is None or count is ...:
            return NOTHING
        if float(count) == right:
            return ""
        if 0 < float(count) < 1:
            return "That is a density. The answer is a number of weights."
        if float(count) < 0:
            return "Below 0: such a layer is never smaller in CSR, so the answer is 0."
        if float(count) != int(count):
            return "A number of weights is whole: round down to the last one that still pays."
        found = mistakes.get(int(count))
        return found or f"It gave {int(count):,}; right is {right:,}."

    return Case(f"{rows} × {columns}", test)


break_even = Exercise(
    name="ch01.break_even",
    task="`break_even(rows, columns)`: the largest number of weights with which a layer of that "
    "shape takes fewer bytes in CSR than with all weights stored. Values have 4 bytes, "
    "indices 4. 0 if there is none.",
    minutes=10,
    difficulty=2,
    clues=(
        "CSR has three arrays. How many entries has each, as a function of the number of weights "
        "and the number of rows?",
        "values: n. columns: n. row starts: rows + 1. All of 4 bytes.",
        "8 n + 4 (rows + 1) < 4 rows columns. Solve for n; mind that it is `<`.",
    ),
    cases=(
        _pays(6, 6),
        _pays(20, 5),
        _pays(300, 64),
        _pays(7, 8),
        _pays(5, 1),
    ),
)
