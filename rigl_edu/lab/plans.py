"""Plans: which runs to do, where their records and checkpoints go, and what they will cost."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from . import cost, data, distributed, saved
from .recipes import Recipe, named, needed
from .records import RESULTS, is_current, load_records, read_record, record_path
from .run import device_name
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
            record = record_path(results, recipe.name, name, seed, distributed.size())
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
    found = dataclasses.replace(plan, recipe=named(name), record=record, checkpoint=checkpoint)
    return dataclasses.replace(found, for_masks=is_recorded(found))


def is_done(plan: Plan) -> bool:
    """Whether nothing is left to do: there is a record, or the masks that were wanted.

    Raises:
        ValueError: the file in the record's place is none.
    """
    if plan.for_masks:
        return is_there(plan.recipe.name, plan.checkpoint)
    return is_recorded(plan)


def is_recorded(plan: Plan) -> bool:
    """Whether there is a record of the recipe as it is today; raises as `is_done`."""
    return plan.record.exists() and is_current(read_record(plan.record), plan.recipe)


def is_outdated(plan: Plan) -> bool:
    """Whether the record that is there is of another version of the recipe, and is replaced."""
    return plan.record.exists() and not is_recorded(plan)


def starts_over(plan: Plan) -> bool:
    """Whether the checkpoint is the end of the run whose record is outdated too.

    A run that has begun to replace it has a checkpoint of today's version, and goes on from there.
    """
    if not is_outdated(plan) or not plan.checkpoint.exists():
        return False
    return not saved.is_current(saved.read_checkpoint(plan.checkpoint, mapped=True), plan.recipe)


def what_is_there(plan: Plan) -> str:
    """One line about a run in whose record's place there is a record."""
    run = f"{plan.recipe.name} seed {plan.seed}"
    if is_outdated(plan):
        return f"{run}: replaces {plan.record}, a record of another version of it"
    return f"{run}: skipped, {plan.record} is a record; --force runs it again"


def how_many_are_there(plans: Sequence[Plan]) -> str:
    """One line about all the runs of a queue."""
    recorded = sum(map(is_recorded, plans))
    outdated = sum(plan.record.exists() for plan in plans) - recorded
    line = f"{recorded} of {len(plans)} runs are on record"
    return f"{line}; {outdated} records of other versions are replaced" if outdated else line


def refuse_checkpoint(plan: Plan) -> None:
    """Raise ValueError if the run has a checkpoint, which the user may have meant to continue."""
    if plan.checkpoint.exists() and not starts_over(plan):
        step = saved.read_checkpoint(plan.checkpoint, mapped=True)["step"]
        raise ValueError(
            f"{plan.checkpoint} holds step {step} of this run: --resume continues it, --force "
            "starts over"
        )


def new_megabytes(plans: Iterable[Plan]) -> float:
    """Disk that the runs' checkpoints take, without those that are there and will be replaced."""
    new = [plan.recipe for plan in plans if not plan.checkpoint.exists()]
    return sum(cost.checkpoint_megabytes(cost.parameters(r), r.method) for r in new)


def check_disk(plans: Sequence[Plan]) -> None:
    """Raise ValueError if the checkpoints of all the runs do not fit on their disk."""
    folder = plans[0].checkpoint.parent
    need, free = new_megabytes(plans), cost.free_megabytes(folder)
    if need > free:
        raise ValueError(
            f"the checkpoints of {len(plans)} runs take up to {cost.size_text(need)}, and "
            f"{cost.size_text(free)} are free for {folder}/: make room, name fewer runs, or give "
            "--out a directory on a larger disk; with --budget a queue does what it has time for"
        )


def announcement(plans: Sequence[Plan], device: torch.device, threads: int) -> str:
    """What the runs will cost, a block for each recipe, and the sum.

    Args:
        plans: all that will be done.
        device: that trains.
        threads: of each process that trains.
    """
    records = load_records()
    on_cpu = f", {cost.counted(threads, 'thread')}" if device.type == "cpu" else ""
    lines, minutes, guessed, unknown = [], 0.0, 0, 0
    for recipe in {plan.recipe.name: plan.recipe for plan in plans}.values():
        mine = [plan for plan in plans if plan.recipe.name == recipe.name]
        location = mine[0].location
        steps = cost.total_steps(recipe, location)
        found = cost.predicted_minutes(recipe, steps, records, device_name(device), threads)
        said = "minutes unknown, no record of this precision on this device"
        if found is None:
            unknown += len(mine)
        else:
            said = str(found)
            minutes += len(mine) * found.minutes
            guessed += len(mine) * (not found.measured)
        seeds = " ".join(f"{p.seed}{' (for its masks)' if p.for_masks else ''}" for p in mine)
        lines += [
            f"{recipe.name}: {recipe.title}",
            f"  data {data.name_of(location)}; {device_name(device)}{on_cpu}; {recipe.precision}; "
            f"seeds {seeds}",
            f"  {steps} steps a seed; {said}",
            f"  disk: {cost.disk(location, cost.parameters(recipe), recipe.method)}",
        ]
    if len(plans) > 1:
        hours = (
            f"about {minutes / 60:.1f} hours" if minutes > 90 else f"about {minutes:.0f} minutes"
        )
        rest = f", {guessed} of them guessed" if guessed else ""
        rest += f" and {unknown} of unknown length" if unknown else ""
        lines.append(f"{len(plans)} runs: {hours}{rest}, one after the other")
        need, folder = new_megabytes(plans), plans[0].checkpoint.parent
        free = cost.size_text(cost.free_megabytes(folder))
        lines.append(f"new checkpoints: up to {cost.size_text(need)}; {free} free for {folder}/")
    return "\n".join(lines)


def done_line(path: Path) -> str:
    """One line about a finished run."""
    record = read_record(path)
    return (
        f"{record['recipe']['name']} seed {record['seed']}: test accuracy "
        f"{record['test_accuracy']:.2f} % at density {record['density']:.3g}, "
        f"{record['wall_seconds'] / 60:.1f} minutes, {path}"
    )
