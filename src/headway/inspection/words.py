"""Parts of a spec in a few words."""

from __future__ import annotations

from typing import Any

from headway import spec

_NORMS = {
    spec.LayerNorm: "LayerNorm",
    spec.BiasFreeLayerNorm: "LayerNorm without bias",
    spec.BareLayerNorm: "LayerNorm without weights",
    spec.RMSNorm: "RMSNorm",
    spec.ZeroCenteredRMSNorm: "RMSNorm about one",
}
_RESIDUALS = {
    spec.PreNorm: "{} before each part",
    spec.FirstPreNorm: "{} before the mlp alone",
    spec.Float32PreNorm: "{} before each part, sums in float32",
    spec.PostNorm: "{} after each part",
    spec.Sandwich: "{} before and after each part",
    spec.NormedResidual: "{} before each part, in its residual too",
    spec.Parallel: "{} before both parts, side by side",
    spec.ParallelNorms: "{} before each of both parts, side by side",
    spec.ScaledPreNorm: "{} before each part, its output scaled",
}
_READS = {
    spec.EveryToken: "each token",
    spec.EncoderTokens: "each token of the encoder",
    spec.DecoderTokens: "each token of the decoder",
    spec.FirstToken: "the first token",
    spec.LastToken: "the last token",
    spec.LastEos: "the last end of sequence",
    spec.FirstOf: "the end of sequence",
    spec.HighestId: "the highest token id",
    spec.Mean: "the mean of all tokens",
    spec.Pooled: "the pooler",
}
_SCALINGS = {
    spec.RopeLinear: "stretched",
    spec.RopeDynamic: "stretched with the length",
    spec.RopeYarn: "YaRN",
    spec.RopeLong: "LongRoPE",
    spec.RopeLlama3: "Llama 3's scaling",
}


def norm(norm: spec.Norm) -> str:
    """Its name."""
    return _NORMS.get(type(norm)) or type(norm).__name__


def residual(residual: spec.Residual) -> str:
    """Where the norms of a layer stand."""
    return (_RESIDUALS.get(type(residual)) or type(residual).__name__ + " {}").format(norm(residual.norm))


def read(kind: spec.Read) -> str:
    """What a head or pooler reads."""
    if isinstance(kind, spec.Joined):
        return " and ".join(map(read, kind.reads))
    if isinstance(kind, spec.NthToken):
        return f"token {kind.at}"
    return _READS.get(type(kind)) or type(kind).__name__


def position(kind: Any) -> str:
    """How tokens are told apart by their places."""
    match kind:
        case spec.Rotary():
            turned = f"rotary positions on {kind.width} channels, base {kind.theta:,.0f}"
            return turned if kind.scaling is None else f"{turned}, {_SCALINGS[type(kind.scaling)]}"
        case spec.Learned():
            return f"{kind.count:,} learned positions"
        case spec.Sinusoidal():
            return "sine positions"
        case spec.RelativeBias():
            return f"learned bias of {kind.buckets} distances"
        case spec.GridBias():
            return f"learned bias on a grid of {kind.grid[0]} x {kind.grid[1]}"
        case spec.LayerBias():
            return f"{position(kind.bias)}, its own"
        case spec.RelativeTable():
            return f"vectors of {2 * kind.span} distances"
        case spec.Alibi() | spec.RoundedAlibi():
            return "ALiBi"
    return type(kind).__name__


def mixer(mixer: spec.Mixer, width: int) -> str:
    """A token mixer in a stack of ``width`` channels."""
    match mixer:
        case spec.Attention():
            return _attention(mixer, width)
        case spec.Disentangled():
            parts = [f"disentangled, {mixer.heads} heads of {spec.head_width(width, mixer.heads)}"]
        case spec.LatentAttention():
            keys = mixer.key_width + mixer.position.width
            parts = [f"latent, {mixer.heads} heads of {keys}, keys and values from {mixer.rank:,} channels", "causal"]
        case spec.StateSpace():
            parts = [f"state space, {mixer.heads} heads of {mixer.head_width}, {mixer.state} states each", "causal"]
    if mixer.position is not None:
        parts.append(position(mixer.position))
    return ", ".join(parts)


def _attention(attention: spec.Attention, width: int) -> str:
    heads, kv_heads = attention.heads, attention.kv_heads or attention.heads
    parts = [f"{heads} heads of {attention.head_width or spec.head_width(width, heads)}"]
    if kv_heads != heads:
        parts.append(f"{kv_heads} for keys and values")
    parts.append("causal" if attention.causal else "both ways")
    if attention.window is not None:
        parts.append(f"window {attention.window:,}")
    if attention.position is not None:
        parts.append(position(attention.position))
    if attention.qk_norm is not None:
        parts.append(f"{norm(attention.qk_norm)} of queries and keys")
    if attention.softcap is not None:
        parts.append(f"scores capped at {attention.softcap:g}")
    if attention.sinks:
        parts.append("sinks")
    return ", ".join(parts)


def mlp(part: spec.ChannelMixer, width: int) -> str:
    """A channel mixer in a stack of ``width`` channels."""
    match part:
        case spec.Mlp():
            return f"{width:,} -> {part.width:,} -> {width:,}, {part.activation}"
        case spec.GatedMlp():
            return f"{width:,} -> {part.width:,} -> {width:,}, gated by {part.activation}"
        case spec.ClampedGatedMlp():
            return f"{width:,} -> {part.width:,} -> {width:,}, gated, clamped at {part.limit:g}"
        case spec.TokenGatedMlp():
            return f"{mlp(part.mlp, width)}, gated once a token"
        case spec.MixtureOfExperts():
            shared = "" if part.shared is None else f", and one for all tokens: {mlp(part.shared, width)}"
            return f"{part.router.top} of {part.count} experts a token, each {mlp(part.expert, width)}{shared}"


def embed(embed: spec.Embed | spec.Patches, width: int) -> str:
    """What a stack of ``width`` channels reads."""
    parts = []
    if isinstance(embed, spec.Patches):
        parts.append(f"{embed.image[0]} x {embed.image[1]} pixels in patches of {embed.patch[0]} x {embed.patch[1]}")
        if embed.tokens:
            parts.append(f"{embed.tokens} more token{'s' * (embed.tokens > 1)}")
        if embed.positions:
            parts.append(f"{embed.tokens + embed.grid[0] * embed.grid[1]:,} learned positions")
    else:
        parts.append(f"{embed.vocabulary:,} tokens")
        if embed.positions is not None:
            parts.append(position(embed.positions))
        if isinstance(embed.types, spec.TokenTypes):
            parts.append(f"{embed.types.count} segment{'s' * (embed.types.count > 1)}")
        if embed.width != width:
            parts.append(f"{embed.width:,} -> {width:,}")
    return ", ".join(parts if embed.norm is None else [*parts, norm(embed.norm)])


def pooler(pooler: spec.AnyPooler, width: int) -> str:
    """What makes one vector of a row."""
    if isinstance(pooler, spec.ProbePooler):
        return f"a learned probe, {pooler.heads} heads of {pooler.width // pooler.heads}, mlp {mlp(pooler.mlp, width)}"
    parts = [read(pooler.read)]
    if pooler.norm is not None:
        parts.append(norm(pooler.norm))
    if pooler.activation is not None:
        parts.append(f"{width:,} -> {pooler.width or width:,}, {pooler.activation}")
    return ", ".join(parts)
