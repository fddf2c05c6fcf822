"""ALM whose encoder learns to reconstruct observations instead of serving the lower bound (Figure 15).

The paper's "reconstruction-based MBRL"; details come from the authors' branch of rebuttal experiments.
"""

import torch
from torch import Tensor, nn

from alm.agent import ALM
from alm.config import ALMConfig
from alm.networks import Networks
from alm.objectives import Diagnostics, Gaussian, Policy, consistency, sample, unroll
from alm.training.agent import Noise
from alm.training.population import mlp
from alm.training.replay import Transitions


class ReconstructionNetworks(Networks):
    """ALM's networks and a decoder from z to s, with layers like the encoder's."""

    def build(self, seeds: int, observation_size: int, action_size: int, config: ALMConfig) -> None:
        """Make the online networks."""
        super().build(seeds, observation_size, action_size, config)
        hidden = config.hidden_size
        self.decoder = mlp(seeds, (config.latent_size, hidden, hidden, observation_size))


def reconstruction_objective(
    networks: ReconstructionNetworks, sequences: Transitions, noise: Noise
) -> tuple[Tensor, Diagnostics]:
    """Reconstruction and model loss; trains encoder, decoder and model.

    L_a = mean (decoder(z_0) − s_0)² + E[ Σ_{t<K} KL(m(·|z_t, a_t) ‖ sg e(·|s_{t+1})) ],  z_0 ~ e(s_0),

    the first mean also over dimensions. The second term starts from sg z_0: the encoder learns only from the
    first term, the model only from the second.
    """
    observation = sequences.observation[:, 0]
    mean, std = networks.encoder(observation)
    decoded = networks.decoder(sample((mean, std), noise["sequence_z"]))
    error = (decoded - observation).square().mean(dim=(1, 2))
    rollout = unroll(networks, (mean.detach(), std.detach()), sequences, noise)
    kl = consistency(rollout, networks.encoder, sequences)
    return error + kl, {
        "model/reconstruction": error.detach(),
        "model/kl": kl.detach() / len(rollout.predictions),
        **rollout.spread(),
    }


class ReconstructionALM(ALM):
    """ALM with `reconstruction_objective`; (b), (c) and (d) see z ~ e(s) and z' ~ ē(s')."""

    unused_settings = ("kl_term", "reward_term", "value_term")
    networks: ReconstructionNetworks
    network_class = ReconstructionNetworks

    def trained(self) -> dict[str, tuple[nn.Module, ...]]:
        """Optimiser groups; the decoder is trained and clipped together with encoder and model."""
        groups = super().trained()
        return groups | {"encoder_model": (*groups["encoder_model"], self.networks.decoder)}

    def encoder_model_loss(
        self, sequences: Transitions, noise: Noise, policy: Policy
    ) -> tuple[Tensor, Diagnostics]:
        """Encoder-and-model loss (a) without rewards and values, hence without the policy."""
        del policy
        return reconstruction_objective(self.networks, sequences, noise)

    @torch.no_grad()
    def represent(self, transitions: Transitions) -> tuple[Gaussian, Gaussian]:
        """e(·|s) and ē(·|s'), from which (b), (c) and (d) draw."""
        net = self.networks
        return net.encoder(transitions.observation), net.target_encoder(transitions.next_observation)

    def represent_for_value(self, observation: Tensor) -> Gaussian:
        """Distribution e(·|s), the one that the critics see."""
        gaussian: Gaussian = self.networks.encoder(observation)
        return gaussian
