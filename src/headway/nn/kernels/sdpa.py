"""Attention through torch's fused kernels."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def sdpa(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, scale: float, dropout: float
) -> tuple[Tensor, Tensor | None]:
    """``torch.nn.functional.scaled_dot_product_attention``; groups of one query each are folded into its length."""
    if q.shape[1] != k.shape[1]:
        if q.shape[2] == 1 and (mask is None or mask.shape[1] == 1):
            folded = q.view(q.shape[0], k.shape[1], -1, q.shape[3])
            out = F.scaled_dot_product_attention(folded, k, v, attn_mask=mask, dropout_p=dropout, scale=scale)
            return out.reshape(q.shape), None
        groups = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=causal, scale=scale)
    return out, None
