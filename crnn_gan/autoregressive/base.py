"""Models that are trained by likelihood and write one step after another.

The chain rule is all there is to it: p(music) is the product over the steps of
p(step | steps before), so a network that hears the past and an emission that says what comes
next are trained by maximum likelihood, measured by it, and sampled from step by step. A
subclass draws the network twice, over whole sequences and one step at a time; the two must
agree, and a test holds them to it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import keras
from keras import ops

from crnn_gan.autoregressive.conditioning import ConditionConfig, told_by_controls, told_in_training
from crnn_gan.autoregressive.output_distributions import Emission, controls_of
from crnn_gan.layers.loops import fold, scan, scan_compiled, stacked
from crnn_gan.music_model import Control, MusicModel, Noise
from crnn_gan.training.phases import Phase, Stage
from pipelines.codecs.codec import Codec
from pipelines.settings import Settings, flag
from pipelines.spec import Spec

if TYPE_CHECKING:
    from pipelines.batches.conditions import Conditions


@dataclasses.dataclass(frozen=True)
class LikelihoodConfig(Settings):
    """Settings that models trained by maximum likelihood share."""

    window_steps: int = flag(256, "length of a training window, steps of the codec", at_least=2)
    batch_size: int = flag(32, "windows per batch", at_least=1)
    max_epoch: int = flag(20, "epochs of training", at_least=1)
    dropout: float = flag(0.0, "dropout rate between layers", at_least=0, below=1)
    learning_rate: float = flag(1e-3, "peak learning rate of Adam", above=0)
    lr_schedule: Literal["decay", "cosine"] = flag(
        "decay",
        "learning rate schedule; decay: constant, then times lr_decay per epoch after "
        "epochs_before_decay; cosine: to 0 at max_epoch, so that training on with a larger "
        "max_epoch begins by raising the rate again",
    )
    lr_decay: float = flag(
        1.0, "of decay: factor per epoch on the learning rate, after epochs_before_decay", above=0
    )
    epochs_before_decay: int = flag(
        10, "of decay: epochs at the peak learning rate before it decays", at_least=0
    )
    warmup_epochs: int = flag(
        0, "first epochs, over which the learning rate rises linearly to its peak", at_least=0
    )
    max_grad_norm: float = flag(
        3.0, "gradient clipping: largest global norm of the gradient", above=0
    )
    average: float = flag(
        0.0,
        "decay per batch of an exponential moving average of the weights, which then generates and "
        "is evaluated in their place; 0 for none",
        at_least=0,
        below=1,
    )

    def learning_rate_of(self, epoch: int) -> float:
        """Gives the learning rate of an epoch, counted from 0.

        Of the cosine schedule it is the rate at the middle of the epoch.
        """
        rising = min(1.0, (epoch + 1) / (self.warmup_epochs + 1))
        if self.lr_schedule == "cosine":
            falling = 0.5 + 0.5 * math.cos(math.pi * (epoch + 0.5) / self.max_epoch)
        else:
            falling = self.lr_decay ** max(epoch - self.epochs_before_decay, 0)
        return self.learning_rate * rising * falling


class Autoregressive(MusicModel):
    """Base of models that write one step after another.

    A subclass sets `emission` and `networks` (the layers that training moves, the emission
    among them) in `__init__`, and gives `hidden`, `initial_state` and `advance`.
    """

    pads_windows: ClassVar[bool] = True
    measures_likelihood: ClassVar[bool] = True
    continues: ClassVar[bool] = True

    emission: Emission
    networks: Sequence[keras.layers.Layer]

    def __init__(self, config: Any, spec: Spec, seed: int = 0, name: str | None = None):
        super().__init__(config, spec, seed, name)
        self.clip_norm = config.max_grad_norm

    @property
    def compiles_generation(self) -> bool:
        """Whether XLA compiles the loop of `generate`."""
        return False

    # What a subclass gives.

    def hidden(self, past: Any, told: Any, training: bool) -> Any:
        """Gives what the emission of each step knows: [batch, time, units].

        Args:
          past: as `emission.past` gives it; step t may hear past[:, : t + 1].
          told: float32 [batch, time, n], the conditions of each step; None where there are none.
          training: whether units are dropped.
        """
        raise TypeError(f"{type(self).__name__} does not say what it hears")

    def initial_state(self, batch: Any) -> tuple[Any, ...]:
        """Gives the network's state before the first step; `batch` may be a tensor."""
        raise TypeError(f"{type(self).__name__} does not say its state")

    def advance(self, state: tuple[Any, ...], heard: Any, told: Any) -> tuple[tuple[Any, ...], Any]:
        """Gives (state, hidden [batch, units]) of the next step, as `hidden` would.

        Args:
          state: as `initial_state` or the step before gave it.
          heard: the step before, as `emission.heard` or `emission.silence` gives it.
          told: float32 [batch, n], its conditions; None where there are none.
        """
        raise TypeError(f"{type(self).__name__} does not say how it goes on")

    # How it trains.

    @property
    def stages(self) -> Sequence[Stage]:
        """One stage of one phase: maximum likelihood."""
        phase = Phase("likelihood", self.networks, self.mean_nats)
        return [Stage("likelihood", self.config.max_epoch, [phase])]

    @property
    def averaged(self) -> Sequence[keras.layers.Layer]:
        """See `MusicModel.averaged`."""
        return self.networks if self.config.average else ()

    def optimizer_for(self, phase: str) -> keras.optimizers.Optimizer:
        """Gives Adam."""
        return keras.optimizers.Adam(self.config.learning_rate, name=f"{phase}_adam")

    def begin_epoch(self, epoch: int) -> None:
        """Sets the learning rate of an epoch, from 0."""
        for optimizer in self.optimizer.by_phase.values():
            optimizer.learning_rate = self.config.learning_rate_of(epoch)

    def mean_nats(self, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Gives the mean nats of a step, over those that count in padded windows.

        The first step of a window that does not begin its piece is heard, not counted: nobody
        could know it.
        """
        music = ops.cast(batch["music"], "int32")
        told = None
        if self.is_told:
            shape = (ops.shape(music)[0], len(self.config.conditions))
            drawn = keras.random.uniform(shape, dtype="float32", seed=self.seed)
            told = told_in_training(self.config, batch, drawn)
        hidden = self.hidden(self.emission.past(music), told, training=True)
        nats = self.emission.nats(hidden, music, training=True)
        counts = counted(batch["known"], ops.shape(music)[1], skips=batch["place"] > 0)
        return ops.sum(nats * counts) / ops.maximum(ops.sum(counts), 1.0), {}

    def nats(self, batch: Mapping[str, Any]) -> Any:
        """See `MusicModel.nats`. Conditions that are not in the batch are hidden."""

        def nats_of(hidden: Any, drawing: Any, music: Any) -> Any:
            return self.emission.next_nats(hidden, drawing, music)[:, None]

        return self.along(batch, nats_of, 1)[..., 0]

    def along(self, batch: Mapping[str, Any], of: Callable[[Any, Any, Any], Any], size: int) -> Any:
        """Gives of(hidden, the emission's state, music) of each step, given all before it.

        Step by step, in the memory of one step: float32 [batch, time, size].

        Args:
          batch: see `MusicModel.nats`.
          of: what is known before a step, and the step -> float32 [batch, size].
          size: numbers a step.
        """
        music = ops.cast(batch["music"], "int32")
        past, count = self.emission.past(music), ops.shape(music)[0]
        elements = [_time_first(past), _time_first(music)]
        if self.is_told:
            elements.append(_time_first(told_in_training(self.config, batch)))

        def step(state: Any, elements: Any) -> tuple[Any, tuple[Any, ...]]:
            network, drawing = state
            past, music, *told = elements
            network, hidden = self.advance(network, past, told[0] if told else None)
            found = of(hidden, drawing, music)
            return (network, self.emission.after(drawing, music)), (found,)

        state = (self.initial_state(count), self.emission.start(count))
        (found,) = scan(step, state, elements, [size])
        return ops.transpose(stacked(found), (1, 0, 2))

    # How it writes.

    @classmethod
    def controls_for(cls, config: Any, spec: Spec) -> Mapping[str, Control]:
        """What limits a draw, see `emissions.controls_of`, and what a model can be told."""
        told = config.condition_controls if isinstance(config, ConditionConfig) else {}
        return {**controls_of(spec), **told}

    @property
    def is_told(self) -> bool:
        """Whether steps have conditions."""
        return isinstance(self.config, ConditionConfig) and bool(self.config.conditions)

    def conditions_of(self, codec: Codec) -> Conditions | None:
        """See `MusicModel.conditions_of`."""
        return self.config.windows_of(codec) if self.is_told else None

    def told_by(self, controls: Mapping[str, Any]) -> Any:
        """Gives what controls tell every step: float32 [batch, n]; None where there is nothing."""
        return told_by_controls(self.config, controls) if self.is_told else None

    def noise_spec(self, count: int, length: int) -> dict[str, Noise]:
        """One uniform number a draw."""
        shape = (count, length, self.emission.noise_size)
        return {"draw": Noise(shape, "uniform", per_step=True)}

    def opening(self, count: Any, noise: Mapping[str, Any], controls: Mapping[str, Any]) -> Any:
        """Gives the network's state before the first step of `generate`, by noise and controls."""
        return self.initial_state(count)

    def start(
        self, count: Any, primer: Any = None, network: Any = None, **controls: Any
    ) -> tuple[Any, ...]:
        """Gives the state of `count` pieces, which `step` writes one step after another.

        Args:
          count: pieces; an int or a scalar tensor.
          primer: [steps, ...] as `spec` says, which each piece goes on from; or None.
          network: its state before the first step; by default `initial_state`.
          controls: as for `step`; with a primer, the conditions among them tell of it too.
        """
        network = self.initial_state(count) if network is None else network
        state = (network, self.emission.start(count))
        heard = self.emission.silence(count)
        if primer is None:
            return (*state, heard)

        told = self.told_by(controls)

        def listen(state: Any, elements: Any) -> tuple[Any, tuple[Any, ...]]:
            network, drawing, heard = state
            (music,) = elements
            network, _ = self.advance(network, heard, told)
            heard = self.emission.heard(music)
            return (network, self.emission.after(drawing, music), heard), ()

        rows = ops.broadcast_to(primer[:, None], (ops.shape(primer)[0], count, *primer.shape[1:]))
        return fold(listen, (*state, heard), [rows])

    def step(
        self, state: tuple[Any, ...], noise: Mapping[str, Any], left: Any, **controls: Any
    ) -> tuple[tuple[Any, ...], Any]:
        """Gives (state, the next step of each piece [batch, ...] as `spec` says, int32).

        Args:
          state: as `start` or the step before gave it.
          noise: as `noise_spec` of one step says, without the axis of time.
          left: int32 [batch], steps to come, this one included; `grammar.NEVER` for no end.
          controls: each [batch].
        """
        network, drawing, heard = state
        network, hidden = self.advance(network, heard, self.told_by(controls))
        hidden = ops.cast(hidden, "float32")
        music = self.emission.draw(hidden, drawing, noise["draw"], left, controls)
        state = (network, self.emission.after(drawing, music), self.emission.heard(music))
        return state, music

    def generate(
        self, noise: Mapping[str, Any], length: Any = None, primer: Any = None, **controls: Any
    ) -> Any:
        """Gives int32 [batch, length, ...]; see `MusicModel.generate` and `controls`."""
        draws = _time_first(noise["draw"])
        time, count = ops.shape(draws)[0], ops.shape(draws)[1]
        if length is None:
            length = ops.full((count,), time, "int32")

        def step(state: Any, elements: Any) -> tuple[Any, tuple[Any, ...]]:
            left, *state = state
            state, music = self.step(tuple(state), {"draw": elements[0]}, left, **controls)
            flat = ops.cast(ops.reshape(music, (ops.shape(music)[0], size)), "float32")
            return (left - 1, *state), (flat,)

        shape = tuple(int(axis or 0) for axis in self.spec.shape[1:])
        size = math.prod(shape)
        network = self.opening(count, noise, controls)
        state = (ops.cast(length, "int32"), *self.start(count, primer, network, **controls))
        loop = scan_compiled if self.compiles_generation else scan
        (music,) = loop(step, state, [draws], [size])
        music = ops.cast(ops.transpose(stacked(music), (1, 0, 2)), "int32")
        return ops.reshape(music, (count, time, *shape))


def counted(known: Any, time: Any, skips: Any) -> Any:
    """Gives float32 [batch, time]: 1 for the first `known` steps, 0 after, and where the first is
    skipped.

    Args:
      known: int32 [batch].
      time: steps in all.
      skips: bool [batch], whether the first step does not count.
    """
    step = ops.arange(time, dtype="int32")[None, :]
    is_counted = (step < known[:, None]) & ((step > 0) | ~skips[:, None])
    return ops.cast(is_counted, "float32")


def _time_first(x: Any) -> Any:
    """Gives [batch, time, ...] as [time, batch, ...]."""
    return ops.transpose(x, (1, 0, *range(2, len(x.shape))))
