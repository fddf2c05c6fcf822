"""Tables 2, 3 and 4, derived from the code and shown beside the printed ones."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from alm.task_registry import task_spec
from alm.training.scale import scale_named
from reproduce.exhibits.table import Table
from reproduce.lab.algorithms import algorithm_named
from reproduce.lab.published import printed_rows
from reproduce.lab.store import Store

if TYPE_CHECKING:
    from torch import nn

_TASK = "HalfCheetah"


# --- Table 2: how the methods differ ------------------------------------------------------------------------

_OF_PRINT = {"ALM": "alm", "SAC-SVG": "sac-svg2", "MBPO": "mbpo", "REDQ": "redq"}


def table2(store: Store) -> Table:
    """Table 2 as printed, with the agents' gradient steps per environment step.

    They are counted while an agent of smoke scale learns; no scale changes their number per environment step.
    """
    del store
    rows = []
    for printed in printed_rows(2):
        counts = {task: _gradient_steps(_OF_PRINT[printed["algorithm"]], task) for task in (_TASK, "Hopper")}
        groups = {group: sorted({count[group] for count in counts.values()}) for group in counts[_TASK]}
        here = ", ".join(f"{group} {'–'.join(map(str, steps))}" for group, steps in groups.items())
        rows.append(
            {
                "": printed["algorithm"],
                "ensembles": printed["ensembles"],
                "representations": printed["representations"],
                "model": printed["model"],
                "policy": printed["policy"],
                "UTD, printed": printed["utd"],
                "gradient steps here": here,
            }
        )
    return Table.of_texts(
        "table2",
        "Table 2: how the methods differ",
        rows,
        (
            "Gradient steps of each optimiser per environment step, counted while the agent learns on "
            f"{_TASK} and Hopper. UTD: updates to data, such steps as the paper prints them.",
            "The paper prints 3 for ALM; its Algorithm 1 and its code take one step of every network.",
            "SAC-SVG's number is for SAC-SVG(2); MBPO trains its model separately, every 250 steps, until it "
            "no longer improves.",
        ),
    )


def _gradient_steps(name: str, task_name: str) -> Counter[str]:
    """Number of steps of each of an agent's optimisers in one call of ``learn``."""
    import torch

    from alm.training.replay import Replay

    task = task_spec(task_name)
    agent_class, config_class = algorithm_named(name).load()
    agent = agent_class(task, config_class.at(scale_named("smoke"), task.name), (0,))
    generator, rows = torch.Generator().manual_seed(0), 400
    replay = Replay(1, rows, task.observation_size, task.action_size)
    for _ in range(rows):
        before, after = torch.randn(2, 1, task.observation_size, generator=generator)
        action = torch.rand(1, task.action_size, generator=generator) * 2 - 1
        replay.add(before, action, torch.zeros(1), after, torch.zeros(1), torch.zeros(1, dtype=torch.bool))
    agent.learn(replay, 1)  # where a model is trained now and then, this is when

    def taken() -> Counter[str]:
        return Counter({label: group.state()["steps"] for label, group in agent.groups.items()})

    before = taken()
    agent.learn(replay, 2)
    return taken() - before


# --- Table 3: hyper-parameters ------------------------------------------------------------------------------

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "Discount (γ)": ("discount",),
    "Warmup steps": ("warmup_steps",),
    "Soft update rate (τ)": ("target_rate",),
    "Weighted target parameter (λ)": ("trace",),
    "Replay Buffer": ("replay_capacity",),
    "Batch size": ("batch_size",),
    "Learning rate": ("learning_rate",),
    "Max grad norm": ("max_grad_norm",),
    "Latent dimension": ("latent_size",),
    "Coefficient of classifier rewards": ("classifier_coefficient",),
    "Exploration stddev. clip": ("exploration_clip",),
    "Exploration stddev. schedule": ("exploration_start", "exploration_end", "exploration_steps"),
    "Hidden units (appendix D)": ("hidden_size",),
    "Hidden units of the model (appendix D)": ("model_hidden_size",),
}
"""Fields of ALM's configuration that the rows of the table name."""

_DIFFERS = "≠"


def table3(store: Store) -> Table:
    """Table 3 as printed, beside the configuration of paper and laptop scale and of the stored runs."""
    from alm.config import ALMConfig

    robots = {"humanoid": "Humanoid", "otherwise": _TASK}
    configs = {
        scale: {who: asdict(ALMConfig.at(scale_named(scale), task)) for who, task in robots.items()}
        for scale in ("paper", "laptop")
    }
    stored = {
        scale: [run.config["agent"] for run in store.runs(algorithm="alm", variant="base", scale=scale)]
        for scale in configs
    }
    rows = []
    for printed in printed_rows(3):
        fields = _FIELDS[printed["hyperparameter"]]
        row = {"": printed["hyperparameter"], "printed": printed["value"]}
        paper = {who: _values(own, fields) for who, own in configs["paper"].items()}
        for scale, by_robot in configs.items():
            values = {who: _values(own, fields) for who, own in by_robot.items()}
            alike = len(set(values.values())) == 1
            text = values["otherwise"] if alike else "; ".join(f"{v} {who}" for who, v in values.items())
            row[f"{scale} scale"] = text if values == paper else f"{text} {_DIFFERS}"
        for scale, used in stored.items():
            seen = dict.fromkeys(_values(own, fields) for own in used)
            texts = (text if text in paper.values() else f"{text} {_DIFFERS}" for text in seen)
            row[f"stored at {scale} scale (runs: {len(used)})"] = "; ".join(texts) or "–"
        rows.append(row)
    return Table.of_texts(
        "table3",
        "Table 3: hyper-parameters of ALM",
        rows,
        (
            "Configurations of a new run at either scale, and of stored runs; "
            f"{_DIFFERS} marks differences from paper scale.",
            "Exploration: σ falls linearly from the first number to the second, over the number of steps "
            "given third; the clip applies only inside updates, as in the authors' code.",
        ),
    )


def _values(config: Mapping[str, Any], fields: Sequence[str]) -> str:
    return ", ".join(_value(config.get(field)) for field in fields)


def _value(value: Any) -> str:
    """A setting in words; a stored run of another version may lack it."""
    if value is None:
        return "–"
    return (
        f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)
    )


# --- Table 4: networks --------------------------------------------------------------------------------------

_NETWORKS: Mapping[str, tuple[str, str, str]] = {
    "Encoder": ("encoder", "encoder_model_objective", "mean 30·tanh(μ/30), deviation bounded to [0.1, 10]"),
    "Model": ("model", "encoder_model_objective", "bounded like the encoder's"),
    "Policy": ("actor", "actor_objective", "tanh on the output, noise σ_t added"),
    "Q-Function": ("critic", "critic_objective", "two of them; targets with the smaller of two targets"),
    "Classifier": ("classifier", "heads_objective", "two logits; half of a batch real, half imagined"),
    "Reward Function": ("reward", "heads_objective", "as printed"),
}
"""For each network: its attribute, the function of `alm.objectives` that trains it, and a remark."""


def table4(store: Store) -> Table:
    """Table 4 as printed, beside the layers and parameters of the networks built for HalfCheetah."""
    del store
    import torch

    from alm import objectives
    from alm.config import ALMConfig
    from alm.networks import Networks

    task, config = task_spec(_TASK), ALMConfig.at(scale_named("paper"), _TASK)
    networks = Networks(task, config, [torch.Generator()])
    rows = []
    for printed in printed_rows(4):
        attribute, objective, remark = _NETWORKS[printed["network"]]
        network = getattr(networks, attribute)
        rows.append(
            {
                "network": printed["network"],
                "signature": printed["signature"],
                "loss, printed": printed["loss"],
                "inputs, printed": printed["inputs"],
                "layers here": layers_in_words(network),
                "parameters": f"{sum(p.numel() for p in network.parameters()):,}",
                "trained by": f"alm.objectives.{getattr(objectives, objective).__name__}",
                "remark": remark,
            }
        )
    return Table.of_texts(
        "table4",
        "Table 4: networks of ALM",
        rows,
        (
            f"Layers and parameters at paper scale on {_TASK} ({task.observation_size} observations, "
            f"{task.action_size} actions), read off the modules.",
            "The paper says ELU for all networks and layer normalisation for value and reward; in the "
            "authors' code the first hidden layer of reward, classifier and critics has layer normalisation "
            "and tanh.",
        ),
    )


def layers_in_words(network: "nn.Module") -> str:
    """The layers of a network of `alm.training.population`, such as ``"17 → 512 ELU → 100"``."""
    from alm.training.population import LayerNorm, Linear

    words: list[str] = []
    for layer in network.modules():
        if isinstance(layer, Linear):
            words += [str(layer.weight.shape[1])] if not words else []
            words.append(str(layer.weight.shape[2]))
        elif isinstance(layer, LayerNorm):
            words[-1] += " layer norm"
        elif not list(layer.children()) and words:
            words[-1] += f" {type(layer).__name__}"
    return " → ".join(words)


CODE_TABLES: Mapping[str, Callable[[Store], Table]] = {
    "table2": table2,
    "table3": table3,
    "table4": table4,
}
"""The function that makes each table."""
