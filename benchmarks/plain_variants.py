"""ALM's variants written a second time, as overrides of `benchmarks.plain_alm`; the tests' float64 references.

Nothing is shared with `alm.*` here either.
"""

import math

import torch
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence
from torch.nn import functional as F

from benchmarks.plain_alm import PlainALM, _draw, _Gaussian


class PlainTD3Loss(PlainALM):
    """The actor climbs the critics."""

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

    def with_online_encoder(self, loss, batch, *arguments):
        """A loss of ALM's whose z comes from the online encoder and whose z' from the target encoder."""
        target = self.target_encoder

        def by_observation(observation):
            half = len(observation) < len(batch.observation)
            next_ones = batch.next_observation[-len(observation) :] if half else batch.next_observation
            return (target if torch.equal(observation, next_ones) else self.encoder)(observation)

        class Both(nn.Module):
            forward = staticmethod(by_observation)

        self.target_encoder = Both()
        try:
            return loss(batch, *arguments)
        finally:
            self.target_encoder = target

    def steps(self, sequences, batch, noise, std):
        loss = self.encoder_model_loss(sequences, noise, std)
        yield "encoder_model", loss.item(), *self.step(loss, "encoder_model")
        for group, compute, arguments in (
            ("heads", super().heads_loss, (noise,)),
            ("critic", super().critic_loss, (noise, std)),
            ("actor", super().actor_loss, (noise, std)),
        ):
            loss = self.with_online_encoder(compute, batch, *arguments)
            yield group, loss.item(), *self.step(loss, group)


class PlainValueEncoder(PlainALM):
    """Losses (b) and (c) reach the encoder."""

    def heads_and_critic_losses(self, batch, noise, std):
        self.freeze()
        state, half = self.encoder(batch.observation), noise["heads_model_z"].shape[0]
        with torch.no_grad():
            next_state = self.target_encoder(batch.next_observation)
            other = _draw(state, torch.zeros_like(state.mean)) + 0.0
            other = other[:half] + state.stddev[:half] * noise["heads_model_z"]
            fake = _draw(self.model(torch.cat([other, batch.action[:half]], -1)), noise["heads_model_next_z"])
            real = next_state.mean[half:] + next_state.stddev[half:] * noise["heads_next_z"]
            next_z = _draw(next_state, noise["critic_next_z"])
            pair = torch.cat([next_z, self.act(next_z, noise["critic_action"], std)], -1)
            bootstrap = torch.min(self.target_q1(pair), self.target_q2(pair)).squeeze(-1)
            y = batch.reward + self.config.discount * (1 - batch.terminal) * bootstrap
        z = _draw(state, noise["heads_z"])
        labels = torch.cat([torch.zeros(half), torch.ones(len(z) - half)]).long()
        logits = self.classifier(torch.cat([z, batch.action, torch.cat([fake, real])], -1))
        prediction = self.reward(torch.cat([z, batch.action], -1)).squeeze(-1)
        heads = F.mse_loss(prediction, batch.reward) + F.cross_entropy(logits, labels)
        za = torch.cat([_draw(state, noise["critic_z"]), batch.action], -1)
        return heads, 0.5 * sum(F.mse_loss(q(za).squeeze(-1), y) for q in (self.q1, self.q2))

    def steps(self, sequences, batch, noise, std):
        loss = self.encoder_model_loss(sequences, noise, std)
        yield "encoder_model", loss.item(), *self.step(loss, "encoder_model")
        with torch.no_grad():  # the encoder that (d) starts from is that of (b) and (c), before they move it
            start = _draw(self.encoder(batch.observation), noise["actor_z"])
        heads, critic = self.heads_and_critic_losses(batch, noise, std)
        norms = self.step(heads + critic, "encoder_model", "heads", "critic")
        yield "encoder", heads.item() + critic.item(), norms[0]
        yield "heads", heads.item(), norms[1]
        yield "critic", critic.item(), norms[2]
        loss = self.actor_loss_from(start, noise, std)
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


class PlainEntropy(PlainALM):
    """A stochastic actor with an entropy bonus."""

    def build(self, observation_size, action_size):
        super().build(observation_size, action_size)
        hidden = self.config.hidden_size
        self.actor = nn.Sequential(
            nn.Linear(self.config.latent_size, hidden), nn.ELU(), nn.Linear(hidden, hidden), nn.ELU(),
            nn.Linear(hidden, 2 * action_size),
        )  # fmt: skip
        self.temperature = nn.Module()
        initial = torch.tensor(math.log(self.config.initial_temperature))
        self.temperature.log_alpha = nn.Parameter(initial)

    def networks(self):
        return {**super().networks(), "temperature": self.temperature}

    def trained(self):
        return {**super().trained(), "temperature": [self.temperature]}

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
        return self.choose(z, noise)[0]

    def critic_loss(self, batch, noise, std):
        with torch.no_grad():
            next_z = _draw(self.target_encoder(batch.next_observation), noise["critic_next_z"])
            _, bonus = self.choose(next_z, noise["critic_action"])
        # A bonus of the next action is a reward of γ (1 − d) times as much now.
        more = batch.reward + self.config.discount * (1 - batch.terminal) * bonus
        return super().critic_loss(type(batch)(**{**vars(batch), "reward": more}), noise, std)

    def weighted_returns(self, rho, q):
        rho = [reward + bonus for reward, bonus in zip(rho, self.bonuses, strict=False)]
        return super().weighted_returns(rho, [v + b.detach() for v, b in zip(q, self.bonuses, strict=True)])

    def actor_loss(self, batch, noise, std):
        self.bonuses = []
        inner = self.act

        def remembering(z, noise, std):
            self.bonuses.append(self.choose(z, noise)[1])
            return inner(z, noise, std)

        self.act = remembering
        try:
            return super().actor_loss(batch, noise, std)
        finally:
            self.act = inner

    def steps(self, sequences, batch, noise, std):
        alpha = self.temperature.log_alpha.detach().exp().clone()
        yield from super().steps(sequences, batch, noise, std)
        target = self.config.target_entropy(self.config.warmup_steps + self.training_step)
        entropy = (self.bonuses[0] / alpha).mean().detach()
        self.freeze()
        loss = -self.temperature.log_alpha * (target - entropy)
        yield "temperature", loss.item(), *self.step(loss, "temperature")
