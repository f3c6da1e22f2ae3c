"""One token after the other: the likeliest, or one that is drawn."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor

from headway.errors import InputError
from headway.generation.decoder import NOTHING
from headway.generation.job import Job, Written


def sample(job: Job) -> Written:
    """Write until every row is finished."""
    config, rows, end = job.config, job.ids.shape[0], job.end
    ids = job.ids.new_full((rows, end), job.pad)
    ids[:, : job.width] = job.ids
    written, done = Written(ids), torch.zeros(rows, dtype=torch.bool, device=ids.device)
    together = int(job.limits.min()) == end
    # Where only the end of sequence decides, rows that have reached it leave the batch.
    follows = job.processors or job.stopping or job.streamer or config.do_sample or config.return_dict_in_generate
    leave = not (follows or job.keeps_rows)
    live: Tensor | None = None
    ends = job.limits
    scores, at = job.scores, job.width
    while True:
        processed = scores.float()
        if config.output_logits:
            written.logits.append(processed)
        if job.processors:
            processed = job.processors(ids[:, :at], processed)
        if config.output_scores:
            written.scores.append(processed)
        tokens = job.draw(processed)[:, 0] if config.do_sample else processed.argmax(-1)
        if live is None:
            if job.eos is not None or job.stopping or not together:
                tokens = torch.where(done, job.pad, tokens)
            ids[:, at] = tokens
        else:
            tokens = torch.where(done[live], job.pad, tokens)
            ids[live, at] = tokens
        at += 1
        if job.streamer is not None:
            job.streamer.put(torch.where(done, NOTHING, tokens).cpu())
        if at == end:
            break
        over = job.ended(tokens) if job.eos is not None else None
        if job.stopping:
            stopped = job.stopping(ids[:, :at], written.scores)
            over = stopped if over is None else over | stopped
        if not together:
            reached = (at >= job.limits) if live is None else (at >= job.limits[live])
            over = reached if over is None else over | reached
        if over is not None:
            if live is None:
                done |= over
            else:
                done[live] |= over
            if job.keeps_rows:
                ends = torch.where(done, ends.clamp(max=at), ends)
            count = int(done.sum())
            if count == rows:
                break
            if leave and 2 * (rows - count) <= tokens.shape[0]:
                staying = ~(done if live is None else done[live])
                job.decoder.select(staying.nonzero()[:, 0])
                live, tokens = (~done).nonzero()[:, 0], tokens[staying]
        scores = job.decoder.feed(tokens[:, None])
    if job.keeps_rows:
        _forget_padding(job, (at - 1 - ends).clamp(min=0).tolist())
    written.ids = ids[:, :at]
    return written


def _forget_padding(job: Job, counts: list[int]) -> None:
    """Leave in the caller's cache the text alone, without what was fed behind the end of a row."""
    # Where a layer has let go of what was before, the padding stays in the cache, as text.
    with contextlib.suppress(InputError):
        job.decoder.take_back(counts)
