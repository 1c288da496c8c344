"""What all rules share: the place of `optimizer.step()`, dense gradients, stopping and resuming.

A rule takes an optimizer step or, at some steps, changes the masks instead (RigL, algorithm 1).
Which masks is its own affair: `decide` looks at the layers and answers, changing nothing. This
class carries the answer out and keeps the invariant of `layers`.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor, nn

from .compressed_layers import SparseLayer, sparse_layers
from .criteria import Layer
from .moving_average import DenseMomentum, is_finite
from .rewire import LayerUpdate, NewMask, summarise
from .rule_checks import check_layers, check_schedule, checked_step
from .rule_state import restore, state_of
from .schedule import rewires_at


class Rule:
    """A masked model, its optimizer, and the steps at which the masks change.

    Subclasses say how: they define `decide`. Those whose `decide` looks at no gradient set
    `needs_gradient` to False, and then no dense gradient is ever formed for them.

    Args:
        model: a model that `sparsify` has masked (it may be inside DDP).
        optimizer: any that moves each weight by its own gradient and state, as SGD and Adam do.
        every: Delta T, steps between rewirings; the first is step `every`.
        until: T_end; from this step on the masks stay. 0: they never change.
        momentum: a moving average of dense gradients, kept for criteria that look at
            `layer.momentum`. None: not kept.
        regrown: see `UpdateRule`.
        seed: of random criteria; every DDP rank needs the same.

    To train on without the rule, call `close()` or let go of it: it may have asked the layers for
    dense gradients, which an optimizer must not see.

    Raises:
        ValueError: for impossible arguments, a model without masked layers, an optimizer that does
            not own all masked weights, or a frozen layer if the rule needs its gradient.
    """

    needs_gradient = True

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        every: int,
        until: int,
        momentum: DenseMomentum | None = None,
        regrown: str = "keep",
        seed: int = 0,
    ) -> None:
        self.layers = sparse_layers(model)
        check_schedule(every, until, regrown)
        check_layers(self.layers, optimizer, self.needs_gradient and until > every)

        self.optimizer = optimizer
        self.every, self.until, self.regrown = every, until, regrown
        self.momentum = momentum
        self.generator = torch.Generator().manual_seed(seed)
        self.t = 0
        self.last_update: list[LayerUpdate] | None = None
        for layer in self.layers.values():  # an optimizer used before sparsify may hold state there
            layer.change_mask(layer.mask.bool(), layer.mask.bool(), optimizer)
        self._begin()

    # --- what a method decides ----------------------------------------------------------------

    def rewires(self, t: int) -> bool:
        """Whether step t (counted from 1) changes the masks instead of the weights."""
        return rewires_at(t, self.every, self.until)

    def decide(self, layers: list[Layer]) -> list[NewMask]:
        """The new masks, one for each layer. Changes no layer."""
        raise NotImplementedError(f"{type(self).__name__} must say how it rewires")

    # --- the training loop's side -----------------------------------------------------------

    def step(self) -> None:
        """Take an optimizer step, or rewire instead.

        Raises:
            ValueError: if a gradient is missing, or not finite when rewiring, or there are weights
                off the mask: the network is then as it was before. Also if the first optimizer
                step, or the first one after a rewiring, moves weights that are not there.
        """
        self.mask_gradients()
        if self.rewires(self.t + 1):
            self._rewire()
            self._trusted = False
        elif self._trusted:
            self.optimizer.step()
        else:
            checked_step(self.optimizer, self.layers)
            self._trusted = True
        self.t += 1
        if self.momentum is not None:
            self.momentum.accept()
        self._ask_for_gradients()

    @torch.no_grad()
    def mask_gradients(self) -> None:
        """Make the gradients what the optimizer should see: zero off the masks.

        `step` does it by itself. Call it before `clip_grad_norm_`, which would otherwise measure
        the dense gradients that a rule has asked for; with a GradScaler, after its `unscale_`.
        Before a rewiring they stay dense, since no optimizer step follows.
        """
        if self._needs_momentum(self.t + 1):
            self._update_momentum()
        if not self.rewires(self.t + 1):
            for layer in self.layers.values():
                if not layer.gradient_is_masked:
                    layer.mask_gradient()

    def close(self) -> None:
        """Ask for no dense gradients any more: the optimizer goes on alone."""
        self._stop()

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The optimizer's. With it a rule can take an optimizer's place: `scaler.step(rule)`."""
        return self.optimizer.param_groups

    # --- rewiring ----------------------------------------------------------------------------

    @torch.no_grad()
    def _rewire(self) -> None:
        views = [self._view(name) for name in self.layers]
        new_masks = self.decide(views)
        self.last_update = [summarise(v, new) for v, new in zip(views, new_masks, strict=True)]
        for view, new in zip(views, new_masks, strict=True):
            self._carry_out(view, new)

    def _carry_out(self, view: Layer, new: NewMask) -> None:
        # Everything but these starts from 0: weights that stayed, and with "keep" also those
        # that were dropped and grown again at once.
        untouched = new.after & (view.mask if self.regrown == "keep" else new.kept)
        self.layers[view.name].change_mask(new.after, untouched, self.optimizer)

    def _view(self, name: str) -> Layer:
        """What the criteria see of a layer."""
        layer = self.layers[name]
        gradient = self._gradient(name) if self.needs_gradient else None
        if gradient is not None and not is_finite(gradient):
            raise ValueError(
                f"layer {name!r} has a gradient that is not finite at step {self.t + 1}"
            )
        momentum = None if self.momentum is None else self.momentum.get(name)
        weight, mask = layer.dense_weight(), layer.mask.bool()
        state = self.optimizer.state.get(layer.parameter, {})
        own = state.get("momentum_buffer", state.get("exp_avg"))  # SGD's name, then Adam's
        return Layer(name, weight, mask, gradient, momentum, self.generator, own, layer.spread)

    def _gradient(self, name: str) -> Tensor:
        layer = self.layers[name]
        gradient = layer.dense_gradient()
        if gradient is None:
            raise ValueError(
                f"layer {name!r} has no gradient; call backward() before rule.step(), with a loss "
                "that this layer takes part in"
            )
        if layer.gradient_is_masked:
            raise ValueError(
                f"the gradient of layer {name!r} is known on its mask only: backward() came before "
                "the rule had asked for more"
            )
        return gradient

    def _needs_momentum(self, t: int) -> bool:
        return self.momentum is not None and t < self.until

    def _update_momentum(self) -> None:
        assert self.momentum is not None
        if not any(layer.gradient_is_new for layer in self.layers.values()):
            return
        taken = self.momentum.propose({name: self._gradient(name) for name in self.layers})
        # A rewiring refuses gradients that are not finite; they may be mended, and it tried again.
        if taken or not self.rewires(self.t + 1):
            for layer in self.layers.values():
                layer.gradient_is_new = False

    def _begin(self) -> None:
        """Start asking the layers, until `close` or until this rule is no more."""
        self._trusted = False  # whether the optimizer has been seen to keep to the masks
        self._stop = weakref.finalize(self, _ask, self.layers, False)
        self._stop.atexit = False
        self._ask_for_gradients()

    def _ask_for_gradients(self) -> None:
        """Tell the layers whether the next backward pass should leave its gradients dense."""
        rewires = self.needs_gradient and self.rewires(self.t + 1)
        dense = self._stop.alive and (rewires or self._needs_momentum(self.t + 1))
        _ask(self.layers, dense)

    # --- stopping and going on ---------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """What is needed, beside the model's and the optimizer's own, to go on bit-exactly."""
        return state_of(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`. Load the model and the optimizer too.

        Raises:
            ValueError: if the state is not one of such a rule on such a model.
        """
        restore(self, state)
        self._trusted = False
        self._ask_for_gradients()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A rule copied together with its model asks the copied layers for its gradients."""
        self.__dict__.update(state)
        self._begin()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_stop"}

    def __repr__(self) -> str:
        active = sum(layer.active for layer in self.layers.values())
        total = sum(layer.mask.numel() for layer in self.layers.values())
        return (
            f"{type(self).__name__}(t={self.t}, every={self.every}, until={self.until}, "
            f"{active}/{total} weights in {len(self.layers)} layers)"
        )


def _ask(layers: dict[str, SparseLayer], dense: bool) -> None:
    for layer in layers.values():
        layer.expect_gradient(dense)
