"""Base class of autoregressive models: trained by maximum likelihood, sampled step by step.

By the chain rule p(music) is the product over its steps of p(step | all steps before). A network
turns the steps before into a hidden state, and an output distribution (`output_distributions.py`)
turns that into p(step | steps before): step 3 has steps 0 to 2 as input. A subclass writes its
network twice, over whole sequences for training and one step at a time for generation; the two
must agree, and tests/test_every_model.py holds them to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import keras
from keras import ops

from crnn_gan.autoregressive.conditioning import (
    ConditionConfig,
    encode_batch_conditions,
    encode_control_conditions,
)
from crnn_gan.autoregressive.likelihood_training import step_weights
from crnn_gan.autoregressive.output_distributions import OutputDistribution, sampling_controls
from crnn_gan.layers.loops import fold, run, run_compiled, scan, stacked
from crnn_gan.music_model import Control, MusicModel, Noise
from crnn_gan.training.phases import Phase, Stage
from pipelines.codecs.codec import Codec
from pipelines.spec import Spec

if TYPE_CHECKING:
    from pipelines.batches.conditions import Conditions


class Autoregressive(MusicModel):
    """Base class of autoregressive models.

    A subclass sets, in `__init__`, `output_distribution` and `networks` (the layers that training
    moves, the output distribution among them), and gives `hidden`, `initial_state` and `advance`.
    """

    pads_windows: ClassVar[bool] = True
    continues: ClassVar[bool] = True
    steps_together: int = 256  # As many as XLA compiles together: see `loops.run_compiled`.
    bytes_per_row: int = 2**15

    output_distribution: OutputDistribution
    networks: Sequence[keras.layers.Layer]

    def __init__(self, config: Any, spec: Spec, seed: int = 0, name: str | None = None):
        super().__init__(config, spec, seed, name)
        self.clip_norm = config.max_grad_norm

    @property
    def compiles_generation(self) -> bool:
        """Whether XLA compiles the loop of `generate`."""
        return False

    # ---------------------------------------------------------------------------------------------
    # What a subclass gives.

    def hidden(self, inputs: Any, conditions: Any, training: bool) -> Any:
        """Gives the hidden state of each step, from which its distribution follows.

        Args:
          inputs: [batch, time, ...] of `output_distribution.shifted`. The hidden state of step t
            may depend on inputs[:, : t + 1]: that of step 3 on steps 0 to 2 of the music.
          conditions: float32 [batch, time, condition_channels] of each step; None without any.
          training: whether dropout is on.

        Returns:
          [batch, time, units].
        """
        raise TypeError(f"{type(self).__name__} does not compute hidden states")

    def initial_state(self, batch: Any) -> tuple[Any, ...]:
        """Gives the network's state before the first step.

        Args:
          batch: rows; an int or a scalar tensor.
        """
        raise TypeError(f"{type(self).__name__} has no initial state")

    def advance(
        self, state: tuple[Any, ...], inputs: Any, conditions: Any
    ) -> tuple[tuple[Any, ...], Any]:
        """Gives (state, hidden state [batch, units]) of the next step, as `hidden` would.

        Args:
          state: as `initial_state` or the step before gave it.
          inputs: [batch, ...], the step before, of `output_distribution.inputs`; at the first step
            `output_distribution.start_input`.
          conditions: float32 [batch, condition_channels] of the next step; None without any.
        """
        raise TypeError(f"{type(self).__name__} cannot be run step by step")

    # ---------------------------------------------------------------------------------------------
    # Training.

    @property
    def stages(self) -> Sequence[Stage]:
        """One stage of one phase: maximum likelihood."""
        phase = Phase("likelihood", self.networks, self.mean_negative_log_likelihood)
        return [Stage("likelihood", self.config.max_epoch, [phase])]

    @property
    def averaged(self) -> Sequence[keras.layers.Layer]:
        """See `MusicModel.averaged`."""
        return self.networks if self.config.average else ()

    def optimizer_for(self, phase: str) -> keras.optimizers.Optimizer:
        """Gives Adam."""
        return keras.optimizers.Adam(self.config.learning_rate, name=f"{phase}_adam")

    def begin_epoch(self, epoch: int) -> None:
        """Sets the learning rate of an epoch, counted from 0."""
        for optimizer in self.optimizer.by_phase.values():
            optimizer.learning_rate = self.config.learning_rate_of(epoch)

    # ---------------------------------------------------------------------------------------------
    # Likelihood.

    def mean_negative_log_likelihood(self, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Gives (the training loss, {}): nats per step, the mean over the steps that count.

        See `step_weights` for those; teacher forcing: every step has the true steps before it as
        input. Each condition is hidden from a row with probability `condition_dropout`.
        """
        music = ops.cast(batch["music"], "int32")
        conditions = None
        if self.is_conditional:
            shape = (ops.shape(music)[0], len(self.config.conditions))
            uniform = keras.random.uniform(shape, dtype="float32", seed=self.seed)
            conditions = encode_batch_conditions(self.config, batch, uniform)
        distribution = self.output_distribution
        hidden = self.hidden(distribution.shifted(music), conditions, training=True)
        nats = distribution.negative_log_likelihood(hidden, music, training=True)
        skips_first = batch["start_step"] > 0
        weights = step_weights(batch["valid_steps"], ops.shape(music)[1], skips_first)
        return ops.sum(nats * weights) / ops.maximum(ops.sum(weights), 1.0), {}

    @classmethod
    def measures_likelihood_of(cls, spec: Spec) -> bool:
        """See `MusicModel.measures_likelihood_of`."""
        return True

    def negative_log_likelihood(self, batch: Mapping[str, Any]) -> Any:
        """See `MusicModel.negative_log_likelihood`. Conditions not in the batch are hidden."""

        def nats_of(hidden: Any, distribution_state: Any, music: Any) -> Any:
            distribution = self.output_distribution
            return distribution.step_negative_log_likelihood(hidden, distribution_state, music)[
                :, None
            ]

        return self.map_steps(batch, nats_of, 1)[..., 0]

    def map_steps(
        self, batch: Mapping[str, Any], function: Callable[[Any, Any, Any], Any], size: int
    ) -> Any:
        """Applies a function to the hidden state of each step, given the true steps before it.

        Runs the network step by step, without dropout, in the memory of one step.

        Args:
          batch: see `MusicModel.negative_log_likelihood`.
          function: from (hidden state [batch, units], state of the output distribution, this
            step's music [batch, ...]) to float32 [batch, size].
          size: numbers per step.

        Returns:
          float32 [batch, time, size].
        """
        distribution, music = self.output_distribution, ops.cast(batch["music"], "int32")
        inputs, count = distribution.shifted(music), ops.shape(music)[0]
        elements = [_time_first(inputs), _time_first(music)]
        if self.is_conditional:
            elements.append(_time_first(encode_batch_conditions(self.config, batch)))

        def step(state: Any, elements: Any) -> tuple[Any, tuple[Any, ...]]:
            network, distribution_state = state
            inputs, music, *conditions = elements
            network, hidden = self.advance(network, inputs, conditions[0] if conditions else None)
            found = function(hidden, distribution_state, music)
            return (network, distribution.next_state(distribution_state, music)), (found,)

        state = (self.initial_state(count), distribution.initial_state(count))
        (found,) = scan(step, state, elements, [size])
        return ops.transpose(stacked(found), (1, 0, 2))

    # ---------------------------------------------------------------------------------------------
    # Conditions.

    @property
    def is_conditional(self) -> bool:
        """Whether steps have conditions."""
        return isinstance(self.config, ConditionConfig) and bool(self.config.conditions)

    def conditions_of(self, codec: Codec) -> Conditions | None:
        """See `MusicModel.conditions_of`."""
        return self.config.conditions_of(codec) if self.is_conditional else None

    def _control_conditions(self, controls: Mapping[str, Any]) -> Any:
        """Gives the conditions of every step that controls ask for: float32 [batch,
        condition_channels]; None where the model is not conditional."""
        return encode_control_conditions(self.config, controls) if self.is_conditional else None

    # ---------------------------------------------------------------------------------------------
    # Generation.

    @classmethod
    def controls_for(cls, config: Any, spec: Spec) -> Mapping[str, Control]:
        """Gives the controls of sampling, see `sampling_controls`, and of the conditions."""
        conditions = config.condition_controls if isinstance(config, ConditionConfig) else {}
        return {**sampling_controls(spec), **conditions}

    def noise_spec(self, count: int, length: int) -> dict[str, Noise]:
        """One uniform number per token, or per cell of a frame."""
        shape = (count, length, self.output_distribution.noise_size)
        return {"draw": Noise(shape, "uniform", per_step=True)}

    def initial_network_state(
        self, count: Any, noise: Mapping[str, Any], controls: Mapping[str, Any]
    ) -> Any:
        """Gives the network's state at the start of `generate`, by default `initial_state`."""
        return self.initial_state(count)

    def start(
        self, count: Any, primer: Any = None, network: Any = None, **controls: Any
    ) -> tuple[Any, ...]:
        """Gives the state of `count` pieces, for `step` to generate them step by step.

        Args:
          count: pieces; an int or a scalar tensor.
          primer: [steps, ...] as `spec` says, the beginning that each piece continues; or None.
          network: the network's state before the first step; by default `initial_state`.
          controls: as for `step`. With a primer, the conditions among them hold for it too.
        """
        distribution = self.output_distribution
        network = self.initial_state(count) if network is None else network
        state = (network, distribution.initial_state(count))
        inputs = distribution.start_input(count)
        if primer is None:
            return (*state, inputs)

        conditions = self._control_conditions(controls)

        def read(state: Any, elements: Any) -> tuple[Any, tuple[Any, ...]]:
            network, distribution_state, inputs = state
            music = ops.broadcast_to(elements[0], (count, *primer.shape[1:]))
            network, _ = self.advance(network, inputs, conditions)
            inputs = distribution.inputs(music)
            return (network, distribution.next_state(distribution_state, music), inputs), ()

        return fold(read, (*state, inputs), [primer[:, None]])

    def step(
        self, state: tuple[Any, ...], noise: Mapping[str, Any], steps_left: Any, **controls: Any
    ) -> tuple[tuple[Any, ...], Any]:
        """Samples one step; gives (state, the step of each piece [batch, ...], int32).

        Args:
          state: as `start` or the step before gave it.
          noise: as `noise_spec` of one step says, without the time axis.
          steps_left: int32 [batch], steps to come, this one included; `grammar.NEVER` for no end.
          controls: each [batch].
        """
        distribution = self.output_distribution
        network, distribution_state, inputs = state
        network, hidden = self.advance(network, inputs, self._control_conditions(controls))
        hidden = ops.cast(hidden, "float32")
        music = distribution.sample(hidden, distribution_state, noise["draw"], steps_left, controls)
        distribution_state = distribution.next_state(distribution_state, music)
        return (network, distribution_state, distribution.inputs(music)), music

    def begin(
        self, length: Any, noise: Mapping[str, Any], primer: Any = None, **controls: Any
    ) -> tuple[Any, ...]:
        """See `MusicModel.begin`: (steps to come of each piece, and the state of `start`)."""
        count = ops.shape(length)[0]
        network = self.initial_network_state(count, noise, controls)
        return ops.cast(length, "int32"), *self.start(count, primer, network, **controls)

    def extend(
        self, state: tuple[Any, ...], noise: Mapping[str, Any], **controls: Any
    ) -> tuple[tuple[Any, ...], Any]:
        """See `MusicModel.extend`."""

        def step(state: Any, elements: Any) -> tuple[Any, tuple[Any, ...]]:
            steps_left, *state = state
            state, music = self.step(tuple(state), {"draw": elements[0]}, steps_left, **controls)
            flat = ops.cast(ops.reshape(music, (ops.shape(music)[0], size)), "float32")
            return (steps_left - 1, *state), (flat,)

        draws = _time_first(noise["draw"])
        time, count = ops.shape(draws)[0], ops.shape(draws)[1]
        shape = tuple(int(axis or 0) for axis in self.spec.shape[1:])
        size = math.prod(shape)
        loop = run_compiled if self.compiles_generation else run
        state, (music,) = loop(step, state, [draws], [size])
        music = ops.cast(ops.transpose(stacked(music), (1, 0, 2)), "int32")
        return tuple(state), ops.reshape(music, (count, time, *shape))

    def generate(
        self, noise: Mapping[str, Any], length: Any = None, primer: Any = None, **controls: Any
    ) -> Any:
        """Gives int32 [batch, length, ...]; see `MusicModel.generate` and `controls`."""
        if length is None:
            count, time = ops.shape(noise["draw"])[:2]
            length = ops.full((count,), time, "int32")
        state = self.begin(length, noise, primer, **controls)
        return self.extend(state, noise, **controls)[1]


def _time_first(x: Any) -> Any:
    """Gives [batch, time, ...] as [time, batch, ...]."""
    return ops.transpose(x, (1, 0, *range(2, len(x.shape))))
