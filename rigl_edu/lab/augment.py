"""From uint8 images on the device to network input: crop, flip, normalise, a batch at a time.

All randomness comes from generators made by `stream`, so what step 700 of a run sees depends on
the seed and the number 700 alone. A resumed run therefore continues as if never stopped.
"""

import hashlib
import math

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


def zoom(images: Tensor, generator: torch.Generator, mean: Tensor, std: Tensor) -> Tensor:
    """Cut out a rectangle of random size and place, enlarge it bilinearly, flip, normalise.

    The rectangle has 8 to 100 % of the area and sides between 3:4 and 4:3, as ImageNet networks
    are trained (Szegedy et al. 2015; torchvision's RandomResizedCrop).

    Args:
        images: uint8 (B, C, H, W) on any device.
        generator: on the CPU, so that every device draws the same numbers.
        mean: (C,), see `normalise`.
        std: (C,), see `normalise`.

    Returns:
        float32 (B, C, H, W).

    Interpolation is linear, so the whole batch is two matrix products: rows @ image @ columns^T.
    """
    height, width = images.shape[2:]
    sides, corners, flips = rectangles(len(images), height, width, generator)
    rows = interpolation(corners[0], sides[0], height)  # (B, H, H)
    columns = interpolation(corners[1], sides[1], width)  # (B, W, W)
    columns = torch.where(flips[:, None, None], columns.flip(1), columns)
    rows, columns = (m[:, None].to(images.device, non_blocking=True) for m in (rows, columns))
    return normalise(rows @ images.float() @ columns.mT, mean, std)


def rectangles(
    batch: int, height: int, width: int, generator: torch.Generator, tries: int = 10
) -> tuple[Tensor, Tensor, Tensor]:
    """Sides (2, B) and corners (2, B) in pixels, rows first, and whether to flip (B,).

    A rectangle that does not fit in the image is drawn anew; after `tries` of them it is the whole.
    """
    area = torch.empty(tries, batch).uniform_(0.08, 1, generator=generator) * height * width
    limit = math.log(4 / 3)
    ratio = torch.empty(tries, batch).uniform_(-limit, limit, generator=generator).exp()
    places = torch.rand(2, batch, generator=generator)
    flips = torch.rand(batch, generator=generator) < 0.5
    drawn = torch.stack([(area / ratio).sqrt(), (area * ratio).sqrt()]).round()  # (2, tries, B)
    whole = torch.tensor([height, width], dtype=drawn.dtype)[:, None]
    fits = ((drawn >= 1) & (drawn <= whole[:, None])).all(0)  # (tries, B)
    first = fits.float().argmax(0)  # the first try that fits
    sides = torch.where(fits.any(0), drawn[:, first, torch.arange(batch)], whole)
    return sides, (places * (whole - sides + 1)).floor(), flips


def interpolation(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Weights (B, size, size) that stretch pixels start .. start + length - 1 over `size` pixels.

    Output pixel i looks at position start + (i + 1/2) length / size - 1/2, no further than the
    rectangle's outermost pixels, and takes a share 1 - |distance| of the two pixels beside it.
    """
    pixels = torch.arange(size)
    positions = (pixels + 0.5) * (length / size)[:, None] - 0.5  # (B, size)
    positions = positions.clamp(min=0).minimum(length[:, None] - 1) + start[:, None]
    return (1 - (positions[:, :, None] - pixels).abs()).clamp(min=0)
