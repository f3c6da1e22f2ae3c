"""Mamba 2's mixer by state-space duality (Dao and Gu 2024, arXiv:2405.21060).

A head's state ``h [head_width, state]`` follows ``h = exp(step * a) * h + step * x b^T``, and ``y = h c + d x`` is
what is read of it. Unrolled over a chunk of tokens this is a product like that of attention, whose scores ``c b^T``
fade with distance; what came before the chunk is in the state. Single tokens after a past take the recurrence itself.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headway import spec
from headway.errors import ConfigError, InputError
from headway.nn.activations import activation
from headway.nn.batch import Padded
from headway.nn.builders import builds
from headway.nn.linear import Linear
from headway.nn.run import Run


class CausalConvolution(nn.Module):
    """Each channel's weighted sum over its last ``kernel`` tokens."""

    def __init__(self, channels: int, kernel: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, kernel))
        self.bias = nn.Parameter(torch.empty(channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """``[rows, tokens, channels]`` of ``x``, which has ``kernel - 1`` tokens more in front."""
        if x.shape[1] > self.weight.shape[2]:
            return F.conv1d(x.transpose(1, 2), self.weight, self.bias, groups=x.shape[2]).transpose(1, 2)
        one = (x * self.weight[:, 0].t()).sum(1, keepdim=True)
        return one if self.bias is None else one + self.bias

    def new_values(self, name: str) -> Tensor | None:
        """Values of a new model."""
        bound = self.weight.shape[2] ** -0.5
        return torch.empty(self.weight.shape).uniform_(-bound, bound) if name == "weight" else None


class GatedRMSNorm(nn.Module):
    """RMSNorm of ``x * silu(gate)`` in each of ``groups`` of channels, all in float32."""

    def __init__(self, norm: spec.RMSNorm, width: int, groups: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self.split = (groups, width // groups)
        self.eps = norm.eps

    def new_values(self, name: str) -> Tensor:
        """Values of a new model."""
        return torch.ones(self.weight.shape)

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        x = (x * F.silu(gate.float())).unflatten(-1, self.split)
        return F.rms_norm(x, self.split[1:], None, self.eps).flatten(-2) * self.weight.float()


@builds(spec.StateSpace)
class StateSpace(nn.Module):
    """In: gate, values, what is written and read, steps; a convolution, the recurrence, a gated norm; and out.

    Args:
        mixer: what it is.
        width: channels of the stack.
        positions: the stack's positions, of which it needs none.
    """

    def __init__(self, mixer: spec.StateSpace, width: int, positions: tuple[spec.Position, ...] = ()) -> None:
        super().__init__()
        if mixer.heads % mixer.groups:
            raise ConfigError(
                f"{mixer.heads} heads cannot be shared out to {mixer.groups} groups; the first number must be a "
                "multiple of the second."
            )
        inner, shared = mixer.heads * mixer.head_width, mixer.groups * mixer.state
        self.mixer = mixer
        self.limits = None if mixer.step_limits == (0.0, math.inf) else mixer.step_limits
        self.widths = (inner, inner + 2 * shared, mixer.heads)
        self.parts = (inner, shared, shared)
        self.in_proj = Linear(width, sum(self.widths), mixer.bias)
        self.conv = CausalConvolution(inner + 2 * shared, mixer.kernel, mixer.conv_bias)
        self.act = activation(mixer.activation)
        self.A_log = nn.Parameter(torch.empty(mixer.heads))
        self.D = nn.Parameter(torch.empty(mixer.heads))
        self.dt_bias = nn.Parameter(torch.empty(mixer.heads))
        self.norm = GatedRMSNorm(mixer.norm, inner, mixer.groups)
        self.out_proj = Linear(inner, width, mixer.bias)

    def new_values(self, name: str) -> Tensor:
        """Values of a new model: decays of 1 to ``heads``, and steps drawn evenly on a log scale."""
        if name == "A_log":
            return torch.arange(1, self.mixer.heads + 1).log()
        if name == "D":
            return torch.ones(self.mixer.heads)
        shortest, longest = map(math.log, self.mixer.first_steps)
        return torch.empty(self.mixer.heads).uniform_(shortest, longest).exp().expm1().log()

    def forward(self, x: Tensor, run: Run) -> Tensor:
        batch, cache = run.batch, run.cache
        if batch.mask is not None:
            raise InputError(
                "A mask of queries and keys says nothing to a layer with a state; pass an attention_mask of shape "
                f"[{batch.rows}, {batch.width}]."
            )
        gate, x, step = self.in_proj(x).split_with_sizes(self.widths, -1)
        step = F.softplus(step.float() + self.dt_bias.float())
        if self.limits is not None:
            step = step.clamp(*self.limits)
        # Outside of a row steps are zero, so that its state stays as it is.
        lay = batch.unpack if batch.lengths is None else batch.left_aligned
        x, step = lay(x), lay(step)
        past = None if cache is None else cache.state(run.step, batch.rows)
        kernel = self.mixer.kernel - 1
        x = F.pad(x, (0, 0, kernel, 0)) if past is None else torch.cat((past[0], x), 1)
        # A traced graph has one chunk: their number would be that of one length.
        chunk = None if isinstance(batch, Padded) else self.mixer.chunk
        y, state = self._mix(self.act(self.conv(x)), step, None if past is None else past[1], chunk)
        if batch.lengths is not None:
            y = y[batch.left_aligned_mask]
        if cache is not None:
            cache.set_state(run.step, (self._window(x, batch.lengths), state))
        return self.out_proj(self.norm(y, gate).to(gate.dtype))

    def _window(self, x: Tensor, lengths: tuple[int, ...] | None) -> Tensor:
        """The tokens that the convolution sees before the next one, ``[rows, kernel - 1, channels]``."""
        kernel = self.mixer.kernel - 1
        if lengths is None:
            return x[:, x.shape[1] - kernel :].clone()
        at = torch.tensor(lengths, device=x.device)[:, None] + torch.arange(kernel, device=x.device)
        return x.gather(1, at[:, :, None].expand(-1, -1, x.shape[2]))

    def _mix(self, x: Tensor, step: Tensor, past: Tensor | None, chunk: int | None) -> tuple[Tensor, Tensor]:
        """What is read of the states, ``[rows, tokens, channels]`` in float32, and the last state."""
        groups, heads = self.mixer.groups, self.mixer.heads
        values, write, read = x.float().split_with_sizes(self.parts, -1)
        values = values.unflatten(-1, (groups, heads // groups, -1))
        write, read = write.unflatten(-1, (groups, -1)), read.unflatten(-1, (groups, -1))
        step = step.unflatten(-1, (groups, -1))
        decay = step * -self.A_log.float().exp().view(groups, -1)
        written = values * step[..., None]
        if past is not None and x.shape[1] == 1:
            y, state = one_token(written[:, 0], decay[:, 0], write[:, 0], read[:, 0], past)
            y = y[:, None]
        elif chunk is None:
            y, state = one_chunk(written, decay, write, read, past)
        else:
            y, state = in_chunks(written, decay, write, read, past, chunk)
        return torch.addcmul(y, values, self.D.float().view(groups, -1, 1)).flatten(2), state


def one_token(x: Tensor, decay: Tensor, write: Tensor, read: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
    """The recurrence for one token.

    Args:
        x: ``[rows, groups, heads, head_width]``.
        decay: the logarithms of what is left of a state, ``[rows, groups, heads]``.
        write, read: ``[rows, groups, state]``.
        past: ``[rows, groups, heads, head_width, state]``.

    Returns:
        What is read, of the shape of ``x``, and the new state.
    """
    state = torch.addcmul(past * decay.exp()[..., None, None], x[..., None], write[:, :, None, None])
    return (state.flatten(2, 3) @ read[..., None]).view_as(x), state


def in_chunks(
    x: Tensor, decay: Tensor, write: Tensor, read: Tensor, past: Tensor | None, chunk: int
) -> tuple[Tensor, Tensor]:
    """The same for many tokens, ``chunk`` at a time, so that memory grows with the length alone.

    Args:
        x: ``[rows, tokens, groups, heads, head_width]``; ``decay [rows, tokens, groups, heads]``; ``write`` and
            ``read [rows, tokens, groups, state]``.
        past: the state before the first token, or None.

    Returns:
        What is read, of the shape of ``x``, and the last state.
    """
    pieces, state = [], past
    for at in range(0, x.shape[1], chunk):
        here = slice(at, at + chunk)
        y, state = one_chunk(x[:, here], decay[:, here], write[:, here], read[:, here], state)
        pieces.append(y)
    assert state is not None
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces, 1), state


def one_chunk(x: Tensor, decay: Tensor, write: Tensor, read: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
    """The same for the tokens of a chunk, as products of matrices."""
    count, (heads, width) = x.shape[1], x.shape[3:]
    x, decay = x.movedim(1, 3), decay.movedim(1, 3)
    write, read = write.transpose(1, 2), read.transpose(1, 2)
    # What is left of each token at each later one. Decays between the two are summed as such: a difference of two sums
    # from the beginning would be of their precision, not of its own.
    fading = decay[..., None, :].expand(*decay.shape, count).triu(1).cumsum(-1)
    earlier = torch.ones(count, count, dtype=torch.bool, device=x.device).tril_(-1)
    fading = fading.masked_fill_(earlier, -math.inf).exp_()
    y = (fading * (write @ read.transpose(-1, -2))[:, :, None]).transpose(-1, -2) @ x
    # The heads of a group are written and read side by side, in one product.
    state = ((x * fading[..., -1:]).transpose(-1, -2).flatten(2, 3) @ write).unflatten(2, (heads, width))
    if past is not None:
        left = decay.cumsum(-1).exp_()[..., None]
        seen = (read @ past.flatten(2, 3).transpose(-1, -2)).unflatten(-1, (heads, width)).transpose(2, 3)
        y = torch.addcmul(y, seen, left)
        state = torch.addcmul(state, past, left[..., -1:, :])
    return y.movedim(3, 1), state
