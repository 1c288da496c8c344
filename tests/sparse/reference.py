"""Drop and grow a second time, slowly: lists, loops and sorting, written from the definitions.

Sources: RigL (Evci et al. 2020) algorithm 1; SNFS (Dettmers & Zettlemoyer 2019) section 3; ties go
to the lower flat index. Nothing here uses the mask machinery of `rigl_edu.sparse`.
"""

from fractions import Fraction
from math import cos, floor, pi

import torch
from torch import Tensor, nn


def drop_reference(scores: list[float], mask: list[bool], k: int) -> list[bool]:
    """Turn off the k lowest of the active; among equals the higher index goes first."""
    active = [i for i, on in enumerate(mask) if on]
    gone = sorted(active, key=lambda i: (scores[i], -i))[:k]
    return [on and i not in set(gone) for i, on in enumerate(mask)]


def grow_reference(scores: list[float], mask: list[bool], k: int) -> list[bool]:
    """Turn on the k highest of the inactive; among equals the lower index comes first."""
    inactive = [i for i, on in enumerate(mask) if not on]
    new = sorted(inactive, key=lambda i: (-scores[i], i))[:k]
    return [on or i in set(new) for i, on in enumerate(mask)]


def exact_shares(scores: list[int], budget: int, capacity: list[int]) -> list[Fraction]:
    """Proportional division with capacities in exact fractions: fill the fullest layer, go on."""
    given = [Fraction(0)] * len(scores)
    open_layers = {i for i, room in enumerate(capacity) if room}
    left = Fraction(budget)
    while open_layers:
        total = sum(scores[i] for i in open_layers)
        claim = {
            i: Fraction(scores[i], total) if total else Fraction(1, len(open_layers))
            for i in open_layers
        }
        over = [i for i in sorted(open_layers) if left * claim[i] >= capacity[i]]
        if not over:
            for i in open_layers:
                given[i] = left * claim[i]
            return given
        first = max(over, key=lambda i: left * claim[i] / capacity[i])
        given[first] = Fraction(capacity[first])
        left -= capacity[first]
        open_layers.remove(first)
    return given


def share_reference(scores: list[int], budget: int, capacity: list[int]) -> list[int]:
    """Whole numbers from `exact_shares`: floors, then one each to the largest remainders."""
    exact = exact_shares(scores, budget, capacity)
    counts = [floor(x) for x in exact]
    order = sorted(range(len(exact)), key=lambda i: (counts[i] - exact[i], i))
    for i in order[: budget - sum(counts)]:
        counts[i] += 1
    return counts


class SlowTrainer:
    """A whole training by one method, on an ordinary dense model whose masks are enforced by force.

    Args:
        model: plain layers; weights off the masks are set to 0 here.
        masks: the first masks, by layer name.
        optimizer: of this model.
        method: "Static", "SET", "SNFS" or "RigL".
    """

    def __init__(
        self,
        model: nn.Module,
        masks: dict[str, Tensor],
        optimizer: torch.optim.Optimizer,
        method: str,
        *,
        every: int,
        until: int,
        fraction: float,
        regrown: str,
        seed: int,
    ) -> None:
        self.model, self.optimizer, self.method = model, optimizer, method
        self.every, self.until, self.fraction, self.regrown = every, until, fraction, regrown
        self.masks = {name: mask.bool().clone() for name, mask in masks.items()}
        self.weights = {name: model.get_submodule(name).weight for name in masks}
        self.momentum = {name: torch.zeros_like(w.data) for name, w in self.weights.items()}
        self.generator = torch.Generator().manual_seed(seed)
        self.t = 0
        self.enforce()

    def enforce(self) -> None:
        for name, weight in self.weights.items():
            off = ~self.masks[name]
            weight.data[off] = 0
            for value in self.optimizer.state.get(weight, {}).values():
                if isinstance(value, Tensor) and value.shape == weight.shape:
                    value[off] = 0

    def step(self) -> None:
        """One step, the dense gradients being in `.grad`."""
        self.t += 1
        for name, weight in self.weights.items():
            m = self.momentum[name]
            self.momentum[name] = m + 0.1 * (weight.grad - m)
        if self.method != "Static" and self.t % self.every == 0 and self.t < self.until:
            self.rewire()
            return
        for name, weight in self.weights.items():
            weight.grad[~self.masks[name]] = 0
        self.optimizer.step()
        self.enforce()

    def rewire(self) -> None:
        f = self.fraction / 2 * (1 + cos(pi * self.t / self.until))
        names = list(self.weights)
        old = {name: self.masks[name].flatten().tolist() for name in names}
        numbers = {name: floor(f * sum(old[name])) for name in names}
        kept = {}
        for name in names:
            magnitudes = self.weights[name].data.abs().flatten().tolist()
            kept[name] = drop_reference(magnitudes, old[name], numbers[name])
        if self.method == "SNFS":
            means = []
            for name in names:
                values = self.momentum[name].abs().flatten().tolist()
                active = [v for v, on in zip(values, old[name], strict=True) if on]
                means.append(sum(active) / len(active))
            # As fractions of 2^-200: exact for any float of these sizes.
            whole = [int(Fraction(x) * 2**200) for x in means]
            room = [kept[name].count(False) for name in names]
            budget = sum(numbers.values())
            numbers = dict(zip(names, share_reference(whole, budget, room), strict=True))
        for name in names:
            weight = self.weights[name]
            if self.method == "SET":
                scores = torch.rand(weight.shape, generator=self.generator)
            elif self.method == "SNFS":
                scores = self.momentum[name].abs()
            else:
                scores = weight.grad.abs()
            new = grow_reference(scores.flatten().tolist(), kept[name], numbers[name])
            self.masks[name] = torch.tensor(new).view(weight.shape)
            for i, (was, stayed, now) in enumerate(zip(old[name], kept[name], new, strict=True)):
                same_as_before = now and (was if self.regrown == "keep" else stayed)
                if not same_as_before:
                    place = tuple(
                        int(p) for p in torch.unravel_index(torch.tensor(i), weight.shape)
                    )
                    weight.data[place] = 0
                    for value in self.optimizer.state.get(weight, {}).values():
                        if isinstance(value, Tensor) and value.shape == weight.shape:
                            value[place] = 0
        self.enforce()
