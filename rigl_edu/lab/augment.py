"""From uint8 images on the device to network input: crop, flip, normalise, a batch at a time.

All randomness comes from generators made by `stream`, so what step 700 of a run sees depends on
the seed and the number 700 alone. A resumed run therefore continues as if never stopped.
"""

import hashlib

import torch
from torch import Tensor


def stream(seed: int, purpose: str, index: int) -> torch.Generator:
    """A CPU generator that depends on its three arguments alone.

    Args:
        seed: the run's seed.
        purpose: keeps streams of one seed apart, for example "order" and "crop".
        index: the epoch or the step.
    """
    digest = hashlib.sha256(f"{seed}/{purpose}/{index}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Uint8 images (B, C, H, W) to float32, (image / 255 - mean) / std channel by channel.

    Args:
        images: any batch of uint8 images.
        mean: (C,), of pixels between 0 and 1.
        std: (C,), likewise.
    """
    scale = 1 / (255 * std)
    return images.float().mul_(scale[:, None, None]).sub_((mean / std)[:, None, None])


def augment(
    images: Tensor, generator: torch.Generator, mean: Tensor, std: Tensor, pad: int = 4
) -> Tensor:
    """Reflect-pad, crop back to the old size at a random place, flip at random, normalise.

    Args:
        images: uint8 (B, C, H, W) on any device.
        generator: on the CPU, so that every device draws the same numbers.
        mean: (C,), see `normalise`.
        std: (C,), see `normalise`.
        pad: pixels of padding on each side; at most H - 1 and W - 1.

    Returns:
        float32 (B, C, H, W).

    No image is padded for real. Row i of a crop shifted by d is row i + d - pad of the image,
    reflected at the border: -1 means 1. So one gather with computed row and column numbers does
    the padding, the crop and the flip of the whole batch.
    """
    batch, channels, height, width = images.shape
    if not 0 <= pad < min(height, width):
        raise ValueError(f"pad={pad}: must be at least 0 and below the image size {height}x{width}")
    shifts = torch.randint(0, 2 * pad + 1, (2, batch), generator=generator)
    flips = torch.rand(batch, generator=generator) < 0.5
    rows = reflected(shifts[0], height, pad)
    columns = reflected(shifts[1], width, pad)
    columns = torch.where(flips[:, None], columns.flip(1), columns)
    pixels = (rows[:, :, None] * width + columns[:, None, :]).view(batch, 1, -1)
    pixels = pixels.to(images.device, non_blocking=True).expand(batch, channels, -1)
    return normalise(images.flatten(2).gather(2, pixels).view_as(images), mean, std)


def reflected(shift: Tensor, size: int, pad: int) -> Tensor:
    """Source positions (B, size) of a crop that starts at `shift` (B,) in the padded image."""
    position = (shift[:, None] + torch.arange(size) - pad).abs()
    return torch.where(position < size, position, 2 * (size - 1) - position)
