"""The comparison with reference codes: what it hands out, and that it finds a difference if there is one."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from benchmarks.references.draws import DrawError, Draws
from reproduce.exhibits.documents.benchmarks import references
from reproduce.lab.places import CODE

STAND_IN = """
import copy, torch
from torch import nn
from torch.nn.functional import mse_loss

class Net(nn.Module):
    def __init__(self, inputs, outputs, first):
        super().__init__()
        sizes = inputs, 256, 256, outputs
        for i in range(3):
            setattr(self, f"l{first + i}", nn.Linear(sizes[i], sizes[i + 1]))
    def value(self, x, first=1):
        one, two, three = (getattr(self, f"l{first + i}") for i in range(3))
        return three(two(one(x).relu()).relu())

class Critic(Net):
    def __init__(self, inputs):
        super().__init__(inputs, 1, 1)
        self.__dict__["_modules"] |= Net(inputs, 1, 4)._modules
    def both(self, s, a):
        x = torch.cat([s, a], 1)
        return self.value(x), self.value(x, 4)

class TD3:
    def __init__(self, s, a, high, discount, tau, policy_noise, noise_clip, policy_freq):
        self.actor, self.critic = Net(s, a, 1), Critic(s + a)
        self.actor_target, self.critic_target = copy.deepcopy(self.actor), copy.deepcopy(self.critic)
        nets = self.actor, self.critic
        self.optimisers = [torch.optim.Adam(net.parameters(), lr=LEARNING_RATE) for net in nets]
        self.high, self.gamma, self.tau = high, discount, tau
        self.std, self.clip, self.delay, self.step = policy_noise, noise_clip, policy_freq, 0
    def act(self, actor, s):
        return self.high * actor.value(s).tanh()
    def train(self, replay, batch):
        self.step += 1
        s, a, s2, r, going = replay.sample(batch)
        with torch.no_grad():
            noise = (torch.randn_like(a) * self.std).clamp(-self.clip, self.clip)
            a2 = (self.act(self.actor_target, s2) + noise).clamp(-self.high, self.high)
            y = r + going * self.gamma * torch.min(*self.critic_target.both(s2, a2))
        self.descend(1, sum(mse_loss(q, y) for q in self.critic.both(s, a)))
        if self.step % self.delay == 0:
            self.descend(0, -self.critic.value(torch.cat([s, self.act(self.actor, s)], 1)).mean())
            for target, net in ((self.critic_target, self.critic), (self.actor_target, self.actor)):
                for slow, p in zip(target.parameters(), net.parameters()):
                    slow.data.lerp_(p.data, self.tau)
    def descend(self, which, loss):
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        loss.backward()
        self.optimisers[which].step()
"""


def normals(*shapes):
    return [torch.full(shape, float(i + 1), dtype=torch.float64) for i, shape in enumerate(shapes)]


def test_draws_come_in_order_and_return_to_torch_afterwards():
    gaussian = torch.distributions.Normal(torch.zeros(2, 3).double(), torch.full((2, 3), 2.0).double())
    draws = Draws(normals((2, 3), (2, 3), (4,)), [np.array([7])])
    with draws.handed_out():
        assert (gaussian.sample() == 2.0).all() and (gaussian.rsample() == 4.0).all()
        assert (torch.randn_like(torch.zeros(4)) == 3.0).all()
        assert np.random.choice(10, 1, replace=False) == [7]
    assert torch.randn_like(torch.zeros(4)).unique().numel() == 4


@pytest.mark.parametrize(
    ("handed", "words"),
    [
        ([], r"of shape \(3,\) is asked for, and none is left"),
        ([(2,)], r"of shape \(3,\) is asked for, and \(2,\) is next"),
        ([(3,), (3,)], "did not ask for 1 draws and 0 choices"),
    ],
)
def test_a_reference_that_draws_otherwise_is_told(handed, words):
    with pytest.raises(DrawError, match=words), Draws(normals(*handed)).handed_out():
        torch.randn_like(torch.zeros(3))


def compared(checkout):
    """Run the comparison with a TD3 as a process, for it changes torch's default precision."""
    command = [sys.executable, "-m", "benchmarks.references", "--td3", str(checkout)]
    return subprocess.run(command, cwd=CODE, capture_output=True, text=True, env={"COLUMNS": "120"})


@pytest.mark.programs
@pytest.mark.parametrize(("learning_rate", "equal"), [("3e-4", True), ("3.003e-4", False)])
def test_equal_code_is_equal_and_other_code_is_not(tmp_path, learning_rate, equal):
    (tmp_path / "TD3.py").write_text(STAND_IN.replace("LEARNING_RATE", learning_rate))
    found = compared(tmp_path)
    assert found.returncode == 0, found.stderr
    row = next(line for line in found.stdout.splitlines() if "td3" in line)
    difference = float(row.split("│")[5])
    assert difference < 1e-13 if equal else difference > 1e-9
    assert "wrote" not in found.stdout  # a record is of all three codes


@pytest.mark.programs
def test_a_folder_that_is_no_checkout_is_refused_in_one_sentence(tmp_path):
    found = compared(tmp_path)
    assert (found.returncode, found.stderr.count("\n")) == (2, 1)
    assert found.stderr.startswith(f"error: {tmp_path} has no TD3.py: name a checkout")


def test_the_table_of_differences_names_the_task():
    one = {"repository": "a/b", "updates": 6, "parameters": 1e-16, "files": {"TD3.py": "0123456789"}}
    header, rows = references({"task": "HalfCheetah", "results": {"td3": one}})
    assert dict(zip(header, rows[0], strict=True))["task"] == "HalfCheetah"
