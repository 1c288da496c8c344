"""Chapter 8: the power that is left, a std for each neuron, drawing a layer, the gradient norm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isclose, prod
from typing import Any

import torch
from torch import Tensor

from ...sparse import fan_in, random_mask
from ..layers import six_by_six
from .result import Answer, Case, Exercise


def _nothing(given: Any) -> bool:
    return given is None or given is ...


def _numbers(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


# --- 1: the power that is left ------------------------------------------------------------------


def _left(densities: Sequence[float], hints: Mapping[str, float]) -> Case:
    """The share of the power; `hints` maps what a mistake is called to what it gives here."""
    right = prod(densities)

    def test(answer: Answer) -> str:
        given = answer(list(densities))
        if _nothing(given):
            return "It returned nothing."
        if isclose(float(given), right, rel_tol=1e-5, abs_tol=1e-9):  # float32 will do
            return ""
        for hint, wrong in hints.items():
            if isclose(float(given), wrong, rel_tol=1e-5, abs_tol=1e-9):
                return hint
        return f"It gave {float(given):.6g}; right is {right:.6g}."

    return Case(f"densities {list(densities)}", test)


power_left = Exercise(
    name="ch08.power_left",
    task="`power_left(densities)`: the share of the signal's power, its mean square, that arrives "
    "behind the last layer if the weights were drawn for dense layers.",
    minutes=5,
    difficulty=1,
    clues=(
        "One layer of density 0.1: a neuron adds up a tenth of the terms, each of the same size.",
        "The next layer gets the weakened signal and weakens it again.",
        "The product of the densities.",
    ),
    cases=(
        _left(
            (0.1,),
            {
                "That is the share of the standard deviation. The power is its square.": 0.1**0.5,
                "That is what is lost. What is left?": 0.9,
                "Too little: the variance of a sum grows with the number of its terms, not with "
                "the square of it.": 0.1**2,
            },
        ),
        _left(
            (0.5, 0.1, 0.2),
            {
                "Each layer weakens what the one before has left: multiply, do not average.": 0.8
                / 3,
                "Each layer weakens what the one before has left: multiply, do not add.": 0.8,
                "The sparsest layer alone does not decide; the others weaken the signal too.": 0.1,
                "The average density to the power of the depth: the layers differ.": (0.8 / 3) ** 3,
            },
        ),
        _left((1.0, 1.0), {}),
    ),
)

# --- 2: a standard deviation for each neuron ----------------------------------------------------


def _stds(name: str, mask: Tensor, hints: Mapping[str, Tensor]) -> Case:
    """One std a neuron; `hints` maps what a mistake is called to what it gives for this mask."""
    inputs = fan_in(mask).double()
    right = (2 / inputs.clamp(min=1)).sqrt()
    alive = inputs > 0

    def test(answer: Answer) -> str:
        given = answer(mask.clone())
        if _nothing(given):
            return "It returned nothing."
        if not isinstance(given, Tensor) or given.shape != right.shape:
            shape = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
            return f"It should return one number a neuron, shape {tuple(right.shape)}; not {shape}."
        given = given.double()
        if not given[alive].allclose(right[alive], atol=1e-6):
            for hint, wrong in hints.items():
                if given[alive].allclose(wrong.double()[alive], atol=1e-6):
                    return hint
            i = int((given - right).abs().masked_fill(~alive, -1).argmax())
            return (
                f"Neuron {i} has {int(inputs[i])} inputs; it got {float(given[i]):.4f}, right is "
                f"{float(right[i]):.4f}."
            )
        if not given.isfinite().all():
            return (
                "A neuron without inputs got infinity, and infinity × 0 is NaN under the mask: "
                "count at least 1."
            )
        return ""

    return Case(name, test)


def _book() -> Tensor:
    return six_by_six().mask.double()


def _convolution() -> Tensor:
    mask = random_mask((4, 3, 3, 3), 40, torch.Generator().manual_seed(0))
    return mask.double()


def _one_empty() -> Tensor:
    mask = _book()
    mask[4] = 0
    return mask


_BOOK, _CONV = _book(), _convolution()
_UNEVEN = random_mask((6, 6), 15, torch.Generator().manual_seed(2)).double()

neuron_std = Exercise(
    name="ch08.neuron_std",
    task="`neuron_std(mask)`: the standard deviation of He initialisation for each neuron's own "
    "number of inputs. `mask` holds 0 and 1, shape (n_out, n_in) or (n_out, n_in, k_h, k_w); "
    "return shape (n_out,).",
    minutes=10,
    difficulty=2,
    clues=(
        "Row i of the mask belongs to neuron i. How many ones has it?",
        "The variance is 2 over that number. A convolution's neuron has n_in × k_h × k_w places: "
        "`mask.flatten(1)`.",
        "`(2 / mask.flatten(1).sum(1).clamp(min=1)) ** 0.5`",
    ),
    cases=(
        _stds(
            "a layer from 6 to 6",
            _UNEVEN,
            {
                "That is the variance. A standard deviation is its root.": 2 / _UNEVEN.sum(1),
                "These count the outputs of each input (columns). Count rows.": (
                    2 / _UNEVEN.sum(0).clamp(min=1)
                ).sqrt(),
                "The root of 1/n: the ReLU halves the power, which is what He's 2 is for.": (
                    1 / _UNEVEN.sum(1)
                ).sqrt(),
                "That is the dense layer's: it counts all 6 inputs, missing ones too.": torch.full(
                    (6,), (2 / 6) ** 0.5
                ),
                "The same for all: that is per layer. Each neuron counts its own inputs.": (
                    (2 / _UNEVEN.sum(1).mean()).sqrt().expand(6)
                ),
            },
        ),
        _stds(
            "a convolution, 4 × 3 × 3 × 3",
            _CONV,
            {
                "Each place of the kernel is an input too: sum over all but the first dimension.": (
                    2 / _CONV.sum((2, 3)).count_nonzero(1).clamp(min=1)
                ).sqrt(),
            },
        ),
        _stds("a neuron without inputs", _one_empty(), {}),
    ),
)

# --- 3: drawing a layer -------------------------------------------------------------------------


def _weights(mask: Tensor, sample: Tensor, inputs: Tensor) -> Tensor:
    std = (2 / inputs.double().clamp(min=1)).sqrt()
    return sample * std.view(-1, *[1] * (mask.dim() - 1)) * mask


def _draws(name: str, mask: Tensor, seed: int) -> Case:
    sample = _numbers(seed, *mask.shape)
    inputs = fan_in(mask)
    right = _weights(mask, sample, inputs)
    full = torch.full_like(inputs, mask[0].numel())
    average = inputs.double().mean().expand(len(inputs))

    def test(answer: Answer) -> str:
        given = answer(mask.clone(), sample.clone())
        if _nothing(given):
            return "It returned nothing."
        if not isinstance(given, Tensor) or given.shape != mask.shape:
            shape = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
            return f"It should return a weight of shape {tuple(mask.shape)}; this is {shape}."
        given = given.double()
        if given.isnan().any():
            return "There is a NaN: a neuron without inputs. Count at least 1."
        if (given * (1 - mask)).any():
            return "There are weights off the mask. Multiply by it."
        if given.allclose(right, atol=1e-6):
            return ""
        if given.allclose(_weights(mask, sample, full), atol=1e-6):
            return "These are the dense layer's weights, masked. Count the inputs that exist."
        if given.allclose(_weights(mask, sample, average), atol=1e-6):
            return "That is per layer: the same factor for all neurons. Each has its own."
        if given.allclose(
            right * (2 / inputs.clamp(min=1).double()).sqrt().view(-1, *[1] * (mask.dim() - 1)),
            atol=1e-6,
        ):
            return "It multiplies by the variance; a normal number wants the standard deviation."
        if mask.dim() == 2 and mask.shape[0] == mask.shape[1]:
            std = (2 / inputs.double().clamp(min=1)).sqrt()
            if given.allclose(sample * std * mask, atol=1e-6):
                return (
                    "Broadcasting went along the inputs: neuron i is row i, so the factors need "
                    "shape (n_out, 1)."
                )
        return "The weights are on the mask, but not sample × sqrt(2 / inputs of the neuron)."

    return Case(name, test)


def _wide() -> Tensor:
    return random_mask((4, 9), 15, torch.Generator().manual_seed(1)).double()


draw = Exercise(
    name="ch08.draw",
    task="`draw(mask, sample)`: a layer's weight, initialised per neuron, from `sample`, standard "
    "normal numbers of the mask's shape. Zero off the mask.",
    minutes=10,
    difficulty=2,
    clues=(
        "Use your answer to the exercise before: one standard deviation a neuron.",
        "Standard normal × standard deviation has that standard deviation. The shapes must line "
        "up: (n_out, 1) for a linear layer, (n_out, 1, 1, 1) for a convolution.",
        "`sample * std.view(-1, *[1] * (mask.dim() - 1)) * mask`",
    ),
    cases=(
        _draws("the book's layer", _BOOK, 0),
        _draws("a layer from 9 to 4", _wide(), 1),
        _draws("a convolution, 4 × 3 × 3 × 3", _CONV, 2),
        _draws("a neuron without inputs", _one_empty(), 3),
    ),
)

# --- 4: the norm of the gradient ----------------------------------------------------------------


def _normed(
    name: str,
    gradients: Sequence[Tensor],
    masks: Sequence[Tensor | None],
    hints: Mapping[str, float],
) -> Case:
    parts = [g if m is None else g * m for g, m in zip(gradients, masks, strict=True)]
    right = sum(float(part.square().sum()) for part in parts) ** 0.5

    def test(answer: Answer) -> str:
        copies = [None if m is None else m.clone() for m in masks]
        given = answer([g.clone() for g in gradients], copies)
        if _nothing(given):
            return "It returned nothing."
        if abs(float(given) - right) < 1e-6 * max(1, right):
            return ""
        for hint, wrong in hints.items():
            if abs(float(given) - wrong) < 1e-6 * max(1, wrong):
                return hint
        return f"It gave {float(given):.4f}; right is {right:.4f}."

    return Case(name, test)


def _row(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float64)


masked_norm = Exercise(
    name="ch08.masked_norm",
    task="`masked_norm(gradients, masks)`: the L2 norm of the masked gradient over all parameters. "
    "`gradients` is a list of tensors, `masks` a list with a mask or None for each.",
    minutes=10,
    difficulty=2,
    clues=(
        "All parameters together are one long vector. What is its length?",
        "Squares add up over the parameters; the root comes last.",
        "`sum(((g if m is None else g * m) ** 2).sum() for g, m in zip(gradients, masks)) ** 0.5`",
    ),
    cases=(
        _normed(
            "one masked weight",
            [_row(3, 12, 4)],
            [_row(1, 0, 1)],
            {
                "The gradient of the missing weight is in it: multiply by the mask.": 13,
                "That is the square of it. Take the root.": 25,
                "That is the sum of |g|. The L2 norm squares, adds and takes the root.": 7,
            },
        ),
        _normed(
            "two weights",
            [_row(3, 12, 4), _row(12, 7)],
            [_row(1, 0, 1), _row(1, 0)],
            {
                "Norms do not add up, squares do: take the root at the very end.": 17,
                "That is the mean of the norms. Add the squares, then take the root.": 8.5,
                "Only one of the parameters is in it.": 12,
            },
        ),
        _normed(
            "a weight and its bias",
            [_row(3, 12, 4), torch.tensor([12.0], dtype=torch.float64)],
            [_row(1, 0, 1), None],
            {"The bias is missing. None means that all of it exists.": 5},
        ),
    ),
)
