"""Replay: a ring buffer of transitions for each seed of a population, on one device."""

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from alm.errors import UserError
from alm.training.streams import Streams

# Candidates drawn at once per sequence start; the first block almost always contains a valid one.
_CANDIDATES = 4


@dataclass(frozen=True)
class Transitions:
    """Transitions (s, a, r, s', d); leading axes are (S, batch) or (S, K, batch)."""

    observation: Tensor  # (…, observation size)
    action: Tensor  # (…, action size)
    reward: Tensor  # (…)
    next_observation: Tensor  # (…, observation size)
    terminal: Tensor  # (…), 1.0 where the task ended; a time limit does not count

    def __getitem__(self, index: Any) -> "Transitions":
        """The transitions at an index of the leading axes."""
        return Transitions(*(getattr(self, field.name)[index] for field in fields(self)))


class Replay:
    """Last ``capacity`` transitions of each of S seeds, sampled without Python loops.

    Seeds advance in lockstep, so one write pointer serves all. Storage is float32 and allocated once;
    the operating system provides pages when they are first written.
    """

    def __init__(
        self,
        seeds: int,
        capacity: int,
        observation_size: int,
        action_size: int,
        device: str = "cpu",
    ) -> None:
        self.seeds, self.capacity = seeds, capacity
        self.pointer = 0
        self.size = 0

        def storage(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(seeds, capacity, *shape, dtype=dtype, device=device)

        self._data = Transitions(
            storage(observation_size), storage(action_size), storage(), storage(observation_size), storage()
        )
        self._episode_end = storage(dtype=torch.bool)
        self._row = torch.arange(seeds, device=device)[:, None] * capacity

    def add(
        self,
        observation: Tensor,
        action: Tensor,
        reward: Tensor,
        next_observation: Tensor,
        terminal: Tensor,
        episode_end: Tensor,
    ) -> None:
        """Store one transition of every seed; arguments have a leading axis S.

        ``episode_end`` is true at a terminal, at a time limit, or if the caller dropped the episode.
        """
        values = (observation, action, reward, next_observation, terminal)
        for field, value in zip(fields(Transitions), values, strict=True):
            getattr(self._data, field.name)[:, self.pointer] = value
        self._episode_end[:, self.pointer] = episode_end
        self.pointer = (self.pointer + 1) % self.capacity
        self.size = min(self.size + 1, self.capacity)

    def extend(self, transitions: Transitions, episode_end: Tensor) -> None:
        """Store a block of transitions of every seed, in order; arguments have leading axes (S, n).

        Raises:
            UserError: the block is larger than the buffer.
        """
        count = transitions.reward.shape[1]
        if count > self.capacity:
            raise UserError(f"a block of {count} transitions does not fit into a buffer of {self.capacity}")
        slots = (self.pointer + torch.arange(count, device=self._row.device)) % self.capacity
        for field in fields(Transitions):
            getattr(self._data, field.name)[:, slots] = getattr(transitions, field.name)
        self._episode_end[:, slots] = episode_end
        self.pointer = (self.pointer + count) % self.capacity
        self.size = min(self.size + count, self.capacity)

    def grown(self, capacity: int) -> "Replay":
        """A larger buffer with the same contents, the oldest first.

        Raises:
            UserError: the contents do not fit.
        """
        if capacity < self.size:
            raise UserError(f"{self.size} transitions do not fit into a buffer of {capacity}")
        sizes = self._data.observation.shape[2], self._data.action.shape[2]
        larger = Replay(self.seeds, capacity, *sizes, device=str(self._row.device))
        oldest = self.pointer if self.size == self.capacity else 0
        blocks = [(getattr(self._data, f.name), getattr(larger._data, f.name)) for f in fields(Transitions)]
        for old, new in [*blocks, (self._episode_end, larger._episode_end)]:
            new[:, : self.size - oldest] = old[:, oldest : self.size]
            new[:, self.size - oldest : self.size] = old[:, :oldest]
        larger.pointer, larger.size = self.size % capacity, self.size
        return larger

    def stored(self) -> Transitions:
        """All stored transitions (S, size) in no particular order; views that later additions may change."""
        return self._data[:, : self.size]

    def end_episode(self) -> None:
        """Mark the newest transition of every seed as the last of its episode (not terminal)."""
        if self.size:
            self._episode_end[:, self.pointer - 1] = True

    def sample(self, batch: int | tuple[int, ...], streams: Streams) -> Transitions:
        """Transitions drawn uniformly with replacement, leading axes (S, *batch)."""
        shape = (batch,) if isinstance(batch, int) else batch
        return self.at(streams.integers(self.size, *shape))

    def newest(self, count: int) -> Transitions:
        """The last ``count`` stored transitions, oldest first, leading axes (S, count)."""
        index = torch.arange(self.pointer - count, self.pointer, device=self._row.device) % self.capacity
        return self.at(index.expand(self.seeds, -1))

    def sample_sequences(
        self,
        batch: int,
        length: int,
        streams: Streams,
        reject_time_limits: bool = False,
        newest: int | None = None,
    ) -> Transitions:
        """Windows of ``length`` consecutive transitions, leading axes (S, length, batch).

        Starts are uniform over the valid ones (the authors' rule): any of the first ``size - length``
        entries while the buffer fills, any entry once it is full, except where the window crosses the
        write pointer or one of its first ``length - 1`` transitions is terminal. As in the authors'
        code, a window may straddle a time limit, which sets no terminal flag; ``reject_time_limits``
        rejects these windows too. With ``newest``, windows lie within the last ``newest`` transitions.

        Raises:
            UserError: the buffer holds no valid window yet.
        """
        first, high = 0, self.capacity if self.size == self.capacity >= length else self.size - length
        if newest is not None:
            first, high = self.pointer - min(newest, self.size), min(newest, self.size) - length + 1
        if high <= 0:
            least = length if newest is not None else length + 1
            raise UserError(
                f"a window of {length} transitions needs at least {least} stored ones, not {self.size}; "
                "use a longer warm-up"
            )
        candidates = streams.integers(high, _CANDIDATES, batch)
        if first:
            candidates = (first + candidates) % self.capacity
        valid = self._valid_starts(candidates, length, reject_time_limits)
        start, found = _first_valid(candidates, valid)
        attempts = 0
        while not bool(found.all()):
            # Only seeds without a valid start draw again, so that no seed's stream depends on its neighbours.
            attempts += 1
            if attempts > 1000:
                raise UserError(
                    f"no valid window of {length} transitions found among {self.size}: episodes are too "
                    "short for this sequence length; use a smaller horizon K or a longer warm-up"
                )
            for seed in (~found.all(dim=1)).nonzero().flatten().tolist():
                own = candidates.new_empty(_CANDIDATES, batch).random_(
                    high, generator=streams.generators[seed]
                )
                candidates[seed] = (first + own) % self.capacity
            fresh, fresh_found = _first_valid(
                candidates, self._valid_starts(candidates, length, reject_time_limits)
            )
            start = torch.where(found, start, fresh)
            found = found | fresh_found
        return self.sequences_from(start, length)

    def sequences_from(self, start: Tensor, length: int) -> Transitions:
        """Consecutive transitions (S, length, batch, …) from positions (S, batch) on, without checks."""
        offsets = torch.arange(length, device=start.device)[None, :, None]
        return self.at((start[:, None, :] + offsets) % self.capacity)

    def starts_within_episodes(self, length: int) -> Tensor:
        """Positions (n,) where ``length`` consecutive transitions of one episode begin, oldest first.

        For buffers of one seed. All positions are listed, so a draw is uniform however few there are.
        """
        oldest = self.pointer - self.size
        index = torch.arange(oldest, self.pointer, device=self._row.device) % self.capacity
        ended = self._episode_end[0, index].cumsum(dim=0)
        # Number of episodes that ended before each transition.
        before = torch.cat([ended.new_zeros(1), ended[:-1]])[: self.size]
        starts = max(self.size - length + 1, 0)
        return index[:starts][before[:starts] == before[length - 1 :]]

    def _valid_starts(self, start: Tensor, length: int, reject_time_limits: bool) -> Tensor:
        """Whether each candidate start (S, …) begins a valid window."""
        ends = self._episode_end if reject_time_limits else self._data.terminal
        rows = self._row.view(-1, *[1] * (start.dim() - 1))
        valid = torch.ones_like(start, dtype=torch.bool)
        for offset in range(length):
            position = (start + offset) % self.capacity
            if offset > 0:
                # The newest transition is not followed by the oldest one.
                valid &= position != self.pointer
            if offset < length - 1:
                valid &= ends.view(-1)[rows + position] == 0
        return valid

    def at(self, index: Tensor) -> Transitions:
        """Transitions at positions ``index`` (S, …) of each seed's own ring."""
        flat = (index + self._row.view(-1, *[1] * (index.dim() - 1))).flatten()
        return Transitions(
            *(
                getattr(self._data, field.name)
                .flatten(0, 1)
                .index_select(0, flat)
                .view(*index.shape, *getattr(self._data, field.name).shape[2:])
                for field in fields(Transitions)
            )
        )

    def ends(self, index: Tensor) -> Tensor:
        """Whether no later transition of the same episode follows at positions ``index`` (S, …) → bool."""
        rows = self._row.view(-1, *[1] * (index.dim() - 1))
        newest = (self.pointer - 1) % self.capacity
        return self._episode_end.view(-1)[rows + index] | (index == newest)

    def state(self) -> dict[str, Any]:
        """The filled part of the buffer (leading axis S) and the write pointer."""
        contents = {f.name: getattr(self.stored(), f.name) for f in fields(Transitions)}
        contents["episode_end"] = self._episode_end[:, : self.size]
        return {"pointer": self.pointer, "size": self.size, "contents": contents}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.pointer, self.size = state["pointer"], state["size"]
        for field in fields(Transitions):
            getattr(self._data, field.name)[:, : self.size] = state["contents"][field.name]
        self._episode_end[:, : self.size] = state["contents"]["episode_end"]


def _first_valid(candidates: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """First valid candidate (S, candidates, batch) of each column, and whether there is one."""
    first = valid.to(torch.uint8).argmax(dim=1, keepdim=True)
    return candidates.gather(1, first).squeeze(1), valid.any(dim=1)
