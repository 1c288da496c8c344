"""Read a checkpoint file without a job to load it into."""

from pathlib import Path
from typing import Any

import torch


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The saved state, on the CPU.

    Raises:
        ValueError: the file is not a checkpoint of ours.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        state["identity"], state["step"]
    except FileNotFoundError:
        raise
    except Exception as error:  # torch.load raises whatever its unpickler does
        raise ValueError(f"{path} is not a checkpoint of this package: {error}") from error
    return state
