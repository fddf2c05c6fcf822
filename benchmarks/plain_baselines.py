"""Second implementation of SAC, REDQ, TD3 and "TD3 (ours)" for one seed: plain, eager, torch's own parts.

In float64 these are the references of the tests; in float32 they represent the usual implementation with
one module, one optimiser and one forward pass per critic. Nothing is shared with `baselines`.
"""

import copy
import itertools

import torch
from torch import nn
from torch.distributions import Independent, Normal, TanhTransform, TransformedDistribution
from torch.nn import functional as F


def perceptron(inputs, hidden, outputs):
    """Two ReLU layers."""
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, outputs)
    )


def alm_head(inputs, hidden, outputs):
    """ALM's heads: LayerNorm and tanh, then ELU."""
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.LayerNorm(hidden), nn.Tanh(),
        nn.Linear(hidden, hidden), nn.ELU(), nn.Linear(hidden, outputs),
    )  # fmt: skip


def alm_actor(inputs, hidden, outputs):
    """ALM's actor."""
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.ELU(), nn.Linear(hidden, hidden), nn.ELU(),
        nn.Linear(hidden, outputs), nn.Tanh(),
    )  # fmt: skip


def copy_member(mine, theirs, member):
    """Copy one member of a population's layers into plain modules."""
    with torch.no_grad():
        for own, other in zip(mine, theirs, strict=True):
            if isinstance(own, nn.Linear):
                own.weight.copy_(other.weight[member].T)
                own.bias.copy_(other.bias[member, 0])
            elif isinstance(own, nn.LayerNorm):
                own.weight.copy_(other.weight[member, 0])
                own.bias.copy_(other.bias[member, 0])


def member_differences(mine, theirs, member):
    """Largest differences between plain modules and one member of a population's layers."""
    for own, other in zip(mine, theirs, strict=True):
        if isinstance(own, nn.Linear):
            yield (own.weight.T - other.weight[member]).abs().max().item()
            yield (own.bias - other.bias[member, 0]).abs().max().item()
        elif isinstance(own, nn.LayerNorm):
            yield (own.weight - other.weight[member, 0]).abs().max().item()
            yield (own.bias - other.bias[member, 0]).abs().max().item()


def polyak(target, online, tau):
    """Move a target towards its online module."""
    with torch.no_grad():
        for p_target, p in zip(target.parameters(), online.parameters(), strict=True):
            p_target.copy_((1 - tau) * p_target + tau * p)


def norm(*modules):
    """Norm of the gradients that modules (or parameters) hold."""
    parameters = itertools.chain(*(m.parameters() if isinstance(m, nn.Module) else [m] for m in modules))
    return nn.utils.get_total_norm([p.grad for p in parameters]).item()


class Twins:
    """Plain modules of an agent, and the members of the population's networks that they mirror."""

    def pairs(self, networks, seed):
        raise NotImplementedError

    def load(self, networks, seed):
        for mine, theirs, member in self.pairs(networks, seed):
            copy_member(mine, theirs, member)

    def largest_difference(self, networks, seed):
        return max(
            difference for pair in self.pairs(networks, seed) for difference in member_differences(*pair)
        )


class PlainSoft(Twins):
    """Common parts of SAC, REDQ and SAC-AVG; ``policy_value`` is "min" or "mean" of the critics."""

    def __init__(self, task, config, critics, policy_value, target_entropy, dtype=torch.float64):
        self.config, self.policy_value, self.target_entropy = config, policy_value, target_entropy
        self.scale = task.action_high
        observation, action, hidden = task.observation_size, task.action_size, config.hidden_size
        self.actor = perceptron(observation, hidden, 2 * action).to(dtype)
        self.critics = [perceptron(observation + action, hidden, 1).to(dtype) for _ in range(critics)]
        self.targets = copy.deepcopy(self.critics)
        self.log_alpha = torch.zeros((), dtype=dtype, requires_grad=True)
        lr = config.learning_rate
        self.critic_optimisers = [torch.optim.Adam(c.parameters(), lr=lr) for c in self.critics]
        self.actor_optimiser = torch.optim.Adam(self.actor.parameters(), lr=lr)
        self.alpha_optimiser = torch.optim.Adam([self.log_alpha], lr=lr)

    def pairs(self, networks, seed):
        each = len(self.critics)
        yield self.actor, networks.actor.layers, seed
        for i in range(each):
            yield self.critics[i], networks.critic.layers, seed * each + i
            yield self.targets[i], networks.target_critic.layers, seed * each + i

    def load(self, networks, seed):
        super().load(networks, seed)
        with torch.no_grad():
            self.log_alpha.copy_(networks.temperature.log_alpha[seed])

    def policy(self, observation, noise):
        mean, log_std = self.actor(observation).split(noise.shape[-1], dim=-1)
        std = torch.exp(torch.clamp(log_std, -20, 2))
        pre_tanh = mean + std * noise
        squashed = TransformedDistribution(Independent(Normal(mean, std), 1), TanhTransform(cache_size=1))
        action = squashed.transforms[0](pre_tanh)  # cached, so that its inverse is exact
        return self.scale * action, squashed.log_prob(action)

    def critic_step(self, batch, noise, members, step_policy=None):
        """One update of all critics; ``members``: target critics to minimise over, ``None``: mean of all."""
        config, alpha = self.config, self.log_alpha.exp().item()
        with torch.no_grad():
            action, log_probability = self.policy(batch.next_observation, noise)
            pair = torch.cat([batch.next_observation, action], -1)
            chosen = range(len(self.targets)) if members is None else members
            values = torch.stack([self.targets[i](pair).squeeze(-1) for i in chosen])
            value = values.mean(0) if members is None else values.min(0).values
            y = batch.reward + config.discount * (1 - batch.terminal) * (value - alpha * log_probability)
        pair = torch.cat([batch.observation, batch.action], -1)
        losses = [F.mse_loss(critic(pair).squeeze(-1), y) for critic in self.critics]
        gradients = [
            torch.autograd.grad(loss, list(critic.parameters()))
            for loss, critic in zip(losses, self.critics, strict=True)
        ]
        out = step_policy() if step_policy else {}  # on the critics before their step
        for critic, gradient, optimiser in zip(self.critics, gradients, self.critic_optimisers, strict=True):
            for p, g in zip(critic.parameters(), gradient, strict=True):
                p.grad = g
            optimiser.step()
        for target, critic in zip(self.targets, self.critics, strict=True):
            polyak(target, critic, config.target_rate)
        total = nn.utils.get_total_norm([g for gradient in gradients for g in gradient])
        return out | {
            "loss/critic": sum(loss.item() for loss in losses),
            "grad_norm/critic": total.item(),
            "critic/target": y.mean().item(),
        }

    def policy_step(self, batch, noise):
        alpha = self.log_alpha.exp().item()
        action, log_probability = self.policy(batch.observation, noise)
        pair = torch.cat([batch.observation, action], -1)
        values = torch.stack([critic(pair).squeeze(-1) for critic in self.critics])
        value = values.min(0).values if self.policy_value == "min" else values.mean(0)
        loss = (alpha * log_probability - value).mean()
        alpha_loss = -(self.log_alpha * (log_probability + self.target_entropy).detach()).mean()
        self.actor_optimiser.zero_grad()
        loss.backward()
        self.alpha_optimiser.zero_grad()
        alpha_loss.backward()
        total = norm(self.actor, self.log_alpha)
        self.actor_optimiser.step()
        self.alpha_optimiser.step()
        return {
            "loss/actor": loss.item(),
            "loss/temperature": alpha_loss.item(),
            "grad_norm/policy": total,
            "actor/entropy": -log_probability.mean().item(),
            "actor/temperature": alpha,
        }


class PlainSAC(PlainSoft):
    """SAC: two critics, their minimum for target and policy."""

    def __init__(self, task, config, target_entropy, dtype=torch.float64):
        super().__init__(task, config, 2, "min", target_entropy, dtype)

    def update(self, transitions, noise, step):
        """One update."""
        del step
        return self.critic_step(
            transitions, noise["next_action"], (0, 1), lambda: self.policy_step(transitions, noise["action"])
        )


class PlainREDQ(PlainSoft):
    """REDQ, and SAC-AVG if the noise has no ``members``."""

    def __init__(self, task, config, target_entropy, dtype=torch.float64):
        super().__init__(task, config, config.critics, "mean", target_entropy, dtype)

    def update(self, transitions, noise, number):
        """One update; with every G-th, the policy's."""
        members = None
        if "members" in noise:
            order = noise["members"].argsort(descending=True)
            members = order[: self.config.target_critics].tolist()

        def step_policy():
            return self.policy_step(transitions, noise["action"])

        last = number % self.config.updates_per_step == 0
        return self.critic_step(transitions, noise["next_action"], members, step_policy if last else None)


class PlainOfficialREDQ(PlainREDQ):
    """REDQ with log π as watchernyu/REDQ writes it."""

    def policy(self, observation, noise):
        mean, log_std = self.actor(observation).split(noise.shape[-1], dim=-1)
        normal = Normal(mean, torch.exp(torch.clamp(log_std, -20, 2)))
        pre_tanh = mean + normal.scale * noise
        action = torch.tanh(pre_tanh)
        log_probability = normal.log_prob(pre_tanh) - torch.log(1 - action.pow(2) + 1e-6)
        return self.scale * action, log_probability.sum(-1)


class PlainTD3(Twins):
    """TD3."""

    def __init__(self, task, config, dtype=torch.float64):
        self.config, self.scale = config, task.action_high
        observation, action, hidden = task.observation_size, task.action_size, config.hidden_size
        self.actor = nn.Sequential(*perceptron(observation, hidden, action), nn.Tanh()).to(dtype)
        self.q1, self.q2 = (perceptron(observation + action, hidden, 1).to(dtype) for _ in range(2))
        self.target_actor, self.target_q1, self.target_q2 = map(copy.deepcopy, (self.actor, self.q1, self.q2))
        lr, both = config.learning_rate, [*self.q1.parameters(), *self.q2.parameters()]
        self.critic_optimiser = torch.optim.Adam(both, lr=lr)
        self.actor_optimiser = torch.optim.Adam(self.actor.parameters(), lr=lr)

    def pairs(self, networks, seed):
        yield self.actor, networks.actor, seed
        yield self.target_actor, networks.target_actor, seed
        yield self.q1, networks.critic.layers, 2 * seed
        yield self.q2, networks.critic.layers, 2 * seed + 1
        yield self.target_q1, networks.target_critic.layers, 2 * seed
        yield self.target_q2, networks.target_critic.layers, 2 * seed + 1

    def update(self, batch, noise, step):
        """One update; the policy is updated at every second step, or as configured."""
        config, largest = self.config, self.scale
        with torch.no_grad():
            limit = config.target_clip * largest
            smoothing = (noise["next_action"] * config.target_std * largest).clamp(-limit, limit)
            action = largest * self.target_actor(batch.next_observation) + smoothing
            pair = torch.cat([batch.next_observation, action.clamp(-largest, largest)], -1)
            value = torch.min(self.target_q1(pair), self.target_q2(pair)).squeeze(-1)
            y = batch.reward + (1 - batch.terminal) * config.discount * value
        pair = torch.cat([batch.observation, batch.action], -1)
        loss = F.mse_loss(self.q1(pair).squeeze(-1), y) + F.mse_loss(self.q2(pair).squeeze(-1), y)
        self.critic_optimiser.zero_grad()
        loss.backward()
        out = {
            "loss/critic": loss.item(),
            "grad_norm/critic": norm(self.q1, self.q2),
            "critic/target": y.mean().item(),
        }
        self.critic_optimiser.step()
        if step % config.policy_delay == 0:
            action = largest * self.actor(batch.observation)
            loss = -self.q1(torch.cat([batch.observation, action], -1)).mean()
            self.actor_optimiser.zero_grad()
            loss.backward()
            out |= {"loss/actor": loss.item(), "grad_norm/actor": norm(self.actor)}
            self.actor_optimiser.step()
            for target, online in (
                (self.target_actor, self.actor), (self.target_q1, self.q1), (self.target_q2, self.q2)
            ):  # fmt: skip
                polyak(target, online, config.target_rate)
        return out


class PlainTD3Ours(Twins):
    """TD3 with ALM's networks and exploration."""

    def __init__(self, task, config, dtype=torch.float64):
        self.config, self.low, self.high = config, task.action_low, task.action_high
        observation, action, hidden = task.observation_size, task.action_size, config.hidden_size
        self.actor = alm_actor(observation, hidden, action).to(dtype)
        self.q1, self.q2 = (alm_head(observation + action, hidden, 1).to(dtype) for _ in range(2))
        self.target_q1, self.target_q2 = copy.deepcopy(self.q1), copy.deepcopy(self.q2)
        both = [*self.q1.parameters(), *self.q2.parameters()]
        self.critic_optimiser = torch.optim.Adam(both, lr=config.learning_rate)
        self.actor_optimiser = torch.optim.Adam(self.actor.parameters(), lr=config.learning_rate)

    def pairs(self, networks, seed):
        yield self.actor, networks.actor, seed
        yield self.q1, networks.critic.layers, 2 * seed
        yield self.q2, networks.critic.layers, 2 * seed + 1
        yield self.target_q1, networks.target_critic.layers, 2 * seed
        yield self.target_q2, networks.target_critic.layers, 2 * seed + 1

    def act(self, observation, noise, std):
        clip = self.config.exploration_clip
        x = self.actor(observation) + (std * noise).clamp(-clip, clip)
        clamped = x.clamp(self.low + 1e-6, self.high - 1e-6)
        return x - x.detach() + clamped.detach()

    def update(self, batch, noise, step):
        """One update."""
        config = self.config
        start, end = config.exploration_start, config.exploration_end
        std = start + (end - start) * min(step / config.exploration_steps, 1.0)
        with torch.no_grad():
            action = self.act(batch.next_observation, noise["next_action"], std)
            pair = torch.cat([batch.next_observation, action], -1)
            value = torch.min(self.target_q1(pair), self.target_q2(pair)).squeeze(-1)
            y = batch.reward + config.discount * (1 - batch.terminal) * value
        pair = torch.cat([batch.observation, batch.action], -1)
        loss = 0.5 * (F.mse_loss(self.q1(pair).squeeze(-1), y) + F.mse_loss(self.q2(pair).squeeze(-1), y))
        self.critic_optimiser.zero_grad()
        loss.backward()
        both = [*self.q1.parameters(), *self.q2.parameters()]
        total = nn.utils.clip_grad_norm_(both, config.max_grad_norm)
        out = {"loss/critic": loss.item(), "grad_norm/critic": total.item(), "critic/target": y.mean().item()}
        self.critic_optimiser.step()

        action = self.act(batch.observation, noise["action"], std)
        pair = torch.cat([batch.observation, action], -1)
        loss = -torch.min(self.q1(pair), self.q2(pair)).mean()
        self.actor_optimiser.zero_grad()
        loss.backward()
        total = nn.utils.clip_grad_norm_(self.actor.parameters(), config.max_grad_norm)
        out |= {"loss/actor": loss.item(), "grad_norm/actor": total.item()}
        self.actor_optimiser.step()
        polyak(self.target_q1, self.q1, config.target_rate)
        polyak(self.target_q2, self.q2, config.target_rate)
        return out
