"""Contrastive search: likely tokens whose states are unlike those before them (Su et al. 2022, arXiv:2202.06417)."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from headway.generation.job import Job, Written


def contrastive_search(job: Job) -> Written:
    """Of the ``top_k`` likeliest tokens take the best by ``(1 - alpha) * probability - alpha * likeness``.

    The likeness of a token is the largest cosine between its last hidden state and those of the tokens before it. The
    decoder records hidden states, and has done so for the prompts.
    """
    config = job.config
    alpha, count = float(config.penalty_alpha or 0.0), int(config.top_k or 1)
    rows, end = job.ids.shape[0], job.end
    device = job.ids.device
    ids = job.ids.new_full((rows, end), job.pad)
    ids[:, : job.width] = job.ids
    written, done = Written(ids), torch.zeros(rows, dtype=torch.bool, device=device)
    states = F.normalize(job.decoder.recorded.hidden[-1][-1].float(), dim=-1)
    real = (states != 0).any(-1)  # padding has no state
    scores, at = job.scores, job.width
    first = torch.arange(rows, device=device)
    while True:
        raw = scores.float()
        processed = job.processors(ids[:, :at], raw)
        if config.output_logits:
            written.logits.append(raw)
        if config.output_scores:
            written.scores.append(processed)
        likely, candidates = processed.softmax(-1).topk(min(count, processed.shape[1]))
        width = candidates.shape[1]
        job.decoder.select(first.repeat_interleave(width))
        following = job.decoder.feed(candidates.reshape(-1, 1))
        new = F.normalize(job.decoder.recorded.hidden[-1][-1][:, -1].float(), dim=-1).view(rows, width, -1)
        likeness = (new @ states.transpose(1, 2)).masked_fill(~real[:, None], -1.0).amax(-1)
        forbidden = processed.gather(1, candidates).isneginf()
        best = ((1 - alpha) * likely - alpha * likeness).masked_fill(forbidden, -torch.inf).argmax(-1)
        job.decoder.select(first * width + best)
        tokens = candidates.gather(1, best[:, None])[:, 0]
        tokens = torch.where(done, job.pad, tokens)
        ids[:, at] = tokens
        at += 1
        if job.streamer is not None:
            job.streamer.put(torch.where(done, -1, tokens).cpu())
        done = done | job.ended(tokens) | (at >= job.limits)
        if job.stopping:
            done = done | job.stopping(ids[:, :at], written.scores)
        if bool(done.all()):
            break
        scores = following.view(rows, width, -1)[first, best]
        states = torch.cat((states, new[first, best][:, None]), 1)
        real = torch.cat((real, torch.ones_like(real[:, :1])), 1)
    written.ids = ids[:, :at]
    return written
