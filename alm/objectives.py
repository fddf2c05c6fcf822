"""The four objectives of ALM as pure functions (equations of the paper, details of the authors' code).

In the order of an update, with the letters that agent and variants use: (a) encoder and model, (b) reward and
classifier, (c) critics, (d) policy.

The four take the networks, a batch with leading axes (S, batch) or (S, K, batch), and standard normal noise.
They return one loss per seed (S,) and detached diagnostics; their parts and `lower_bound` say what they
return. All document which networks a loss trains. The caller requests gradients for those parameters only
(`alm.training.optimisation`), so a frozen network passes gradients through to its inputs and receives none.
sg(·) is a stop-gradient.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from alm.config import ALMConfig
from alm.networks import Networks
from alm.training.agent import Noise, NoiseShapes
from alm.training.replay import Transitions
from alm.training.schedules import Level

Gaussian = tuple[Tensor, Tensor]
"""Mean and standard deviation of a diagonal Gaussian over z, each (…, latent)."""
Diagnostics = dict[str, Tensor]
"""Values to log by name, each (S,), detached."""
Policy = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Map from z (S, batch, latent) and standard normal noise (S, batch, action) to the action (S, batch, action)
and its bonus (S, batch), which the definition of value adds to the reward: zero in ALM."""
# Actions are kept this far inside their bounds, as in DrQ-v2 and the authors' code.
BOUND_MARGIN = 1e-6


def sample(gaussian: Gaussian, noise: Tensor) -> Tensor:
    """A reparameterised sample of a diagonal Gaussian."""
    mean, std = gaussian
    return mean + std * noise


def kl_divergence(p: Gaussian, q: Gaussian) -> Tensor:
    """KL(p ‖ q) of diagonal Gaussians, summed over the last axis."""
    (mean_p, std_p), (mean_q, std_q) = p, q
    ratio = std_p / std_q
    distance = (mean_p - mean_q) / std_q
    return (0.5 * (ratio.square() + distance.square() - 1.0) - ratio.log()).sum(dim=-1)


def straight_through_clamp(x: Tensor, low: float, high: float) -> Tensor:
    """Clamp to just inside [low, high] in the forward pass, identity in the backward pass."""
    return x + (x.clamp(low + BOUND_MARGIN, high - BOUND_MARGIN) - x).detach()


def noisy_action(mean: Tensor, noise: Tensor, std: Level, clip: float, bounds: tuple[float, float]) -> Tensor:
    """The actor's mean with clipped Gaussian noise of the given std, inside the action bounds."""
    return straight_through_clamp(mean + (std * noise).clamp(-clip, clip), *bounds)


def noise_shapes(config: ALMConfig, action_size: int) -> NoiseShapes:
    """Shapes of the standard normal noise of one update, by name (without the leading seed axis)."""
    batch, latent, horizon = config.batch_size, config.latent_size, config.horizon
    return {
        # encoder and model (a)
        "sequence_z": (batch, latent),
        "sequence_model": (horizon, batch, latent),
        "sequence_action": (batch, action_size),
        # reward and classifier (b); the model predicts for the first half of the batch
        "heads_z": (batch, latent),
        "heads_next_z": (batch - batch // 2, latent),
        "heads_model_z": (batch // 2, latent),
        "heads_model_next_z": (batch // 2, latent),
        # critic (c)
        "critic_z": (batch, latent),
        "critic_next_z": (batch, latent),
        "critic_action": (batch, action_size),
        # actor (d)
        "actor_z": (batch, latent),
        "actor_model": (horizon, batch, latent),
        "actor_action": (horizon + 1, batch, action_size),
    }


@dataclass(frozen=True)
class Rollout:
    """K model steps on replayed actions."""

    start: Gaussian
    """Distribution of z_0."""
    latents: list[Tensor]
    """z_0 … z_K, each (S, batch, latent)."""
    predictions: list[Gaussian]
    """m(·|z_t, a_t) for t < K."""

    def spread(self) -> Diagnostics:
        """Mean std over dimensions and entropy (nats) of z_0 and of the last prediction, each (S,)."""
        found = {}
        for name, (_, std) in (("encoder", self.start), ("model", self.predictions[-1])):
            std = std.detach()
            entropy = (std.log() + 0.5 * math.log(2.0 * math.pi * math.e)).sum(dim=-1)
            found[f"model/{name}_std"] = std.mean(dim=(1, 2))
            found[f"model/{name}_entropy"] = entropy.mean(dim=-1)
        return found


def unroll(networks: Networks, start: Gaussian, sequences: Transitions, noise: Noise) -> Rollout:
    """Rollout z_0 ~ ``start``, z_{t+1} ~ m(z_t, a_t) with the actions of ``sequences`` (S, K, batch, …)."""
    latents, predictions = [sample(start, noise["sequence_z"])], []
    for t in range(sequences.action.shape[1]):
        predictions.append(networks.model(latents[-1], sequences.action[:, t]))
        latents.append(sample(predictions[-1], noise["sequence_model"][:, t]))
    return Rollout(start, latents, predictions)


def divergences(rollout: Rollout, encoder: nn.Module, sequences: Transitions) -> Tensor:
    """KL(m(·|z_t, a_t) ‖ sg encoder(·|s_{t+1})) for t < K → (S, K, batch)."""
    shape = sequences.reward.shape[1:]
    with torch.no_grad():
        mean, std = encoder(sequences.next_observation.flatten(1, 2))
    target = mean.unflatten(1, shape), std.unflatten(1, shape)
    means, stds = zip(*rollout.predictions, strict=True)
    predicted = torch.stack(means, dim=1), torch.stack(stds, dim=1)
    return kl_divergence(predicted, target)


def consistency(rollout: Rollout, encoder: nn.Module, sequences: Transitions) -> Tensor:
    """Batch mean of Σ_{t<K} KL(m(·|z_t, a_t) ‖ sg encoder(·|s_{t+1})) → (S,)."""
    return divergences(rollout, encoder, sequences).sum(dim=1).mean(dim=-1)


def encoder_model_objective(
    networks: Networks,
    target: nn.Module,
    sequences: Transitions,
    rollout: Rollout,
    noise: Noise,
    config: ALMConfig,
    policy: Policy,
) -> tuple[Tensor, Diagnostics]:
    """Encoder-and-model loss (Eq. 7, undiscounted as its footnote says); trains e and m.

    L_a = E[ Σ_{t<K} ( KL(m(·|z_t, a_t) ‖ sg ē(·|s_{t+1})) − r̂(z_t, a_t) ) − min_j Q_j(z_K, sg a_K) ]

    with z_0 ~ e(s_0), z_{t+1} ~ m(z_t, a_t) on the replayed actions, and a_K the noisy action of π at
    z_K. ``target`` is ē. Terminal flags are ignored, as in the authors' code.
    """
    horizon, (*visited, z) = len(rollout.predictions), rollout.latents
    kl_term = consistency(rollout, target, sequences)
    rewards = networks.predict_reward(torch.cat(visited, dim=1), sequences.action.flatten(1, 2))
    by_step = torch.unflatten(rewards, 1, (horizon, -1))
    reward_term = by_step.sum(dim=1).mean(dim=-1)
    with torch.no_grad():
        action, _ = policy(z, noise["sequence_action"])
    value_term = networks.min_value(z, action).mean(dim=-1)

    loss = torch.zeros_like(kl_term)
    if config.kl_term:
        loss = loss + kl_term
    if config.reward_term:
        loss = loss - reward_term
    if config.value_term:
        loss = loss - value_term
    return loss, {
        "model/kl": kl_term.detach() / horizon,
        "model/reward": reward_term.detach() / horizon,
        "model/value": value_term.detach(),
        **rollout.spread(),
    }


def reward_objective(networks: Networks, transitions: Transitions, z: Tensor) -> Tensor:
    """Reward loss (Eq. 11): mean (r̂(z, a) − r)² → (S,), z (S, batch, latent) ~ ē(s); trains r̂."""
    return (networks.predict_reward(z, transitions.action) - transitions.reward).square().mean(dim=-1)


def classifier_objective(
    networks: Networks,
    transitions: Transitions,
    z: Tensor,
    state: Gaussian,
    next_state: Gaussian,
    noise: Noise,
) -> tuple[Tensor, Diagnostics]:
    """Classifier loss (Eq. 9): mean CrossEntropy(C(z, a, z̃'), y), z (S, batch, latent) ~ ē(s); trains C.

    The first half of the batch has y = 0 and z̃' ~ m(z⁺, a), where z⁺ ~ ē(s) is sampled independently of z;
    the second half has y = 1 and z̃' ~ ē(s'). The authors draw the halves at random; since the transitions
    of a batch are independent and identically distributed, the fixed split has the same distribution.
    No gradient flows through z̃'.
    """
    half = noise["heads_model_z"].shape[1]
    with torch.no_grad():
        model_z = sample((state[0][:, :half], state[1][:, :half]), noise["heads_model_z"])
        imagined = sample(networks.model(model_z, transitions.action[:, :half]), noise["heads_model_next_z"])
        real = sample((next_state[0][:, half:], next_state[1][:, half:]), noise["heads_next_z"])
        next_z = torch.cat([imagined, real], dim=1)

    ratio = networks.log_ratio(z, transitions.action, next_z)
    # The cross-entropy of two logits is the softplus of the wrong one minus the right one.
    sign = torch.ones_like(ratio)
    sign[:, :half] = -1.0
    loss = F.softplus(-sign * ratio).mean(dim=-1)
    accuracy = (sign * ratio.detach() > 0).to(ratio.dtype).mean(dim=-1)
    return loss, {"loss/classifier": loss.detach(), "classifier/accuracy": accuracy}


def heads_objective(
    networks: Networks,
    transitions: Transitions,
    state: Gaussian,
    next_state: Gaussian,
    noise: Noise,
) -> tuple[Tensor, Diagnostics]:
    """Reward loss plus classifier loss, at one z ~ ``state`` = ē(·|s); trains r̂ and C.

    L_b = mean (r̂(z, a) − r)² + mean CrossEntropy(C(z, a, z̃'), y).
    """
    z = sample(state, noise["heads_z"])
    reward = reward_objective(networks, transitions, z)
    classifier, diagnostics = classifier_objective(networks, transitions, z, state, next_state, noise)
    return reward + classifier, {"loss/reward": reward.detach(), **diagnostics}


@torch.no_grad()
def bellman_target(
    networks: Networks,
    reward: Tensor,
    terminal: Tensor,
    next_z: Tensor,
    noise: Tensor,
    discount: float,
    policy: Policy,
) -> Tensor:
    """y = r + γ (1 − d) (min_j Q̄_j(z', a') + bonus), a' the noisy action of ``policy`` at z' → (S, batch)."""
    next_action, bonus = policy(next_z, noise)
    next_value: Tensor = networks.target_critic(next_z, next_action)[..., 0].amin(dim=1) + bonus
    return reward + discount * (1.0 - terminal) * next_value


def critic_objective(
    networks: Networks,
    transitions: Transitions,
    state: Gaussian,
    next_state: Gaussian,
    noise: Noise,
    config: ALMConfig,
    policy: Policy,
) -> tuple[Tensor, Diagnostics]:
    """Critic loss (Eq. 10 with the minimum of two target critics); trains Q_1 and Q_2.

    L_c = ½ Σ_j mean (Q_j(z, a) − y)²,  y = r + γ (1 − d) min_j Q̄_j(z', a'),  z ~ ē(s), z' ~ ē(s').
    """
    z, next_z = sample(state, noise["critic_z"]), sample(next_state, noise["critic_next_z"])
    target = bellman_target(
        networks,
        transitions.reward,
        transitions.terminal,
        next_z,
        noise["critic_action"],
        config.discount,
        policy,
    )
    error = networks.values(z, transitions.action) - target[:, None]
    return 0.5 * error.square().mean(dim=-1).sum(dim=1), {
        "critic/target": target.mean(dim=-1),
        "critic/target_min": target.amin(dim=-1),
        "critic/target_max": target.amax(dim=-1),
    }


def actor_objective(
    networks: Networks,
    state: Gaussian,
    noise: Noise,
    config: ALMConfig,
    policy: Policy,
) -> tuple[Tensor, Diagnostics]:
    """Policy loss (Eq. 8 as the λ-weighted stochastic value gradient of the authors' code); trains π.

    z_0 ~ ē(s), a_t = clamp(π(sg z_t) + clipped noise), z_{t+1} ~ m(z_t, a_t) with m frozen but z_t not
    detached; ρ_t = r̂(z_t, a_t) + c·ℓ(z_t, a_t, sg z_{t+1}), q_t = min_j Q_j(z_t, sg a_t);

    R_K = q_K,  R_t = ρ_t + γ [(1 − λ) q_{t+1} + λ R_{t+1}],  L_d = −(1/K) Σ_{t<K} γ^t R_t.

    Q improves the policy only through z_{t≥1}: there is no direct ∂Q/∂a path. The policy's bonus b(z_t, a_t)
    is added to ρ_t, and sg b(z_t, a_t) to q_t, whose action carries no gradient.
    """
    horizon = config.horizon
    z = sample(state, noise["actor_z"]).detach()
    latents, actions, bonuses = [z], [], []
    for t in range(horizon):
        chosen, bonus = policy(z.detach(), noise["actor_action"][:, t])
        z = sample(networks.model(z, chosen), noise["actor_model"][:, t])
        latents.append(z)
        actions.append(chosen)
        bonuses.append(bonus)
    with torch.no_grad():
        last_action, last_bonus = policy(z, noise["actor_action"][:, horizon])

    before, action, after = torch.cat(latents[:-1], 1), torch.cat(actions, 1), torch.cat(latents[1:], 1)
    shape = (horizon, -1)
    reward = torch.unflatten(networks.predict_reward(before, action), 1, shape)
    augmented = reward + torch.stack(bonuses, dim=1)
    if config.classifier_coefficient:
        log_ratio = torch.unflatten(networks.log_ratio(before, action, after.detach()), 1, shape)
        augmented = augmented + config.classifier_coefficient * log_ratio
    else:
        log_ratio = torch.zeros_like(reward)
    later_action = torch.cat([*actions[1:], last_action], dim=1).detach()
    value = torch.unflatten(networks.min_value(after, later_action), 1, shape)  # q_1 … q_K
    value = value + torch.stack([*bonuses[1:], last_bonus], dim=1).detach()

    returns = value[:, horizon - 1]  # R_K
    objective = torch.zeros_like(returns)
    for t in reversed(range(horizon)):
        returns = augmented[:, t] + config.discount * (
            (1.0 - config.trace) * value[:, t] + config.trace * returns
        )
        objective = objective + config.discount**t * returns
    loss = -objective.mean(dim=-1) / horizon
    return loss, {
        "actor/reward": reward.detach().mean(dim=(1, 2)),
        "actor/log_ratio": log_ratio.detach().mean(dim=(1, 2)),
        "actor/value": value.detach().mean(dim=(1, 2)),
    }


def lower_bound(
    networks: Networks,
    state: Gaussian,
    action: Tensor,
    noise: Noise,
    config: ALMConfig,
    policy: Policy,
) -> Tensor:
    """Value estimate L^K(s, a) of the bias analysis (authors' code; Eq. 5 with c·ℓ) → (S, batch).

    z_0 ~ ``state`` = ē(·|s), a_0 is the given action, later actions and their bonuses b_t are ``policy``'s:
    Σ_{t<K} γ^t (r̂(z_t, a_t) + c·ℓ(z_t, a_t, z_{t+1})) + γ^K min_j Q_j(z_K, a_K) + Σ_{0<t≤K} γ^t b_t.

    ``noise`` holds "z" (S, batch, latent), "model" (S, K, batch, latent) and "action" (S, K, batch, action).
    """
    z = sample(state, noise["z"])
    total = torch.zeros_like(z[..., 0])
    for t in range(config.horizon):
        next_z = sample(networks.model(z, action), noise["model"][:, t])
        step = networks.predict_reward(z, action)
        if config.classifier_coefficient:
            step = step + config.classifier_coefficient * networks.log_ratio(z, action, next_z)
        total = total + config.discount**t * step
        z = next_z
        action, bonus = policy(z, noise["action"][:, t])
        total = total + config.discount ** (t + 1) * bonus
    return total + config.discount**config.horizon * networks.min_value(z, action)
