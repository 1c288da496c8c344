"""Plans: which runs to do, where their records and checkpoints go, and what they will cost."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from . import cost, data
from .recipes import Recipe, named, needed, recipe_fingerprint
from .records import RESULTS, load_records, read_record, record_path
from .run import device_name
from .saved import read_checkpoint
from .tickets import beside, is_there


@dataclass(frozen=True)
class Plan:
    """One run to do.

    Attributes:
        recipe: what to train.
        seed: of everything random.
        location: of the data.
        record: where its record goes.
        checkpoint: where its checkpoint goes.
        for_masks: the run has a record, but its final network, which another run starts from, is
            gone: it is trained again, and its record stays as it is.
    """

    recipe: Recipe
    seed: int
    location: str
    record: Path
    checkpoint: Path
    for_masks: bool = False


def make_plans(
    recipes: Iterable[Recipe], seeds: Sequence[int] | None, location: str | None, results: Path
) -> list[Plan]:
    """A plan for each recipe and seed.

    Args:
        recipes: in the order wanted.
        seeds: None for each recipe's own.
        location: of the data; None for each recipe's own.
        results: directory of the records.

    Raises:
        ValueError: unknown data, or a negative seed.
        FileNotFoundError: a data directory without data.
    """
    if seeds and min(seeds) < 0:
        raise ValueError(f"--seed {min(seeds)}: must be at least 0")
    checkpoints = results.parent / "checkpoints" if results == RESULTS else results / "checkpoints"
    plans = []
    for recipe in recipes:
        where = location or recipe.data
        name = data.name_of(where)
        for seed in seeds or recipe.seeds:
            record = record_path(results, recipe.name, name, seed)
            checkpoint = checkpoints / f"{record.stem}.pt"
            plans.append(Plan(recipe, seed, where, record, checkpoint))
    return plans


def with_needed(todo: Sequence[Plan]) -> list[Plan]:
    """The plans, and before each the runs that it starts from or looks at and that are not there.

    Those may need others in turn. A plan stands after all that it needs; otherwise the order stays.
    """
    asked = {plan.checkpoint: plan for plan in todo}
    plans: dict[Path, Plan] = {}

    def add(plan: Plan) -> None:
        for name in needed(plan.recipe):
            checkpoint = beside(plan.recipe, plan.checkpoint, name)
            if checkpoint in asked:
                add(asked[checkpoint])
            elif not is_there(name, checkpoint):
                add(one_before(plan, name, checkpoint))
        plans.setdefault(plan.checkpoint, plan)

    for plan in todo:
        add(plan)
    return list(plans.values())


def one_before(plan: Plan, name: str, checkpoint: Path) -> Plan:
    """The run `name` of a plan's seed and data; if it has a record, for its checkpoint alone."""
    record = plan.record.with_name(f"{checkpoint.stem}.json")
    return dataclasses.replace(
        plan,
        recipe=named(name),
        record=record,
        checkpoint=checkpoint,
        for_masks=record.exists(),
    )


def is_done(plan: Plan) -> bool:
    """Whether nothing is left to do: there is a record, or the masks that were wanted."""
    if not plan.for_masks:
        return plan.record.exists()
    return is_there(plan.recipe.name, plan.checkpoint)


def why_skipped(plan: Plan) -> str:
    """One line about a run that has a record.

    Raises:
        ValueError: the file is not a record.
    """
    theirs = read_record(plan.record)["recipe_fingerprint"]
    version = "" if theirs == recipe_fingerprint(plan.recipe) else " of another version of it"
    return (
        f"{plan.recipe.name} seed {plan.seed}: skipped, {plan.record} is a record{version}; "
        "--force runs it again"
    )


def refuse_checkpoint(plan: Plan) -> None:
    """Raise ValueError if the run has a checkpoint, which the user may have meant to continue."""
    if plan.checkpoint.exists():
        step = read_checkpoint(plan.checkpoint)["step"]
        raise ValueError(
            f"{plan.checkpoint} holds step {step} of this run: --resume continues it, --force "
            "starts over"
        )


def announcement(plans: Sequence[Plan], device: torch.device) -> str:
    """What the runs will cost, a block for each recipe, and the sum."""
    records = load_records()
    threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    lines, minutes, unknown = [], 0.0, 0
    for recipe in {plan.recipe.name: plan.recipe for plan in plans}.values():
        mine = [plan for plan in plans if plan.recipe.name == recipe.name]
        location = mine[0].location
        steps = cost.total_steps(recipe, location)
        guess = cost.predicted_minutes(recipe, steps, records, device_name(device))
        said = "minutes unknown, no record of this network on this device"
        if guess is not None:
            said = f"about {guess[0]:.1f} minutes a seed, from {guess[1]} records on this device"
        minutes += len(mine) * (guess[0] if guess else 0)
        unknown += len(mine) * (guess is None)
        seeds = " ".join(f"{p.seed}{' (for its masks)' if p.for_masks else ''}" for p in mine)
        lines += [
            f"{recipe.name}: {recipe.title}",
            f"  data {data.name_of(location)}; {device_name(device)}{threads}; {recipe.precision}; "
            f"seeds {seeds}",
            f"  {steps} steps a seed; {said}",
            f"  disk: {cost.disk(location, cost.parameters(recipe), recipe.method)}",
        ]
    if len(plans) > 1:
        hours = (
            f"about {minutes / 60:.1f} hours" if minutes > 90 else f"about {minutes:.0f} minutes"
        )
        rest = f" and {unknown} of unknown length" if unknown else ""
        lines.append(f"{len(plans)} runs: {hours}{rest}, one after the other")
    return "\n".join(lines)


def done_line(path: Path) -> str:
    """One line about a finished run."""
    record = read_record(path)
    return (
        f"{record['recipe']['name']} seed {record['seed']}: test accuracy "
        f"{record['test_accuracy']:.2f} % at density {record['density']:.3g}, "
        f"{record['wall_seconds'] / 60:.1f} minutes, {path}"
    )
