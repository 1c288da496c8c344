import math

import pytest
import torch
from torch import nn

from rigl_edu.lab.models import (
    BUILDERS,
    lenet5,
    mlp,
    resnet20,
    resnet20_no_bn,
    resnet50,
    small_cnn,
    small_dense,
    vgg11,
    vgg11_bn,
    wide_resnet,
)
from rigl_edu.sparse import forward_flops


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
        (lambda: lenet5(image_size=30), "image_size=30.*28 or 32"),
        (lambda: lenet5(widths=(6, 16, 120)), r"widths=\(6, 16, 120\).*four"),
        (lambda: lenet5(widths=(6, 0, 120, 84)), r"widths=\(6, 0, 120, 84\).*at least 1"),
        (lambda: lenet5(scale=0.1), r"scale=0.1 leaves none of 6 channels.*at least 0.1666"),
        (lambda: vgg11(scale=0.01), "scale=0.01 leaves none of 64"),
        (lambda: vgg11_bn(scale=0.01), "scale=0.01 leaves none of 64"),
        (lambda: resnet20(scale=0.05), "scale=0.05 leaves none of 16"),
        (lambda: resnet50(scale=-1.0), "scale=-1.0 leaves none of 64"),
        (lambda: wide_resnet(10, 1, scale=0.0), "scale=0.0 leaves none of 16"),
        (lambda: small_cnn(scale=0.06), "scale=0.06 leaves none of 16"),
        (lambda: mlp((4, 9, 2), scale=0.1), "scale=0.1 leaves none of 9"),
        (lambda: small_dense(mlp, 0.0), "density is 0.0"),
        (lambda: small_dense(mlp, 1.5), "density is 1.5"),
    ],
)
def test_impossible_networks(make, value):
    with pytest.raises(ValueError, match=value):
        make()


# --- sizes, each worked out by hand --------------------------------------------------------------

VGG_WEIGHTS = 9 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 256 + 256 * 512 + 3 * 512 * 512) + 5120
VGG_CHANNELS = 64 + 128 + 2 * 256 + 4 * 512
RESNET20_WEIGHTS = (
    9 * (3 * 16 + 6 * 16 * 16 + 16 * 32 + 5 * 32 * 32 + 32 * 64 + 5 * 64 * 64)
    + (16 * 32 + 32 * 64)  # the two shortcuts
    + 640
)
RESNET20_CHANNELS = 7 * 16 + 7 * 32 + 7 * 64  # stem and six; six and the shortcut, twice


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lenet5, (44_190, 44_190 + 236)),
        (lambda: lenet5(widths=(3, 3, 27, 20)), (2_336, 2_399)),
        (lambda: lenet5(image_size=32), (61_470, 61_706)),
        (lambda: lenet5(in_channels=3), (44_190 + 2 * 150, 44_426 + 2 * 150)),
        (vgg11, (VGG_WEIGHTS, VGG_WEIGHTS + VGG_CHANNELS + 10)),
        (vgg11_bn, (VGG_WEIGHTS, VGG_WEIGHTS + 2 * VGG_CHANNELS + 10)),
        (lambda: vgg11(100, in_channels=1), (VGG_WEIGHTS + 46_080 - 1152, 9_270_628)),
        (resnet20, (RESNET20_WEIGHTS, RESNET20_WEIGHTS + 2 * RESNET20_CHANNELS + 10)),
        (resnet20_no_bn, (RESNET20_WEIGHTS, RESNET20_WEIGHTS + RESNET20_CHANNELS + 10)),
        (resnet50, (23_652_032, 23_705_252)),
    ],
)
def test_counts_of_weights_and_parameters(build, expected):
    assert counts(build()) == expected


def test_numbers_that_the_docstrings_state():
    assert (VGG_WEIGHTS, RESNET20_WEIGHTS) == (9_222_848, 270_896)
    assert counts(vgg11())[1] == 9_225_610 and counts(vgg11_bn())[1] == 9_228_362
    assert counts(resnet20())[1] == 272_474
    # 274K counts batch norm's running means and variances; without shortcut weights it is 271K.
    running = sum(b.numel() for n, b in resnet20().named_buffers() if "running" in n)
    assert 272_474 + running == 274_042
    assert 272_474 - (16 * 32 + 32 * 64 + 2 * 96) == 269_722
    assert 269_722 + running - 2 * 96 == 271_098


def test_forward_flops_by_hand():
    # LeNet-5: 24x24 and 8x8 outputs, then linear layers, whose inputs count once more.
    convolutions, linears = 24**2 * 150 + 8**2 * 2400, 256 * 120 + 120 * 84 + 840
    assert forward_flops(lenet5(), (1, 28, 28)) == 2 * (convolutions + linears) + 256 + 120 + 84
    channels = [3, 64, 128, 256, 256, 512, 512, 512, 512]
    sides = [32, 16, 8, 8, 4, 4, 2, 2]
    products = sum(
        9 * a * b * side**2 for a, b, side in zip(channels[:-1], channels[1:], sides, strict=True)
    )
    for build in (vgg11, vgg11_bn):
        assert forward_flops(build(), (3, 32, 32)) == 2 * (products + 5120) + 512
    products = 1024 * (432 + 6 * 2304) + 256 * (4608 + 5 * 9216 + 512)
    products += 64 * (18432 + 5 * 36864 + 2048) + 640
    for build in (resnet20, resnet20_no_bn):
        assert forward_flops(build(), (3, 32, 32)) == 2 * products + 64


# --- small-dense ---------------------------------------------------------------------------------

WRN_WIDTHS = {
    0.05: [3, 7, 14, 28],
    0.1: [5, 10, 20, 40],
    0.2: [7, 14, 28, 57],
    0.5: [11, 22, 45, 90],
}
R50_WIDTHS = {
    0.05: [14, 28, 57, 114],
    0.1: [20, 40, 80, 161],
    0.2: [28, 57, 114, 228],
    0.5: [45, 90, 181, 362],
}
# Share of parameters and of forward FLOPs that is left, from the fact sheet.
WRN_RATIOS = {0.05: (0.0485, 0.048), 0.1: (0.0985, 0.098), 0.2: (0.197, 0.194), 0.5: (0.494, 0.487)}
R50_RATIOS = {
    0.05: (0.0513, 0.049),
    0.1: (0.1007, 0.098),
    0.2: (0.2009, 0.197),
    0.5: (0.5018, 0.498),
}


@pytest.mark.parametrize("d", WRN_WIDTHS)
def test_small_dense_wide_resnet_has_the_reproductions_widths_and_cost(d):
    model = small_dense(wide_resnet, d, depth=22, width=2)
    layers = [model.stem, *(getattr(model, f"group{g}")[0].conv1 for g in (1, 2, 3))]
    assert [layer.out_channels for layer in layers] == WRN_WIDTHS[d]
    assert model.stem.in_channels == 3 and model.fc.out_features == 10
    parameters, flops = WRN_RATIOS[d]
    assert counts(model)[1] / 1_079_642 == pytest.approx(parameters, abs=5e-4)
    assert forward_flops(model, (3, 32, 32)) / 315_460_224 == pytest.approx(flops, abs=5e-4)


@pytest.mark.parametrize("d", R50_WIDTHS)
def test_small_dense_resnet_50_has_the_reproductions_widths_and_cost(d):
    with torch.device("meta"):
        model = small_dense(resnet50, d)
    blocks = [getattr(model, f"group{g}")[0] for g in (1, 2, 3, 4)]
    assert [block.conv2.out_channels for block in blocks] == R50_WIDTHS[d]
    assert [block.conv3.out_channels for block in blocks] == [4 * w for w in R50_WIDTHS[d]]
    assert model.stem.out_channels == R50_WIDTHS[d][0]
    parameters, flops = R50_RATIOS[d]
    assert counts(model)[1] / 23_705_252 == pytest.approx(parameters, abs=5e-5)
    assert forward_flops(model, (3, 32, 32)) / 2_596_030_464 == pytest.approx(flops, abs=5e-4)


def test_scale_applies_to_every_hidden_width_and_to_nothing_else():
    assert [m.out_features for m in mlp((50, 30, 20, 10), scale=0.5)[1::2]] == [15, 10, 10]
    assert mlp((50, 30, 10), scale=0.5)[1].in_features == 50
    convolutions = [m for m in small_cnn(scale=0.3) if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [4, 9, 19]  # int of 4.8, 9.6, 19.2
    assert convolutions[0].in_channels == 3
    model = lenet5(scale=0.5)
    assert [p.shape[0] for p in model.parameters()][::2] == [3, 8, 60, 42, 10]
    model = vgg11_bn(7, scale=0.25)
    widths = [m.weight.shape[0] for m in model if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert widths == [16, 32, 64, 64, 128, 128, 128, 128, 7]
    model = resnet20(scale=0.5)
    assert [model.stem.out_channels, model.fc.in_features, model.fc.out_features] == [8, 32, 10]
    # A product that floating point puts just below a whole number is that number.
    assert mlp((4, 100, 2), scale=0.29)[1].out_features == 29
    # Otherwise the integer part, not the nearest.
    assert mlp((4, 100, 2), scale=0.2999)[1].out_features == 29


def test_small_dense_passes_its_arguments_on():
    model = small_dense(mlp, 0.25, sizes=(12, 8, 3))
    assert [(m.in_features, m.out_features) for m in model[1::2]] == [(12, 4), (4, 3)]
    model = small_dense(small_cnn, 0.25, num_classes=5, in_channels=1)
    assert model[0].weight.shape == (8, 1, 3, 3) and model[-1].out_features == 5
    torch.manual_seed(0)
    ordinary = small_cnn()
    torch.manual_seed(0)
    same = small_dense(small_cnn, 1.0)
    for a, b in zip(ordinary.parameters(), same.parameters(), strict=True):
        assert torch.equal(a, b)


# --- what every builder promises -----------------------------------------------------------------

SMALLEST = {  # arguments that keep a forward pass cheap
    "mlp": {"sizes": (2 * 32 * 32, 20, 7)},
    "wide_resnet": {"depth": 10, "width": 1},
    "lenet5": {"image_size": 32},
    "vgg11": {"scale": 0.1},
    "vgg11_bn": {"scale": 0.1},
    "resnet50": {"scale": 0.1},
}


@pytest.mark.parametrize("name", BUILDERS)
def test_every_builder_takes_classes_channels_and_any_batch(name):
    arguments = SMALLEST.get(name, {})
    if name != "mlp":
        arguments = arguments | {"num_classes": 7, "in_channels": 2}
    torch.manual_seed(0)
    model = BUILDERS[name](**arguments)
    images = torch.randn(3, 2, 32, 32)
    logits = model(images)
    assert logits.shape == (3, 7) and logits.isfinite().all()
    logits.sum().backward()
    # With the last batch norm of its blocks at 0, ResNet-50's blocks get no gradient at first.
    asleep = {n for n, p in model.named_parameters() if not p.grad.any()}
    if name == "resnet50":
        assert all("conv" in n or "norm" in n for n in asleep)
        assert not asleep & {f"group{g}.0.norm3.weight" for g in (1, 2, 3, 4)}
    else:
        assert asleep == set()
    # Evaluation takes the samples one by one.
    model.eval()
    with torch.no_grad():
        torch.testing.assert_close(model(images)[1:2], model(images[1:2]), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", BUILDERS)
def test_every_builder_follows_the_seed_and_works_on_the_meta_device(name):
    arguments = SMALLEST.get(name, {}) | ({} if name == "mlp" else {"num_classes": 7})
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(BUILDERS[name](**arguments).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert not all(torch.equal(states[0][key], states[2][key]) for key in states[0])
    with torch.device("meta"):
        shapes = {k: v.shape for k, v in BUILDERS[name](**arguments).state_dict().items()}
    assert shapes == {k: v.shape for k, v in states[0].items()}


@pytest.mark.parametrize("name", BUILDERS)
def test_the_first_layer_defined_is_the_first_one_called(name):
    """Uniform keeps the first layer dense: the one that reads the image, not a shortcut."""
    arguments = SMALLEST.get(name, {}) | ({} if name == "mlp" else {"in_channels": 2})
    model = BUILDERS[name](**arguments)
    called = []
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    for layer in layers:
        layer.register_forward_hook(lambda layer, *_: called.append(layer))
    model(torch.randn(2, 2, 32, 32))
    assert called[0] is layers[0] and called[-1] is layers[-1]
    assert len(called) == len(layers) == len(set(called))


@pytest.mark.parametrize("build", [vgg11, resnet20_no_bn, lenet5])
def test_networks_without_batch_norm_have_none_and_a_bias_in_every_layer(build):
    model = build()
    assert not any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert all(layer.bias is not None and not layer.bias.any() for layer in layers)


@pytest.mark.parametrize(
    ("build", "norms"), [(vgg11_bn, 8), (resnet20, 21), (resnet50, 53), (small_cnn, 3)]
)
def test_networks_with_batch_norm_have_one_for_each_convolution_and_no_bias_there(build, norms):
    with torch.device("meta"):
        model = build()
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in model.modules()) == norms
    assert len(convolutions) == norms and all(m.bias is None for m in convolutions)


@pytest.mark.parametrize("build", [lenet5, vgg11, vgg11_bn, resnet20, resnet20_no_bn])
def test_first_weights_follow_the_fan_in(build):
    torch.manual_seed(0)
    for name, layer in build().named_modules():
        if not isinstance(layer, (nn.Conv2d, nn.Linear)):
            continue
        fan_in = layer.weight[0].numel()
        sd = math.sqrt(2 / fan_in)
        if build is resnet20_no_bn and name.endswith("conv2"):
            sd /= 3  # nine blocks
        n = layer.weight.numel()  # five standard errors of a sample's sd and mean
        assert layer.weight.std().item() == pytest.approx(sd, rel=5 / math.sqrt(2 * n)), name
        assert abs(layer.weight.mean().item()) < 5 * sd / math.sqrt(n), name


def test_first_weights_of_resnet_50_follow_the_fan_out_and_blocks_start_as_shortcuts():
    torch.manual_seed(0)
    model = resnet50()
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d):
            sd = math.sqrt(2 / (layer.kernel_size[0] ** 2 * layer.out_channels))
            assert layer.weight.std().item() == pytest.approx(sd, rel=0.06), name
        if isinstance(layer, nn.BatchNorm2d):
            last = name.endswith("norm3")
            assert (layer.weight == (0 if last else 1)).all() and not layer.bias.any(), name
    block = model.group1[1].eval()
    x = torch.rand(1, 256, 4, 4)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("build", [vgg11, resnet20_no_bn])
def test_without_batch_norm_the_signal_neither_vanishes_nor_explodes(build):
    """Logits of about the size of the inputs, where a wrong scale would be off by 10 or more."""
    torch.manual_seed(0)
    with torch.no_grad():
        spread = build(num_classes=100)(torch.randn(4, 3, 32, 32)).std()
    assert 0.2 < spread < 5


def test_lenet_5_names_the_size_it_was_built_for():
    with pytest.raises(ValueError, match="images are 32x32, this LeNet-5 is for 28x28"):
        lenet5()(torch.zeros(1, 1, 32, 32))
    with pytest.raises(ValueError, match="images are 28x32, this LeNet-5 is for 32x32"):
        lenet5(image_size=32)(torch.zeros(1, 1, 28, 32))


# --- the blocks by hand --------------------------------------------------------------------------


def give_norms_a_past(block):
    """Batch norms that do something, so that a missing or misplaced one shows."""
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean):
                tensor.normal_()
            module.running_var.uniform_(0.5, 2)


@pytest.mark.parametrize("build", [resnet20, resnet20_no_bn])
def test_basic_block_by_hand(build):
    torch.manual_seed(0)
    model = build().eval()
    give_norms_a_past(model)
    relu = torch.relu
    for block, x in [
        (model.group2[0], torch.randn(2, 16, 8, 8)),
        (model.group2[1], torch.randn(2, 32, 4, 4)),
    ]:
        inner = block.norm2(block.conv2(relu(block.norm1(block.conv1(x)))))
        changes = x.shape[1] == 16
        assert (block.shortcut is not None) == changes
        beside = block.shortcut_norm(block.shortcut(x)) if changes else x
        torch.testing.assert_close(block(x), relu(inner + beside))
    assert block(x).shape == (2, 32, 4, 4)
    assert model.group1[0].shortcut is None  # 16 channels before and after


def test_bottleneck_by_hand():
    torch.manual_seed(0)
    model = resnet50(scale=0.125).eval()
    give_norms_a_past(model)
    relu = torch.relu
    for block, x in [
        (model.group1[0], torch.randn(2, 8, 8, 8)),  # the width changes, the size does not
        (model.group2[0], torch.randn(2, 32, 8, 8)),
        (model.group2[1], torch.randn(2, 64, 4, 4)),
    ]:
        inner = relu(block.norm1(block.conv1(x)))
        assert inner.shape[-1] == x.shape[-1]  # the stride is the second convolution's
        inner = relu(block.norm2(block.conv2(inner)))
        inner = block.norm3(block.conv3(inner))
        beside = x if block.shortcut is None else block.shortcut_norm(block.shortcut(x))
        torch.testing.assert_close(block(x), relu(inner + beside))
    assert block.shortcut is None


def test_resnet_50_sees_32_32_16_8_and_4_pixels():
    with torch.device("meta"):
        model = resnet50()
    sizes = []
    for part in (model.stem, model.group1, model.group2, model.group3, model.group4):
        part.register_forward_hook(lambda module, inputs, output: sizes.append(output.shape[-1]))
    model(torch.zeros(2, 3, 32, 32, device="meta"))
    assert sizes == [32, 32, 16, 8, 4]
    assert [len(getattr(model, f"group{g}")) for g in (1, 2, 3, 4)] == [3, 4, 6, 3]


@pytest.mark.parametrize(("build", "unit"), [(vgg11, "CR"), (vgg11_bn, "CBR")])
def test_vgg_11_layer_by_layer(build, unit):
    """Convolution, norm, ReLU; a max-pooling after each group, the mean only after the last."""
    letters = {"Conv2d": "C", "BatchNorm2d": "B", "ReLU": "R", "MaxPool2d": "M", "Linear": "L"}
    letters |= {"AdaptiveAvgPool2d": "A", "Flatten": "F"}
    with torch.device("meta"):
        model = build()
    groups = "".join(unit * convolutions + "M" for convolutions in (1, 1, 2, 2, 2))
    assert "".join(letters[type(m).__name__] for m in model) == groups + "AFL"
