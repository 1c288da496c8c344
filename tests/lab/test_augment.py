import numpy as np
import pytest
import torch
import torch.nn.functional as F

from rigl_edu.lab.augment import augment, normalise, rectangles, stream, zoom

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


# --- crops of any size -------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(64, 3, 32, 32), (20, 3, 8, 6)])
def test_zoom_equals_torchs_own_interpolation_of_each_rectangle(shape):
    images = torch.randint(0, 256, shape, dtype=torch.uint8)
    fast = zoom(images, stream(0, "crop", 1), MEAN, STD)
    sides, corners, flips = rectangles(shape[0], *shape[2:], stream(0, "crop", 1))
    assert 0 < flips.sum() < len(flips)
    for i, out in enumerate(fast):
        (h, w), (top, left) = sides[:, i].int().tolist(), corners[:, i].int().tolist()
        part = images[i : i + 1, :, top : top + h, left : left + w].float()
        slow = F.interpolate(part, shape[2:], mode="bilinear", align_corners=False)
        slow = slow.flip(3) if flips[i] else slow
        slow = (slow[0] / 255 - MEAN[:, None, None]) / STD[:, None, None]
        torch.testing.assert_close(out, slow, rtol=1e-4, atol=1e-4)


def test_rectangles_are_torchvisions():
    """Areas and ratios as RandomResizedCrop draws them: means and extremes of 20 000."""
    from torchvision.transforms import RandomResizedCrop

    image, n = torch.zeros(1, 32, 32), 20_000
    torch.manual_seed(0)
    drawn = [RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(n)]
    top, left, h, w = torch.tensor(drawn, dtype=torch.float).T
    sides, corners, _ = rectangles(n, 32, 32, stream(0, "crop", 0))
    for ours, theirs in zip((*sides, *corners), (h, w, top, left), strict=True):
        assert float(ours.mean()) == pytest.approx(float(theirs.mean()), rel=0.03)
        assert float(ours.std()) == pytest.approx(float(theirs.std()), rel=0.03)
        assert (int(ours.min()), int(ours.max())) == (int(theirs.min()), int(theirs.max()))
    assert (corners >= 0).all() and (corners + sides <= 32).all()
    for cut in (0.25, 0.5, 0.75):
        share, expected = (float((a < cut * 1024).float().mean()) for a in (sides.prod(0), h * w))
        assert share == pytest.approx(expected, abs=0.015)
