"""The seven locomotion tasks as the ALM authors ran them: OpenAI gym's v2 definitions on today's MuJoCo.

No environment in gymnasium equals gym 0.17.2's v2 family any more: its v5 family withholds the
alive bonus on the terminal step, drops constant entries of the observation and changes a friction; its v4
family has no contact cost for Humanoid. So the definitions are restated here, using gymnasium's robot files,
from ``gym/envs/mujoco/{half_cheetah,hopper,walker2d,ant,humanoid}.py`` of gym 0.17.2 and, for the two
shortened observations, ``utils/env.py`` of the authors' repository (RajGhugare19/alm).

One reward serves all seven::

    reward = forward_weight * v + alive_bonus - control_weight * |ctrl|^2 - contact cost

where ``v`` is the displacement over the whole step divided by its duration. The bonus is paid on *every*
step, including the terminal one.

Differences between v2's engine (mjpro150) and today's that are compensated for here:

* contact forces (``cfrc_ext``) are no longer part of a simulation step; they are computed after it;
* controls outside their range are no longer overwritten by the clipped value, on which Humanoid's control
  cost was charged;
* the root quaternion of the initial state is no longer normalised.

Not compensated for: capsules had up to 6 % less mass (none on HalfCheetah), and integrators differ in
the last digits.
"""

import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import mujoco
import numpy as np
from gymnasium.envs.mujoco import MujocoEnv
from gymnasium.spaces import Box
from gymnasium.utils import EzPickle
from numpy.typing import ArrayLike, NDArray

from alm.errors import UserError
from alm.tasks.formulas import HEALTHY, HOPPER_BOUND

Array = NDArray[np.float64]

_warnings_raised_in_engine: list[Warning] = []


def _warn(message: str) -> None:
    """Turn a MuJoCo warning into a Python warning.

    MuJoCo calls this from C, where an exception would abort the process. Under a warnings-as-errors filter
    the exception is therefore stored and raised by the step that caused it.
    """
    try:
        warnings.warn(f"MuJoCo: {message}", RuntimeWarning, stacklevel=2)
    except Warning as error:
        _warnings_raised_in_engine.append(error)


def _reraise_engine_warnings() -> None:
    if _warnings_raised_in_engine:
        error = _warnings_raised_in_engine[0]
        _warnings_raised_in_engine.clear()
        raise error


class LocomotionEnv(MujocoEnv, EzPickle):
    """Base class of all tasks: stepping, the reward, noise and resetting.

    Observations are float64 vectors, actions are vectors of actuator controls, rewards are floats. ``info``
    splits the reward into ``reward_forward``, ``reward_survive``, ``reward_ctrl`` and ``reward_contact``.

    Pickling keeps the arguments only, as in gymnasium: a copy is a fresh environment, to be reset first.

    Noise, if requested, is normal and drawn from ``np_random`` like everything random here, so
    seeding and replaying an episode reproduce it.

    Args:
        observation_noise: standard deviation of independent noise on every entry of every observation,
            including that of ``reset``; state, reward and termination are unaffected.
        action_noise: standard deviation of noise on the controls; the noisy controls are clipped to their
            range, and the control cost is charged on the controls without noise.
        **kwargs: rendering options of `gymnasium.envs.mujoco.MujocoEnv`, such as ``render_mode``.

    Raises:
        UserError: raised by ``step`` if the action's shape is not ``(number of actuators,)``.
    """

    metadata = {"render_modes": ["human", "rgb_array", "depth_array", "rgbd_tuple"]}
    camera: ClassVar[dict[str, Any]] = {"distance": 4.0}

    robot: ClassVar[str]
    """Name of the robot, as in `alm.task_registry`."""
    xml_file: ClassVar[str]
    """A robot file among gymnasium's assets."""
    substeps: ClassVar[int]
    """Simulation steps in one environment step (gym's ``frame_skip``)."""
    forward_weight: ClassVar[float] = 1.0
    alive_bonus: ClassVar[float]
    control_weight: ClassVar[float]
    reset_noise: ClassVar[float]
    """Half-width of the uniform noise on the initial positions (m, rad) and velocities (m/s, rad/s)."""
    normal_velocities: ClassVar[bool] = False
    """Whether the noise on velocities is instead normal with standard deviation ``reset_noise``."""
    hidden_positions: ClassVar[int] = 1
    """Number of leading ``qpos`` entries that are not observed: the robot's position on the ground."""

    def __init__(self, observation_noise: float = 0.0, action_noise: float = 0.0, **kwargs: Any) -> None:
        """Load the robot; the state is the unperturbed initial one until ``reset``."""
        EzPickle.__init__(self, observation_noise, action_noise, **kwargs)
        self.observation_noise, self.action_noise = observation_noise, action_noise
        MujocoEnv.__init__(
            self,
            self.xml_file,
            self.substeps,
            observation_space=None,
            default_camera_config=self.camera,
            **kwargs,
        )
        self.metadata = {**self.metadata, "render_fps": round(1.0 / self.dt)}
        self._seconds = float(self.dt)
        # Views into the simulation, taken once: looking them up on every step costs more than using them.
        self._qpos: Array = self.data.qpos
        self._qvel: Array = self.data.qvel
        self._ctrl: Array = self.data.ctrl
        self._control_low, self._control_high = self.model.actuator_ctrlrange.T.copy()
        self._first_joint_is_free = self.model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE
        self._observed: tuple[Array, ...] = (self._qpos[self.hidden_positions :], self._qvel)
        self._bind()
        self._last_position = self._position()
        self.observation_space = Box(-np.inf, np.inf, self._get_obs().shape, np.float64)

    def _bind(self) -> None:
        """Take once any further views into the simulation that a task needs."""

    # The parts that differ between tasks.

    def _position(self) -> float:
        """Position of the robot along the x axis (m)."""
        return self._qpos.item(0)

    def _get_obs(self) -> Array:
        """Observation of the current state, in a new array."""
        return np.concatenate(self._observed)

    def _healthy(self) -> bool:
        """Whether the robot stands."""
        root = self.hidden_positions
        return bool(HEALTHY[self.robot](self._qpos.item(root), self._qpos.item(root + 1)))

    def _fallen(self) -> bool:
        """Whether the episode terminates in the current state."""
        return not self._healthy()

    def _apply(self, action: Array) -> None:
        """Write an action to the controls.

        The engine clips controls only when applying them; the control cost is charged on the written values.
        """
        self._ctrl[:] = action

    def _contact_cost(self) -> float:
        return 0.0

    # The parts that they share.

    def step(self, action: ArrayLike) -> tuple[Array, float, bool, bool, dict[str, Any]]:  # type: ignore[override]
        """Act for one environment step. See `gymnasium.Env.step`."""
        action = np.asarray(action)
        if action.shape != self._ctrl.shape:
            raise UserError(f"An action must have shape {self._ctrl.shape}, not {action.shape}.")
        parts = self._act(action)
        reward = 0.0
        for part in parts.values():  # not sum(), whose rounding depends on the Python version
            reward += part
        if self.render_mode == "human":
            show: Callable[[], object] = self.render
            show()
        return self._observe(), reward, self._fallen(), False, parts

    def _act(self, action: Array) -> dict[str, float]:
        """Advance one environment step and return the parts of its reward."""
        self._apply(action)
        control = self.control_weight * float(self._ctrl.dot(self._ctrl))
        self._advance()
        position = self._position()
        forward = self.forward_weight * (position - self._last_position) / self._seconds
        self._last_position = position
        return {
            "reward_forward": forward,
            "reward_survive": self.alive_bonus,
            "reward_ctrl": -control,
            "reward_contact": -self._contact_cost(),
        }

    def _advance(self) -> None:
        """Simulate one environment step under the applied controls, with noise if requested."""
        if self.action_noise:
            self._ctrl += self.action_noise * self.np_random.standard_normal(self._ctrl.size)
            np.clip(self._ctrl, self._control_low, self._control_high, out=self._ctrl)
        self._simulate()
        if _warnings_raised_in_engine:
            _reraise_engine_warnings()

    def _simulate(self) -> None:
        mujoco.mj_step(self.model, self.data, self.frame_skip)

    def _observe(self) -> Array:
        """Observation of the current state, with noise if requested."""
        observation = self._get_obs()
        if self.observation_noise:
            observation += self.observation_noise * self.np_random.standard_normal(observation.size)
        return observation

    def reset_model(self) -> Array:
        """Draw an initial state; called by ``reset``."""
        self.set_state(*self._initial_state())
        return self._observe()

    def _initial_state(self) -> tuple[Array, Array]:
        """Initial positions and velocities with the task's reset noise, in new arrays."""
        # Positions are drawn before velocities: the order determines the episode that a seed gives.
        qpos = self.init_qpos + self.np_random.uniform(-self.reset_noise, self.reset_noise, self.model.nq)
        if self.normal_velocities:
            qvel = self.init_qvel + self.reset_noise * self.np_random.standard_normal(self.model.nv)
        else:
            qvel = self.init_qvel + self.np_random.uniform(-self.reset_noise, self.reset_noise, self.model.nv)
        return qpos, qvel

    def set_state(self, qpos: Array, qvel: Array) -> None:
        """Place the robot, with its root quaternion normalised as MuJoCo did before 3.2.

        Args:
            qpos: generalised positions, shape ``(nq,)`` (m, rad, quaternion).
            qvel: generalised velocities, shape ``(nv,)`` (m/s, rad/s).
        """
        if self._first_joint_is_free:
            qpos = qpos.copy()
            mujoco.mju_normalize4(qpos[3:7])
        place: Callable[[Array, Array], None] = super().set_state
        place(qpos, qvel)
        self._last_position = self._position()

    def _initialize_simulation(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        # Without a handler MuJoCo writes every warning to a file in the user's working directory.
        if mujoco.get_mju_user_warning() is None:
            mujoco.set_mju_user_warning(_warn)
        with warnings.catch_warnings():
            # half_cheetah.xml needs this attribute, and the installed MuJoCo still honours it.
            warnings.filterwarnings("ignore", message=".*'settotalmass' is deprecated")
            model, data = super()._initialize_simulation()
        _reraise_engine_warnings()
        return model, data


class HalfCheetahEnv(LocomotionEnv):
    """HalfCheetah-v2: 17 observations (positions without x, 8; velocities, 9), 6 actions in ±1.

    Never terminates. Source: gym 0.17.2 ``half_cheetah.py``.
    """

    robot = "HalfCheetah"
    xml_file = "half_cheetah.xml"
    substeps = 5
    alive_bonus = 0.0
    control_weight = 0.1
    reset_noise = 0.1
    normal_velocities = True

    def _healthy(self) -> bool:
        return True


class _PlanarWalkerEnv(LocomotionEnv):
    """Hopper and Walker2d: positions without x, and velocities clipped to ±10."""

    substeps = 4
    alive_bonus = 1.0
    control_weight = 1e-3
    reset_noise = 5e-3

    def _get_obs(self) -> Array:
        observation = super()._get_obs()
        velocity = observation[self._qpos.size - 1 :]
        np.maximum(velocity, -10.0, out=velocity)
        np.minimum(velocity, 10.0, out=velocity)
        return observation


class HopperEnv(_PlanarWalkerEnv):
    """Hopper-v2: 11 observations (positions without x, 5; clipped velocities, 6), 3 actions in ±1.

    Terminates unless the torso is above 0.7 m, tilted less than 0.2 rad, and the state finite and below 100.
    Source: gym 0.17.2 ``hopper.py``.
    """

    robot = "Hopper"
    xml_file = "hopper.xml"
    camera = {"trackbodyid": 2, "distance": 3.0, "lookat": np.array((0.0, 0.0, 1.15)), "elevation": -20.0}

    def _fallen(self) -> bool:
        state = np.concatenate((self._qpos, self._qvel))
        return not (
            self._healthy()
            and bool((np.abs(state[2:]) < HOPPER_BOUND).all())
            and bool(np.isfinite(state).all())
        )


class Walker2dEnv(_PlanarWalkerEnv):
    """Walker2d-v2: 17 observations (positions without x, 8; clipped velocities, 9), 6 actions in ±1.

    Terminates unless the torso is between 0.8 m and 2 m and tilted less than 1 rad. The feet differ in
    friction (0.9 right, 1.9 left), as they did in v2; gymnasium's ``walker2d_v5.xml`` made them equal.
    Source: gym 0.17.2 ``walker2d.py``.
    """

    robot = "Walker2d"
    xml_file = "walker2d.xml"
    camera = {"trackbodyid": 2, "distance": 4.0, "lookat": np.array((0.0, 0.0, 1.15)), "elevation": -20.0}


class _ContactEnv(LocomotionEnv):
    """Ant and Humanoid: a free root body, and a cost on the contact forces.

    The forces are those on all 14 bodies, including the world (6 entries per body, N m and N).

    Their positions are read from the body frames, as in v2. The engine computes these before it advances the
    joints, so they trail ``qpos`` by one simulation step.
    """

    hidden_positions = 2

    def _bind(self) -> None:
        self._contact_forces: Array = self.data.cfrc_ext.reshape(-1)

    def _simulate(self) -> None:
        super()._simulate()
        # MuJoCo stopped computing contact forces within a step in 2.0 (openai/gym issue 1541).
        mujoco.mj_rnePostConstraint(self.model, self.data)


class TruncatedAntEnv(_ContactEnv):
    """T-Ant: 27 observations (positions without x and y, 13; velocities, 14), 8 actions in ±1.

    Ant-v2 without the contact forces in the observation; the reward still charges them. Terminates unless the
    state is finite and the torso between 0.2 m and 1 m.
    Source: ``AntTruncatedObs-v2`` in ``utils/env.py`` of RajGhugare19/alm, which took it from MBPO.
    """

    robot = "Ant"
    xml_file = "ant.xml"
    substeps = 5
    alive_bonus = 1.0
    control_weight = 0.5
    contact_weight: ClassVar[float] = 5e-4
    reset_noise = 0.1
    normal_velocities = True

    def _bind(self) -> None:
        super()._bind()
        self._torso: Array = self.data.xpos[self.model.body("torso").id]

    def _position(self) -> float:
        return self._torso.item(0)

    def _clipped_contact_forces(self) -> Array:
        return np.minimum(np.maximum(self._contact_forces, -1.0), 1.0)

    def _contact_cost(self) -> float:
        forces = self._clipped_contact_forces()
        return self.contact_weight * float(forces.dot(forces))

    def _fallen(self) -> bool:
        finite = bool(np.isfinite(self._qpos).all() and np.isfinite(self._qvel).all())
        return not (finite and self._healthy())


class AntEnv(TruncatedAntEnv):
    """Ant-v2: the 27 observations of T-Ant, then the contact forces of all 14 bodies clipped to ±1 (84): 111.

    Source: gym 0.17.2 ``ant.py``.
    """

    def _get_obs(self) -> Array:
        return np.concatenate((super()._get_obs(), self._clipped_contact_forces()))


class TruncatedHumanoidEnv(_ContactEnv):
    """T-Humanoid: 45 observations (positions without x and y, 22; velocities, 23), 17 actions in ±0.4.

    Humanoid-v2 with a shorter observation. Terminates when the torso is below 1 m or above 2 m. An agent
    whose actions exceed ±0.4 pays only for the clipped controls: v2 charged the controls after the
    simulation, and MuJoCo clipped them in place until 2.2.
    Source: ``HumanoidTruncatedObs-v2`` in ``utils/env.py`` of RajGhugare19/alm, which took it from MBPO.
    """

    robot = "Humanoid"
    xml_file = "humanoid.xml"
    camera = {"trackbodyid": 1, "distance": 4.0, "lookat": np.array((0.0, 0.0, 2.0)), "elevation": -20.0}
    substeps = 5
    forward_weight = 1.25
    alive_bonus = 5.0
    control_weight = 0.1
    contact_weight: ClassVar[float] = 5e-7
    contact_cost_limit: ClassVar[float] = 10.0
    reset_noise = 1e-2

    def _bind(self) -> None:
        super()._bind()
        self._mass: Array = self.model.body_mass
        self._total_mass = float(self._mass.sum())
        self._centres_x: Array = self.data.xipos[:, 0]

    def _position(self) -> float:
        """The x coordinate of the whole body's centre of mass (m)."""
        return float(self._mass.dot(self._centres_x)) / self._total_mass

    def _apply(self, action: Array) -> None:
        np.minimum(np.maximum(action, self._control_low), self._control_high, out=self._ctrl)

    def _contact_cost(self) -> float:
        cost = self.contact_weight * float(self._contact_forces.dot(self._contact_forces))
        return min(cost, self.contact_cost_limit)


class HumanoidEnv(TruncatedHumanoidEnv):
    """Humanoid-v2: 376 observations, covering every body and actuator.

    The 45 of T-Humanoid, then ``cinert`` (140), ``cvel`` (84), ``qfrc_actuator`` (23) and the unclipped
    contact forces ``cfrc_ext`` (84), in this order. Source: gym 0.17.2 ``humanoid.py``.
    """

    def _bind(self) -> None:
        super()._bind()
        blocks = (self.data.cinert, self.data.cvel, self.data.qfrc_actuator, self.data.cfrc_ext)
        self._observed += tuple(block.reshape(-1) for block in blocks)
