"""More methods a second time, slowly: loops over lists, written from the papers' definitions.

`reference.SlowTrainer` has the frame; these say what each method does at a rewiring, or train
densely and cut to the mask by force, as the public codes do.
"""

from fractions import Fraction
from math import cos, floor, pi

import torch
from torch import Tensor

from tests.sparse.reference import SlowTrainer, drop_reference, grow_reference, share_reference


class SlowMethod(SlowTrainer):
    """A rewiring in three acts: drop in each layer, share the number, grow in each layer."""

    def rewire(self) -> None:
        f = self.fraction / 2 * (1 + cos(pi * self.t / self.until))
        names = list(self.weights)
        old = {name: self.masks[name].flatten().tolist() for name in names}
        numbers = [floor(f * sum(old[name])) for name in names]
        kept = {}
        for name, k in zip(names, numbers, strict=True):
            sizes = self.weights[name].data.abs().flatten().tolist()
            kept[name] = drop_reference(sizes, old[name], k)
        claims = [int(Fraction(self.claim(name, old[name])) * 2**200) for name in names]
        room = [kept[name].count(False) for name in names]
        numbers = share_reference(claims, sum(numbers), room)
        for name, k in zip(names, numbers, strict=True):
            scores = self.growth(name).abs().flatten().tolist()
            self.carry_out(name, old[name], kept[name], grow_reference(scores, kept[name], k))

    def carry_out(self, name: str, old: list[bool], kept: list[bool], new: list[bool]) -> None:
        weight = self.weights[name]
        start = [
            now and not (was if self.regrown == "keep" else stayed)
            for was, stayed, now in zip(old, kept, new, strict=True)
        ]
        start = torch.tensor(start).view(weight.shape)
        self.masks[name] = torch.tensor(new).view(weight.shape)
        weight.data[start] = 0
        self.start_state(weight, start)
        self.enforce()

    def start_state(self, weight: Tensor, start: Tensor) -> None:
        for value in self.optimizer.state.get(weight, {}).values():
            if isinstance(value, Tensor) and value.shape == weight.shape:
                value[start] = 0

    def growth(self, name: str) -> Tensor:
        return self.weights[name].grad

    def claim(self, name: str, old: list[bool]) -> float:
        raise NotImplementedError


def mean_of_active(values: Tensor, old: list[bool]) -> float:
    chosen = [abs(v) for v, on in zip(values.flatten().tolist(), old, strict=True) if on]
    # As torch rounds it, so that equal masks are not a matter of the last bit.
    return float(torch.tensor(chosen, dtype=values.dtype).mean())


class SlowRigLSG(SlowMethod):
    def claim(self, name, old):
        return mean_of_active(self.weights[name].grad, old)


class SlowRigLSM(SlowMethod):
    def claim(self, name, old):
        state = self.optimizer.state[self.weights[name]]
        return mean_of_active(
            state["momentum_buffer" if "momentum_buffer" in state else "exp_avg"], old
        )


class SlowByMagnitude(SlowMethod):
    def claim(self, name, old):
        return mean_of_active(self.weights[name].data, old)


class SlowByNonzeros(SlowMethod):
    def claim(self, name, old):
        return float(sum(old))


class SlowSNFSReproduced(SlowMethod):
    """Truly dense SGD: every weight gets a gradient and a momentum; the masks cut the weights."""

    def enforce(self) -> None:
        for name, weight in self.weights.items():
            weight.data[~self.masks[name]] = 0

    def start_state(self, weight, start):
        pass  # the buffer is dense and goes on

    def step(self) -> None:
        self.t += 1
        if self.t % self.every == 0 and self.t < self.until:
            self.rewire()
            return
        self.optimizer.step()
        self.enforce()

    def growth(self, name):
        return self.optimizer.state[self.weights[name]]["momentum_buffer"]

    def claim(self, name, old):
        return mean_of_active(self.growth(name), old)


class SlowDSR(SlowMethod):
    """One threshold for all layers; random growth among the places that were empty before."""

    threshold, target = 0.05, 0

    def rewire(self) -> None:
        names = list(self.weights)
        old = {name: self.masks[name].flatten().tolist() for name in names}
        sizes = {name: self.weights[name].data.abs().flatten().tolist() for name in names}
        everything = [
            (sizes[name][i], -layer, -i)
            for layer, name in enumerate(names)
            for i, on in enumerate(old[name])
            if on
        ]
        below = [entry for entry in sorted(everything) if entry[0] < self.threshold]
        room = [old[name].count(False) for name in names]
        gone = {(-layer, -i) for _, layer, i in below[: sum(room)]}
        kept = {}
        for layer, name in enumerate(names):
            kept[name] = [on and (layer, i) not in gone for i, on in enumerate(old[name])]
            if not any(kept[name]):
                active = [i for i, on in enumerate(old[name]) if on]
                best = max(active, key=lambda i: (sizes[name][i], -i))
                kept[name][best] = True
        dropped = sum(sum(old[name]) - sum(kept[name]) for name in names)
        numbers = share_reference([sum(kept[name]) for name in names], dropped, room)
        for name, k in zip(names, numbers, strict=True):
            weight = self.weights[name]
            scores = torch.rand(weight.shape, generator=self.generator).flatten().tolist()
            grown = grow_reference(scores, old[name], k)
            new = [
                stayed or (now and not was)
                for stayed, now, was in zip(kept[name], grown, old[name], strict=True)
            ]
            self.carry_out(name, old[name], kept[name], new)
        if dropped > 1.1 * self.target:
            self.threshold /= 2
        elif dropped < 0.9 * self.target:
            self.threshold *= 2


class SlowStructuredRigL(SlowMethod):
    """Whole kernels, one after the other; each layer keeps its number of them."""

    def rewire(self) -> None:
        f = self.fraction / 2 * (1 + cos(pi * self.t / self.until))
        for name, weight in self.weights.items():
            out, into = weight.shape[:2]
            places = [(o, i) for o in range(out) for i in range(into)]
            old = [bool(self.masks[name][place].all()) for place in places]
            sizes = [abs(float(weight.data[place].mean())) for place in places]
            gradients = [abs(float(weight.grad[place].mean())) for place in places]
            k = floor(f * sum(old))
            kept = drop_reference(sizes, old, k)
            new = grow_reference(gradients, kept, k)
            spread = [
                [on for on in mask for _ in range(weight[0, 0].numel())]
                for mask in (old, kept, new)
            ]
            self.carry_out(name, *spread)
