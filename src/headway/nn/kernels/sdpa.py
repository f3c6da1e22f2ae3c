"""Attention through torch's fused kernels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from headway.nn.kernels.eager import eager
from headway.nn.kernels.scoring import Scoring

# Channels that a sink adds to a head: one is used, eight keep the memory aligned.
ROOM = 8
# Queries whose capped scores are computed at a time, so that memory does not grow with the square of the length.
BLOCK = 512


def sdpa(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, scoring: Scoring, dropout: float
) -> tuple[Tensor, Tensor | None]:
    """``torch.nn.functional.scaled_dot_product_attention``; groups of one query each are folded into its length."""
    scale = scoring.scale
    if scoring.softcap is not None or scoring.sinks is not None:
        # torch's kernels cap no scores; for one query the sink's key would cost a copy of all others.
        in_steps = scoring.softcap is not None or q.shape[2] == 1
        return (_in_blocks if in_steps else _with_sinks)(q, k, v, mask, causal, scoring, dropout), None
    if q.shape[1] != k.shape[1]:
        if q.shape[2] == 1 and (mask is None or mask.shape[1] == 1):
            folded = q.view(q.shape[0], k.shape[1], -1, q.shape[3])
            out = F.scaled_dot_product_attention(folded, k, v, attn_mask=mask, dropout_p=dropout, scale=scale)
            return out.reshape(*q.shape[:3], -1), None
        groups = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=causal, scale=scale)
    return out, None


def _in_blocks(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, scoring: Scoring, dropout: float
) -> Tensor:
    """The eager kernel over some queries at a time; where attention is causal, over the keys that they see."""
    count, outs = q.shape[2], []
    if count <= BLOCK:
        return eager(q, k, v, mask, causal, scoring, dropout)[0]
    for start in range(0, count, BLOCK):
        end = min(start + BLOCK, count)
        keys, seen = k.shape[2], mask
        if causal:
            keys = end
            seen = torch.ones(end - start, end, dtype=torch.bool, device=q.device).tril(start)
        elif mask is not None and mask.shape[-2] != 1:
            seen = mask[..., start:end, :]
        outs.append(eager(q[:, :, start:end], k[:, :, :keys], v[:, :, :keys], seen, False, scoring, dropout)[0])
    return torch.cat(outs, 2)


def _with_sinks(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, scoring: Scoring, dropout: float
) -> Tensor:
    """The sink of a head is one key in front of the others, which is reached through a channel of its own."""
    assert scoring.sinks is not None
    groups, width = q.shape[1] // k.shape[1], q.shape[3]
    k, v = (F.pad(x.repeat_interleave(groups, 1), (0, ROOM, 1, 0)) for x in (k, v))
    k[:, :, 0, width] = scoring.sinks / scoring.scale
    if causal:
        mask = torch.ones(q.shape[2], k.shape[2] - 1, dtype=torch.bool, device=q.device).tril()
    if mask is not None:
        mask = F.pad(mask, (1, 0), value=mask.dtype == torch.bool)
    q = F.pad(F.pad(q, (0, 1), value=1.0), (0, ROOM - 1))
    return sdpa(q, k, v, mask, False, Scoring(scoring.scale), dropout)[0][..., :width]
