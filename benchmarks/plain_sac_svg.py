"""Second implementation of SAC-SVG for one seed with torch's own parts; nothing shared with `baselines`."""

import copy

import numpy as np
import torch
from torch import nn
from torch.distributions import Independent, Normal, TanhTransform, TransformedDistribution
from torch.nn import functional as F

from benchmarks.plain_baselines import Twins, norm, polyak


def deep(inputs, hidden, outputs, depth):
    """``depth`` ReLU layers."""
    layers, width = [], inputs
    for _ in range(depth):
        layers += [nn.Linear(width, hidden), nn.ReLU()]
        width = hidden
    return nn.Sequential(*layers, nn.Linear(width, outputs))


class PlainSACSVG(Twins):
    """One learner; ``seen``: all observations (S, n, observation) so far, for standardisation."""

    def __init__(self, task, config, seen, dtype=torch.float64):
        self.config, self.scale, self.seen = config, task.action_high, seen
        x, u, hidden = task.observation_size, task.action_size, config.hidden_size
        self.actor = deep(x, hidden, 2 * u, 4).to(dtype)
        self.critics = nn.ModuleList(deep(x + u, hidden, 1, 4) for _ in range(2)).to(dtype)
        self.targets = copy.deepcopy(self.critics)
        self.encoder = deep(x + u, hidden, hidden, 2)
        self.cells = nn.ModuleList(nn.GRUCell(hidden, hidden) for _ in range(2))
        self.decoder = nn.Linear(hidden, x)
        self.model = nn.ModuleList([self.encoder, self.cells, self.decoder]).to(dtype)
        self.reward, self.done = deep(x + u, hidden, 1, 2).to(dtype), deep(x + u, hidden, 1, 2).to(dtype)
        self.log_alpha = torch.zeros((), dtype=dtype, requires_grad=True)
        lr, model_lr = config.learning_rate, config.model_learning_rate
        self.optimisers = {
            "critic": torch.optim.Adam(self.critics.parameters(), lr=lr),
            "actor": torch.optim.Adam(self.actor.parameters(), lr=lr),
            "alpha": torch.optim.Adam([self.log_alpha], lr=lr),
            "model": torch.optim.Adam(self.model.parameters(), lr=model_lr),
            "reward": torch.optim.Adam(self.reward.parameters(), lr=model_lr),
            "done": torch.optim.Adam(self.done.parameters(), lr=model_lr),
        }

    def pairs(self, networks, seed):
        yield self.actor, networks.actor.layers, seed
        for i in range(2):
            yield self.critics[i], networks.critic.layers, 2 * seed + i
            yield self.targets[i], networks.target_critic.layers, 2 * seed + i
        yield self.encoder, networks.model.encoder, seed
        yield [self.decoder], [networks.model.decoder], seed
        yield self.reward, networks.reward, seed
        yield self.done, networks.done, seed

    def gru_pairs(self, networks, seed):
        for mine, theirs in zip(self.cells, networks.model.cells, strict=True):
            yield mine.weight_ih, theirs.input.weight[seed].T
            yield mine.bias_ih, theirs.input.bias[seed, 0]
            yield mine.weight_hh, theirs.state.weight[seed].T
            yield mine.bias_hh, theirs.state.bias[seed, 0]

    def load(self, networks, seed):
        super().load(networks, seed)
        seen = self.seen[seed].numpy()
        self.mean = torch.from_numpy(seen.mean(axis=0))
        self.std = torch.from_numpy(np.clip(seen.std(axis=0), 0.1, 10.0))
        with torch.no_grad():
            self.log_alpha.copy_(networks.temperature.log_alpha[seed])
            for mine, theirs in self.gru_pairs(networks, seed):
                mine.copy_(theirs)

    def largest_difference(self, networks, seed):
        gru = max((mine - theirs).abs().max().item() for mine, theirs in self.gru_pairs(networks, seed))
        return max(gru, super().largest_difference(networks, seed))

    def step(self, name, loss, *modules, clip=None):
        """Backward pass and one optimiser step; returns the gradient norm before clipping."""
        for module in (self.actor, self.critics, self.model, self.reward, self.done):
            module.zero_grad()
        loss.backward()
        total = norm(*modules)
        if clip is not None:
            nn.utils.clip_grad_norm_([p for module in modules for p in module.parameters()], clip)
        self.optimisers[name].step()
        return {f"loss/{name}": loss.item(), f"grad_norm/{name}": total}

    def predict(self, x, u, states):
        y = self.encoder(torch.cat([x, u], -1))
        first = self.cells[0](y, states[0])
        second = self.cells[1](first, states[1])
        return x + self.decoder(second), (first, second)

    def zeros(self, batch):
        return (torch.zeros(batch, self.config.hidden_size, dtype=torch.float64),) * 2

    def policy(self, x, noise):
        mean, raw = self.actor(x).split(noise.shape[-1], dim=-1)
        std = torch.exp(-5 + 7 * (torch.tanh(raw) + 1) / 2)
        squashed = TransformedDistribution(Independent(Normal(mean, std), 1), TanhTransform(cache_size=1))
        u = squashed.transforms[0](mean + std * noise)  # cached, so that its inverse is exact
        return u, squashed.log_prob(u)

    def value(self, critics, x, u):
        q1, q2 = (critic(torch.cat([x, u], -1)).squeeze(-1) for critic in critics)
        return torch.min(q1, q2)

    def update_model(self, x, u):
        horizon, every, size = x.shape[0], x.shape[1], self.config.model_batch_size
        results = []
        for begin in range(0, every, size):
            rows = slice(begin, begin + size)
            current, states, losses = x[0, rows], self.zeros(size), []
            for t in range(horizon - 1):
                current, states = self.predict(current.detach(), u[t, rows], states)
                losses.append(F.mse_loss(current, x[t + 1, rows]))
            loss = sum(losses) / len(losses)
            result = self.step("model", loss, self.model, clip=self.config.model_max_grad_norm)
            results.append(result | {f"model/error_{t + 1}": loss.item() for t, loss in enumerate(losses)})
        return {name: sum(r[name] for r in results) / len(results) for name in results[0]}

    def done_loss(self, x, u, terminal):
        logit = self.done(torch.cat([x, u], -1)).squeeze(-1)
        ends = int(terminal.sum())
        weight = (len(terminal) - ends) / ends if ends else 1.0
        log_end, log_on = -F.softplus(-logit), -F.softplus(logit)
        return -(weight * terminal * log_end + (1 - terminal) * log_on).mean()

    def rollout_objective(self, x, noise, alpha):
        horizon, survival, states = len(noise), torch.ones(()), self.zeros(len(x))
        total, first = torch.zeros(()), None
        for t in range(horizon):
            u, log_probability = self.policy(x, noise[t])
            first = log_probability if t == 0 else first
            pair = torch.cat([x, u], -1)
            last = t == horizon - 1
            gain = self.value(self.critics, x, u) if last else self.reward(pair).squeeze(-1)
            total = total + self.config.discount**t * (survival * gain - alpha * log_probability)
            if not last:
                survival = survival * (1 - torch.sigmoid(self.done(pair).squeeze(-1)))
                x, states = self.predict(x, u, states)
        return -(total / horizon).mean(), first

    def update(self, sequences, transitions, noise, step):
        config, alpha = self.config, self.log_alpha.exp().item()
        now = config.warmup_steps + step
        x, next_x = (
            (s - self.mean) / self.std for s in (transitions.observation, transitions.next_observation)
        )
        u = transitions.action / self.scale
        out = self.update_model((sequences.observation - self.mean) / self.std, sequences.action / self.scale)
        loss = F.mse_loss(self.reward(torch.cat([x, u], -1)).squeeze(-1), transitions.reward)
        out |= self.step("reward", loss, self.reward)
        out |= self.step("done", self.done_loss(x, u, transitions.terminal), self.done)

        with torch.no_grad():
            action, log_probability = self.policy(next_x, noise["next_action"])
            soft = self.value(self.targets, next_x, action) - alpha * log_probability
            y = transitions.reward + config.discount * (1 - transitions.terminal) * soft
        pair = torch.cat([x, u], -1)
        loss = torch.stack([F.mse_loss(critic(pair).squeeze(-1), y) for critic in self.critics]).sum()
        out |= self.step("critic", loss, self.critics) | {"critic/target": y.mean().item()}

        if now <= config.plain_steps:
            action, log_probability = self.policy(x, noise["action"][0])
            loss = (alpha * log_probability - self.value(self.critics, x, action)).mean()
        else:
            loss, log_probability = self.rollout_objective(x, noise["action"], alpha)
        entropy = config.entropy_end + (config.entropy_start - config.entropy_end) * (
            1 - now / config.entropy_steps
        ) ** (config.entropy_power)
        alpha_loss = -(self.log_alpha * (log_probability + entropy).detach()).mean()
        (self.log_alpha.grad,) = torch.autograd.grad(alpha_loss, self.log_alpha)
        result = self.step("actor", loss, self.actor, self.log_alpha)
        self.optimisers["alpha"].step()
        for target, critic in zip(self.targets, self.critics, strict=True):
            polyak(target, critic, config.target_rate)
        return out | {
            "loss/actor": result["loss/actor"],
            "grad_norm/policy": result["grad_norm/actor"],
            "loss/temperature": alpha_loss.item(),
            "actor/entropy": -log_probability.mean().item(),
            "actor/temperature": alpha,
            "actor/target_entropy": entropy,
        }
