"""The command line: `python -m rigl_edu list | run | table | layers | doctor`.

Exit status: 0 done, 1 a run diverged, 2 bad input (one line says what), 130 stopped by Ctrl-C.
"""

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from . import cost, data, doctor
from .layer_densities import layer_report
from .recipes import RECIPES, Recipe, find, recipe_fingerprint, smoke
from .records import RESULTS, load_records, read_record, record_path
from .run import device_name, run
from .saved import read_checkpoint
from .tables import html_table, markdown_table, table_rows, text_table

FORMATS = {"text": text_table, "markdown": markdown_table, "html": html_table}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    args = make_parser().parse_args(argv)
    if args.command == "list":
        return list_recipes()
    if args.command == "table":
        return print_table(args)
    if args.command == "layers":
        return print_layers(args)
    if args.command == "doctor":
        print(doctor.report())
        return 0
    return run_recipes(args, shlex.join(["python", "-m", "rigl_edu", *argv]))


def make_parser() -> argparse.ArgumentParser:
    """The four commands and their options."""
    parser = argparse.ArgumentParser(prog="python -m rigl_edu", description="Sparse training.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help="all recipes, and how many seeds have a record")

    r = commands.add_parser("run", help="train recipes and write a record for each seed")
    r.add_argument("names", nargs="+", metavar="NAME", help="recipe or pattern such as 'mini-*'")
    r.add_argument("--smoke", action="store_true", help="the recipe's tiny twin, in seconds")
    r.add_argument("--resume", action="store_true", help="continue from a checkpoint if any")
    r.add_argument("--force", action="store_true", help="run again what has a record, from step 0")
    r.add_argument("--seed", type=int, nargs="+", metavar="N", help="instead of the recipe's seeds")
    r.add_argument("--device", help="cpu, cuda or cuda:N; default: a GPU if there is one")
    r.add_argument("--data", help="digits, cifar10, cifar100, or a directory with train/ and test/")
    r.add_argument("--out", type=Path, help=f"directory of the records, default {RESULTS}")
    r.add_argument("--threads", type=int, metavar="N", help="CPU threads of this process")

    t = commands.add_parser("table", help="mean and spread of records beside the paper's numbers")
    t.add_argument("name", help="chapter (11 or ch11), recipe, or pattern")
    t.add_argument("--out", type=Path, default=RESULTS, help="directory of the records")
    t.add_argument("--format", choices=FORMATS, default="text")

    w = commands.add_parser("layers", help="where the weights are at the end, layer by layer")
    w.add_argument("name", help="chapter (12 or ch12), recipe, or pattern such as 'drift-*'")
    w.add_argument("--out", type=Path, default=RESULTS, help="directory of the records")

    commands.add_parser("doctor", help="versions, devices, data, speed, and what to do")
    return parser


@contextmanager
def bad_input() -> Iterator[None]:
    """Turn an error about what the user asked for into one line and exit status 2."""
    try:
        yield
    except (ValueError, FileNotFoundError) as error:
        print(f"rigl_edu: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def list_recipes() -> int:
    """Print every recipe, one line each."""
    with bad_input():
        records = load_records()
    width = max(map(len, RECIPES))
    for recipe in RECIPES.values():
        runs = [r for r in records if r["recipe"]["name"] == recipe.name]
        recorded = f"  [{len(runs)} recorded]" if runs else ""
        print(f"{recipe.name.ljust(width)}  ch{recipe.chapter}  {recipe.title}{recorded}")
    return 0


def print_table(args: argparse.Namespace) -> int:
    """Print the table of a chapter's or of some recipes' records."""
    with bad_input():
        rows = table_rows(records_of(args.name, args.out))
    print(FORMATS[args.format](rows))
    return 0


def print_layers(args: argparse.Namespace) -> int:
    """Print the final densities by layer, a block for each recipe and data set."""
    with bad_input():
        records = records_of(args.name, args.out)
    blocks: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in records:
        blocks.setdefault((record["recipe"]["name"], record["data"]["name"]), []).append(record)
    print("\n\n".join(layer_report(block) for block in blocks.values()))
    return 0


def records_of(name: str, directory: Path) -> list[dict[str, Any]]:
    """The records of a chapter or of some recipes, in the recipes' order.

    Raises:
        ValueError: there are none.
    """
    names = [recipe.name for recipe in recipes_of(name)]
    records = [r for r in load_records(directory) if r["recipe"]["name"] in names]
    if not records:
        raise ValueError(f"no records of {name!r} in {directory}/; make some with run")
    return sorted(records, key=lambda record: names.index(record["recipe"]["name"]))


def recipes_of(name: str) -> list[Recipe]:
    """Recipes of a chapter ("11", "ch11"), or of a name or pattern, their smoke twins included."""
    chapter = name.removeprefix("ch")
    if chapter.isdigit():
        found = [r for r in RECIPES.values() if r.chapter == int(chapter)]
        if not found:
            chapters = sorted({r.chapter for r in RECIPES.values()})
            raise ValueError(f"chapter {chapter} has no recipes; chapters with some: {chapters}")
    else:
        found = find(name)
    return found + [smoke(recipe) for recipe in found]


@dataclass(frozen=True)
class Plan:
    """One run to do: where its data is, and where its record and checkpoint go."""

    recipe: Recipe
    seed: int
    location: str
    record: Path
    checkpoint: Path


def run_recipes(args: argparse.Namespace, command: str) -> int:
    """Plan all runs, say what they cost, then do them one after the other."""
    with bad_input():
        device = pick_device(args.device)
        if args.threads is not None and args.threads < 1:
            raise ValueError(f"--threads {args.threads}: must be at least 1")
        plans = make_plans(args)
    if args.threads:
        torch.set_num_threads(args.threads)
    todo = [plan for plan in plans if args.force or not is_done(plan)]
    with bad_input():
        for plan in todo:
            check_checkpoint(plan, args)
        announce(todo, device)
    loaded: dict[str, data.Dataset] = {}
    for plan in todo:
        if plan.location not in loaded:
            with bad_input():
                loaded = {plan.location: data.load(plan.location).to(device)}
        try:
            with bad_input():
                path = run(
                    plan.recipe,
                    plan.seed,
                    loaded[plan.location],
                    plan.record.parent,
                    plan.checkpoint,
                    resume=args.resume,
                    command=command,
                )
        except FloatingPointError as error:
            print(f"rigl_edu: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            resume = command if args.resume else f"{command} --resume"
            print(f"\nstopped; {plan.checkpoint} is saved. Continue with:\n  {resume}")
            return 130
        print(done_line(path))
    return 0


def pick_device(name: str | None) -> torch.device:
    """The device of that name, or the best one.

    Raises:
        ValueError: there is no such device here.
    """
    known = doctor.devices()
    if name is None:
        return torch.device(known[-1] if len(known) == 1 else known[1])
    if name not in known and not (name == "cuda" and len(known) > 1):
        raise ValueError(f"device {name!r} is not on this machine; it has: {', '.join(known)}")
    return torch.device(name)


def make_plans(args: argparse.Namespace) -> list[Plan]:
    """Every run that the arguments ask for, checked as far as possible without data.

    Raises:
        ValueError: unknown recipe or data, or a negative seed.
        FileNotFoundError: a data directory without data.
    """
    recipes = list({r.name: r for name in args.names for r in find(name)}.values())
    if args.smoke:
        recipes = [smoke(recipe) for recipe in recipes]
    if args.seed and min(args.seed) < 0:
        raise ValueError(f"--seed {min(args.seed)}: must be at least 0")
    default = Path("data/smoke") if args.smoke else RESULTS
    results = args.out or default
    checkpoints = results.parent / "checkpoints" if results == RESULTS else results / "checkpoints"
    plans = []
    for recipe in recipes:
        location = args.data or recipe.data
        name = data.name_of(location)
        for seed in args.seed or recipe.seeds:
            record = record_path(results, recipe.name, name, seed)
            checkpoint = checkpoints / f"{record.stem}.pt"
            plans.append(Plan(recipe, seed, location, record, checkpoint))
    return plans


def is_done(plan: Plan) -> bool:
    """Whether the run has a record; says so if it has."""
    if not plan.record.exists():
        return False
    with bad_input():
        theirs = read_record(plan.record)["recipe_fingerprint"]
    version = "" if theirs == recipe_fingerprint(plan.recipe) else " of another version of it"
    print(
        f"{plan.recipe.name} seed {plan.seed}: skipped, {plan.record} is a record{version}; "
        "--force runs it again"
    )
    return True


def check_checkpoint(plan: Plan, args: argparse.Namespace) -> None:
    """Refuse to overwrite a checkpoint that the user may have meant to continue from."""
    if plan.checkpoint.exists() and not args.resume and not args.force:
        step = read_checkpoint(plan.checkpoint)["step"]
        raise ValueError(
            f"{plan.checkpoint} holds step {step} of this run: --resume continues it, --force "
            "starts over"
        )


def announce(plans: Sequence[Plan], device: torch.device) -> None:
    """Print what the runs will cost, one block a recipe."""
    records = load_records()
    threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    for recipe in {plan.recipe.name: plan.recipe for plan in plans}.values():
        mine = [plan for plan in plans if plan.recipe.name == recipe.name]
        location = mine[0].location
        steps = cost.total_steps(recipe, location)
        guess = cost.predicted_minutes(recipe, steps, records, device_name(device))
        minutes = "minutes unknown, no record of this network on this device"
        if guess is not None:
            minutes = f"about {guess[0]:.1f} minutes a seed, from {guess[1]} records on this device"
        print(
            f"{recipe.name}: {recipe.title}\n"
            f"  data {data.name_of(location)}; {device_name(device)}{threads}; {recipe.precision}; "
            f"seeds {' '.join(str(plan.seed) for plan in mine)}\n"
            f"  {steps} steps a seed; {minutes}\n"
            f"  disk: {cost.disk(location, cost.parameters(recipe))}",
            flush=True,
        )


def done_line(path: Path) -> str:
    """One line about a finished run."""
    record = read_record(path)
    return (
        f"{record['recipe']['name']} seed {record['seed']}: test accuracy "
        f"{record['test_accuracy']:.2f} % at density {record['density']:.3g}, "
        f"{record['wall_seconds'] / 60:.1f} minutes, {path}"
    )
