"""Beam search: the best sequences so far go on, those that ended are kept by their score."""

from __future__ import annotations

import torch
from torch import Tensor

from headway.errors import InputError
from headway.generation.constraint import nothing_left
from headway.generation.job import Job, Written


def beam_search(job: Job) -> Written:
    """Keep ``num_beams`` sequences of each prompt, and of the finished ones as many.

    A sequence's score is the sum of its log-probabilities over its written length to the power ``length_penalty``
    (Wu et al. 2016, arXiv:1609.08144). With ``do_sample`` the continuations of a prompt are drawn.
    """
    config, beams = job.config, job.config.num_beams or 1
    prompts, width, end = job.ids.shape[0] // beams, job.width, job.end
    device, penalty = job.ids.device, float(config.length_penalty or 0.0)
    # Among so many continuations are `beams` that do not end, were every end of sequence among the best.
    wide = max(2, 1 + (0 if job.eos is None else job.eos.numel())) * beams
    first = torch.arange(prompts, device=device)[:, None] * beams
    running = job.ids.new_full((prompts, beams, end), job.pad)
    running[:, :, :width] = job.ids.view(prompts, beams, -1)
    totals = torch.full((prompts, beams), -torch.inf, device=device)
    totals[:, 0] = 0.0
    origins = torch.full((prompts, beams, end - width), -1, dtype=torch.int64, device=device)
    finished = Finished(running.clone(), torch.full_like(totals, -torch.inf), origins.clone())
    # A prompt that is done takes no more sequences, so that its result does not depend on the others.
    going = torch.ones(prompts, dtype=torch.bool, device=device)
    written = Written(job.ids)
    scores, at, rows = job.scores, width, prompts * beams
    vocabulary = scores.shape[-1]
    while True:
        raw = scores.float()
        logs = job.processors(running.view(rows, end)[:, :at], raw.log_softmax(-1))
        if config.output_logits:
            written.logits.append(raw)
        if config.output_scores:
            written.scores.append(logs)
        sums = (logs.view(prompts, beams, vocabulary) + totals[:, :, None]).flatten(1)
        if config.do_sample:
            # Prompts that are done may have nothing left to draw.
            some = sums.amax(1, keepdim=True) > -torch.inf
            chosen = job.draw(torch.where(some, sums, 0.0), min(wide, sums.shape[1]))
            best = sums.gather(1, chosen)
        else:
            best, chosen = sums.topk(min(wide, sums.shape[1]))
        parent, tokens = chosen // vocabulary, chosen % vocabulary
        candidates = _rows_of(running, parent)
        candidates[:, :, at] = tokens
        paths = _rows_of(origins, parent)
        paths[:, :, at - width] = first + parent
        at += 1
        over = job.ended(tokens) | (at >= job.limits.view(prompts, beams)[:, :1])
        if job.stopping:
            flat = candidates[:, :, :at].flatten(0, 1)
            over = over | job.stopping(flat, written.scores).view(over.shape)
        # What goes on: the best that did not end.
        kept, order = best.masked_fill(over, -torch.inf).topk(beams)
        running, origins = _rows_of(candidates, order), _rows_of(paths, order)
        parent, totals = parent.gather(1, order), kept
        # What is finished: of the best `beams`, those that ended.
        length = at - width
        ended = over & (torch.arange(over.shape[1], device=device) < beams)
        final = best / length**penalty
        finished.add(candidates, torch.where(ended & going[:, None], final, -torch.inf), paths)
        going = going & _can_improve(job, finished, totals, length)
        if at == end or not bool(going.any()):
            break
        # Beams of one prompt look at the same memory.
        job.decoder.select((first + parent).flatten(), same_memory=True)
        scores = job.decoder.feed(running[:, :, at - 1].reshape(-1, 1))
    return _result(job, finished, written)


class Finished:
    """The best finished sequences of each prompt; the score of one that is not there is minus infinity."""

    def __init__(self, ids: Tensor, scores: Tensor, origins: Tensor) -> None:
        self.ids, self.scores, self.origins = ids, scores, origins

    @property
    def full(self) -> Tensor:
        """Which prompts have as many as there are beams."""
        return (self.scores > -torch.inf).all(1)

    def add(self, ids: Tensor, scores: Tensor, origins: Tensor) -> None:
        """Keep the best of these and of ``ids [prompts, n, width]``."""
        beams = self.scores.shape[1]
        self.scores, order = torch.cat((self.scores, scores), 1).topk(beams)
        self.ids = _rows_of(torch.cat((self.ids, ids), 1), order)
        self.origins = _rows_of(torch.cat((self.origins, origins), 1), order)


def _rows_of(x: Tensor, order: Tensor) -> Tensor:
    """The rows ``order [prompts, n]`` of ``x [prompts, rows, width]``."""
    return x.gather(1, order[:, :, None].expand(-1, -1, x.shape[2]))


def _can_improve(job: Job, finished: Finished, totals: Tensor, length: int) -> Tensor:
    """Of which prompts could a running sequence still better the finished ones?"""
    config = job.config
    penalty = float(config.length_penalty or 0.0)
    if config.early_stopping == "never" and penalty > 0:
        length = job.end - job.width
    better = totals[:, 0] / length**penalty > finished.scores.amin(1)
    return better & ~finished.full if config.early_stopping is True else better


def _result(job: Job, finished: Finished, written: Written) -> Written:
    """The best of each prompt.

    Raises:
        InputError: there are fewer than are asked for, since all else is forbidden.
    """
    count = job.config.num_return_sequences or 1
    for prompt, found in enumerate((finished.scores > -torch.inf).sum(1).tolist()):
        if not found:
            raise nothing_left(prompt)
        if found < count:
            raise InputError(
                f"Of row {prompt} there are {found} texts that are not forbidden, fewer than "
                f"num_return_sequences={count}; lower it."
            )
    ids, paths = (x[:, :count].flatten(0, 1) for x in (finished.ids, finished.origins))
    lengths = job.width + (paths >= 0).sum(1)
    longest = int(lengths.max())
    behind = torch.arange(longest, device=ids.device) >= lengths[:, None]
    written.ids = ids[:, :longest].masked_fill(behind, job.pad)
    written.sequences_scores = finished.scores[:, :count].flatten()
    written.beam_indices = paths[:, : longest - job.width]
    return written
