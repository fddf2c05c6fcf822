"""Second implementation of ALM's variants, as overrides of `benchmarks.plain_alm`: references for tests.

As there, nothing is shared with `alm.*`.
"""

import copy
import dataclasses
import math
from types import SimpleNamespace

import torch
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence
from torch.nn import functional as F

from benchmarks.plain_alm import PlainALM, _draw, _Gaussian


class PlainTD3Loss(PlainALM):
    """Actor that maximises the critics."""

    def actor_loss(self, batch, noise, std):
        self.freeze(self.q1, self.q2, self.target_encoder)
        with torch.no_grad():
            z = _draw(self.target_encoder(batch.observation), noise["actor_z"])
        return -self.min_q(z, self.act(z, noise["actor_action"][0], std)).mean()


class PlainLinearClassifier(PlainALM):
    """Classifier with one affine layer."""

    def build(self, observation_size, action_size):
        super().build(observation_size, action_size)
        self.classifier = nn.Sequential(nn.Linear(2 * self.config.latent_size + action_size, 2))


class _Identity(_Gaussian):
    def __init__(self, size):
        nn.Module.__init__(self)
        self.net = nn.Sequential(nn.Linear(size, size))

    def forward(self, x):
        std = 10 - F.softplus(10 - self.net(x))
        return Independent(Normal(x, 0.1 + F.softplus(std - 0.1)), 1)


class PlainIdentityEncoder(PlainALM):
    """z is s with learned noise."""

    def build(self, observation_size, action_size):
        super().build(observation_size, action_size)
        self.encoder = _Identity(observation_size)


class PlainLogReward(PlainALM):
    """Logarithms of predictions, and shifted rewards."""

    def counted(self, x, loss):
        a = self.config.log_offset
        if loss == "actor" and not self.config.log_in_policy:
            return x
        if a == 0:
            return torch.log(torch.clamp(x, min=1e-6))
        return a * (torch.log(torch.clamp(x + a, min=1e-6 * a)) - math.log(a))

    def update(self, sequences, batch, noise, std):
        batch = type(batch)(**{**vars(batch), "reward": batch.reward + self.config.reward_shift})
        return super().update(sequences, batch, noise, std)


class PlainReconstruction(PlainALM):
    """Encoder and decoder reconstruct; the model follows the online encoder."""

    def build(self, observation_size, action_size):
        super().build(observation_size, action_size)
        hidden = self.config.hidden_size
        self.decoder = nn.Sequential(
            nn.Linear(self.config.latent_size, hidden), nn.ELU(), nn.Linear(hidden, hidden), nn.ELU(),
            nn.Linear(hidden, observation_size),
        )  # fmt: skip

    def networks(self):
        return {**super().networks(), "decoder": self.decoder}

    def pairs(self, networks, seed):
        return [*super().pairs(networks, seed), (self.decoder, networks.decoder, seed)]

    def trained(self):
        return {**super().trained(), "encoder_model": [self.model, self.encoder, self.decoder]}

    def encoder_model_loss(self, sequences, noise, std):
        self.freeze()
        z = _draw(self.encoder(sequences.observation[0]), noise["sequence_z"])
        total = F.mse_loss(self.decoder(z), sequences.observation[0])
        z = z.detach()
        for t in range(self.config.horizon):
            with torch.no_grad():
                target = self.encoder(sequences.next_observation[t])
            prediction = self.model(torch.cat([z, sequences.action[t]], -1))
            total = total + kl_divergence(prediction, target).mean()
            z = _draw(prediction, noise["sequence_model"][t])
        return total

    @torch.no_grad()
    def represent(self, observation):
        return self.encoder(observation)


class PlainValueEncoder(PlainALM):
    """Losses (b) and (c) reach the encoder."""

    def represent(self, observation):
        return self.encoder(observation)

    def steps(self, sequences, batch, noise, std):
        loss = self.encoder_model_loss(sequences, noise, std)
        yield "encoder_model", loss.item(), *self.step(loss, "encoder_model")
        before = copy.deepcopy(self.encoder)
        heads, critic = self.heads_loss(batch, noise), self.critic_loss(batch, noise, std)
        norms = self.step(heads + critic, "encoder_model", "heads", "critic")
        yield "heads", heads.item(), norms[1]
        yield "critic", critic.item(), norms[2]
        # (d) starts from the representation that (b) and (c) saw.
        moved, self.encoder = self.encoder, before
        loss = self.actor_loss(batch, noise, std)
        self.encoder = moved
        yield "actor", loss.item(), *self.step(loss, "actor")


class PlainValueEncoderModel(PlainALM):
    """Squared errors of the critics added along the rollout of (a)."""

    def encoder_model_loss(self, sequences, noise, std):
        total = super().encoder_model_loss(sequences, noise, std)
        z = _draw(self.encoder(sequences.observation[0]), noise["sequence_z"])
        for t in range(self.config.horizon):
            with torch.no_grad():
                next_z = _draw(
                    self.target_encoder(sequences.next_observation[t]), noise["sequence_next_z"][t]
                )
                pair = torch.cat([next_z, self.act(next_z, noise["sequence_next_action"][t], std)], -1)
                bootstrap = torch.min(self.target_q1(pair), self.target_q2(pair)).squeeze(-1)
                y = sequences.reward[t] + self.config.discount * (1 - sequences.terminal[t]) * bootstrap
            za = torch.cat([z, sequences.action[t]], -1)
            for q in (self.q1, self.q2):
                total = total + 0.5 * F.mse_loss(q(za).squeeze(-1), y)
            z = _draw(self.model(za), noise["sequence_model"][t])
        return total


class _Temperature(nn.Module):
    def __init__(self, initial):
        super().__init__()
        self.log_alpha = nn.Parameter(torch.tensor(math.log(initial)))


class PlainEntropy(PlainALM):
    """A stochastic actor with an entropy bonus; the caller sets ``training_step`` before an update."""

    training_step = 0
    bonuses: list[torch.Tensor] = []
    """Bonuses of the actions of (d), in order."""

    def build(self, observation_size, action_size):
        super().build(observation_size, action_size)
        hidden = self.config.hidden_size
        self.actor = nn.Sequential(
            nn.Linear(self.config.latent_size, hidden), nn.ELU(), nn.Linear(hidden, hidden), nn.ELU(),
            nn.Linear(hidden, 2 * action_size),
        )  # fmt: skip
        self.temperature = _Temperature(self.config.initial_temperature)

    def networks(self):
        return {**super().networks(), "temperature": self.temperature}

    def load(self, networks, seed):
        super().load(networks, seed)
        with torch.no_grad():
            self.temperature.log_alpha.copy_(networks.temperature.log_alpha[seed])

    def trained(self):
        return {**super().trained(), "temperature": [self.temperature]}

    def largest_difference(self, networks, seed):
        temperature = (self.temperature.log_alpha - networks.temperature.log_alpha[seed]).abs().max().item()
        return max(temperature, super().largest_difference(networks, seed))

    def choose(self, z, noise):
        """The action and −α log π."""
        mean, raw = torch.chunk(self.actor(z), 2, dim=-1)
        low, high = math.exp(-5), math.exp(2)
        std = high - F.softplus(high - raw)
        normal = Normal(torch.tanh(mean), low + F.softplus(std - low))
        x = normal.loc + normal.scale * noise
        alpha = self.temperature.log_alpha.detach().exp()
        clamped = torch.clamp(x, self.low + 1e-6, self.high - 1e-6)
        return x - x.detach() + clamped.detach(), -alpha * normal.log_prob(x).sum(-1)

    def act(self, z, noise, std):
        action, bonus = self.choose(z, noise)
        self.bonuses.append(bonus)
        return action

    def critic_loss(self, batch, noise, std):
        with torch.no_grad():
            next_z = _draw(self.target_encoder(batch.next_observation), noise["critic_next_z"])
            _, bonus = self.choose(next_z, noise["critic_action"])
        # A bonus of the next action is equivalent to a reward now, times γ (1 − d).
        more = batch.reward + self.config.discount * (1 - batch.terminal) * bonus
        return super().critic_loss(type(batch)(**{**vars(batch), "reward": more}), noise, std)

    def weighted_returns(self, rho, q):
        rho = [reward + bonus for reward, bonus in zip(rho, self.bonuses[:-1], strict=True)]
        q = [value + bonus.detach() for value, bonus in zip(q, self.bonuses, strict=True)]
        return super().weighted_returns(rho, q)

    def actor_loss(self, batch, noise, std):
        self.bonuses = []
        return super().actor_loss(batch, noise, std)

    def steps(self, sequences, batch, noise, std):
        alpha = self.temperature.log_alpha.detach().exp().clone()
        yield from super().steps(sequences, batch, noise, std)
        target = self.config.target_entropy(self.config.warmup_steps + self.training_step)
        entropy = (self.bonuses[0] / alpha).mean().detach()
        self.freeze()
        loss = -self.temperature.log_alpha * (target - entropy)
        yield "temperature", loss.item(), *self.step(loss, "temperature")


class PlainValueExpansion(PlainALM):
    """Critics on rollouts whose first step is real; every target is computed as a separate sum."""

    def critic_loss(self, batch, noise, std):
        config, horizon, gamma = self.config, self.config.horizon, self.config.discount
        self.freeze(self.target_encoder, self.actor, self.model, self.reward)
        z = _draw(self.target_encoder(batch.observation), noise["critic_z"]).detach()
        with torch.no_grad():
            imagined = [_draw(self.target_encoder(batch.next_observation), noise["critic_next_z"])]
            actions, rewards = [], []
            for t in range(horizon - 1):
                actions.append(self.act(imagined[t], noise["expansion_action"][t], std))
                pair = torch.cat([imagined[t], actions[t]], -1)
                rewards.append(self.reward(pair).squeeze(-1))
                imagined.append(_draw(self.model(pair), noise["expansion_model"][t]))
            pair = torch.cat([imagined[-1], self.act(imagined[-1], noise["critic_action"], std)], -1)
            bootstrap = torch.min(self.target_q1(pair), self.target_q2(pair)).squeeze(-1)

            def imagined_return(start):
                ahead = len(rewards) - start
                return sum(gamma**i * rewards[start + i] for i in range(ahead)) + gamma**ahead * bootstrap

            alive = 1 - batch.terminal
            first = batch.reward + gamma * alive * imagined_return(0)
        total = 0.0
        for q in (self.q1, self.q2):
            errors = [(q(torch.cat([z, batch.action], -1)).squeeze(-1) - first) ** 2]
            for t in range(horizon - 1):
                value = q(torch.cat([imagined[t], actions[t]], -1)).squeeze(-1)
                errors.append(alive * (value - imagined_return(t)) ** 2)
            total = total + 0.5 * sum(error.mean() for error in errors) / config.horizon
        return total


class PlainRealWarmup(PlainTD3Loss):
    """TD3's policy loss until the phase on real states is over."""

    training_step = 0

    def actor_loss(self, batch, noise, std):
        if self.training_step > self.config.real_data_steps:
            return PlainALM.actor_loss(self, batch, noise, std)
        return super().actor_loss(batch, noise, std)


class PlainHorizonSchedule(PlainALM):
    """Horizon K that grows."""

    training_step = 0

    def update(self, sequences, batch, noise, std):
        full = self.config
        horizon = 1
        while horizon < full.horizon and self.training_step > horizon * full.steps_per_horizon:
            horizon += 1
        self.config = dataclasses.replace(full, horizon=horizon)
        try:
            return super().update(sequences, batch, noise, std)
        finally:
            self.config = full


class PlainTimeDiscount(PlainALM):
    """Weighted steps of (a)."""

    def encoder_model_loss(self, sequences, noise, std):
        self.freeze(self.reward, self.q1, self.q2)
        z = _draw(self.encoder(sequences.observation[0]), noise["sequence_z"])
        total, weight = 0.0, 1.0
        for t in range(self.config.horizon):
            with torch.no_grad():
                target = self.target_encoder(sequences.next_observation[t])
            pair = torch.cat([z, sequences.action[t]], -1)
            prediction = self.model(pair)
            total = total + weight * (kl_divergence(prediction, target) - self.reward(pair).squeeze(-1))
            z = _draw(prediction, noise["sequence_model"][t])
            weight *= self.config.temporal_discount
        action = self.act(z.detach(), noise["sequence_action"], std).detach()
        return (total - weight * self.min_q(z, action)).mean()


class PlainOnlineKL(PlainALM):
    """KL whose target is the online encoder."""

    def encoder_model_loss(self, sequences, noise, std):
        kept, self.target_encoder = self.target_encoder, self.encoder
        try:
            return super().encoder_model_loss(sequences, noise, std)
        finally:
            self.target_encoder = kept


def _with_relu(net):
    return nn.Sequential(*(nn.ReLU() if isinstance(layer, nn.ELU) else layer for layer in net))


class PlainReLU(PlainALM):
    """ReLU in place of ELU."""

    def build(self, observation_size, action_size):
        super().build(observation_size, action_size)
        for net in (self.encoder, self.model):
            net.net = _with_relu(net.net)
        for name in ("reward", "classifier", "q1", "q2", "actor"):
            setattr(self, name, _with_relu(getattr(self, name)))


class PlainJoint(PlainALM):
    """One loss for encoder, model and policy; the classifier has no layers."""

    def build(self, observation_size, action_size):
        super().build(observation_size, action_size)
        self.classifier = nn.Sequential()

    def pairs(self, networks, seed):
        nothing = SimpleNamespace(layers=())
        return super().pairs(SimpleNamespace(**dict(networks.named_children()), classifier=nothing), seed)

    def trained(self):
        return {
            "joint": [self.model, self.encoder, self.actor],
            "heads": [self.reward],
            "critic": [self.q1, self.q2],
        }

    def joint_loss(self, sequences, noise, std):
        config, horizon, gamma = self.config, self.config.horizon, self.config.discount
        self.freeze(self.reward, self.q1, self.q2, self.target_encoder)
        kls, log_probabilities = [], []
        z = _draw(self.encoder(sequences.observation[0]), noise["sequence_z"])
        for t in range(horizon):
            action = sequences.action[t]
            with torch.no_grad():
                target = self.target_encoder(sequences.next_observation[t])
            prediction = self.model(torch.cat([z, action], -1))
            kls.append(kl_divergence(prediction, target))
            density = Independent(Normal(self.actor(z.detach()), torch.full_like(action, std)), 1)
            log_probabilities.append(density.log_prob(action))
            z = _draw(prediction, noise["sequence_model"][t])
        bound, score = 0.0, 0.0
        z = _draw(self.encoder(sequences.observation[0]), noise["sequence_z"])
        for t in range(horizon):
            mean = self.actor(z)
            known_noise = (sequences.action[t] - mean).detach()
            pair = torch.cat([z, mean + known_noise], -1)
            bound = bound + gamma**t * (self.reward(pair).squeeze(-1) - kls[t])
            ahead = -sum(gamma**i * kls[i].detach() for i in range(t, horizon))
            advantage = config.intrinsic_coefficient * (ahead - ahead.mean())
            score = score + advantage * log_probabilities[t]
            z = _draw(self.model(pair), noise["sequence_model"][t])
        action = self.act(z, noise["sequence_action"], std)
        # The constants of log π, which the update's loss omits, multiply advantages with mean 0.
        return -(bound + gamma**horizon * self.min_q(z, action) + score).mean()

    def heads_loss(self, batch, noise):
        self.freeze(self.target_encoder)
        z = _draw(self.target_encoder(batch.observation), noise["heads_z"]).detach()
        return F.mse_loss(self.reward(torch.cat([z, batch.action], -1)).squeeze(-1), batch.reward)

    def steps(self, sequences, batch, noise, std):
        for group, compute in (
            ("joint", lambda: self.joint_loss(sequences, noise, std)),
            ("heads", lambda: self.heads_loss(batch, noise)),
            ("critic", lambda: self.critic_loss(batch, noise, std)),
        ):
            loss = compute()
            yield group, loss.item(), *self.step(loss, group)
