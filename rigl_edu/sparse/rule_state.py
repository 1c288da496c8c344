"""What a rule needs to go on after a stop, beside the model's and the optimizer's own state.

Three things: the number of the step, the state of the random numbers, and the moving average of
the dense gradients if there is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .rule import Rule


def state_of(rule: Rule) -> dict[str, Any]:
    """A copy, which later steps do not change."""
    momentum = {} if rule.momentum is None else rule.momentum.of
    return {
        "t": rule.t,
        "generator": rule.generator.get_state(),
        "momentum": {name: tensor.clone() for name, tensor in momentum.items()},
    }


def restore(rule: Rule, state: dict[str, Any]) -> None:
    """Give a rule the state of another one.

    Raises:
        ValueError: if the state is not one of such a rule on such a model; nothing has changed.
    """
    _check(rule, state)
    rule.t = int(state["t"])
    rule.generator.set_state(state["generator"].cpu())
    if rule.momentum is not None:
        rule.momentum.of = {
            name: tensor.to(rule.layers[name].parameter.device, copy=True)
            for name, tensor in state["momentum"].items()
        }


def _check(rule: Rule, state: dict[str, Any]) -> None:
    expected = {"t", "generator", "momentum"}
    if set(state) != expected:
        raise ValueError(f"state has {sorted(state)}; it must have {sorted(expected)}")
    if state["momentum"] and rule.momentum is None:
        raise ValueError("state has a dense momentum, this rule keeps none")
    strangers = sorted(set(state["momentum"]) - set(rule.layers))
    if strangers:
        raise ValueError(f"state has a momentum for {strangers}, which are not masked here")
    for name, tensor in state["momentum"].items():
        if tensor.shape != rule.layers[name].weight_shape:
            raise ValueError(
                f"state has a momentum of shape {tuple(tensor.shape)} for layer {name!r}, "
                f"whose weight has {rule.layers[name].weight_shape}"
            )
