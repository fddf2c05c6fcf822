"""On-policy joint ALM, proposed by the paper as future work and not published by anyone.

"An on-policy version of ALM, where Equation 8 can be calculated and simultaneously optimized with the
encoder, model and policy, without using a classifier" (section 6). On the policy's own recent transitions
s_{t+1} is known, so log e(z_{t+1}|s_{t+1}) − log m(z_{t+1}|z_t, a_t) needs no classifier: its
expectation over z_{t+1} ~ m is −KL(m ‖ e), in closed form.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from alm import objectives
from alm.agent import ALM
from alm.config import ALMConfig
from alm.networks import Networks
from alm.objectives import Diagnostics, Gaussian, noisy_action, sample
from alm.training.agent import Metrics, Noise, NoiseShapes
from alm.training.population import soft_update
from alm.training.ranges import Count, NotNegative, Positive
from alm.training.replay import Replay, Transitions
from alm.training.schedules import Level, Step, powers


@dataclass(frozen=True)
class JointConfig(ALMConfig):
    """ALM's hyper-parameters, without a classifier, and those of the joint objective."""

    classifier_coefficient: float = 0.0
    """No classifier; the value estimate L^K has no intrinsic reward, since s_{t+1} is unknown to it."""
    intrinsic_coefficient: NotNegative = 0.1
    """c, the weight of the intrinsic reward −KL for the policy; for encoder and model it is 1, as in ALM."""
    exploration_start: Positive = 1.0
    """σ before the first training step; a policy without noise has no density."""
    exploration_end: Positive = 0.1
    """σ from ``exploration_steps`` on."""
    fresh_transitions: Count = 1000
    """Number of newest transitions from which on-policy sequences are drawn: an episode's length.
    For as many training steps, some of them still have the random actions of the warm-up."""

    def conflict(self) -> str | None:
        """Explanation of why these settings are incompatible; None if they are compatible."""
        if self.fresh_transitions < self.horizon:
            return f"fresh_transitions={self.fresh_transitions} hold no sequence of horizon={self.horizon}"
        if self.batch_size == 1:
            return "batch_size=1 leaves no advantage, which is the distance from the batch's mean"
        return super().conflict()


class JointNetworks(Networks):
    """ALM's networks without the classifier."""

    def build(self, seeds: int, observation_size: int, action_size: int, config: ALMConfig) -> None:
        """Make the online networks."""
        super().build(seeds, observation_size, action_size, config)
        del self.classifier


def joint_objective(
    networks: Networks,
    target: nn.Module,
    sequences: Transitions,
    noise: Noise,
    config: JointConfig,
    std: Level,
    bounds: tuple[float, float],
) -> tuple[Tensor, Diagnostics]:
    """Joint loss of encoder, model and policy on on-policy sequences (Eq. 8); trains e, m and π.

    L = E[ Σ_{t<K} γ^t ( KL_t − r̂(z_t, a_t) ) − γ^K min_j Q_j(z_K, a_K) − Σ_{t<K} A_t log π(a_t | sg z_t) ],

    KL_t = KL(m(·|z_t, a_t) ‖ sg ē(·|s_{t+1})),  z_0 ~ e(s_0),  z_{t+1} ~ m(z_t, a_t).

    For t < K, a_t has the value of the replayed action a. In rewards and value its gradient is that of the
    policy's mean, as if the noise had been known (Heess et al., 2015): a_t = a + π(z_t) − sg π(z_t).  a_K is
    the policy's noisy action at z_K. The observed s_{t+1} does not change with a_t, so KL_t and the z_t at
    which it is evaluated treat actions as constants. The policy learns from its intrinsic reward through the
    score function: A_t = −c Σ_{t≤i<K} γ^i sg KL_i minus its batch mean, with π(·|z) a Gaussian of std σ_t.
    """
    horizon, gamma = config.horizon, config.discount
    rollout = objectives.unroll(networks, networks.encoder(sequences.observation[:, 0]), sequences, noise)
    divergence = objectives.divergences(rollout, target, sequences)

    z, rewards, log_probability = rollout.latents[0], [], []
    for t in range(horizon):
        replayed, chosen = sequences.action[:, t], networks.actor(z)
        action = replayed + (chosen - chosen.detach())
        rewards.append(networks.predict_reward(z, action))
        # Log-density up to constants, which have no gradient.
        error = (replayed - networks.actor(z.detach())) / std
        log_probability.append(-0.5 * error.square().sum(dim=-1))
        z = sample(networks.model(z, action), noise["sequence_model"][:, t])
    last = noisy_action(networks.actor(z), noise["sequence_action"], std, config.exploration_clip, bounds)
    value, reward = networks.min_value(z, last), torch.stack(rewards, dim=1)

    discounts = powers(gamma, horizon, value)[:, None]
    bound = (discounts * (reward - divergence)).sum(dim=1) + gamma**horizon * value
    to_go = (discounts * divergence.detach()).flip(1).cumsum(1).flip(1)
    advantage = -config.intrinsic_coefficient * (to_go - to_go.mean(dim=-1, keepdim=True))
    score = (advantage * torch.stack(log_probability, dim=1)).sum(dim=1)
    return -(bound + score).mean(dim=-1), {
        "model/kl": divergence.detach().mean(dim=(1, 2)),
        "model/reward": reward.detach().mean(dim=(1, 2)),
        "model/value": value.detach().mean(dim=-1),
    }


class JointALM(ALM):
    """ALM with `joint_objective`; reward and critics learn from the whole replay, as in ALM."""

    unused_settings = ("classifier_coefficient", "kl_term", "reward_term", "value_term", "trace")
    config: JointConfig
    network_class = JointNetworks

    def trained(self) -> dict[str, tuple[nn.Module, ...]]:
        """Optimiser groups; encoder, model and policy form one."""
        net = self.networks
        return {
            "joint": (net.model, net.encoder, net.actor),
            "heads": (net.reward,),
            "critic": (net.critic,),
        }

    @cached_property
    def noise_shapes(self) -> NoiseShapes:
        """The subset of ALM's noise that the joint losses use."""
        unread = ("actor_", "heads_next", "heads_model")
        return {name: shape for name, shape in super().noise_shapes.items() if not name.startswith(unread)}

    def learn(self, replay: Replay, training_step: int) -> Metrics:
        """One training step: sequences from the newest transitions, single ones from the whole replay."""
        config = self.config
        sequences = replay.sample_sequences(
            config.batch_size,
            config.horizon,
            self.learning,
            config.reject_time_limits,
            newest=config.fresh_transitions,
        )
        transitions = replay.sample(config.batch_size, self.learning)
        return self.update(sequences, transitions, self.draw_noise(), training_step)

    def update(
        self, sequences: Transitions, transitions: Transitions, noise: Noise, training_step: Step
    ) -> Metrics:
        """One gradient step for each group, then the targets: encoder, model and policy; reward; critics."""
        net, config = self.networks, self.config
        std = config.exploration_std(training_step)
        metrics: Metrics = {}
        joint = joint_objective(net, self.kl_encoder, sequences, noise, config, std, self.bounds)
        self.take_step("joint", joint, metrics)
        state, next_state = self.represent(transitions)
        policy = self.policy(training_step)
        self.take_step("heads", self.heads_loss(transitions, state, next_state, noise), metrics)
        self.take_step("critic", self.critic_loss(transitions, state, next_state, noise, policy), metrics)
        soft_update(net.target_encoder, net.encoder, config.target_rate)
        soft_update(net.target_critic, net.critic, config.target_rate)
        return metrics

    def heads_loss(
        self, transitions: Transitions, state: Gaussian, next_state: Gaussian, noise: Noise
    ) -> tuple[Tensor, Diagnostics]:
        """Reward loss (b) at z ~ ``state``; there is no classifier."""
        del next_state
        z = sample(state, noise["heads_z"])
        return objectives.reward_objective(self.networks, transitions, z), {}
