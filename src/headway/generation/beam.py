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

    In ``num_beam_groups`` the beams of a prompt search side by side. A token that earlier groups have just written is
    worth ``diversity_penalty`` less for each time (Vijayakumar et al. 2016, arXiv:1610.02424).
    """
    config, groups = job.config, job.config.num_beam_groups or 1
    size = (config.num_beams or 1) // groups
    beams = [Beams(job, group * size, size) for group in range(groups)]
    written, scores, at = Written(job.ids), job.scores, job.width
    while True:
        raw = scores.float()
        ids = torch.cat([group.running for group in beams], 1).flatten(0, 1)
        logs = job.processors(ids[:, :at], raw.log_softmax(-1))
        if config.output_logits:
            written.logits.append(raw)
        if config.output_scores:
            written.scores.append(logs)
        of_prompts = logs.view(-1, groups * size, logs.shape[-1])
        counts = logs.new_zeros(len(of_prompts), logs.shape[-1]) if groups > 1 else None
        for group, own in zip(beams, of_prompts.split(size, 1), strict=True):
            if counts is not None:
                own -= float(config.diversity_penalty or 0.0) * counts[:, None]
            going = group.going
            tokens = group.extend(own, at, written.scores)
            if counts is not None:
                # A group that is done writes nothing that others should keep away from.
                counts.scatter_add_(1, tokens, going[:, None].expand(-1, size).to(counts.dtype))
        at += 1
        if at == job.end or not any(bool(group.going.any()) for group in beams):
            break
        # Beams of one prompt look at the same memory.
        job.decoder.select(torch.cat([group.parents for group in beams], 1).flatten(), same_memory=True)
        scores = job.decoder.feed(torch.cat([group.running[:, :, at - 1] for group in beams], 1).view(-1, 1))
    return _result(job, beams, written)


class Beams:
    """The sequences that are searched together, ``size`` for each prompt, and those of them that are finished.

    Args:
        job: its rows are the beams of all groups, those of a prompt together.
        first: the number of the first of these beams in each prompt.

    Attributes:
        running: what goes on, ``[prompts, size, width]``, and ``totals``, the sums of its log-probabilities.
        parents: the rows of the batch that ``running`` continues, ``[prompts, size]``.
        going: prompts that are not done. One that is takes no more sequences, so that its result does not depend on
            the others.
    """

    def __init__(self, job: Job, first: int, size: int) -> None:
        config, device, width, end = job.config, job.ids.device, job.width, job.end
        every = config.num_beams or 1
        self.job, self.size = job, size
        self.penalty = float(config.length_penalty or 0.0)
        # Among so many continuations are `size` that do not end, were every end of sequence among the best.
        self.wide = max(2, 1 + (0 if job.eos is None else job.eos.numel())) * size
        prompts = job.ids.shape[0] // every
        self.first = torch.arange(prompts, device=device)[:, None] * every + first
        self.running = job.ids.new_full((prompts, size, end), job.pad)
        self.running[:, :, :width] = job.ids.view(prompts, every, -1)[:, first : first + size]
        self.totals = torch.full((prompts, size), -torch.inf, device=device)
        self.totals[:, 0] = 0.0
        self.origins = torch.full((prompts, size, end - width), -1, dtype=torch.int64, device=device)
        self.limits = job.limits.view(prompts, every)[:, :1]
        self.finished = Finished(self.running.clone(), torch.full_like(self.totals, -torch.inf), self.origins.clone())
        self.going = torch.ones(prompts, dtype=torch.bool, device=device)

    def extend(self, logs: Tensor, at: int, scores: list[Tensor]) -> Tensor:
        """Write column ``at`` by ``logs [prompts, size, vocabulary]``; return the tokens that go on.

        Args:
            scores: those of the call so far, for stopping criteria.
        """
        job, vocabulary = self.job, logs.shape[-1]
        sums = (logs + self.totals[:, :, None]).flatten(1)
        if job.config.do_sample:
            # Prompts that are done may have nothing left to draw.
            some = sums.amax(1, keepdim=True) > -torch.inf
            chosen = job.draw(torch.where(some, sums, 0.0), min(self.wide, sums.shape[1]))
            best = sums.gather(1, chosen)
        else:
            best, chosen = sums.topk(min(self.wide, sums.shape[1]))
        parent, tokens = chosen // vocabulary, chosen % vocabulary
        candidates = _rows_of(self.running, parent)
        candidates[:, :, at] = tokens
        paths = _rows_of(self.origins, parent)
        paths[:, :, at - job.width] = self.first + parent
        at += 1
        ended = job.ended(tokens)
        if job.stopping:
            ended = ended | job.stopping(candidates[:, :, :at].flatten(0, 1), scores).view(ended.shape)
        # What goes on: the best that did not end.
        self.totals, order = best.masked_fill(ended, -torch.inf).topk(self.size)
        self.running, self.origins = _rows_of(candidates, order), _rows_of(paths, order)
        self.parents = self.first + parent.gather(1, order)
        # What is finished: of the best `size`, those that ended or have no room.
        length, full = at - job.width, at >= self.limits
        over = (ended | full) & (torch.arange(ended.shape[1], device=ended.device) < self.size)
        final = best / length**self.penalty
        self.finished.add(candidates, torch.where(over & self.going[:, None], final, -torch.inf), paths)
        self.going = self.going & ~full[:, 0] & self._can_improve(length)
        return self.running[:, :, at - 1]

    def _can_improve(self, length: int) -> Tensor:
        """Of which prompts could a running sequence still better the finished ones?"""
        early = self.job.config.early_stopping
        if early == "never" and self.penalty > 0:
            length = self.job.end - self.job.width
        better = self.totals[:, 0] / length**self.penalty > self.finished.scores.amin(1)
        return better & ~self.finished.full if early is True else better


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
        self._take(ids, scores, origins, self.scores.shape[1])

    def join(self, other: Finished) -> None:
        """Keep those of ``other`` too."""
        self._take(other.ids, other.scores, other.origins, self.scores.shape[1] + other.scores.shape[1])

    def _take(self, ids: Tensor, scores: Tensor, origins: Tensor, count: int) -> None:
        self.scores, order = torch.cat((self.scores, scores), 1).topk(count)
        self.ids = _rows_of(torch.cat((self.ids, ids), 1), order)
        self.origins = _rows_of(torch.cat((self.origins, origins), 1), order)


def _rows_of(x: Tensor, order: Tensor) -> Tensor:
    """The rows ``order [prompts, n]`` of ``x [prompts, rows, width]``."""
    return x.gather(1, order[:, :, None].expand(-1, -1, x.shape[2]))


def _result(job: Job, beams: list[Beams], written: Written) -> Written:
    """The best of each prompt.

    Raises:
        InputError: there are fewer than are asked for, since all else is forbidden.
    """
    finished = beams[0].finished
    for group in beams[1:]:
        finished.join(group.finished)
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
