"""From projected queries, keys and values in a batch's layout to mixed values in the same layout.

Three ways, chosen by the layout alone: all rows in one kernel call where they are alike, one call with a mask where
rows of a dense batch have different pasts or padding, and one call for each row where the batch is packed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from headway.nn.attention.mask import Rule, given_mask, padded_mask, ragged_mask, row_mask
from headway.nn.batch import Batch, Padded
from headway.nn.cache import split_rows
from headway.nn.kernels import Scoring
from headway.nn.run import Memory, Run

ContentBias = Callable[[Tensor, Tensor], Tensor]
Expand = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def attend(
    run: Run,
    rule: Rule,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    scoring: Scoring,
    dropout: float,
    content_bias: ContentBias | None = None,
    expand: Expand | None = None,
) -> Tensor:
    """Self-attention.

    Args:
        q: ``[rows, width, heads, head_width]``, packed ``[tokens, heads, head_width]``; ``k`` and ``v`` alike.
        content_bias: from ``q`` and ``k`` of some rows, ``[b, heads, n or m, head_width]``, to an additive bias.
        expand: from ``k`` and ``v`` of some rows, as a cache holds them, ``[b, heads, m, width]``, to keys and values.

    Returns:
        The mixed values, of the shape of ``q`` with the width of ``v``.
    """
    batch, cache = run.batch, run.cache
    if batch.lengths is None:
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        if cache is not None:
            k, v = cache.update(run.step, k, v, rule.window)
        if expand is not None:
            k, v = expand(k, v)
        causal = False
        if batch.mask is not None:
            mask = given_mask(run, rule, k.shape[2])
        elif isinstance(batch.past, int):
            mask, causal = row_mask(run, rule, q.shape[2], k.shape[2])
        elif isinstance(batch, Padded):
            mask = padded_mask(run, rule, q.shape[2], k.shape[2])
        else:
            mask = ragged_mask(run, rule, q.shape[2], k.shape[2])
        if content_bias is not None:
            mask = _with_bias(mask, content_bias(q, k))
        out, weights = run.kernel(q, k, v, mask, causal, scoring, dropout)
        if run.trace.attentions is not None and weights is not None:
            run.trace.attentions.append(weights)
        return out.transpose(1, 2)
    if cache is None:
        rows = list(zip(split_rows(k, batch), split_rows(v, batch), strict=True))
    else:
        rows = cache.update_packed(run.step, k, v, batch, rule.window)
    outs, seen = [], []
    for query, (key, value) in zip(split_rows(q, batch), rows, strict=True):
        if expand is not None:
            key, value = expand(key, value)
        mask, causal = row_mask(run, rule, query.shape[2], key.shape[2])
        if content_bias is not None:
            mask = _with_bias(mask, content_bias(query, key))
        out, weights = run.kernel(query, key, value, mask, causal, scoring, dropout)
        outs.append(out[0].transpose(0, 1))
        seen.append(weights)
    if run.trace.attentions is not None:
        run.trace.attentions.append(_spread(seen, batch, batch if batch.past == 0 else None))
    return torch.cat(outs)


def attend_memory(
    run: Run, q: Tensor, project: Callable[[Tensor], tuple[Tensor, Tensor]], scoring: Scoring, dropout: float
) -> Tensor:
    """Cross-attention from the run's batch to its memory.

    Args:
        q: ``[rows, width, heads, head_width]``, or packed.
        project: from memory states to keys and values ``[..., heads, head_width]``; called once for each cache.
    """
    batch, memory = run.batch, run.memory
    assert memory is not None
    if batch.lengths is None:
        k, v, mask = _dense_memory(run, memory, project)
        out, weights = run.kernel(q.transpose(1, 2), k, v, mask, False, scoring, dropout)
        if run.trace.cross is not None and weights is not None:
            alike = memory.batch.lengths is None
            run.trace.cross.append(weights if alike else _spread(list(weights.split(1)), batch, memory.batch))
        return out.transpose(1, 2)
    if run.cache is not None:
        k, v, _ = _dense_memory(run, memory, project)
        ends = memory.batch.lengths or (k.shape[2],) * batch.rows
        rows = [(k[r : r + 1, :, :end], v[r : r + 1, :, :end]) for r, end in enumerate(ends)]
    else:
        k, v = project(memory.states)
        if memory.batch.lengths is None:
            rows = [(a.transpose(0, 1)[None], b.transpose(0, 1)[None]) for a, b in zip(k, v, strict=True)]
        else:
            rows = list(zip(split_rows(k, memory.batch), split_rows(v, memory.batch), strict=True))
    outs, seen = [], []
    for query, (key, value) in zip(split_rows(q, batch), rows, strict=True):
        out, weights = run.kernel(query, key, value, None, False, scoring, dropout)
        outs.append(out[0].transpose(0, 1))
        seen.append(weights)
    if run.trace.cross is not None:
        run.trace.cross.append(_spread(seen, batch, memory.batch))
    return torch.cat(outs)


def _dense_memory(
    run: Run, memory: Memory, project: Callable[[Tensor], tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The memory's keys and values ``[rows, heads, longest, head_width]`` and which of them are real."""
    if run.cache is not None and run.step in run.cache.cross:
        return run.cache.cross[run.step]
    k, v = project(memory.states)
    mask = None
    if memory.batch.lengths is not None:
        k, v = memory.batch.left_aligned(k), memory.batch.left_aligned(v)
        mask = memory.batch.left_aligned_mask[:, None, None]
    elif memory.batch.keep is not None:
        mask = memory.batch.keep[:, None, None]
    found = (k.transpose(1, 2), v.transpose(1, 2), mask)
    if run.cache is not None:
        run.cache.cross[run.step] = found
    return found


def _with_bias(mask: Tensor | None, bias: Tensor) -> Tensor:
    if mask is None:
        return bias
    return bias.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else bias + mask


def _spread(rows: Sequence[Tensor | None], queries: Batch, keys: Batch | None) -> Tensor:
    """Each row's weights ``[1, heads, n, m]`` put where its tokens stand: ``[rows, heads, width, keys.width]``.

    Keys of a cache, which stand in no batch, are those of ``keys`` None: they end in the last column.
    """
    width = keys.width if keys is not None else max(row.shape[-1] for row in rows if row is not None)
    found = []
    for r, weights in enumerate(rows):
        assert weights is not None
        count = weights.shape[-1]
        at = torch.arange(width - count, width, device=weights.device) if keys is None else keys.columns(r)
        full = weights.new_zeros(weights.shape[1], queries.width, width)
        full[:, queries.columns(r)[:, None], at] = weights[0][..., : len(at)]
        found.append(full)
    return torch.stack(found)
