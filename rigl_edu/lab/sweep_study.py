"""What a sweep searches and where it is kept: the space, the sampler, the study, its database.

The protocol is the reproduction's (its conf/hydra/sweeper/optuna.yaml): TPE, 15 trials for each
recipe, alpha anywhere in [0.1, 0.6], Delta T one of twenty steps, and a trial is worth its final
accuracy on the held-out images, averaged over seeds 0 to 2. Test images choose nothing. Theirs are
augmented as training's are, ours are not.
"""

import re
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import Trial
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from .data import Dataset
from .methods import REWIRING
from .recipes import Recipe, recipe_fingerprint

# Heartbeats have been "experimental" since Optuna 2.8; tests hold what is used of them here.
warnings.filterwarnings("ignore", category=ExperimentalWarning)

ALPHAS = (0.1, 0.6)
SAMPLER_SEED = 123
PATIENCE = 120  # seconds
RETRIES = 10  # losing a machine is normal, but a trial that kills every machine must end
retry = RetryHeartbeatStaleTrialCallback(max_retry=RETRIES)


def check_recipe(recipe: Recipe) -> None:
    """Raise ValueError for a recipe in which there is nothing to search, or nothing to judge by."""
    if recipe.method not in REWIRING:
        raise ValueError(
            f"{recipe.name}: method {recipe.method!r} has no alpha and Delta T to sweep; "
            f"methods that have: {', '.join(REWIRING)}"
        )
    if not recipe.held_out:
        raise ValueError(f"{recipe.name} holds out no images, and test images must choose nothing")


def delta_ts(recipe: Recipe) -> range:
    """The steps between rewirings to choose from: multiples of half the recipe's own, 20 of them.

    For the paper's recipes, whose own is 100, they are the paper's 50, 100, ..., 1000.
    """
    half = max(1, recipe.every // 2)
    return range(half, 20 * half + 1, half)


def suggest(trial: Trial, recipe: Recipe) -> Recipe:
    """The recipe with the trial's alpha and Delta T, and named after them."""
    trial.study.sampler = sampler(trial.number)
    choices = delta_ts(recipe)
    alpha = trial.suggest_float("alpha", *ALPHAS)
    every = trial.suggest_int("delta_t", choices[0], choices[-1], step=choices.step)
    name = f"{recipe.name}-alpha{alpha:.6f}-every{every}"
    return replace(recipe, name=name, fraction=alpha, every=every, paper=None)


def sampler(number: int) -> TPESampler:
    """TPE for the trial of that number, with a stream of random numbers of its own.

    With one stream for each process all machines would propose the same points, and a study that
    is continued would propose those that it began with.
    """
    return TPESampler(
        seed=SAMPLER_SEED + number,
        multivariate=False,  # as in the paper's Optuna; the default has changed since
        constant_liar=True,  # keep away from what other machines are trying now
    )


def study_name(recipe: Recipe, data: Dataset, seeds: Sequence[int]) -> str:
    """Whatever a trial's value depends on besides alpha and Delta T, so that studies never mix."""
    versions = f"{recipe_fingerprint(recipe)[:8]}-{data.fingerprint[:8]}"
    return f"{recipe.name}__{data.name}__seeds{'-'.join(map(str, seeds))}__{versions}"


def open_study(
    recipe: Recipe, data: Dataset, seeds: Sequence[int], storage: RDBStorage
) -> optuna.Study:
    """The study of that recipe, data and seeds; a new one if the storage has none."""
    return optuna.create_study(
        study_name=study_name(recipe, data, seeds),
        storage=storage,
        direction="maximize",
        load_if_exists=True,
    )


def studies_of(recipe: Recipe, storage: RDBStorage) -> list[optuna.Study]:
    """All studies of a recipe, of whatever data, seeds and version of it.

    Raises:
        ValueError: there are none.
    """
    names = [n for n in optuna.get_all_study_names(storage) if n.startswith(f"{recipe.name}__")]
    if not names:
        raise ValueError(f"no study of {recipe.name} in {without_password(storage.url)}")
    return [optuna.load_study(study_name=name, storage=storage) for name in names]


def open_storage(url: str, patience: int = PATIENCE, tries: int = 3) -> RDBStorage:
    """Connect to a database, and make its tables if it has none.

    Args:
        url: of SQLAlchemy: sqlite:///FILE or postgresql://USER@HOST/DATABASE.
        patience: seconds without a heartbeat after which a trial is dead and is given out again.
        tries: when machines make the tables of a new database at once, all but one of them fail.

    Raises:
        ValueError: it cannot be reached, its driver is missing, or its tables are not of this
            version of Optuna.
    """
    options: dict[str, Any] = {"pool_pre_ping": True}  # connect again after a server's restart
    if url.startswith("sqlite"):
        options["connect_args"] = {"timeout": 60}  # seconds to wait while another process writes
    problem = f"storage {without_password(url)}"
    try:
        return RDBStorage(
            url,
            options,
            heartbeat_interval=max(1, patience // 4),
            grace_period=patience,
            heartbeat_stale_trial_callback=retry,
        )
    except ImportError:
        driver = 'pip install "rigl_edu[postgres]"'
        raise ValueError(f"{problem}: its driver is missing; for PostgreSQL: {driver}") from None
    except (SQLAlchemyError, RuntimeError, ValueError) as error:
        if tries > 1 and (isinstance(error, IntegrityError) or "already exists" in str(error)):
            time.sleep(1)
            return open_storage(url, patience, tries - 1)
        raise ValueError(f"{problem}: {str(error).splitlines()[0]}") from None


def without_password(url: str) -> str:
    """The URL with *** for its password."""
    return re.sub(r"://([^:/]*):.*@", r"://\1:***@", url)
