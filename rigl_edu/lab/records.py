"""Run records: one JSON file a run, written once, never edited by hand.

Tables, figures and claims are computed from these files and from the paper's, nothing is typed.
"""

import json
import os
from pathlib import Path
from typing import Any

from .recipes import Recipe, recipe_fingerprint

SCHEMA = 1
RESULTS = Path("data/results")

# Every key of a record, with the types it may have. Times in seconds, accuracies in percent,
# FLOPs of one sample's forward or training pass.
KEYS: dict[str, tuple[type, ...]] = {
    "schema": (int,),
    "command": (str,),
    "finished": (str,),  # UTC, ISO 8601
    "recipe": (dict,),  # all fields of the recipe, see lab.recipes.Recipe
    "recipe_fingerprint": (str,),
    "seed": (int,),
    "commit": (str, type(None)),  # ends in -dirty if the package differed; None outside git
    "versions": (dict,),
    "device": (str,),
    "threads": (int,),
    "precision": (str,),
    "data": (dict,),  # name, fingerprint, and the number of images in train, held_out, test
    "steps": (int,),
    "wall_seconds": (float,),
    "train_seconds": (float,),  # of the training steps alone
    "curve_on": (str,),  # "held_out" or "test"
    "curve": (list,),  # a row an epoch: step, train_loss, accuracy, forward_flops
    "test_accuracy": (float,),  # of the last step; nothing is selected
    "density": (float,),  # active weights over all convolution and linear weights
    "layers": (list,),  # name, shape, active, total, density
    "parameters": (int,),
    "weights": (int,),
    "active_weights": (int,),
    "forward_flops": (int,),
    "dense_forward_flops": (int,),
    "train_flops": (float,),  # of one sample by the papers' formula, however long the training
    "train_flops_ratio": (float,),  # to 3 times dense_forward_flops
}
# Of some records only.
MORE_KEYS: dict[str, tuple[type, ...]] = {
    "barrier": (float,),  # to the run it is a twin of, points of test error
}
DATA_KEYS = ("name", "fingerprint", "train", "held_out", "test")


def record_path(results: Path, recipe: str, data: str, seed: int, processes: int = 1) -> Path:
    """Where the record of a run belongs; one on several processes has a place of its own."""
    several = f"__{processes}processes" if processes > 1 else ""
    return results / f"{recipe}__{data}__seed{seed}{several}.json"


def processes_of(record: dict[str, Any]) -> int:
    """How many processes trained the run together: 2 for a device "2 x cuda: ...".

    Each sees its part of a batch only, and so do its batch norms: what several trained is not
    averaged with, nor compared to, what one did.
    """
    count, several, _ = record["device"].partition(" x ")
    return int(count) if several and count.isdecimal() else 1


def write_record(record: dict[str, Any], results: Path) -> Path:
    """Check a record and write it, atomically; returns its path."""
    name, data, seed = record["recipe"]["name"], record["data"]["name"], record["seed"]
    path = record_path(results, name, data, seed, processes_of(record))
    check_record(record, path)
    results.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    partial.write_text(json.dumps(record, indent=1) + "\n")
    os.replace(partial, path)
    return path


def read_record(path: str | Path) -> dict[str, Any]:
    """Read and check one record.

    Raises:
        ValueError: not JSON, another schema, missing keys, or wrong types; the message names the
            file, what was found and what is allowed.
    """
    path = Path(path)
    try:
        record = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    check_record(record, path)
    return record


def check_record(record: Any, path: Path) -> None:
    """Raise ValueError if `record`, which belongs to `path`, is not one of this schema."""
    if not isinstance(record, dict) or "schema" not in record:
        raise ValueError(f"{path} is not a run record: it has no 'schema'; expected {SCHEMA}")
    if record["schema"] != SCHEMA:
        raise ValueError(f"{path} has schema {record['schema']!r}; this version reads {SCHEMA}")
    missing = [key for key in KEYS if key not in record]
    missing += [f"data.{key}" for key in DATA_KEYS if key not in record.get("data", DATA_KEYS)]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}; a record has {', '.join(KEYS)}")
    more = {key: types for key, types in MORE_KEYS.items() if key in record}
    for key, types in {**KEYS, **more}.items():
        if not isinstance(record[key], types):
            allowed = " or ".join(t.__name__ for t in types)
            raise ValueError(f"{path}: {key} is {record[key]!r}; expected {allowed}")
    unnamed = [key for key in ("name", "method") if key not in record["recipe"]]
    if unnamed:
        raise ValueError(f"{path}: its recipe lacks {', '.join(unnamed)}")


def is_current(record: dict[str, Any], recipe: Recipe) -> bool:
    """Whether a record counts as a run of the recipe as it is today.

    The one rule for who asks: the ledger and the pages, `list`, and the queue, for which a run with
    a record of another version is still to be done.
    """
    same_name = record["recipe"]["name"] == recipe.name
    return same_name and record["recipe_fingerprint"] == recipe_fingerprint(recipe)


def load_records(results: str | Path = RESULTS) -> list[dict[str, Any]]:
    """All records of a directory in the order of their file names; none if it does not exist."""
    return [read_record(path) for path in sorted(Path(results).glob("*.json"))]


def published_results() -> Path:
    """Where the records that come with this package lie, whatever the working directory.

    In a checkout that is the repository's data/results; an installed wheel carries a copy.
    """
    package = Path(__file__).parent
    in_wheel, in_checkout = package / "results", package.parents[1] / RESULTS
    return in_wheel if in_wheel.is_dir() else in_checkout
