"""Replay against brute-force enumeration of a small ring buffer."""

from collections import Counter

import pytest
import torch

from alm.training.replay import Replay, Transitions
from alm.training.streams import Purpose, Streams

CAPACITY = 12


def filled(count, terminals=(), ends=(), seeds=1):
    """A buffer after ``count`` additions; transition i carries the number i (plus 1000 a seed)."""
    replay = Replay(seeds, CAPACITY, observation_size=2, action_size=1)
    for i in range(count):
        number = torch.tensor([[float(i + 1000 * s)] for s in range(seeds)])
        terminal = torch.full((seeds,), float(i in terminals))
        end = torch.full((seeds,), i in terminals or i in ends)
        replay.add(number.expand(-1, 2), number, number[:, 0], number.expand(-1, 2) + 1, terminal, end)
    return replay


@pytest.mark.parametrize(("count", "expected"), [(5, [2, 3, 4]), (12, [9, 10, 11]), (13, [10, 11, 12])])
def test_the_newest_transitions_in_order(count, expected):
    newest = filled(count, seeds=2).newest(3)
    assert newest.reward.tolist() == [[float(i) for i in expected], [1000.0 + i for i in expected]]
    assert newest.observation.shape == (2, 3, 2)


@pytest.mark.parametrize(("count", "newest"), [(11, 5), (12, 5), (17, 5), (17, 100), (30, 3)])
@pytest.mark.parametrize("terminals", [(), (9, 15)])
def test_windows_within_the_newest(count, newest, terminals):
    replay = filled(count, terminals)
    held = min(newest, count, CAPACITY)
    expected = {
        (i, i + 1, i + 2)
        for i in range(count - held, count - 2)
        if i not in terminals and i + 1 not in terminals
    }
    streams = Streams([0], Purpose.LEARNING)
    if not expected:
        with pytest.raises(ValueError, match="no valid window of 3"):
            replay.sample_sequences(500, 3, streams, newest=newest)
        return
    drawn = replay.sample_sequences(500, 3, streams, newest=newest).reward[0].T.int().tolist()
    assert set(map(tuple, drawn)) == expected


def allowed_windows(count, length, terminals=(), ends=()):
    """The authors' rule, spelled out over numbered transitions."""
    full = count >= CAPACITY
    held = {i % CAPACITY: i for i in range(count)}  # slot → newest number there
    pointer = count % CAPACITY
    windows = set()
    for start in range(CAPACITY if full else count - length):
        slots = [(start + k) % CAPACITY for k in range(length)]
        numbers = tuple(held[slot] for slot in slots)
        crosses_pointer = pointer in slots[1:]
        crosses_end = any(n in terminals or n in ends for n in numbers[:-1])
        if not crosses_pointer and not crosses_end:
            windows.add(numbers)
    return windows


@pytest.mark.parametrize("length", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [8, CAPACITY, 17, 30])
def test_sequences_are_uniform_over_the_valid_windows(count, length):
    terminals = {4, 5, 14, 22}
    replay, streams = filled(count, terminals), Streams([0], Purpose.LEARNING)
    expected = allowed_windows(count, length, terminals)
    draws = 40_000
    windows = replay.sample_sequences(draws, length, streams).reward[0].T.int().tolist()
    seen = Counter(map(tuple, windows))
    assert set(seen) == expected
    mean = draws / len(expected)
    assert all(abs(n - mean) < 6 * mean**0.5 for n in seen.values())


def test_time_limits_are_crossed_unless_rejected():
    ends = {5}
    crossing = (4, 5, 6)
    for reject in (False, True):
        drawn = filled(10, ends=ends).sample_sequences(5000, 3, Streams([0], Purpose.LEARNING), reject)
        rewards = drawn.reward[0].T.int().tolist()
        assert (crossing in set(map(tuple, rewards))) is not reject
        assert set(map(tuple, rewards)) == allowed_windows(10, 3, ends=ends if reject else ())


def test_fields_of_a_window_belong_together():
    replay = filled(30, {14, 22}, seeds=2)
    windows = replay.sample_sequences(50, 3, Streams([0, 1], Purpose.LEARNING))
    assert windows.observation.shape == (2, 3, 50, 2)
    assert windows.terminal.shape == (2, 3, 50)
    for name in ("observation", "action"):
        assert torch.equal(getattr(windows, name)[..., 0], windows.reward)
    assert torch.equal(windows.next_observation[..., 0], windows.reward + 1)
    assert torch.equal(windows.terminal, sum((windows.reward % 1000 == t).float() for t in (14, 22)))
    assert (windows.reward[0] < 1000).all()
    assert (windows.reward[1] >= 1000).all()
    assert torch.equal(windows.reward[:, 1:] - windows.reward[:, :-1], torch.ones(2, 2, 50))


def test_transitions_are_uniform_with_replacement():
    replay = filled(17)
    rewards = replay.sample(60_000, Streams([0], Purpose.LEARNING)).reward[0].int().tolist()
    seen = Counter(rewards)
    assert set(seen) == set(range(5, 17))
    assert all(abs(n - 5000) < 6 * 5000**0.5 for n in seen.values())


def test_a_seed_draws_the_same_whoever_its_neighbours_are():
    """Episodes of two steps make rejections frequent, which may not move a neighbour's stream."""
    terminals = set(range(1, 12, 2))
    alone = filled(12, terminals).sample_sequences(64, 2, Streams([7], Purpose.LEARNING))
    beside = filled(12, terminals, seeds=3).sample_sequences(64, 2, Streams([5, 7, 9], Purpose.LEARNING))
    assert torch.equal(alone.reward[0], beside.reward[1] - 1000)


def test_no_valid_window_is_one_clear_error():
    with pytest.raises(ValueError, match="no valid window of 3 transitions"):
        filled(12, set(range(12))).sample_sequences(4, 3, Streams([0], Purpose.LEARNING))
    with pytest.raises(ValueError, match="needs at least 4 stored ones, not 3"):
        filled(3).sample_sequences(4, 3, Streams([0], Purpose.LEARNING))
    with pytest.raises(ValueError, match=f"needs at least {CAPACITY + 2} stored ones, not {CAPACITY}"):
        filled(30).sample_sequences(4, CAPACITY + 1, Streams([0], Purpose.LEARNING))


@pytest.mark.parametrize("count", [0, 3, 12, 17])
@pytest.mark.parametrize("length", [1, 3, 4, 13])
def test_all_windows_within_episodes(count, length):
    replay = filled(count, terminals={4, 9}, ends={13})
    held = range(max(0, count - CAPACITY), count)
    expected = [i for i in held if i + length <= count and not {4, 9, 13} & set(range(i, i + length - 1))]
    assert replay.at(replay.starts_within_episodes(length)[None]).reward[0].tolist() == expected


@pytest.mark.parametrize("count", [7, 30])
@pytest.mark.parametrize("reject", [False, True])
def test_state_round_trip(count, reject):
    old, new = filled(count, {4, 20}, {1, 25}), Replay(1, CAPACITY, 2, 1)
    new.load_state(old.state())
    draws = [r.sample_sequences(20, 3, Streams([0], Purpose.LEARNING), reject).reward for r in (old, new)]
    assert torch.equal(*draws)
    assert (new.pointer, new.size) == (old.pointer, old.size)


def block(first, count):
    """Transitions numbered from ``first`` on, for one seed."""
    number = torch.arange(first, first + count, dtype=torch.float32)[None, :, None]
    pair = number.expand(-1, -1, 2)
    return Transitions(pair, number, number[..., 0], pair + 1, (number[..., 0] == 4).float())


@pytest.mark.parametrize("sizes", [(5,), (12,), (5, 12), (7, 4, 6), (1, 11, 3, 9)])
def test_blocks_are_stored_as_their_transitions_one_by_one(sizes):
    replay, first = filled(0), 0
    for count in sizes:
        transitions = block(first, count)
        replay.extend(transitions, transitions.terminal > 0)
        first += count
    one_by_one = filled(first, terminals={4}).state()
    state = replay.state()
    assert (state["pointer"], state["size"]) == (one_by_one["pointer"], one_by_one["size"])
    for name, values in one_by_one["contents"].items():
        assert torch.equal(state["contents"][name], values), name


def test_a_block_that_is_too_large_is_refused():
    with pytest.raises(ValueError, match="13 transitions does not fit into a buffer of 12"):
        filled(0).extend(block(0, 13), torch.zeros(1, 13, dtype=torch.bool))


@pytest.mark.parametrize("count", [0, 5, 12, 17])
def test_a_grown_buffer_keeps_its_contents_and_gives_up_the_oldest_first(count):
    old = filled(count, terminals={4, 14})
    larger = old.grown(CAPACITY + 2)
    kept = range(max(count - CAPACITY, 0), count)
    assert larger.stored().reward[0].tolist() == list(kept)
    assert larger.state()["contents"]["episode_end"][0].tolist() == [n in {4, 14} for n in kept]
    for number in range(count, count + 3):
        transitions = block(number, 1)
        larger.extend(transitions, torch.zeros(1, 1, dtype=torch.bool))
    everything = [*kept, *range(count, count + 3)]
    assert sorted(larger.stored().reward[0].tolist()) == everything[-CAPACITY - 2 :]
    assert (larger.capacity, old.size) == (CAPACITY + 2, len(kept))
    with pytest.raises(ValueError, match="12 transitions do not fit into a buffer of 11"):
        filled(20).grown(11)


def test_batches_of_several_axes_are_the_same_draws():
    replay, index = filled(9, seeds=2), (slice(None), 1)
    one = replay.sample(6, Streams([0, 1], Purpose.LEARNING))
    many = replay.sample((2, 3), Streams([0, 1], Purpose.LEARNING))
    assert many.observation.shape == (2, 2, 3, 2)
    assert torch.equal(many[index].observation, one[:, 3:].observation)


def test_stored_is_the_filled_part():
    stored = filled(5, seeds=2).stored()
    assert stored.reward.tolist() == [[0, 1, 2, 3, 4], [1000, 1001, 1002, 1003, 1004]]
    assert stored.observation.shape == (2, 5, 2)


def test_permutations_are_independent_orders_of_each_seed_alone():
    orders = Streams([3, 4], Purpose.LEARNING).permutations(50, 2)
    assert torch.equal(orders.sort(dim=-1).values, torch.arange(50).expand(2, 2, 50))
    assert len({tuple(order) for order in orders.flatten(0, 1).tolist()}) == 4
    assert torch.equal(orders[1:], Streams([4], Purpose.LEARNING).permutations(50, 2))


def test_storage_is_float32():
    assert filled(3).sample(2, Streams([0], Purpose.LEARNING)).reward.dtype == torch.float32
