"""What passes and trainings cost, counted a second time: by hand, by torch's counter, by loops."""

import copy
from math import prod

import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rigl_edu.sparse.flops import forward_flops
from rigl_edu.sparse.layers import masked_layers
from rigl_edu.sparse.sparsify import sparsify
from rigl_edu.sparse.training_flops import (
    dsr_flops,
    imp_flops,
    longer_flops,
    lottery_flops,
    pruning_flops,
    redistributed_rigl_flops,
    rigl_flops,
    snfs_flops,
    snip_flops,
    static_flops,
)
from tests.sparse.models import convnet, same, snapshot

PRODUCTS_OF_ATTENTION = {"bmm", "baddbmm", "_scaled_dot_product", "scaled_dot_product"}


def linear(weights: int, fan_in: int, positions: int = 1) -> int:
    """FLOPs of a linear layer: two for each weight and, as in the reproduction, one an input."""
    return (2 * weights + fan_in) * positions


def torch_counts(model: nn.Module, *inputs: torch.Tensor) -> int:
    """FLOPs of convolutions and matrix products as torch sees the operators, not the modules."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(*inputs)
    operators = counter.get_flop_counts()["Global"]
    left_out = [op for op in operators if any(part in str(op) for part in PRODUCTS_OF_ATTENTION)]
    return sum(count for op, count in operators.items() if op not in left_out)


# --- torchvision's networks, dense ---------------------------------------------------------------


def on_meta(build, **arguments) -> nn.Module:
    with torch.device("meta"):
        return build(**arguments)


def torchvision_resnet50_products() -> int:
    """For 224x224 images, from He et al. 2016, table 1, with the stride on the 3x3 convolutions."""
    products = 112**2 * 7 * 7 * 3 * 64
    fan_in, before = 64, 56
    for blocks, width, side in ((3, 64, 56), (4, 128, 28), (6, 256, 14), (3, 512, 7)):
        for block in range(blocks):
            products += before**2 * fan_in * width
            products += side**2 * (9 * width * width + width * 4 * width)
            if block == 0:
                products += side**2 * fan_in * 4 * width
            fan_in, before = 4 * width, side
    return products + 2048 * 1000


def torchvision_mobilenet_v2_products() -> int:
    """For 224x224 images, from Sandler et al. 2018, table 2."""
    side, fan_in = 112, 32
    products = side**2 * 9 * 3 * 32
    table = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)]
    table += [(6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    for expansion, fan_out, repeats, stride in table:
        for repeat in range(repeats):
            inner = expansion * fan_in
            if expansion > 1:
                products += side**2 * fan_in * inner
            side //= stride if repeat == 0 else 1
            products += side**2 * 9 * inner  # a kernel a channel
            products += side**2 * inner * fan_out
            fan_in = fan_out
    return products + side**2 * 320 * 1280 + 1280 * 1000


@pytest.mark.parametrize(
    ("build", "products", "features"),
    [
        (torchvision.models.resnet50, torchvision_resnet50_products(), 2048),
        (torchvision.models.mobilenet_v2, torchvision_mobilenet_v2_products(), 1280),
    ],
)
def test_torchvisions_networks_cost_what_their_papers_tables_add_up_to(build, products, features):
    model = on_meta(build)
    assert forward_flops(model, (3, 224, 224)) == 2 * products + features
    images = torch.zeros(1, 3, 224, 224, device="meta")
    assert torch_counts(model.eval(), images) == 2 * products


def test_torchvision_states_the_same_number_of_products():
    """Its weights carry the count in units of 10^9."""
    stated = torchvision.models.ResNet50_Weights.IMAGENET1K_V1.meta["_ops"]
    assert torchvision_resnet50_products() / 1e9 == pytest.approx(stated, abs=5e-4)
    stated = torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V1.meta["_ops"]
    assert torchvision_mobilenet_v2_products() / 1e9 == pytest.approx(stated, abs=5e-4)


def test_a_vision_transformer_is_counted_whole():
    """Patches by a convolution, twelve encoder layers, a head that reads one token of 197."""
    model = on_meta(torchvision.models.vit_b_16)
    width, tokens = 768, 197
    layer = 4 * linear(width * width, width, tokens)
    layer += linear(width * 3072, width, tokens) + linear(3072 * width, 3072, tokens)
    patches = 2 * 196 * width * 3 * 16 * 16
    expected = patches + 12 * layer + linear(width * 1000, width)
    assert forward_flops(model, (3, 224, 224)) == expected


def test_the_meta_device_counts_what_the_cpu_does():
    torch.manual_seed(0)
    real = convnet(norm=True)
    shapes = copy.deepcopy(real).to("meta")
    assert forward_flops(shapes, (2, 6, 6)) == forward_flops(real, (2, 6, 6))
    assert forward_flops(sparsify(shapes, 0.5), (2, 6, 6), dense=True) == forward_flops(
        real, (2, 6, 6)
    )


def test_masked_torchvision_networks_cost_their_active_weights_at_their_outputs():
    model = sparsify(torchvision.models.mobilenet_v2(num_classes=10), 0.3)
    sizes = {}
    for name, layer in masked_layers(model).items():
        layer.register_forward_hook(
            lambda layer, inputs, output, name=name: sizes.update({name: output.shape})
        )
    model.eval()(torch.zeros(1, 3, 32, 32))
    expected = 1280
    for name, layer in masked_layers(model).items():
        ones = int((layer.mask != 0).sum())
        expected += 2 * ones * prod(sizes[name][2:])
    assert len(sizes) == 53
    assert forward_flops(model, (3, 32, 32)) == expected


# --- Transformers --------------------------------------------------------------------------------

WIDTH, HEADS, INNER, TOKENS = 8, 2, 20, 5


def encoder_layer(**arguments) -> nn.TransformerEncoderLayer:
    torch.manual_seed(0)
    return nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, **({"batch_first": True} | arguments))


def encoder(layers: int = 2, **arguments) -> nn.TransformerEncoder:
    return nn.TransformerEncoder(encoder_layer(**arguments), layers, enable_nested_tensor=False)


def layer_by_hand(out: int, first: int, second: int, tokens: int = TOKENS) -> int:
    """An encoder layer with so many active weights in out_proj, linear1 and linear2."""
    projections = 3 * linear(WIDTH * WIDTH, WIDTH, tokens)  # query, key and value, always dense
    return (
        projections
        + linear(out, WIDTH, tokens)
        + linear(first, WIDTH, tokens)
        + linear(second, INNER, tokens)
    )


DENSE_LAYER = layer_by_hand(64, 160, 160)


@pytest.mark.parametrize("arguments", [{}, {"batch_first": False}, {"norm_first": True}])
@pytest.mark.parametrize("training", [True, False])
def test_a_transformer_layer_by_hand(arguments, training):
    """In evaluation mode torch would hand the weights to one fused kernel and call no layer."""
    model = encoder_layer(**arguments).train(training)
    assert forward_flops(model, (TOKENS, WIDTH)) == DENSE_LAYER
    assert model.training == training


@pytest.mark.parametrize("training", [True, False])
def test_a_sparse_encoder_by_hand(training):
    model = sparsify(encoder(), 0.3).train(training)
    ones = {name: int(layer.mask.sum()) for name, layer in masked_layers(model).items()}
    assert len(ones) == 6 and sum(ones.values()) == round(0.3 * 2 * 384)
    expected = sum(
        layer_by_hand(
            ones[f"layers.{i}.self_attn.out_proj"],
            ones[f"layers.{i}.linear1"],
            ones[f"layers.{i}.linear2"],
        )
        for i in (0, 1)
    )
    assert forward_flops(model, (TOKENS, WIDTH)) == expected
    assert forward_flops(model, (TOKENS, WIDTH), dense=True) == 2 * DENSE_LAYER


def test_an_encoder_costs_what_torch_counts_of_its_matrix_products():
    model = encoder(3)
    x = torch.zeros(1, TOKENS, WIDTH)
    inputs = 3 * TOKENS * (5 * WIDTH + INNER)  # one FLOP for each input of the six layers
    assert forward_flops(model, (TOKENS, WIDTH)) == torch_counts(model, x) + inputs


class Cross(nn.Module):
    """Attention of 3 queries to 7 keys and values of other widths, called by position or name."""

    def __init__(self, call: str) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, kdim=6, vdim=4, batch_first=True)
        self.call = call

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        key = x.new_ones(1, 7, 6)
        value = x.new_ones(1, 7, 4)
        if self.call == "position":
            return self.attention(x, key, value, need_weights=False)[0]
        if self.call == "mixed":
            return self.attention(x, value=value, key=key)[0]
        return self.attention(key=key, value=value, query=x)[0]


@pytest.mark.parametrize("call", ["position", "mixed", "name"])
def test_cross_attention_counts_each_projection_at_its_own_tokens_and_width(call):
    expected = 3 * (2 * WIDTH * WIDTH + WIDTH)  # query
    expected += 7 * (2 * WIDTH * 6 + 6) + 7 * (2 * WIDTH * 4 + 4)
    expected += 3 * (2 * WIDTH * WIDTH + WIDTH)  # out_proj, for each query
    assert forward_flops(Cross(call), (3, WIDTH)) == expected


def test_a_decoder_layer_has_two_attentions():
    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.TransformerDecoderLayer(WIDTH, HEADS, INNER, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x, x.new_zeros(1, 9, WIDTH))

    one = linear(WIDTH * WIDTH, WIDTH)
    cross = TOKENS * 2 * one + 9 * 2 * one  # query and out_proj; key and value
    assert forward_flops(Decoder(), (TOKENS, WIDTH)) == DENSE_LAYER + cross


def test_an_attention_with_a_forward_of_its_own_is_not_counted_twice():
    class Mean(nn.MultiheadAttention):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out_proj(x.mean(1))

    assert forward_flops(Mean(WIDTH, HEADS), (TOKENS, WIDTH)) == linear(WIDTH * WIDTH, WIDTH)


def test_an_attention_that_is_never_called_is_an_error():
    model = nn.Sequential(nn.Linear(4, 4))
    model.idle = nn.MultiheadAttention(4, 2)
    model.forward = lambda x: model[0](x)
    sparsify(model, 0.5)
    with pytest.raises(ValueError, match=r"\['idle.out_proj'\] were not called"):
        forward_flops(model, (4,))


class Language(nn.Module):
    """Token numbers to logits, with padding that torch would cut off by nested tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, WIDTH, padding_idx=0)
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(WIDTH, 11)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        x = self.encoder(self.embed(numbers), src_key_padding_mask=numbers == 0)
        return self.head(x)  # (B, tokens, 11)


@pytest.mark.parametrize("numbers", [[4, 2, 9, 1, 10], [4, 2, 0, 0, 0]])
def test_a_network_of_token_numbers_runs_on_a_sample(numbers):
    """Padding costs as much as any token: the layers are called on all of it."""
    expected = 2 * DENSE_LAYER + linear(WIDTH * 11, WIDTH, TOKENS)
    assert forward_flops(Language(), torch.tensor(numbers)) == expected


def test_a_sample_is_one_sample_and_equals_its_shape():
    model = sparsify(convnet(norm=True), 0.4)
    assert forward_flops(model, torch.rand(2, 6, 6)) == forward_flops(model, (2, 6, 6))
    assert forward_flops(model, torch.Size((2, 6, 6))) == forward_flops(model, (2, 6, 6))


# --- called twice, named twice, left as it was ---------------------------------------------------


def test_two_calls_cost_twice_and_two_names_once():
    torch.manual_seed(0)
    layer = nn.Linear(6, 6)
    twice = sparsify(nn.Sequential(layer, nn.ReLU(), layer), 0.5)
    assert forward_flops(twice, (6,)) == 2 * linear(18, 6)

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(6, 6)
            self.other = self.one

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.other(x)

    assert forward_flops(sparsify(Named(), 0.5), (6,)) == linear(18, 6)


def state_of(model: nn.Module) -> list:
    hooks = [
        (list(m._forward_hooks), list(m._forward_hooks_with_kwargs), list(m._forward_pre_hooks))
        for m in model.modules()
    ]
    return [hooks, [m.training for m in model.modules()], torch.backends.mha.get_fastpath_enabled()]


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_counting_leaves_modes_hooks_buffers_and_the_fused_kernel_as_they_were(fused, fails):
    model = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(TOKENS), encoder())
    seen = []
    model[2].layers[0].self_attn.register_forward_hook(lambda *_: seen.append(1))
    sparsify(model, 0.5).train()
    model[2].layers[0].eval()
    was_fused = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(fused)
        before, values = state_of(model), snapshot(model)
        random_state = torch.get_rng_state()
        if fails:
            with pytest.raises(RuntimeError):
                forward_flops(model, (TOKENS + 1, WIDTH))
        else:
            forward_flops(model, (TOKENS, WIDTH))
            assert seen == [1]  # a user's own hook ran, and is still there
        assert state_of(model) == before
        assert same(snapshot(model), values)
        assert torch.equal(torch.get_rng_state(), random_state)
        assert all(p.grad is None for p in model.parameters())
    finally:
        torch.backends.mha.set_fastpath_enabled(was_fused)


# --- training ------------------------------------------------------------------------------------

F_D = 1000.0


def test_rigl_pass_by_pass():
    """Each ordinary step has three sparse passes; the last step's weight gradient is dense."""
    for f_s, every in ((100.0, 1), (100.0, 7), (350.0, 100)):
        passes = []
        for _ in range(every):
            passes += [f_s, f_s, f_s]
        passes += [f_s, f_s, F_D]
        expected = sum(passes) / (every + 1)
        assert rigl_flops(f_s, F_D, every) == pytest.approx(expected)
        assert redistributed_rigl_flops(f_s, F_D, every) == pytest.approx(expected)


def test_snip_pass_by_pass():
    steps = 40
    passes = [F_D] * 3 + [100.0] * 3 * steps  # the scores, then training
    assert snip_flops(100.0, F_D, steps) == pytest.approx(sum(passes) / steps)
    assert snip_flops(100.0, F_D, 10**9) == pytest.approx(static_flops(100.0))


def test_methods_whose_cost_changes_step_by_step():
    f_s = [1000.0, 700.0, 400.0, 100.0]
    mean = sum(f_s) / 4
    sparse_passes = sum(3 * f for f in f_s) / 4
    assert pruning_flops(mean) == pytest.approx(sparse_passes)
    assert dsr_flops(mean) == pytest.approx(sparse_passes)
    assert snfs_flops(mean, F_D) == pytest.approx(sum(2 * f + F_D for f in f_s) / 4)
    # A ticket is trained once more, with the mask that pruning ended with.
    assert lottery_flops(mean, f_s[-1]) == pytest.approx(sparse_passes + 3 * 100)


def test_iterative_pruning_round_by_round():
    rounds, f = [], F_D
    for _ in range(4):
        rounds.append(f)
        f *= 0.8
    assert imp_flops(rounds) == pytest.approx(3 * 1000 * (1 + 0.8 + 0.64 + 0.512))
    assert imp_flops([F_D]) == static_flops(F_D)


# Published shares of the dense training cost, two digits each (tables 2, 3 and 5).
@pytest.mark.parametrize(
    ("flops", "published"),
    [
        (lottery_flops(0.32, 0.13), 0.45),
        (lottery_flops(0.41, 0.27), 0.68),
        (snfs_flops(0.27, 1.0), 0.51),
        (snfs_flops(0.49, 1.0), 0.66),
        (snfs_flops(0.37, 1.0), 0.58),
        (snfs_flops(0.55, 1.0), 0.70),
        (redistributed_rigl_flops(0.28, 1.0, 100), 0.28),
        (redistributed_rigl_flops(0.49, 1.0, 100), 0.49),
        (redistributed_rigl_flops(0.53, 1.0, 100), 0.53),
        (longer_flops(rigl_flops(0.2022, 1.0, 100), 2), 0.41),
        (longer_flops(rigl_flops(0.2022, 1.0, 100), 3), 0.61),
        (longer_flops(rigl_flops(0.1735, 1.0, 100), 2), 0.35),
        (longer_flops(static_flops(0.1025), 2), 0.20),
        (snip_flops(0.2022, 1.0, 88_000), 0.20),
    ],
)
def test_published_training_costs(flops, published):
    assert flops / 3 == pytest.approx(published, abs=0.0085)


@pytest.mark.parametrize(
    ("d", "published"), [(0.05, 0.234), (0.1, 0.274), (0.2, 0.355), (0.5, 0.597)]
)
def test_pruning_with_the_reproductions_schedule_if_it_were_uniform(d, published):
    """WRN-22-2: cubic from step 700 to 65 918 of 88 000, a reading after each epoch."""
    readings = []
    for epoch in range(1, 251):
        progress = min(max((352 * epoch - 700) / (65_918 - 700), 0.0), 1.0)
        sparsity = (1 - d) * (1 - (1 - progress) ** 3)
        # The stem's 432 weights, at 32x32 outputs each, stay.
        stem = 2 * 432 * 32 * 32 / 315_460_224
        readings.append(stem + (1 - stem) * (1 - sparsity))
    assert pruning_flops(sum(readings) / 250) / 3 == pytest.approx(published, abs=6e-4)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: snip_flops(1.0, 2.0, 0), "steps=0"),
        (lambda: imp_flops([]), "forwards is empty"),
        (lambda: longer_flops(1.0, 0), "times=0"),
        (lambda: longer_flops(1.0, float("nan")), "times=nan"),
    ],
)
def test_impossible_trainings(call, match):
    with pytest.raises(ValueError, match=match):
        call()
