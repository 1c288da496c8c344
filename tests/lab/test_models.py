import math

import pytest
import torch
from torch import nn

from rigl_edu.lab.models import mlp, small_cnn, wide_resnet


def counts(model):
    weights = sum(
        m.weight.numel() for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))
    )
    return weights, sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    "args, expected",
    [
        ((22, 2), (1_076_912, 1_079_642)),
        # 432 + 2*2304 + (4608 + 9216 + 512) + (18432 + 36864 + 2048) + 640 weights;
        # batch norms 2 * (16 + 16 + 16 + 32 + 32 + 64 + 64), bias 10
        ((10, 1), (77_360, 77_360 + 480 + 10)),
    ],
)
def test_wide_resnet_counts(args, expected):
    assert counts(wide_resnet(*args)) == expected


def test_wide_resnet_has_the_papers_23_weight_tensors_stem_first():
    model = wide_resnet(22, 2)
    names = [n for n, m in model.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert len(names) == 23
    assert names[:4] == ["stem", "group1.0.conv1", "group1.0.conv2", "group1.0.shortcut"]
    assert names[-1] == "fc"
    assert [n for n in names if "shortcut" in n] == [f"group{g}.0.shortcut" for g in (1, 2, 3)]


def test_wide_resnet_initialisation():
    torch.manual_seed(0)
    model = wide_resnet(22, 2)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            k, fan_out = layer.kernel_size[0], layer.out_channels
            sd = math.sqrt(2 / (k * k * fan_out))
            assert layer.weight.std().item() == pytest.approx(sd, rel=0.15)
            assert layer.bias is None
    assert not model.fc.bias.any()


def test_wide_resnet_block_by_hand():
    """The shortcut reads the activated input, and dropout sits between the convolutions."""
    block = wide_resnet(10, 2).group1[0].eval()
    x = torch.randn(2, 16, 8, 8)
    active = torch.relu(block.norm1(x))
    inner = torch.relu(block.norm2(block.conv1(active)))
    torch.testing.assert_close(block(x), block.conv2(inner) + block.shortcut(active))
    block.train()
    block.dropout.p = 1.0  # all of the second convolution's input is dropped
    active = torch.relu(block.norm1(x))
    torch.testing.assert_close(block(x), block.shortcut(active))


def test_identity_shortcut_is_the_raw_input():
    block = wide_resnet(16, 1).group2[1].eval()
    block.conv2.weight.data.zero_()
    x = torch.randn(2, 32, 4, 4)
    assert block.shortcut is None
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("size", [8, 32])
def test_output_shapes(size):
    x = torch.randn(2, 3, size, size)
    assert wide_resnet(10, 1, num_classes=7)(x).shape == (2, 7)
    assert small_cnn(num_classes=7)(x).shape == (2, 7)


def test_mlp_is_the_classic_64_300_100_10():
    model = mlp()
    assert counts(model) == (64 * 300 + 300 * 100 + 100 * 10, 64 * 300 + 30_000 + 1000 + 410)
    assert model(torch.randn(3, 1, 8, 8)).shape == (3, 10)


@pytest.mark.parametrize(
    "make, value",
    [
        (lambda: wide_resnet(21, 2), "depth=21"),
        (lambda: wide_resnet(4, 2), "depth=4"),
        (lambda: wide_resnet(22, 0), "width=0"),
        (lambda: wide_resnet(22, 2, dropout=1.0), "dropout=1.0"),
        (lambda: mlp((3,)), "sizes="),
        (lambda: mlp((3, 0)), "sizes="),
    ],
)
def test_impossible_networks(make, value):
    with pytest.raises(ValueError, match=value):
        make()
