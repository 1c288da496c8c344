"""The command `python -m rigl_edu sweep`."""

import argparse
import importlib.util
import shlex
from pathlib import Path

import torch

from . import cost, data
from .recipes import Recipe, find, smoke
from .records import load_records
from .run import device_name
from .train import training_part

STORAGE = "sqlite:///data/sweeps.db"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("name", metavar="NAME", help="recipe whose alpha and Delta T to search")
    parser.add_argument("--trials", type=int, default=15, metavar="N", help="in the whole study")
    parser.add_argument("--storage", default=STORAGE, metavar="URL", help=f"default {STORAGE}")
    parser.add_argument("--show", action="store_true", help="only print the trials that there are")
    parser.add_argument("--smoke", action="store_true", help="the recipe's tiny twin, in seconds")
    parser.add_argument("--seed", type=int, nargs="+", metavar="N", help="the seeds of every trial")
    parser.add_argument("--device", help="cpu, cuda or cuda:N; default: a GPU if there is one")
    parser.add_argument("--data", help="as for run")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads of this process")


def main(args: argparse.Namespace, command: str) -> int:
    """Search, or show what was found; returns the exit status.

    Args:
        args: of `add_arguments`.
        command: the whole command line, for the records.
    """
    from .cli import bad_input, pick_device  # it imports this file

    with bad_input():
        need_optuna()
        import optuna

        from .sweep import sweep, table
        from .sweep_study import check_recipe, open_storage, studies_of, without_password

        recipe = asked_for(args)
        check_recipe(recipe)
        device = pick_device(args.device)
        location, seeds = args.data or recipe.data, args.seed or recipe.seeds
        data.name_of(location)
        if args.storage == STORAGE and not args.show:
            Path("data").mkdir(exist_ok=True)
        storage = open_storage(args.storage)
        if args.show:
            print("\n\n".join(map(table, studies_of(recipe, storage))))
            return 0
        if args.threads:
            torch.set_num_threads(args.threads)
        print(announcement(recipe, location, device, args.trials, seeds), flush=True)
        images = data.load(location).to(device)
        training_part(images, recipe)  # raises for too few images to hold any out

        # Records show no password. Optuna would log the traceback of a Ctrl-C.
        hidden = without_password(args.storage)
        words = [word.replace(args.storage, hidden) for word in shlex.split(command)]
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            study = sweep(
                recipe, images, args.trials, storage, seeds=seeds, command=shlex.join(words)
            )
        except KeyboardInterrupt:
            print("\nstopped and saved; the same command continues")
            return 130
    print(table(study))
    return 0


def need_optuna() -> None:
    """Raise ValueError where Optuna, which the package itself does not require, is missing."""
    if importlib.util.find_spec("optuna") is None:
        raise ValueError('sweeps need Optuna: pip install "rigl_edu[sweep]"')


def asked_for(args: argparse.Namespace) -> Recipe:
    """The recipe that the arguments mean.

    Raises:
        ValueError: it is none or not one, or a number makes no sense.
    """
    found = find(args.name)
    if len(found) > 1:
        raise ValueError(f"{args.name!r} means {len(found)} recipes; a sweep takes one")
    for name in ("trials", "threads"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name} {value}: must be at least 1")
    if args.seed and (min(args.seed) < 0 or len(set(args.seed)) < len(args.seed)):
        raise ValueError(
            f"--seed {' '.join(map(str, args.seed))}: must be different and at least 0"
        )
    return smoke(found[0]) if args.smoke else found[0]


def announcement(
    recipe: Recipe, location: str, device: torch.device, trials: int, seeds: tuple[int, ...]
) -> str:
    """What the sweep will cost."""
    from .sweep_study import ALPHAS, delta_ts

    steps, runs, choices = cost.total_steps(recipe, location), trials * len(seeds), delta_ts(recipe)
    threads = torch.get_num_threads()
    found = cost.predicted_minutes(recipe, steps, load_records(), device_name(device), threads)
    minutes = "minutes unknown, no record of this precision on this device"
    if found is not None:
        hours = runs * found.minutes / 60
        minutes = f"{found}; {hours:.1f} hours in all on such a device"
    return (
        f"sweep of {recipe.name}: {recipe.title}\n"
        f"  alpha {ALPHAS[0]} to {ALPHAS[1]}, Delta T {choices[0]}, {choices[1]}, ..., "
        f"{choices[-1]}; by accuracy on {recipe.held_out} held-out images\n"
        f"  data {data.name_of(location)}; {device_name(device)}; {recipe.precision}\n"
        f"  {trials} trials x seeds {' '.join(map(str, seeds))}, less those that the study has: "
        f"{runs} runs of {steps} steps\n"
        f"  {minutes}\n"
        f"  disk: {cost.disk(location, cost.parameters(recipe), recipe.method)}, one at a time"
    )
