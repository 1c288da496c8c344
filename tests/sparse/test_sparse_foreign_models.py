"""Networks that nobody here wrote: torchvision's, and torch's Transformers, sparse and trained."""

import copy
import io
import pickle

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from rigl_edu.sparse.distributions import erk
from rigl_edu.sparse.layers import MaskedConv2d, MaskedLinear, masked_layers
from rigl_edu.sparse.methods import SET, SNFS, RigL
from rigl_edu.sparse.report import layer_table
from rigl_edu.sparse.sparsify import sparsify
from tests.sparse.models import (
    backward,
    counts_of,
    masks_of,
    mlp,
    same,
    snapshot,
    state_off_mask,
)

WORDS, WIDTH, HEADS, INNER, TOKENS = 13, 8, 2, 20, 6


class Language(nn.Module):
    """Token numbers to the next ones: embeddings, two encoder layers, a head."""

    def __init__(self, tied: bool = False) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, WIDTH)
        self.position = nn.Parameter(0.1 * torch.randn(TOKENS, WIDTH))
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, INNER, dropout=0.1, activation="gelu", batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, WORDS, bias=False)
        if tied:
            self.head.weight = self.embed.weight

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        x = self.embed(numbers) + self.position  # (B, TOKENS, WIDTH)
        return self.head(self.norm(self.encoder(x)))  # (B, TOKENS, WORDS)


def language(tied: bool = False) -> Language:
    torch.manual_seed(0)
    return Language(tied)


LANGUAGE_LAYERS = [
    f"encoder.layers.{i}.{name}"
    for i in (0, 1)
    for name in ("self_attn.out_proj", "linear1", "linear2")
] + ["head"]


def numbers(step: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(step)
    return torch.randint(WORDS, (4, TOKENS), generator=generator)


def language_backward(model: nn.Module, step: int) -> torch.Tensor:
    x = numbers(step)
    model.zero_grad()
    loss = F.cross_entropy(model(x).flatten(0, 1), x.roll(1, 1).flatten())
    loss.backward()
    return loss


def images_backward(model: nn.Module, step: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(step)
    images = torch.randn(2, 3, 32, 32, generator=generator)
    model.zero_grad()
    loss = F.cross_entropy(model(images), torch.tensor([0, 1]))
    loss.backward()
    return loss


# --- what is masked, and what is not -------------------------------------------------------------


@pytest.mark.parametrize("distribution", ["erk", "uniform"])
def test_torchvisions_mobilenet_v2_has_exactly_the_weights_asked_for(distribution):
    """Depthwise convolutions included, whose kernels see one channel each."""
    torch.manual_seed(0)
    model = torchvision.models.mobilenet_v2(num_classes=10)
    before, parameters = snapshot(model), [id(p) for p in model.parameters()]
    sparsify(model, 0.3, distribution)
    rows = layer_table(model)
    total = sum(row.total for row in rows)
    assert len(rows) == 53 and total == sum(
        p.numel() for n, p in model.named_parameters() if p.dim() in (2, 4)
    )
    if distribution == "erk":
        assert sum(row.active for row in rows) == round(0.3 * total)
        densities = erk({row.name: row.shape for row in rows}, 0.3)
        assert all(abs(row.active - densities[row.name] * row.total) < 1 for row in rows)
    else:
        assert rows[0].active == rows[0].total == 9 * 3 * 32
        assert sum(row.active for row in rows[1:]) == round(0.3 * (total - rows[0].total))
    depthwise = [m for m in masked_layers(model).values() if getattr(m, "groups", 1) > 1]
    assert len(depthwise) == 17
    assert all(m.mask.shape == (m.out_channels, 1, 3, 3) for m in depthwise)
    assert parameters == [id(p) for p in model.parameters()]
    masked = {f"{name}.weight" for name in masked_layers(model)}
    for name, value in before.items():
        after = model.state_dict()[name]
        if name in masked:
            value = value * model.state_dict()[name.removesuffix("weight") + "mask"]
        assert torch.equal(after, value), name


def test_embeddings_norms_positions_and_input_projections_stay_as_they_are():
    model = language()
    before = snapshot(model)
    kinds = {name: type(module) for name, module in model.named_modules()}
    sparsify(model, 0.3)
    assert list(masked_layers(model)) == LANGUAGE_LAYERS
    total = 2 * (WIDTH * WIDTH + 2 * WIDTH * INNER) + WIDTH * WORDS
    assert sum(counts_of(model).values()) == round(0.3 * total)
    for name, module in model.named_modules():
        if name in LANGUAGE_LAYERS:
            assert type(module) is MaskedLinear
        else:
            assert type(module) is kinds[name], name
    for name, value in before.items():
        masked = name.removesuffix(".weight") in LANGUAGE_LAYERS
        assert torch.equal(model.state_dict()[name], value) != masked, name


def test_layers_of_a_transformer_can_be_left_dense():
    model = language()
    head = model.head.weight.detach().clone()
    sparsify(model, 0.3, dense=["head", "encoder.layers.1.self_attn.out_proj"])
    assert set(masked_layers(model)) == set(LANGUAGE_LAYERS) - {
        "head",
        "encoder.layers.1.self_attn.out_proj",
    }
    assert torch.equal(model.head.weight, head)


# --- training ------------------------------------------------------------------------------------


def test_torchvisions_resnet_50_trains_with_rigl():
    """Exact counts, one ordinary step and one rewiring, and zeros off the masks after each."""
    torch.manual_seed(0)
    model = torchvision.models.resnet50(num_classes=10)
    total = 25_557_032 - 53_120 - 1000 - 2048 * 990  # of 1000 classes, without norms and bias
    sparsify(model, 0.1)
    counts = counts_of(model)
    assert len(counts) == 54 and sum(counts.values()) == round(0.1 * total)
    assert {type(m) for m in masked_layers(model).values()} == {MaskedConv2d, MaskedLinear}
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)
    rule = RigL(model, optimizer, every=2, until=100)
    masks = masks_of(model)
    for step in range(2):
        images_backward(model, step)
        rule.step()
        assert counts_of(model) == counts and state_off_mask(model, optimizer) == []
        assert same(masks, masks_of(model)) == (step == 0)


@pytest.mark.parametrize("rule_class", [RigL, SNFS, SET])
def test_mobilenet_v2_trains_with_every_rule(rule_class):
    torch.manual_seed(0)
    model = sparsify(torchvision.models.mobilenet_v2(num_classes=10), 0.3)
    counts, norm = counts_of(model), model.features[0][1].weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)
    rule = rule_class(model, optimizer, every=2, until=100)
    for step in range(3):
        masks = masks_of(model)
        images_backward(model, step)
        rule.step()
        assert state_off_mask(model, optimizer) == []
        assert same(masks, masks_of(model)) == (step != 1)
    after = counts_of(model)
    assert sum(after.values()) == sum(counts.values())
    assert rule_class is SNFS or after == counts
    assert not torch.equal(model.features[0][1].weight, norm)  # norms go on learning


def sgd(parameters):
    return torch.optim.SGD(parameters, 0.1, momentum=0.9, weight_decay=1e-2)


def adamw(parameters):
    return torch.optim.AdamW(parameters, 1e-2, weight_decay=0.1)


@pytest.mark.parametrize("make", [sgd, adamw])
@pytest.mark.parametrize("rule_class", [RigL, SNFS, SET])
def test_a_transformer_trains_with_every_rule(rule_class, make):
    """`out_proj` is masked though attention never calls it: its hook hangs on the parameter."""
    model = sparsify(language(), 0.3)
    counts = counts_of(model)
    optimizer = make(model.parameters())
    rule = rule_class(model, optimizer, every=3, until=100)
    first = masks_of(model)
    outside = {n: p.detach().clone() for n, p in model.named_parameters() if "in_proj" in n}
    for step in range(9):
        language_backward(model, step)
        if step == 0:  # no rewiring to come: what the hook lets through
            for name, layer in masked_layers(model).items():
                if rule_class is not SNFS:
                    assert not layer.weight.grad[layer.mask == 0].any(), name
                assert layer.weight.grad[layer.mask == 1].any(), name
        rule.step()
        assert state_off_mask(model, optimizer) == [], step
        assert sum(counts_of(model).values()) == sum(counts.values())
        assert rule_class is SNFS or counts_of(model) == counts
    changed = {name for name, mask in masks_of(model).items() if not torch.equal(mask, first[name])}
    assert changed >= {name for name in LANGUAGE_LAYERS if "out_proj" in name}
    for name, value in outside.items():
        assert (dict(model.named_parameters())[name] != value).any(), name


def without_dropout(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0
    return model


def test_rigl_sees_the_dense_gradient_of_out_proj():
    """The new connections are where an unmasked twin's gradient is largest."""
    model = without_dropout(sparsify(language(), 0.3))
    twin = without_dropout(language())
    twin.load_state_dict(model.state_dict(), strict=False)  # the same zeros, no masks
    optimizer = sgd(model.parameters())
    rule = RigL(model, optimizer, every=1, until=10, fraction=0.5)
    before = masks_of(model)
    language_backward(model, 0)
    language_backward(twin, 0)
    rule.step()
    name = "encoder.layers.0.self_attn.out_proj"
    dense = twin.get_submodule(name).weight.grad.abs()
    after = masks_of(model)[name]
    grown = after & ~before[name]
    never = ~after & ~before[name]
    assert grown.any() and dense[grown].min() >= dense[never].max()


# --- out_proj is an ordinary masked layer --------------------------------------------------------


def trained_language() -> Language:
    model = sparsify(language(), 0.3)
    optimizer = sgd(model.parameters())
    rule = RigL(model, optimizer, every=2, until=100)
    for step in range(4):
        language_backward(model, step)
        rule.step()
    return model


def test_the_fused_kernel_gives_what_the_layers_give(monkeypatch):
    model = trained_language().eval()
    x = numbers(99)
    calls = []
    fused = torch._transformer_encoder_layer_fwd

    def spy(*args):
        calls.append(1)
        return fused(*args)

    monkeypatch.setattr(torch, "_transformer_encoder_layer_fwd", spy)
    with torch.no_grad():
        fast = model(x)
        assert len(calls) == 2  # a masked encoder is still one that torch can fuse
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            slow = model(x)
        finally:
            torch.backends.mha.set_fastpath_enabled(True)
    assert len(calls) == 2
    torch.testing.assert_close(fast, slow)


@pytest.mark.parametrize(
    "copy_of", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"]
)
def test_a_copied_transformer_keeps_masking(copy_of):
    model = trained_language()
    twin = copy_of(model)
    assert same(snapshot(model), snapshot(twin))
    assert list(masked_layers(twin)) == LANGUAGE_LAYERS
    optimizer = adamw(twin.parameters())
    for step in range(2):
        language_backward(twin, step)
        for name, layer in masked_layers(twin).items():
            assert not layer.weight.grad[layer.mask == 0].any(), name
        optimizer.step()
    assert state_off_mask(twin, optimizer) == []
    assert same(masks_of(model), masks_of(twin))
    # Two models, not one: the first did not move.
    weights = [m.encoder.layers[0].self_attn.out_proj.weight for m in (model, twin)]
    assert not torch.equal(*weights)


def test_a_saved_transformer_loads_into_another_with_its_masks():
    model = trained_language()
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = sparsify(language(), 0.3, seed=5)
    assert not same(masks_of(model), masks_of(other))
    other.load_state_dict(torch.load(file, weights_only=True))
    assert same(snapshot(model), snapshot(other))
    # A dense checkpoint loads, too, and is cut to the masks.
    missing = other.load_state_dict(language().state_dict(), strict=False).missing_keys
    assert missing == [f"{name}.mask" for name in LANGUAGE_LAYERS]
    assert state_off_mask(other, sgd(other.parameters())) == []


def test_a_masked_transformer_prints_its_active_weights():
    model = sparsify(language(), 0.3)
    count = counts_of(model)["encoder.layers.0.self_attn.out_proj"]
    expected = f"(out_proj): MaskedLinear(in_features=8, out_features=8, bias=True, active={count}/"
    assert expected in repr(model)


# --- shared weights ------------------------------------------------------------------------------


def refuses(model: nn.Module, match: str, **arguments) -> None:
    before, kinds = snapshot(model), [type(m) for m in model.modules()]
    with pytest.raises(ValueError, match=match):
        sparsify(model, 0.3, **arguments)
    assert same(before, snapshot(model)) and kinds == [type(m) for m in model.modules()]


def test_a_head_tied_to_the_embedding_is_refused_and_can_be_left_dense():
    model = language(tied=True)
    refuses(
        model,
        r"shared by \['embed.weight', 'head.weight'\].*so name \['head'\] in dense=",
    )
    sparsify(model, 0.3, dense=["head"])
    assert list(masked_layers(model)) == LANGUAGE_LAYERS[:-1]
    assert model.head.weight is model.embed.weight


def test_two_layers_with_one_weight_are_refused_whichever_is_dense():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 5), nn.Linear(5, 2))
    model[2].weight = model[0].weight
    refuses(model, r"shared by \['0.weight', '2.weight'\].*so name \['0', '2'\] in dense=")
    refuses(model, r"so name \['2'\] in dense=", dense=["0"])
    refuses(model, r"so name \['0'\] in dense=", dense=["2"])
    sparsify(model, 0.5, dense=["0", "2"])
    assert list(masked_layers(model)) == ["3"]


def test_a_weight_that_is_also_a_parameter_of_the_model_is_refused():
    model = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 2))
    model.register_parameter("kernel", model[0].weight)
    refuses(model, r"shared by \['kernel', '0.weight'\].*so name \['0'\] in dense=")


def test_one_layer_under_two_names_is_one_layer():
    torch.manual_seed(0)
    layer = nn.Linear(6, 6)
    model = nn.Sequential(layer, nn.ReLU(), layer, nn.Linear(6, 2))
    sparsify(model, 0.5)
    assert list(masked_layers(model)) == ["0", "3"]
    assert model[0] is model[2]
    assert sum(row.total for row in layer_table(model)) == 36 + 12
    assert sum(counts_of(model).values()) == 24
    optimizer = sgd(model.parameters())
    rule = RigL(model, optimizer, every=2, until=100)
    for step in range(4):
        model.zero_grad()
        generator = torch.Generator().manual_seed(step)
        model(torch.randn(4, 6, generator=generator)).square().sum().backward()
        rule.step()
        assert sum(counts_of(model).values()) == 24 and state_off_mask(model, optimizer) == []


def test_one_encoder_layer_used_at_every_depth_is_one_layer():
    """As in ALBERT: three passes through the same six weights."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, batch_first=True)
    model = nn.Sequential(layer, layer, layer)
    sparsify(model, 0.5)
    assert list(masked_layers(model)) == ["0.self_attn.out_proj", "0.linear1", "0.linear2"]
    model(torch.randn(2, TOKENS, WIDTH)).square().sum().backward()
    for name, masked in masked_layers(model).items():
        assert not masked.weight.grad[masked.mask == 0].any(), name


def test_an_average_of_weights_is_denser_than_its_masks_say():
    """A limit that chapter 11 names: torch copies masks once and averages weights for ever."""
    model = sparsify(mlp(12, 20, 3), density=0.2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    rule = SET(model, optimizer, every=2, until=100)
    average = torch.optim.swa_utils.AveragedModel(model)
    for t in range(20):
        backward(model, t)
        rule.step()
        average.update_parameters(model)
    for name, layer in masked_layers(average.module).items():
        assert layer.active == masked_layers(model)[name].active
        assert int(layer.weight.count_nonzero()) > layer.active and layer.leak() > 0
