import numpy as np
import pytest
import torch

from rigl_edu.lab.augment import augment, normalise, stream

MEAN, STD = torch.tensor([0.49, 0.48, 0.45]), torch.tensor([0.2, 0.21, 0.22])


def slow_augment(images, generator, mean, std, pad):
    """One image at a time, with numpy's own reflect padding."""
    n, _, height, width = images.shape
    shifts = torch.randint(0, 2 * pad + 1, (2, n), generator=generator)
    flips = torch.rand(n, generator=generator) < 0.5
    out = []
    for i in range(n):
        padded = np.pad(images[i].numpy(), ((0, 0), (pad, pad), (pad, pad)), mode="reflect")
        top, left = int(shifts[0, i]), int(shifts[1, i])
        crop = padded[:, top : top + height, left : left + width]
        crop = crop[:, :, ::-1] if flips[i] else crop
        crop = torch.from_numpy(crop.astype(np.float32)) / 255
        out.append((crop - mean[:, None, None]) / std[:, None, None])
    return torch.stack(out)


@pytest.mark.parametrize("shape, pad", [((64, 3, 32, 32), 4), ((9, 3, 8, 6), 5), ((5, 3, 4, 4), 0)])
def test_augment_equals_the_slow_reference(shape, pad):
    images = torch.randint(0, 256, shape, dtype=torch.uint8)
    fast = augment(images, torch.Generator().manual_seed(1), MEAN, STD, pad)
    slow = slow_augment(images, torch.Generator().manual_seed(1), MEAN, STD, pad)
    torch.testing.assert_close(fast, slow)


def test_every_shift_and_flip_occurs():
    image = torch.arange(256).to(torch.uint8).view(1, 1, 16, 16).expand(4000, 1, 16, 16)
    out = augment(image, stream(0, "crop", 0), torch.zeros(1), torch.ones(1))
    assert len({tuple(o.flatten().tolist()) for o in out}) == 9 * 9 * 2


def test_normalise():
    images = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    expected = (images / 255 - MEAN[:, None, None]) / STD[:, None, None]
    torch.testing.assert_close(normalise(images, MEAN, STD), expected)


def test_streams_depend_on_each_argument_alone():
    def draw(*args):
        return torch.rand(4, generator=stream(*args)).tolist()

    torch.manual_seed(5)
    first = draw(0, "crop", 7)
    torch.manual_seed(6)
    assert draw(0, "crop", 7) == first
    others = [draw(1, "crop", 7), draw(0, "order", 7), draw(0, "crop", 8)]
    assert first not in others


def test_too_much_padding():
    with pytest.raises(ValueError, match="pad=8"):
        augment(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), stream(0, "", 0), MEAN, STD, 8)
