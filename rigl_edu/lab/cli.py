"""The command line: `python -m rigl_edu list | run | sweep | table | claims | layers | doctor`.

Exit status: 0 done, 1 a run diverged or did not fit its checkpoint, 2 bad input (one line says
what), 130 stopped by Ctrl-C, 141 nobody reads on, as in `list | head`.
"""

import argparse
import os
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from . import claims_cli, cost, data, distributed, doctor, queue, sweep_cli
from .layer_densities import layer_report
from .plans import (
    Plan,
    announcement,
    check_disk,
    done_line,
    how_many_are_there,
    is_done,
    make_plans,
    refuse_checkpoint,
    starts_over,
    what_is_there,
    with_needed,
)
from .recipes import RECIPES, Recipe, fast, find, named, needed, place, smoke
from .records import RESULTS, is_current, load_records
from .run import device_name, run, trained
from .tables import alike, html_table, markdown_table, table_rows, text_table
from .train import OutOfTime

SMOKE_RESULTS = Path("data/smoke")
CPU_LIMIT = 1e15  # FLOPs: half a day at 25 GFLOP/s, which two cores reach in training
FORMATS = {"text": text_table, "markdown": markdown_table, "html": html_table}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    try:
        status = run_command(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # for what is still to be flushed
        return 141


def run_command(argv: list[str]) -> int:
    """Run the command that the arguments name; returns the exit status."""
    args = make_parser().parse_args(argv)
    if args.command == "list":
        return list_recipes(args.names)
    if args.command == "table":
        return print_table(args)
    if args.command == "sweep":
        return sweep_cli.main(args, shlex.join(["python", "-m", "rigl_edu", *argv]))
    if args.command == "claims":
        with bad_input():
            return claims_cli.main(args)
    if args.command == "layers":
        return print_layers(args)
    if args.command == "doctor":
        print(doctor.report())
        return 0
    return run_recipes(args, argv)


def make_parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(prog="python -m rigl_edu", description="Sparse training.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    n = commands.add_parser("list", help="recipes, the minutes and disk they take, their records")
    n.add_argument("names", nargs="*", metavar="NAME", help="chapter (11 or ch11) or pattern")

    r = commands.add_parser("run", help="train recipes and write a record for each seed")
    r.add_argument("names", nargs="*", metavar="NAME", help="recipe or pattern such as 'mini-*'")
    r.add_argument(
        "--pending",
        action="store_true",
        help="what has no record of today's recipe, the most telling first; all unless named",
    )
    r.add_argument("--budget", metavar="TIME", help="save and stop after 90s, 25m or 2h")
    r.add_argument("--jobs", type=int, default=1, metavar="N", help="processes for --pending")
    r.add_argument("--quiet", action="store_true", help="do not say what the runs will cost")
    r.add_argument("--fast", action="store_true", help="bf16, channels_last, compiled; for a GPU")
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

    c = commands.add_parser("claims", help="the paper's claims, judged by its runs and by ours")
    claims_cli.add_arguments(c)

    s = commands.add_parser("sweep", help="search alpha and Delta T with Optuna")
    sweep_cli.add_arguments(s)

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


def list_recipes(names: Sequence[str]) -> int:
    """Print every recipe on one line, with the minutes and the disk that a run takes here."""
    with bad_input():
        found = {r.name: r for name in names or ["*"] for r in recipes_of(name)}
        records = load_records()
    width = max(map(len, found))
    device, threads = device_name(pick_device(None)), torch.get_num_threads()
    for recipe in found.values():
        runs = [record for record in records if is_current(record, recipe)]
        recorded = f"  [{len(runs)} recorded]" if runs else ""
        steps = cost.total_steps(recipe, recipe.data)
        found_minutes = cost.predicted_minutes(recipe, steps, records, device, threads)
        minutes = "? min"
        if found_minutes:
            guess = "" if found_minutes.measured else "~"
            minutes = f"{guess}{found_minutes.minutes:.0f} min"
        disk = f"{cost.checkpoint_megabytes(cost.parameters(recipe), recipe.method):.1f} MB"
        name = recipe.name.ljust(width)
        print(f"{name}  ch{recipe.chapter:<2} {minutes:>8} {disk:>8}  {recipe.title}{recorded}")
    print(
        f"minutes a seed on {device} with {cost.counted(threads, 'thread')}, from records of the "
        "same network; ~ is a guess from another number of threads or, by FLOPs, from other "
        "networks, ? is unknown; MB of the checkpoint"
    )
    return 0


def print_table(args: argparse.Namespace) -> int:
    """Print the table of a chapter's or of some recipes' records."""
    with bad_input():
        rows = table_rows(records_of(args.name, args.out))
    print(FORMATS[args.format](rows))
    return 0


def print_layers(args: argparse.Namespace) -> int:
    """Print the final densities by layer, a block for each row that `table` has."""
    with bad_input():
        records = records_of(args.name, args.out)
    print("\n\n".join(map(layer_report, alike(records))))
    return 0


def records_of(name: str, directory: Path) -> list[dict[str, Any]]:
    """The records of a chapter or of some recipes, in the recipes' order.

    Raises:
        ValueError: there are none.
    """
    recipes = recipes_of(name)
    names = [r.name for r in (*recipes, *map(fast, recipes), *map(smoke, recipes))]
    records = [r for r in load_records(directory) if r["recipe"]["name"] in names]
    if not records:
        raise ValueError(f"no records of {name!r} in {directory}/; make some with run")
    return sorted(records, key=lambda record: names.index(record["recipe"]["name"]))


def recipes_of(name: str) -> list[Recipe]:
    """Recipes of a chapter ("11", "ch11"), or of a name or pattern."""
    chapter = name.removeprefix("ch")
    if chapter.isdigit():
        found = [r for r in RECIPES.values() if r.chapter == int(chapter)]
        if not found:
            chapters = sorted({r.chapter for r in RECIPES.values()})
            raise ValueError(f"chapter {chapter} has no recipes; chapters with some: {chapters}")
    else:
        found = find(name)
    return found


def run_recipes(args: argparse.Namespace, argv: Sequence[str]) -> int:
    """Plan all runs, say what they cost, then do them one after the other."""
    with bad_input():
        device = pick_device(args.device)
        if distributed.started_by_torchrun():
            device = distributed.join(device)
            if distributed.rank():
                sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # until the process ends
        deadline = None if args.budget is None else time.monotonic() + queue.seconds_of(args.budget)
        check_numbers(args)
        plans = runs_asked_for(args, device)
        asked = [plan for plan in plans if args.force or not is_done(plan)]
        if not (args.quiet or args.force):
            print_what_is_there(plans, args.pending)
        todo = with_needed(asked)
        if todo and args.budget is None:  # which ends a queue long before its last run
            check_disk(todo)
        if args.force and not args.resume:
            # All of them now: a stop in the middle is continued with --resume, which must not take
            # the checkpoint of an old run for the end of a new one.
            for plan in asked:
                plan.checkpoint.unlink(missing_ok=True)
        elif not (args.resume or args.pending):
            for plan in todo:  # and what these start from, begun at another time
                refuse_checkpoint(plan)
        if args.threads:
            torch.set_num_threads(args.threads)
        threads = args.threads or max(1, torch.get_num_threads() // args.jobs)
        if not args.quiet and todo:
            print(announcement(todo, device, threads), flush=True)
    if args.jobs > 1:
        devices = [args.device] if args.device else doctor.devices()[1:] or ["cpu"]
        return queue.in_parallel(argv, args.jobs, threads, devices)
    return do_runs(args, todo, device, deadline, shlex.join(["python", "-m", "rigl_edu", *argv]))


def print_what_is_there(plans: Sequence[Plan], pending: bool) -> None:
    """Say which runs have records: a queue in one line, runs that were named a line each."""
    there = [plan for plan in plans if plan.record.exists()]
    if pending and there:
        print(how_many_are_there(plans))
    elif there:
        print("\n".join(map(what_is_there, there)))


def check_numbers(args: argparse.Namespace) -> None:
    """Raise ValueError for options that make no sense."""
    for name in ("threads", "jobs"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name} {value}: must be at least 1")
    if args.pending and distributed.size() > 1:
        raise ValueError("--pending gives each process its own run, torchrun all of them one")
    if args.jobs > 1 and not args.pending:
        raise ValueError(f"--jobs {args.jobs} shares out a queue: use it with --pending")
    if args.pending and args.force:
        raise ValueError("--pending runs what has no record, --force what has one: use one of them")
    if not args.pending and not args.names:
        raise ValueError("name a recipe or a pattern such as 'mini-*', or use --pending")


def runs_asked_for(args: argparse.Namespace, device: torch.device) -> list[Plan]:
    """The plans that the arguments mean, in the order in which to do them.

    Raises:
        ValueError: unknown recipe or data, or a negative seed.
        FileNotFoundError: a data directory without data.
    """
    recipes = list({r.name: r for name in args.names for r in find(name)}.values())
    if args.pending and not recipes:
        recipes = list(RECIPES.values())
        if device.type == "cpu":
            recipes = [recipe for recipe in recipes if fits_a_cpu(recipe)]
            left = len(RECIPES) - len(recipes)
            if not args.quiet:
                print(f"left out: {left} recipes that take days without a GPU; name them to run")
    if args.fast:
        recipes = [fast(recipe) for recipe in recipes]
    if args.smoke:
        recipes = [smoke(recipe) for recipe in recipes]
    results = args.out or (SMOKE_RESULTS if args.smoke else RESULTS)
    plans = make_plans(recipes, args.seed, args.data, results)
    return sorted(plans, key=lambda p: place(p.recipe, p.seed)) if args.pending else plans


def fits_a_cpu(recipe: Recipe) -> bool:
    """Whether two CPU cores train it, and all that it starts from, within half a day."""
    return cpu_cost(recipe) < CPU_LIMIT


def cpu_cost(recipe: Recipe) -> float:
    """Training FLOPs as a CPU spends them, with those of the runs that it starts from."""
    before = sum(cpu_cost(named(name)) for name in needed(recipe))
    own = cost.dense_training_flops(recipe, cost.total_steps(recipe, recipe.data))
    return own + before


def do_runs(
    args: argparse.Namespace,
    todo: list[Plan],
    device: torch.device,
    deadline: float | None,
    command: str,
) -> int:
    """Do the planned runs; returns the exit status."""
    loaded: dict[str, data.Dataset] = {}
    failed: list[Plan] = []
    # A queue goes on after a checkpoint of another version, or without one of the data sets; who
    # named a run wants to know.
    no_end: tuple[type[Exception], ...] = (FloatingPointError,)
    if args.pending:
        no_end = (FloatingPointError, ValueError, FileNotFoundError)
    begun: list[Plan] = []

    def train(plan: Plan) -> None:
        begun.append(plan)
        try:
            options: dict[str, Any] = {
                # Also without --resume: what has a checkpoint by now was begun by another process.
                "resume": (args.resume or not args.force) and not starts_over(plan),
                "out_of_time": lambda: deadline is not None and time.monotonic() >= deadline,
            }
            if plan.location not in loaded:
                loaded.clear()
                loaded[plan.location] = data.load(plan.location).to(device)
            images = loaded[plan.location]
            if plan.for_masks:
                trained(plan.recipe, plan.seed, images, plan.checkpoint, **options)
                return
            folder = plan.record.parent
            path = run(
                plan.recipe, plan.seed, images, folder, plan.checkpoint, command=command, **options
            )
            print(done_line(path), flush=True)
        except no_end as error:
            print(f"rigl_edu: {error}", file=sys.stderr)
            failed.append(plan)

    go_on = command if args.resume or args.pending else f"{command} --resume"
    try:
        with bad_input():
            if distributed.size() > 1:
                left = queue.work_together(todo, train)
            else:
                left = queue.work(todo, train, deadline, again=args.force)
    except (KeyboardInterrupt, OutOfTime) as reason:
        in_time = isinstance(reason, OutOfTime)
        saved = [f"; {plan.checkpoint} is saved" for plan in begun[-1:] if plan.checkpoint.exists()]
        why = "the budget is used up" if in_time else "\nstopped"
        print(f"{why}{''.join(saved)}. Continue with:\n  {go_on}")
        return 0 if in_time else 130
    for plan in left:
        print(f"{plan.recipe.name} seed {plan.seed}: left; {queue.why_left(plan, deadline)}")
    return 1 if failed else 0


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
