"""ALM's variants written a second time, as overrides of `benchmarks.plain_alm`: references for tests.

Nothing is shared with `alm.*` here either.
"""

import copy
import math

import torch
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence
from torch.nn import functional as F

from benchmarks.plain_alm import PlainALM, _draw, _Gaussian


class PlainTD3Loss(PlainALM):
    """The actor maximises the critics."""

    def actor_loss(self, batch, noise, std):
        self.freeze(self.q1, self.q2, self.target_encoder)
        with torch.no_grad():
            z = _draw(self.target_encoder(batch.observation), noise["actor_z"])
        return -self.min_q(z, self.act(z, noise["actor_action"][0], std)).mean()


class PlainLinearClassifier(PlainALM):
    """One affine layer."""

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
    """Squared errors of the critics along the rollout of (a)."""

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
    """Of the actions of (d), in order."""

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

    def parameters_like(self, seed_of_network):
        if seed_of_network == "temperature":
            return [self.temperature.log_alpha]
        return super().parameters_like(seed_of_network)

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
        # A bonus of the next action is a reward of γ (1 − d) times as much now.
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
