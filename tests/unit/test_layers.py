"""The parts of networks: kernels agree, formulas are those of the papers, and a spec says it all."""

from __future__ import annotations

import dataclasses
import math
import sys
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headway import spec
from headway.errors import ConfigError, InputError
from headway.models.plan import tasks_of
from headway.nn import activations, builders
from headway.nn.activations import ACTIVATIONS, activation
from headway.nn.attention.mask import Rule, row_mask
from headway.nn.batch import Batch
from headway.nn.builders import build, builds
from headway.nn.cache import Cache
from headway.nn.kernels import KERNELS, Scoring, eager, sdpa
from headway.nn.layout import lay_out
from headway.nn.linear import Embedding, Linear
from headway.nn.run import Run
from headway.registry import families
from small import inputs_for, small_config, small_model

CPU = torch.device("cpu")


def drawn(module: Any) -> Any:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    return module


# --- kernels ------------------------------------------------------------------------------------------------------


def boolean(queries: int, keys: int) -> Tensor:
    mask = torch.rand(queries, keys) < 0.6
    mask[:, 0] = True
    return mask


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("softcap", [None, 1.5])
@pytest.mark.parametrize("with_sinks", [False, True])
@pytest.mark.parametrize(
    ("queries", "keys", "kind"),
    [
        (5, 5, "causal"),
        *((n, m, kind) for n, m in ((5, 5), (1, 5), (3, 7)) for kind in ("none", "boolean", "additive")),
    ],
)
def test_kernels_agree(
    name: str, kv_heads: int, softcap: float | None, with_sinks: bool, queries: int, keys: int, kind: str
) -> None:
    q, k, v = torch.randn(2, 4, queries, 8), torch.randn(2, kv_heads, keys, 8), torch.randn(2, kv_heads, keys, 8)
    sinks = torch.randn(4) if with_sinks else None
    mask: Tensor | None = None
    if kind == "boolean":
        mask = boolean(queries, keys)[None, None]
    elif kind == "additive":
        mask = torch.randn(1, 4, queries, keys)
    out, weights = KERNELS[name](q, k, v, mask, kind == "causal", Scoring(0.3, softcap, sinks), 0.0)
    scores = torch.einsum("bhqd,bhkd->bhqk", q, k.repeat_interleave(4 // kv_heads, 1)) * 0.3
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if kind == "causal":
        scores = scores.masked_fill(torch.ones(queries, keys).triu(1).bool(), -math.inf)
    elif mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if kind == "boolean" else scores + mask
    total = scores.exp().sum(-1, keepdim=True)
    expected = scores.exp() / (total if sinks is None else total + sinks.exp()[:, None, None])
    mixed = torch.einsum("bhqk,bhkd->bhqd", expected, v.repeat_interleave(4 // kv_heads, 1))
    torch.testing.assert_close(out, mixed, rtol=1e-4, atol=1e-5)
    if weights is not None:
        torch.testing.assert_close(weights, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["causal", "none", "boolean", "by-row"])
def test_capped_scores_in_blocks(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[sdpa.__module__], "BLOCK", 2)
    q, k, v = torch.randn(2, 4, 5, 8), torch.randn(2, 2, 5, 8), torch.randn(2, 2, 5, 8)
    mask = {"boolean": boolean(5, 5), "by-row": boolean(2, 5)[:, None, None]}.get(kind)
    for scoring in (Scoring(0.3, 1.5), Scoring(0.3, 1.5, torch.randn(4))):
        ours, expected = (kernel(q, k, v, mask, kind == "causal", scoring, 0.0)[0] for kernel in (sdpa, eager))
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize(("queries", "keys"), [(5, 5), (1, 5)])
def test_gradients_of_sinks(name: str, queries: int, keys: int) -> None:
    q, k, v = torch.randn(2, 4, queries, 8), torch.randn(2, 2, keys, 8), torch.randn(2, 2, keys, 8)

    def gradients(kernel: Any) -> tuple[Tensor, ...]:
        leaves = [x.clone().requires_grad_() for x in (q, k, v, torch.tensor([0.5, -1.0, 2.0, 0.0]))]
        out, _ = kernel(*leaves[:3], None, queries == keys, Scoring(0.3, None, leaves[3]), 0.0)
        return torch.autograd.grad(out.square().sum(), leaves)

    for ours, expected in zip(gradients(KERNELS[name]), gradients(eager), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


SLOPES = spec.alibi_slopes(4)
ATTENTION = spec.Attention(4, 8, kv_heads=2, causal=True, position=spec.Rotary(8))


@pytest.mark.parametrize(
    "change",
    [
        *({"qk_norm": spec.RMSNorm(1e-6)}, {"softcap": 2.0}, {"sinks": True}, {"sinks": True, "window": 3}),
        *({"position": spec.Alibi(SLOPES)}, {"position": spec.RoundedAlibi((0.7, 0.5, 0.3, 0.1), 0.5)}),
    ],
    ids=["qk-norm", "softcap", "sinks", "sinks-window", "alibi", "rounded-alibi"],
)
@pytest.mark.parametrize("name", KERNELS)
@torch.no_grad()
def test_attention_is_the_same_in_every_layout(change: dict[str, Any], name: str) -> None:
    """Alone, packed, dense, and step by step over a cache; and each switch changes something."""
    attention = dataclasses.replace(ATTENTION, **change)
    torch.manual_seed(0)
    layer = spec.Layer(attention, spec.Mlp(8, "gelu"), spec.PreNorm(spec.RMSNorm(1e-6)))
    stack = drawn(build(spec.Stack(16, spec.Embed(9, 16), (layer, layer)))).eval()
    rows = [torch.randn(1, count, 16) for count in (7, 4, 7)]

    def run(x: Tensor, batch: Batch, cache: Cache | None = None) -> Tensor:
        out: Tensor = stack(batch.pack(x), Run(batch, KERNELS[name], cache))
        return batch.unpack(out)

    alone = [run(x, Batch(1, x.shape[1], CPU)) for x in rows]
    dense = run(torch.cat([rows[0], rows[2]]), Batch(2, 7, CPU))
    torch.testing.assert_close(dense, torch.cat([alone[0], alone[2]]), rtol=1e-4, atol=1e-4)
    padded = torch.cat([torch.nn.functional.pad(x, (0, 0, 0, 7 - x.shape[1])) for x in rows])
    lengths = torch.tensor([7, 4, 7])[:, None]
    packed = run(padded, Batch(3, 7, CPU, torch.arange(7) < lengths))
    for row, expected in zip(packed, alone, strict=True):
        torch.testing.assert_close(row[: expected.shape[1]], expected[0], rtol=1e-4, atol=1e-4)
    # A ragged prefill of all but the last two tokens of each row, then one by one.
    cache = Cache()
    run(padded, Batch(3, 7, CPU, torch.arange(7) < lengths - 2), cache)
    for step in (2, 1):
        x = torch.cat([row[:, row.shape[1] - step, None] for row in rows])
        out = run(x, Batch(3, 1, CPU, past=cache.lengths), cache)
        torch.testing.assert_close(out, torch.stack([a[0, -step, None] for a in alone]), rtol=1e-4, atol=1e-4)
    state = stack.state_dict()
    plain = build(spec.Stack(16, spec.Embed(9, 16), (dataclasses.replace(layer, mixer=ATTENTION),) * 2))
    plain.load_state_dict({key: value for key, value in state.items() if key in plain.state_dict()})
    assert not torch.allclose(plain(rows[0], Run(Batch(1, 7, CPU), KERNELS[name])), alone[0], atol=1e-2)


def test_dropout_of_attention_acts_on_the_weights() -> None:
    q = torch.randn(1, 1, 50, 4)
    _, weights = eager(q, q, q, None, False, Scoring(1.0), 0.5)
    assert weights is not None
    assert 0.3 < float((weights == 0).float().mean()) < 0.7


@pytest.mark.parametrize("window", [None, 1, 3, 99])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("queries", "keys"), [(6, 6), (1, 6), (2, 6)])
def test_which_keys_a_query_sees(window: int | None, causal: bool, queries: int, keys: int) -> None:
    run = Run(Batch(1, queries, CPU, past=keys - queries), eager)
    mask, is_causal = row_mask(run, Rule(causal, window, None), queries, keys)
    for query in range(queries):
        for key in range(keys):
            distance = query + keys - queries - key
            expected = (not causal or distance >= 0) and (window is None or abs(distance) < window)
            plain = not is_causal or key <= query
            seen = plain if mask is None else bool(mask.expand(queries, keys)[query, key])
            assert seen == expected, (query, key)
    assert row_mask(run, Rule(causal, window, None), queries, keys)[0] is mask, "made once a pass"


def test_slopes_of_alibi() -> None:
    assert spec.alibi_slopes(8) == tuple(2.0**-i for i in range(1, 9))
    assert spec.alibi_slopes(1) == (2.0**-8,)
    # Heads beyond a power of two get the slopes between: every other one of twice as many heads.
    assert spec.alibi_slopes(12) == spec.alibi_slopes(8) + spec.alibi_slopes(16)[:8:2]
    for heads in range(1, 70):
        assert len(set(spec.alibi_slopes(heads))) == heads


@torch.no_grad()
def test_alibi_is_a_slope_times_the_distance() -> None:
    like = torch.zeros(1, dtype=torch.float64)
    run = Run(Batch(1, 5, CPU), eager)
    distance = (torch.arange(5)[:, None] - torch.arange(5)).abs()
    bias = build(spec.Alibi((0.5, 0.25))).prepare(run, like).rows(5, 5)
    assert torch.equal(bias, -torch.tensor([0.5, 0.25], dtype=torch.float64)[None, :, None, None] * distance)
    # Where nothing is rounded, bias by position and bias by distance give the same weights.
    rounded = build(spec.RoundedAlibi((1.0, 0.5), 0.5)).prepare(run, like).rows(5, 5)
    hidden = torch.ones(5, 5).triu(1).bool()
    torch.testing.assert_close(*(b.masked_fill(hidden, -math.inf).softmax(-1) for b in (bias, rounded)))
    # 259 has no bfloat16 of its own.
    assert build(spec.RoundedAlibi((1.0,), 1.0)).prepare(run, like).rows(1, 260)[..., -1].item() == 260


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("kind", [spec.Mlp, spec.GatedMlp])
def test_large_results_of_activations_take_the_place_of_their_input(
    kind: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlp = drawn(build(kind(24, name, bias=True), 16))
    x, seen = torch.randn(3, 5, 16), []
    with torch.no_grad():
        plain = mlp(x)
        monkeypatch.setattr(activations, "_MANY", 0)
        assert torch.equal(mlp(x), plain)
        # Who looks at the input has it as it was.
        first = mlp.up if kind is spec.Mlp else mlp.gate
        first.register_forward_hook(lambda module, args, out: seen.append(out))
        assert torch.equal(mlp(x), plain)
        assert torch.equal(seen[0], F.linear(x, first.weight, first.bias))
    torch.testing.assert_close(mlp(x), plain)  # and gradients have what they need
    mlp(x).sum().backward()
    assert first.weight.grad is not None


def test_an_activation_leaves_what_no_linear_layer_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activations, "_MANY", 0)
    x = torch.randn(4, 8)
    before = x.clone()
    with torch.no_grad():
        made = activations.activated(activation("gelu"), x, nn.Identity())
        assert torch.equal(x, before)
        assert torch.equal(activations.activated(activation("gelu"), x, Linear(8, 8)), made)
        assert torch.equal(x, made)


def test_parts_side_by_side_have_no_memory() -> None:
    attention, residual = spec.Attention(2, 4), spec.Parallel(spec.LayerNorm(1e-5))
    with pytest.raises(ConfigError, match="no place for a memory"):
        build(spec.Layer(attention, spec.Mlp(8, "gelu"), residual, attention), 8, ())


# --- norms, activations, channel mixers ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_norms(dtype: torch.dtype) -> None:
    x = (torch.randn(3, 8) * 3 + 1).to(dtype)
    layer, rms = drawn(build(spec.LayerNorm(1e-5), 8)).to(dtype), drawn(build(spec.RMSNorm(1e-6), 8)).to(dtype)
    wide = x.double()
    expected = (wide - wide.mean(-1, keepdim=True)) / (wide.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 0.05, "atol": 0.05}
    torch.testing.assert_close(layer(x).double(), expected * layer.weight.double() + layer.bias.double(), **tolerance)
    torch.testing.assert_close(build(spec.BareLayerNorm(1e-5), 8)(x).double(), expected, **tolerance)
    expected = wide / (wide.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(rms(x).double(), expected * rms.weight.double(), **tolerance)
    zero = drawn(build(spec.ZeroCenteredRMSNorm(1e-6), 8)).to(dtype)
    torch.testing.assert_close(zero(x).double(), expected * (1 + zero.weight.double()), **tolerance)
    assert layer(x).dtype == rms(x).dtype == zero(x).dtype == dtype
    for norm in (rms, zero):
        torch.nn.init.constant_(norm.weight, norm.neutral)
        torch.testing.assert_close(norm(x).double(), expected, **tolerance)


def test_one_is_added_to_the_weight_of_a_norm_without_rounding() -> None:
    norm, x = build(spec.ZeroCenteredRMSNorm(1e-6), 256).bfloat16(), torch.randn(256).bfloat16()
    torch.nn.init.constant_(norm.weight, 2**-9)
    plain = x.float() / (x.float().pow(2).mean() + 1e-6).sqrt()
    assert torch.equal(norm(x), (plain * (1 + 2**-9)).bfloat16())
    assert not torch.equal(norm(x), plain.bfloat16()), "one plus the weight is one in bfloat16"


def test_a_scale_of_token_vectors_is_rounded_where_the_family_does_so() -> None:
    for scale, factor in ((spec.Rounded(2304**0.5), torch.tensor(2304**0.5).bfloat16().float()), (3.1, 3.1)):
        embed = drawn(build(spec.Embed(9, 16, scale=scale), 16)).bfloat16()
        found = embed(Batch(1, 9, CPU), torch.arange(9)[None], None, None)
        assert torch.equal(found[0], (embed.tokens.weight.float() * factor).bfloat16())


@torch.no_grad()
def test_arrangements_of_norms() -> None:
    x, run = torch.randn(1, 3, 8), Run(Batch(1, 3, CPU), eager)
    for residual in get_args(spec.Residual):
        norms = {spec.Sandwich: 4, spec.Parallel: 1, spec.FirstPreNorm: 1}.get(residual, 2)
        layer = spec.Layer(spec.Attention(2, 4), spec.Mlp(8, "gelu"), residual(spec.RMSNorm(1e-6)))
        built = drawn(build(layer, 8, ()))
        assert sum("norm" in name for name, _ in built.named_parameters()) == norms
        attn, mlp = lambda y: built.attn(y, run), built.mlp  # noqa: B023
        match residual:
            case spec.PreNorm | spec.Float32PreNorm:
                middle = x + attn(built.attn_norm(x))
                expected = middle + mlp(built.mlp_norm(middle))
            case spec.FirstPreNorm:
                middle = x + attn(x)
                expected = middle + mlp(built.mlp_norm(middle))
            case spec.ScaledPreNorm:
                middle = x + built.attn_scale(attn(built.attn_norm(x)))
                expected = middle + built.mlp_scale(mlp(built.mlp_norm(middle)))
            case spec.PostNorm:
                middle = built.attn_norm(x + attn(x))
                expected = built.mlp_norm(middle + mlp(middle))
            case spec.NormedResidual:
                middle = (normed := built.attn_norm(x)) + attn(normed)
                expected = (normed := built.mlp_norm(middle)) + mlp(normed)
            case spec.Parallel:
                expected = x + attn(built.attn_norm(x)) + mlp(built.attn_norm(x))
            case spec.ParallelNorms:
                expected = x + attn(built.attn_norm(x)) + mlp(built.mlp_norm(x))
            case _:
                middle = x + built.attn_out_norm(attn(built.attn_norm(x)))
                expected = middle + built.mlp_out_norm(mlp(built.mlp_norm(middle)))
        torch.testing.assert_close(built(x, run), expected)


def test_activations() -> None:
    x = torch.linspace(-4, 4, 41)
    exact = 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))
    tanh = 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    for name, expected in (
        ("gelu", exact),
        ("gelu_new", tanh),
        ("gelu_pytorch_tanh", tanh),
        ("gelu_fast", tanh),
        ("relu", x.clamp(min=0)),
        ("silu", x * torch.sigmoid(x)),
        ("swish", x * torch.sigmoid(x)),
        ("tanh", torch.tanh(x)),
        ("quick_gelu", x * torch.sigmoid(1.702 * x)),
        ("linear", x),
    ):
        torch.testing.assert_close(activation(name)(x), expected, rtol=1e-4, atol=1e-5)
    assert all(activation(name)(x).shape == x.shape for name in ACTIVATIONS)
    with pytest.raises(ConfigError, match=r"The activation 'geluu' is unknown. Did you mean 'gelu'\?"):
        activation("geluu")


def test_a_gated_mlp() -> None:
    mlp = drawn(build(spec.GatedMlp(6, "silu"), 4))
    x = torch.randn(2, 3, 4)
    expected = (torch.nn.functional.silu(x @ mlp.gate.weight.T) * (x @ mlp.up.weight.T)) @ mlp.down.weight.T
    torch.testing.assert_close(mlp(x), expected)
    assert [name for name, _ in mlp.named_parameters()] == ["gate.weight", "up.weight", "down.weight"]


# --- memory layouts -----------------------------------------------------------------------------------------------


def test_laying_out_changes_memory_and_no_value() -> None:
    linear, table = drawn(Linear(6, 4)), drawn(Embedding(4, 6))
    tied = Linear(6, 4, bias=False)
    tied.weight = table.weight
    before = linear.weight.clone()
    model = torch.nn.ModuleList([linear, table, tied])
    lay_out(model)
    assert torch.equal(linear.weight, before)
    assert linear.weight.stride() == (1, 4)
    assert tied.weight is table.weight
    assert table.weight.is_contiguous(), "a table is read by rows"
    assert isinstance(linear.weight, torch.nn.Parameter)


def test_a_norm_without_bias_and_a_first_layer_without_norm() -> None:
    x, run = torch.randn(1, 3, 8), Run(Batch(1, 3, CPU), eager)
    norm = drawn(build(spec.BiasFreeLayerNorm(1e-5), 8))
    assert [name for name, _ in norm.named_parameters()] == ["weight"]
    torch.testing.assert_close(
        norm(x), (x - x.mean(-1, True)) / (x.var(-1, False) + 1e-5).sqrt()[..., None] * norm.weight
    )
    residual = spec.FirstPreNorm(spec.BiasFreeLayerNorm(1e-5))
    layer = drawn(build(spec.Layer(spec.Attention(2), spec.Mlp(8, "gelu"), residual), 8, ()))
    assert not [name for name, _ in layer.named_parameters() if name.startswith("attn_norm")]
    middle = x + layer.attn(x, run)
    torch.testing.assert_close(layer(x, run), middle + layer.mlp(layer.mlp_norm(middle)))


def test_masks_are_zero_and_the_other_tokens_of_their_row_make_up_for_them() -> None:
    embed = drawn(build(spec.Embed(9, 4, scale=spec.TokenDropout(mask=5)), 4))
    ids, keep = torch.tensor([[1, 5, 2, 3, 5], [5, 4, 1, 5, 5]]), torch.tensor([[0, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    packed = embed(Batch(2, 5, CPU, keep.bool()), ids, None, None)
    factors = [0.88 / (1 - masks / tokens) for masks, tokens in ((2, 4), (1, 3))]
    expected = [embed.tokens.weight[ids[row]] * factors[row] * (ids[row] != 5)[:, None] for row in (0, 1)]
    torch.testing.assert_close(packed, torch.cat([expected[0][1:], expected[1][:3]]))
    alone = embed(Batch(1, 3, CPU), ids[1:, :3], None, None)
    torch.testing.assert_close(alone[0], packed[4:])
    vectors = embed(Batch(1, 3, CPU), None, None, alone)
    torch.testing.assert_close(vectors, alone * 0.88)
    masks = embed(Batch(1, 2, CPU), torch.tensor([[5, 5]]), None, None)
    assert torch.equal(masks, torch.zeros(1, 2, 4)), "a row of masks alone is no division by zero"


def test_the_mean_of_a_row_leaves_padding_out() -> None:
    x, keep = torch.randn(2, 5, 3), torch.tensor([[0, 0, 1, 1, 1], [1, 1, 0, 0, 0]]).bool()
    batch = Batch(2, 5, CPU, keep)
    torch.testing.assert_close(batch.mean(batch.pack(x)), torch.stack([x[0, 2:].mean(0), x[1, :2].mean(0)]))
    torch.testing.assert_close(Batch(2, 5, CPU).mean(x), x.mean(1))


def test_stored_frequencies_are_those_that_turn() -> None:
    rotary = build(spec.StoredRotary(4, 100.0))
    batch, x = Batch(1, 3, CPU), torch.zeros(1, 3, 4)
    plain = build(spec.Rotary(4, 100.0)).prepare(Run(batch, eager), x)
    torch.testing.assert_close(rotary.prepare(Run(batch, eager), x), plain)
    stored = build(spec.StoredRotary(4, 100.0))
    stored.frequencies.copy_(torch.tensor([0.5, 0.25]))
    cos, _ = stored.prepare(Run(batch, eager), x)
    torch.testing.assert_close(cos[2, 0], torch.tensor([1.0, 0.5, 1.0, 0.5]).cos())


# --- specs and builders -------------------------------------------------------------------------------------------


def test_every_spec_that_a_family_uses_has_a_builder() -> None:
    import headway.nn.stack  # noqa: F401 - enters the builders

    used: set[type] = set()

    def walk(value: Any) -> None:
        if dataclasses.is_dataclass(value):
            used.add(type(value))
            for part in dataclasses.fields(value):
                walk(getattr(value, part.name))
        elif isinstance(value, tuple):
            for part in value:
                walk(part)

    for model_type, family in families().items():
        walk(family.architecture(small_config(model_type)))
    built = {spec.LayerNorm, spec.RMSNorm, spec.Attention, spec.Mlp, spec.GatedMlp, spec.Layer, spec.Stack, spec.Embed}
    assert built <= used
    described = {*get_args(spec.Residual), *get_args(spec.Read), *get_args(spec.Projection)}
    described |= {spec.Groups, spec.TokenTypes, spec.TypesAsTokens, spec.Rounded, spec.StartToken, spec.LastTokenFirst}
    scaling = {kind for kind in used if kind.__name__.startswith("Rope")}
    assert used - described - scaling <= set(builders._builders)


def test_specs_are_frozen_and_compare_by_value() -> None:
    for family in families().values():
        config = family.config()
        assert family.architecture(config) == family.architecture(config)
        with pytest.raises(dataclasses.FrozenInstanceError):
            family.architecture(config).norm = None  # type: ignore[misc, union-attr]


def test_a_component_of_ones_own() -> None:
    @dataclasses.dataclass(frozen=True)
    class Half:
        by: float

    with pytest.raises(ConfigError, match="No builder is registered for Half"):
        build(Half(2.0))

    @builds(Half)
    class HalfModule(torch.nn.Module):
        def __init__(self, half: Half) -> None:
            super().__init__()
            self.by = half.by

    try:
        assert build(Half(2.0)).by == 2.0
        with pytest.raises(ConfigError, match="Half is built by"):
            builds(Half)(HalfModule)
    finally:
        builders._builders.pop(Half)


def test_heads_share_the_width_evenly() -> None:
    assert spec.head_width(12, 3) == 4
    for heads in (5, 0, -1):
        with pytest.raises(ConfigError, match="12 channels cannot be shared by"):
            spec.head_width(12, heads)


def test_positions_are_shared_by_the_layers_that_name_them() -> None:
    backbone = families()["t5"].architecture(small_config("t5"))
    assert len(spec.positions_of(backbone.encoder.layers)) == 1
    assert spec.positions_of(families()["bert"].architecture(small_config("bert")).stack.layers) == ()
    own = families()["umt5"].architecture(small_config("umt5"))
    assert len(spec.positions_of(own.encoder.layers)) == len(spec.positions_of(own.decoder.layers)) == 2
    tables = [position.table.weight for position in small_model("umt5").backbone.encoder.positions]
    assert len({table.data_ptr() for table in tables}) == 2
    model = small_model("albert", num_hidden_layers=4)
    assert len(model.backbone.layers) == 1
    assert model.backbone.order == (0, 0, 0, 0)
    assert "masked-lm" in tasks_of(families()["albert"])


def test_computed_positions_are_those_of_the_paper() -> None:
    module = build(spec.Sinusoidal(offset=2, theta=100.0), 6)
    batch = Batch(1, 70, CPU)
    found = module.vectors(batch, torch.empty(0, dtype=torch.float64))
    for position in (0, 1, 69):
        angles = [(position + 2) / 100.0 ** (2 * pair / 6) for pair in range(3)]
        expected = [math.sin(angle) for angle in angles] + [math.cos(angle) for angle in angles]
        torch.testing.assert_close(found[position], torch.tensor(expected, dtype=torch.float64))
    assert not [*module.state_dict()]
    later = module.vectors(Batch(1, 3, CPU, past=300), found)
    torch.testing.assert_close(
        later, build(spec.Sinusoidal(offset=302, theta=100.0), 6).vectors(Batch(1, 3, CPU), found)
    )
    assert torch.equal(module.vectors(batch, found), found)
    assert module.vectors(batch, found.to(torch.bfloat16)).dtype == torch.bfloat16


def test_computed_positions_of_a_packed_batch_and_of_given_ones() -> None:
    module, like = build(spec.Sinusoidal(), 4), torch.empty(0)
    plain = module.vectors(Batch(1, 4, CPU), like)
    keep = torch.tensor([[0, 1, 1, 1], [1, 0, 0, 0]], dtype=torch.bool)
    assert torch.equal(module.vectors(Batch(2, 4, CPU, keep), like), plain[[0, 1, 2, 0]])
    assert torch.equal(module.vectors(Batch(1, 2, CPU, positions=torch.tensor([[3, 1]])), like)[0], plain[[3, 1]])
    with pytest.raises(InputError, match="holds -1, but positions start at 0"):
        module.vectors(Batch(1, 2, CPU, positions=torch.tensor([[0, -1]])), like)


def test_a_bias_of_a_layer_s_own_is_kept_while_the_layer_runs() -> None:
    bias = spec.RelativeBias(heads=2, buckets=8, max_distance=16, bidirectional=True)
    modules = [drawn(build(spec.LayerBias(bias, layer))) for layer in (0, 1)]
    run = Run(Batch(1, 5, CPU), eager)
    run.positions = tuple(module.prepare(run, torch.empty(0)) for module in modules)
    masks = [row_mask(run, Rule(False, None, slot, own=True), 5, 5)[0] for slot in (0, 0, 1)]
    assert masks[0] is masks[1]
    for module, mask in zip((modules[0], modules[1]), (masks[0], masks[2]), strict=True):
        alone = Run(Batch(1, 5, CPU), eager)
        shared = build(bias)
        shared.load_state_dict(module.state_dict())
        alone.positions = (shared.prepare(alone, torch.empty(0)),)
        expected, _ = row_mask(alone, Rule(False, None, 0), 5, 5)
        assert mask is not None
        assert expected is not None
        assert torch.equal(mask, expected)
    # What stays for the pass are the buckets, which all layers read.
    assert [*run.masks] == [(bias, 5, 5)]


def test_dropout_acts_in_training_alone() -> None:
    model = small_model("bert")
    ids = torch.tensor([[5, 6, 7]])
    model.train()
    assert not torch.equal(model(input_ids=ids)[0], model(input_ids=ids)[0])
    model.eval()
    assert torch.equal(model(input_ids=ids)[0], model(input_ids=ids)[0])


@pytest.mark.parametrize(("model_type", "task"), [("llama", "causal-lm"), ("marian", "seq2seq-lm")])
def test_what_inference_computed_serves_training(model_type: str, task: str) -> None:
    model = small_model(model_type, task)
    inputs = inputs_for(model)
    with torch.inference_mode():
        model(**inputs)
    model(**inputs, labels=inputs.get("decoder_input_ids", inputs["input_ids"])).loss.backward()
