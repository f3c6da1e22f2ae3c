"""Attention step by step, with its weights: the reference for every other kernel."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from headway.nn.kernels.scoring import Scoring


def eager(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, scoring: Scoring, dropout: float
) -> tuple[Tensor, Tensor | None]:
    """``softmax(q k^T * scale + mask) v``; the softmax in float32. Groups are folded into the queries' length."""
    rows, heads, queries, width = q.shape
    folded = (rows, k.shape[1], -1)
    scores = (q.reshape(*folded, width) @ k.transpose(-1, -2)).view(rows, heads, queries, -1) * scoring.scale
    if scoring.softcap is not None:
        scores = (scores / scoring.softcap).tanh() * scoring.softcap
    if causal:
        mask = torch.ones(queries, k.shape[2], dtype=torch.bool, device=q.device).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask
    if scoring.sinks is not None:
        sinks = scoring.sinks[:, None, None].expand(rows, heads, queries, 1)
        weights = torch.cat((scores, sinks), -1).softmax(-1, dtype=torch.float32)[..., :-1].to(q.dtype)
    else:
        weights = scores.softmax(-1, dtype=torch.float32).to(q.dtype)
    if dropout:
        weights = F.dropout(weights, dropout)
    return (weights.reshape(*folded, k.shape[2]) @ v).view(rows, heads, queries, -1), weights
