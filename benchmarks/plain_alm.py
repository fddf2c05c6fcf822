"""Second implementation of ALM for one seed: plain, eager, with torch's own building blocks.

In float64 it is the tests' reference for ALM's update; in float32 it is the benchmark's baseline.
Nothing is shared with `alm.*`: networks are `torch.nn` modules, divergences come from
`torch.distributions`, freezing switches ``requires_grad`` off, and time steps and returns have
separate loops. It follows the authors' published code (RajGhugare19/alm) loss by loss.
"""

import copy

import torch
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence
from torch.nn import functional as F

from benchmarks.plain_baselines import Twins, alm_actor, alm_head


class _Gaussian(nn.Module):
    def __init__(self, inputs, hidden, latent):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(inputs, hidden), nn.ELU(), nn.Linear(hidden, hidden), nn.ELU(),
            nn.Linear(hidden, 2 * latent),
        )  # fmt: skip

    def forward(self, x):
        mean, std = torch.chunk(self.net(x), 2, dim=-1)
        mean = 30 * torch.tanh(mean / 30)
        std = 10 - F.softplus(10 - std)
        std = 0.1 + F.softplus(std - 0.1)
        return Independent(Normal(mean, std), 1)


def _draw(distribution, noise):
    return distribution.base_dist.loc + distribution.base_dist.scale * noise


class PlainALM(Twins):
    """One learner; ``config`` is only read for its numbers."""

    def __init__(self, task, config, dtype=torch.float64):
        self.config, self.low, self.high = config, task.action_low, task.action_high
        self.build(task.observation_size, task.action_size)
        self.target_encoder = copy.deepcopy(self.encoder)
        self.target_q1, self.target_q2 = copy.deepcopy(self.q1), copy.deepcopy(self.q2)
        for net in self.networks().values():
            net.to(dtype)
        self.groups = self.trained()
        self.optimisers = {
            name: torch.optim.Adam([p for m in modules for p in m.parameters()], lr=config.learning_rate)
            for name, modules in self.groups.items()
        }

    def build(self, observation_size, action_size):
        config = self.config
        hidden, latent = config.hidden_size, config.latent_size
        self.encoder = _Gaussian(observation_size, hidden, latent)
        self.model = _Gaussian(latent + action_size, config.model_hidden_size, latent)
        self.reward = alm_head(latent + action_size, hidden, 1)
        self.classifier = alm_head(2 * latent + action_size, hidden, 2)
        self.q1 = alm_head(latent + action_size, hidden, 1)
        self.q2 = alm_head(latent + action_size, hidden, 1)
        self.actor = alm_actor(latent, hidden, action_size)

    def trained(self):
        return {
            "encoder_model": [self.model, self.encoder],
            "heads": [self.reward, self.classifier],
            "critic": [self.q1, self.q2],
            "actor": [self.actor],
        }

    def networks(self):
        names = (
            "encoder", "model", "reward", "classifier", "q1", "q2", "actor",
            "target_encoder", "target_q1", "target_q2",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}

    def pairs(self, networks, seed):
        """Own layers, the population's layers, and the member of the latter."""
        return [
            (self.encoder.net, networks.encoder.layers, seed), (self.model.net, networks.model.layers, seed),
            (self.reward, networks.reward.layers, seed), (self.classifier, networks.classifier.layers, seed),
            (self.q1, networks.critic.layers, 2 * seed), (self.q2, networks.critic.layers, 2 * seed + 1),
            (self.actor, getattr(networks.actor, "layers", networks.actor), seed),
            (self.target_encoder.net, networks.target_encoder.layers, seed),
            (self.target_q1, networks.target_critic.layers, 2 * seed),
            (self.target_q2, networks.target_critic.layers, 2 * seed + 1),
        ]  # fmt: skip

    # --- the four losses -------------------------------------------------------------------------

    def freeze(self, *networks):
        for net in self.networks().values():
            net.requires_grad_(True)
        for net in networks:
            net.requires_grad_(False)

    def act(self, z, noise, std):
        mean = self.actor(z)
        x = mean + torch.clamp(noise * std, -self.config.exploration_clip, self.config.exploration_clip)
        clamped = torch.clamp(x, self.low + 1e-6, self.high - 1e-6)
        return x - x.detach() + clamped.detach()

    def min_q(self, z, a):
        za = torch.cat([z, a], -1)
        return torch.min(self.q1(za), self.q2(za)).squeeze(-1)

    @torch.no_grad()
    def represent(self, observation):
        """Distribution from which (b), (c) and (d) draw a state's z."""
        return self.target_encoder(observation)

    def counted(self, x, loss):
        """Predicted reward or value as it counts in the loss "encoder_model" or "actor"."""
        return x

    def log_ratio(self, z, a, next_z):
        logits = self.classifier(torch.cat([z, a, next_z], -1))
        return torch.log_softmax(logits, -1)[:, 1] - torch.log_softmax(logits, -1)[:, 0]

    def encoder_model_loss(self, sequences, noise, std):
        """Encoder-and-model loss (a): arguments have leading axes (K, batch)."""
        config = self.config
        self.freeze(self.reward, self.q1, self.q2)
        z = _draw(self.encoder(sequences.observation[0]), noise["sequence_z"])
        total = torch.zeros(())
        for t in range(config.horizon):
            with torch.no_grad():
                target = self.target_encoder(sequences.next_observation[t])
            prediction = self.model(torch.cat([z, sequences.action[t]], -1))
            if config.kl_term:
                total = total + kl_divergence(prediction, target)
            if config.reward_term:
                reward = self.reward(torch.cat([z, sequences.action[t]], -1)).squeeze(-1)
                total = total - self.counted(reward, "encoder_model")
            z = _draw(prediction, noise["sequence_model"][t])
        action = self.act(z.detach(), noise["sequence_action"], std).detach()
        if config.value_term:
            total = total - self.counted(self.min_q(z, action), "encoder_model")
        return total.mean()

    def heads_loss(self, batch, noise):
        """Reward and classifier loss (b)."""
        self.freeze(self.target_encoder, self.model)
        half = noise["heads_model_z"].shape[0]
        z = _draw(self.represent(batch.observation), noise["heads_z"])
        with torch.no_grad():
            other = _draw(self.represent(batch.observation[:half]), noise["heads_model_z"])
            fake = _draw(self.model(torch.cat([other, batch.action[:half]], -1)), noise["heads_model_next_z"])
            real = _draw(self.target_encoder(batch.next_observation[half:]), noise["heads_next_z"])
        prediction = self.reward(torch.cat([z, batch.action], -1)).squeeze(-1)
        logits = self.classifier(torch.cat([z, batch.action, torch.cat([fake, real])], -1))
        labels = (torch.arange(len(z), device=z.device) >= half).long()
        return F.mse_loss(prediction, batch.reward) + F.cross_entropy(logits, labels)

    def critic_loss(self, batch, noise, std):
        """Critic loss (c)."""
        self.freeze(self.target_encoder, self.actor)
        z = _draw(self.represent(batch.observation), noise["critic_z"])
        with torch.no_grad():
            next_z = _draw(self.target_encoder(batch.next_observation), noise["critic_next_z"])
            pair = torch.cat([next_z, self.act(next_z, noise["critic_action"], std)], -1)
            bootstrap = torch.min(self.target_q1(pair), self.target_q2(pair)).squeeze(-1)
            y = batch.reward + self.config.discount * (1 - batch.terminal) * bootstrap
        za = torch.cat([z, batch.action], -1)
        return 0.5 * (F.mse_loss(self.q1(za).squeeze(-1), y) + F.mse_loss(self.q2(za).squeeze(-1), y))

    def actor_loss(self, batch, noise, std):
        """Actor loss (d): every return is a separate sum, R_t = Σ of λ-mixed n-step returns."""
        config, horizon = self.config, self.config.horizon
        self.freeze(self.model, self.reward, self.classifier, self.q1, self.q2, self.target_encoder)
        with torch.no_grad():
            z = _draw(self.represent(batch.observation), noise["actor_z"])
        rho, q = [], []
        for t in range(horizon + 1):
            action = self.act(z.detach(), noise["actor_action"][t], std)
            q.append(self.counted(self.min_q(z, action.detach()), "actor"))
            if t == horizon:
                break
            next_z = _draw(self.model(torch.cat([z, action], -1)), noise["actor_model"][t])
            bonus = config.classifier_coefficient * self.log_ratio(z, action, next_z.detach())
            reward = self.counted(self.reward(torch.cat([z, action], -1)).squeeze(-1), "actor")
            rho.append(reward + bonus)
            z = next_z
        return self.weighted_returns(rho, q)

    def weighted_returns(self, rho, q):
        """−(1/K) Σ_t γ^t R_t from the rewards ρ_0 … ρ_{K−1} and the values q_0 … q_K."""
        horizon, gamma, lam = self.config.horizon, self.config.discount, self.config.trace

        def n_step(t, n):
            rewards = sum(gamma**i * rho[t + i] for i in range(n))
            return rewards + gamma**n * q[t + n]

        objective = 0.0
        for t in range(horizon):
            left = horizon - t
            mixed = sum((1 - lam) * lam ** (n - 1) * n_step(t, n) for n in range(1, left))
            mixed = mixed + lam ** (left - 1) * n_step(t, left)
            # The recursion ends with R_K = q_K on both sides of the mixture, so the last n-step return
            # keeps its full weight, as in the sum above.
            objective = objective + gamma**t * mixed
        return -(objective / horizon).mean()

    # --- one update ------------------------------------------------------------------------------

    def step(self, loss, *groups):
        """One step of some groups on one loss; parameters that it does not reach have no gradient."""
        for optimiser in self.optimisers.values():
            optimiser.zero_grad()
        loss.backward()
        norms = []
        for group in groups:
            parameters = [p for module in self.groups[group] for p in module.parameters()]
            limit = self.config.max_grad_norm
            norms.append(torch.nn.utils.clip_grad_norm_(parameters, limit, error_if_nonfinite=True).item())
            self.optimisers[group].step()
        return norms

    def steps(self, sequences, batch, noise, std):
        """The steps of an update in order; yields the name, loss and gradient norm of each group."""
        for group, compute in (
            ("encoder_model", lambda: self.encoder_model_loss(sequences, noise, std)),
            ("heads", lambda: self.heads_loss(batch, noise)),
            ("critic", lambda: self.critic_loss(batch, noise, std)),
            ("actor", lambda: self.actor_loss(batch, noise, std)),
        ):
            loss = compute()
            yield group, loss.item(), *self.step(loss, group)

    def update(self, sequences, batch, noise, std):
        losses, norms = {}, {}
        for group, loss, norm in self.steps(sequences, batch, noise, std):
            losses[group], norms[group] = loss, norm
        with torch.no_grad():
            for online, target in (
                (self.encoder, self.target_encoder), (self.q1, self.target_q1), (self.q2, self.target_q2),
            ):  # fmt: skip
                for p, p_target in zip(online.parameters(), target.parameters(), strict=True):
                    p_target.copy_((1 - self.config.target_rate) * p_target + self.config.target_rate * p)
        return losses, norms
