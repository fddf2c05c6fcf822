"""Updates run compiled, captured or in bfloat16: the same update, and a way back when it cannot be done."""

import functools
from dataclasses import replace
from unittest import mock

import pytest
import torch
from torch.overrides import TorchFunctionMode

from alm.agent import ALM
from alm.training import execution
from alm.training.execution import Execution, StaticInputs, execute
from alm.training.replay import Replay, Transitions
from alm.variants import VARIANTS
from baselines.slbo import SLBO
from baselines.svg import SVG, SVGConfig
from reproduce.lab.algorithms import ALGORITHMS
from runs import CUDA, tiny_agent
from tests.alm import cases as alm_cases
from tests.baselines import cases

BF16, COMPILED, CAPTURED = Execution("bf16"), Execution(compiled=True), Execution(captured=True)


def inputs_of(agent, seed=0):
    """Random inputs of one update of a float32 ALM."""
    task, config, seeds = agent.task, agent.config, len(agent.seeds)
    generator = torch.Generator().manual_seed(seed)

    def batch(*shape):
        def normal(*more):
            return torch.randn(*shape, *more, generator=generator)

        observation, action = normal(task.observation_size), normal(task.action_size).tanh()
        return Transitions(observation, action, normal(), normal(task.observation_size), torch.zeros(*shape))

    noise = {
        name: torch.randn(seeds, *shape, generator=generator) for name, shape in agent.noise_shapes.items()
    }
    return batch(seeds, config.horizon, config.batch_size), batch(seeds, config.batch_size), noise


def largest_difference(one, other):
    pairs = zip(one.networks.parameters(), other.networks.parameters(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


def never(message):
    raise AssertionError(message)


_MULTIPLIES_BF16 = execution._multiplies_bf16


@pytest.fixture(autouse=True)
def a_processor_for_bf16(monkeypatch):
    """The same tests on every processor: those without bfloat16 products give a warning."""
    monkeypatch.setattr(execution, "_multiplies_bf16", lambda: True)


@pytest.mark.parametrize("name", cases.CASES)
def test_a_step_in_a_tensor_gives_the_same_update(name):
    """The schedules and both branches of every baseline, over the steps at which they change."""
    plain, other = cases.build(name), cases.build(name)
    generator = torch.Generator().manual_seed(1)
    for step in range(1, 5):
        *batches, noise = cases.random_inputs(plain, generator)
        expected = plain.update(*batches, noise, step)
        branch = other.branch(step)
        found = other.update(
            *batches,
            noise,
            torch.tensor(float(step), dtype=torch.float64),
            **({} if branch is None else {"branch": branch}),
        )
        assert set(found) == set(expected)
        for metric, value in expected.items():
            torch.testing.assert_close(found[metric], value, rtol=1e-12, atol=0)
    assert largest_difference(plain, other) < 1e-12


@pytest.mark.parametrize("step", [1, 60_000, 200_000])
def test_the_step_of_alm_in_a_tensor_gives_the_same_update(step):
    (plain, *inputs), (other, *_) = (alm_cases.build("base") for _ in range(2))
    plain.update(*inputs, step)
    other.update(*inputs, torch.tensor(float(step), dtype=torch.float64))
    assert largest_difference(plain, other) < 1e-12


def test_bf16_changes_the_arithmetic_of_layers_only():
    plain, other = (tiny_agent("Hopper", (0, 1), learning_rate=3e-3) for _ in range(2))
    execute(other, BF16, never)
    inputs = inputs_of(plain)
    for step in (1, 2):
        expected, found = plain.update(*inputs, step), other.update(*inputs, step)
    assert all(p.dtype == torch.float32 for p in other.networks.parameters())
    state = other.state()
    assert all(m.dtype == torch.float32 for m in state["optimisers"]["actor"]["first_moment"])
    for metric, value in found.items():
        assert value.dtype == torch.float32, metric
    # Within bfloat16's three digits.
    for metric in ("loss/encoder_model", "loss/heads", "loss/critic", "model/kl", "actor/value"):
        torch.testing.assert_close(found[metric], expected[metric], rtol=0.05, atol=0.02)
    assert 0 < largest_difference(plain, other) < 0.02


def test_layers_in_bf16_use_the_weights_of_after_a_step():
    """Within one update, in which autocast would keep the first copy of a weight."""

    class Doubling:
        weight = torch.nn.Parameter(torch.eye(2))

        def update(self, x):
            before = x @ self.weight
            with torch.no_grad():
                self.weight.mul_(2.0)
            return {"before": before, "after": x @ self.weight}

    agent = Doubling()
    execute(agent, BF16, never)
    found = agent.update(torch.ones(2, 2))
    assert found["before"].dtype == torch.bfloat16 and torch.equal(found["after"], 2 * found["before"])


@pytest.mark.parametrize(
    ("fast", "device", "warnings"), [(False, "cpu", 1), (True, "cpu", 0), (False, "cuda", 0)]
)
def test_bf16_on_a_processor_without_its_products_gives_a_warning(fast, device, warnings, monkeypatch):
    monkeypatch.setattr(execution, "_multiplies_bf16", lambda: fast)
    told = []
    execute(tiny_agent("Hopper", (0,)), replace(BF16, device=device), told.append)
    assert len(told) == warnings
    assert all("leave out --precision bf16" in message for message in told)


@pytest.mark.parametrize("library", [True, False])
def test_whether_bf16_is_fast_is_known_with_and_without_the_library(library, monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: library)
    if not library:
        monkeypatch.setattr(torch.ops, "mkldnn", None)
    assert _MULTIPLIES_BF16() in ((True, False) if library else (False,))


def test_the_default_execution_changes_no_update():
    plain, other = tiny_agent("Hopper", (0,)), tiny_agent("Hopper", (0,))
    execute(other, Execution(), never)
    inputs = inputs_of(plain)
    plain.update(*inputs, 1)
    other.update(*inputs, 1)
    assert largest_difference(plain, other) == 0


def test_only_an_update_on_the_cpu_rounds_denormals_to_zero():
    """A product of 1e-40 is zero in an executed update, even one that fails, and 1e-40 outside of it."""

    def product():
        return (torch.full((1000,), 1e-20) * 1e-20).sum().item()

    class Small:
        def update(self, training_step):
            if training_step < 0:
                raise FloatingPointError
            return {"product": product()}

    supported = torch.set_flush_denormal(False)
    small, on_device = Small(), Small()
    execute(small, Execution(), never)
    execute(on_device, Execution(device="meta"), never)
    assert (small.update(training_step=1)["product"] == 0) == supported
    assert on_device.update(1)["product"] > 0
    with pytest.raises(FloatingPointError):
        small.update(-1)
    assert product() > 0


# Updates of every kind, and how many programs they are: those of TD3 and REDQ are others without the policy's
# step, SAC-SVG has two objectives of the policy. What is traced in parts is `None`.
PROGRAMS = {
    "alm/base": 1, "alm/joint": 1, "alm/reconstruction": 1, "alm/value-expansion": 1,
    "alm/horizon-schedule": 1, "alm/log-naive": None,
    "sac": 1, "td3": 2, "redq": 2, "svg": 1, "sac-svg3": 2,
}  # fmt: skip


@pytest.mark.programs
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_compiled_update_is_one_program_and_equals_the_eager_one(name, monkeypatch):
    """Through the tracer alone, which takes seconds; the slow test has the code that it generates."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    _compare(name, COMPILED)
    if programs := PROGRAMS[name]:
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == programs


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_generated_code_equals_the_eager_update(name, monkeypatch):
    monkeypatch.delenv("CXX")
    _compare(name, COMPILED)


def _compare(name, way, steps=4, rtol=1e-8):
    (plain, inputs), (other, _) = (agent_and_inputs(name) for _ in range(2))
    said = []
    execute(other, way, said.append)
    for step in range(1, steps + 1):
        expected, found = plain.update(*inputs, step), other.update(*inputs, step)
        assert set(found) == set(expected)
        for metric, value in expected.items():
            torch.testing.assert_close(found[metric], value, rtol=rtol, atol=rtol)
    assert largest_difference(plain, other) < rtol
    assert [one.partition(",")[0] for one in said] == ["compiling the update"]


def test_a_failed_compilation_goes_on_eagerly_from_where_it_was(monkeypatch):
    """The failure comes in the middle of the update, after some networks have moved."""

    def broken(update, **options):
        def run(*inputs):
            update(*inputs)
            raise RuntimeError("no C++ compiler\nand a long story")

        return run

    monkeypatch.setattr(torch, "compile", broken)
    plain, other = tiny_agent("Hopper", (0, 1)), tiny_agent("Hopper", (0, 1))
    warnings = []
    execute(other, COMPILED, warnings.append)
    inputs = inputs_of(plain)
    for step in (1, 2, 3):
        plain.update(*inputs, step)
        other.update(*inputs, step)
    assert warnings[1:] == ["warning: torch.compile failed (no C++ compiler); updates run eagerly"]
    assert warnings[0].startswith("compiling the update")
    assert largest_difference(plain, other) < 1e-6


def test_learning_goes_through_what_was_installed():
    agent, calls = tiny_agent("Hopper", (0,)), []
    update = agent.update

    def spy(*inputs):
        calls.append((inputs[-1], torch.is_autocast_enabled("cpu")))
        return update(*inputs)

    agent.update = spy
    execute(agent, BF16, never)
    task, (_, transitions, _) = agent.task, inputs_of(agent)
    replay = Replay(1, agent.config.batch_size, task.observation_size, task.action_size)
    replay.extend(transitions, transitions.terminal > 0)
    agent.learn(replay, 7)
    assert calls == [(7, True)]


def test_static_inputs_are_copied_into_the_same_memory():
    agent = tiny_agent("Hopper", (0,))
    step = torch.tensor(1.0)
    first, second = ((*inputs_of(agent, seed), step) for seed in (0, 1))
    static = StaticInputs(first)
    sequences, transitions, noise, own_step = static.tree
    assert own_step is step
    places = sequences.reward.data_ptr(), noise["actor_z"].data_ptr()
    static.take(second)
    assert (sequences.reward.data_ptr(), noise["actor_z"].data_ptr()) == places
    assert torch.equal(sequences.reward, second[0].reward) and sequences.reward is not second[0].reward
    assert torch.equal(transitions.terminal, second[1].terminal)
    assert all(torch.equal(noise[name], value) for name, value in second[2].items())
    with pytest.raises(ValueError, match="one size only"):
        static.take((second[0], second[0], second[2], step))
    with pytest.raises(TypeError, match="not str"):
        StaticInputs(("no tensor",))


def svg_case():
    """SVG(1), which takes densities of old actions in the place of noise, and its inputs."""
    agent = SVG(cases.TASK, SVGConfig(hidden_sizes=(16, 8), batch_size=6, replay_capacity=50), cases.SEEDS)
    agent.networks.double()
    generator = torch.Generator().manual_seed(3)
    behaviour = torch.randn(2, 6, generator=generator, dtype=torch.float64) - 3.0
    return agent, cases.random_transitions((2, 6), generator), behaviour


def agent_and_inputs(name, dtype=torch.float64, device="cpu"):
    """A baseline, or a variant of ALM, of some precision on a device, and its inputs of an update."""
    if name == "svg":
        agent, *inputs = svg_case()
    elif name.startswith("alm/"):
        agent, *inputs = alm_cases.build(name.removeprefix("alm/"))
    else:
        agent = cases.build(name)
        inputs = list(cases.random_inputs(agent, torch.Generator().manual_seed(2)))
    here = type(agent)(agent.task, agent.config, agent.seeds, device, dtype)
    here.networks.load_state_dict(agent.networks.state_dict())

    def moved(value):
        if isinstance(value, dict):
            return {key: moved(one) for key, one in value.items()}
        if isinstance(value, Transitions):
            return Transitions(*(moved(getattr(value, f)) for f in Transitions.__dataclass_fields__))
        return value.to(device, dtype)

    return here, [moved(value) for value in inputs]


ONE_PROGRAM = (*cases.CASES, "svg", *(f"alm/{name}" for name in ("base", *VARIANTS)))


class NoHostTensors(TorchFunctionMode):
    """Refuses what a captured update may not do: make tensors on the host, or wait for a device."""

    makers = (torch.tensor, torch.as_tensor, torch.from_numpy, torch.arange, torch.zeros, torch.ones)
    makers += (torch.full, torch.randn, torch.rand, torch.linspace, torch.eye, torch.empty)
    readers = (torch.Tensor.item, torch.Tensor.tolist, torch.Tensor.cpu, torch.Tensor.numpy)
    readers += (torch.Tensor.__bool__, torch.Tensor.__int__, torch.Tensor.__float__, torch.Tensor.nonzero)

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        assert function not in self.readers, f"{function} waits for the device"
        assert function not in self.makers or "device" in kwargs, f"{function} makes a tensor on the host"
        return function(*args, **kwargs)


@pytest.mark.parametrize("name", ONE_PROGRAM)
def test_an_update_could_be_captured(name):
    """Not a test of a device, which there may be none of: of what an update does between its tensors."""
    agent, inputs = agent_and_inputs(name)
    branch = agent.branch(1)
    step = torch.tensor(1.0, dtype=torch.float64)
    with mock.patch("alm.training.optimisation.adam"), NoHostTensors():  # its step is torch's
        agent.update(*inputs, step, **({} if branch is None else {"branch": branch}))


@pytest.mark.parametrize("name", ONE_PROGRAM)
def test_an_update_in_bf16_is_near_that_in_float32(name):
    """Its losses, which come behind networks' last layers; parameters and results stay in float32."""
    (plain, inputs), (other, _) = (agent_and_inputs(name, torch.float32) for _ in range(2))
    execute(other, BF16, never)
    for step in (1, 2):
        expected, found = plain.update(*inputs, step), other.update(*inputs, step)
    assert all(p.dtype == torch.float32 for p in other.networks.parameters())
    assert set(found) == set(expected)
    for metric, value in found.items():
        assert value.dtype == torch.float32 and value.isfinite().all(), metric
        if metric.startswith("loss/"):
            torch.testing.assert_close(value, expected[metric], rtol=0.2, atol=0.2)


@CUDA
@pytest.mark.parametrize("name", ONE_PROGRAM)
def test_a_captured_update_equals_the_eager_one(name):
    (plain, inputs), (other, _) = (agent_and_inputs(name, device="cuda") for _ in range(2))
    execute(other, replace(CAPTURED, device="cuda"), never)
    for step in range(1, 13):  # each branch is captured in its fourth call
        expected, found = plain.update(*inputs, step), other.update(*inputs, step)
        for metric, value in expected.items():
            torch.testing.assert_close(found[metric], value, rtol=1e-7, atol=1e-8)
    assert largest_difference(plain, other) < 1e-7


@pytest.mark.parametrize(
    ("precision", "compile", "agent_class", "words"),
    [
        ("bf17", "auto", ALM, ["--precision 'bf17'", "float32, bf16"]),
        ("float32", "yes", ALM, ["--compile 'yes'", "auto, on, off"]),
        ("bf16", "auto", SLBO, ["Updates of slbo", "leave out --precision"]),
        ("float32", "on", SLBO, ["Updates of slbo", "leave out --compile"]),
    ],
)
def test_wishes_that_cannot_be_had_are_one_sentence(precision, compile, agent_class, words):
    with pytest.raises(ValueError, match="; choose one of|leave out") as error:
        Execution.choose(precision, compile, "cpu", 1, agent_class)
    assert all(word in str(error.value) for word in words)


def test_what_is_chosen_and_how_it_is_told(monkeypatch):
    assert Execution.choose("float32", "auto", "cpu", 1, ALM) == Execution()
    assert Execution.choose("float32", "auto", "cuda:1", 2, ALM) == Execution(
        captured=True, device="cuda:1", threads=2
    )
    assert Execution.choose("float32", "auto", "cuda", 1, SLBO) == Execution(device="cuda")
    long = {"threads": 1, "lasts": True}
    monkeypatch.setattr(execution, "_has_cpp_compiler", lambda: there)
    for there in (True, False):
        assert Execution.choose("bf16", "auto", "cpu", agent_class=ALM, **long).compiled == there
        assert not Execution.choose("bf16", "off", "cpu", agent_class=ALM, **long).compiled
        assert not Execution.choose("float32", "auto", "cuda", agent_class=ALM, **long).compiled
        assert not Execution.choose("float32", "auto", "cpu", agent_class=SLBO, **long).compiled
    assert Execution.choose("bf16", "on", "cpu", 1, ALM) == Execution("bf16", compiled=True)
    assert Execution().describe() == "precision float32, eager, cpu, 1 thread"
    both = Execution("bf16", compiled=True, captured=True, device="cuda", threads=2)
    assert both.describe() == "precision bf16, compiled and captured, cuda, 2 threads"


def test_every_agent_says_whether_its_update_is_one_program():
    said = {name: algorithm.load()[0].one_program for name, algorithm in ALGORITHMS.items()}
    assert {name for name, whether in said.items() if not whether} == {"slbo"}
