"""C-RNN-GAN's generator with categorical outputs: what its training and its sampling need."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import keras
from keras import ops

from crnn_gan.adversarial.critic_and_generator import CriticAndGenerator, part_of
from crnn_gan.autoregressive.cell_generator import CellGenerator
from crnn_gan.autoregressive.piece_prior import DRAWN
from crnn_gan.autoregressive.sampling import TEMPERATURE
from crnn_gan.layers.loops import run, scan, stacked
from crnn_gan.music_model import Control, Noise
from crnn_gan.training.phases import JointPhase, Phase
from pipelines.settings import Settings, flag
from pipelines.spec import Spec

FIELDS = ("time", "tones", "pitch", "length", "velocity")
# A little below 1: fewer stray tones, and pieces no less varied (docs/figures.md).
COOLER = dataclasses.replace(TEMPERATURE, default=0.95)
OF_FIELD = Control(1.0, 0.0, 10.0, "factor on the temperature of {} alone")
# Pitches cooler still: pieces repeat more, as real music does, and stray less from their key.
DEFAULT_FACTORS = {"pitch": 0.9}
WORDS = {
    "time": "the times between cells", "tones": "the numbers of tones of a cell",
    "pitch": "pitches", "length": "lengths", "velocity": "velocities",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class CategoricalSettings(Settings):
    """Settings of categorical outputs alone."""

    generator_gradient: Literal["policy", "straight_through"] = flag(
        "policy",
        "gradient of the adversarial loss through sampled cells; policy: REINFORCE, whose baseline "
        "is the mean reward of the batch's other windows; straight_through: that of the "
        "probabilities in place of the samples",
    )
    likelihood_weight: float = flag(
        1.0, "weight of the negative log-likelihood in the adversarial stage", at_least=0
    )
    adversarial_weight: float = flag(
        0.1, "weight of the adversarial loss in the adversarial stage", at_least=0
    )


class CategoricalGenerator(keras.layers.Layer):
    """A `CellGenerator` as a generator of C-RNN-GAN.

    Args:
      config: of the model: see `CategoricalSettings`; hidden_size_g, num_layers_g, keep_prob.
      spec: of the kind "cells".
      seed: random numbers of the losses come from it.

    Attributes:
      critic_size: numbers per step that the critic sees: a cell, one-hot.
    """

    def __init__(self, config: Any, spec: Spec, seed: keras.random.SeedGenerator, **kwargs: Any):
        super().__init__(**kwargs, autocast=False)
        self.config = config
        # Not the generator itself, which Keras would then count twice.
        self.draw = functools.partial(keras.random.uniform, dtype="float32", seed=seed)
        self.network = CellGenerator(
            spec,
            config.hidden_size_g,
            config.num_layers_g,
            1 - config.keep_prob,
            seed,
            name="generator",
        )
        self.network.build()
        self.fields = self.network.fields
        self.critic_size = self.fields.critic_size
        self.built = True

    @property
    def networks(self) -> list[keras.layers.Layer]:
        """What training moves."""
        return [self.network]

    @property
    def bytes_per_row_and_step(self) -> int:
        """See `MusicModel`: cells are written one by one."""
        return 0

    # --- Losses ---

    def pretraining_loss(self, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Gives the negative log-likelihood under teacher forcing, nats per cell, and its parts."""
        nats, parts = self.network.negative_log_likelihood(
            batch["music"], batch.get("transposition"), training=True
        )
        return ops.mean(nats), {name: ops.mean(part) for name, part in parts.items()}

    def produce(self, batch: Mapping[str, Any]) -> Any:
        """Samples as much music as the batch has, one-hot: float32 [batch, time, critic_size]."""
        return self.fields.windows(self.sample_like(batch["music"]))

    def real(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """Gives the real music of the batch, one-hot, and which steps count: all."""
        music = self.fields.windows(batch["music"])
        return music, ops.ones(ops.shape(music)[:2], "bool")

    def sample_like(self, music: Any) -> Any:
        """Samples music of the shape of `music`, as trained: int32 [batch, time, fields]."""
        rows = ops.shape(music)[0]
        noise = {
            name: self.draw(each.shape)
            for name, each in self.noise_spec(rows, music.shape[1]).items()
        }
        controls = {name: ops.ones((rows,)) for name in self.controls_for(self.config)}
        state = self.begin(noise, controls)
        return ops.stop_gradient(self.extend(state, noise, controls)[1])

    def phases(self, both: CriticAndGenerator) -> Sequence[Phase | JointPhase]:
        """Gives the phases of the adversarial stage: the critic's, then the generator's."""
        generator = dataclasses.replace(
            both.generator_phase(),
            loss=functools.partial(self.adversarial_loss, both),
            reports=("adversarial", "likelihood"),
        )
        return [*map(both.critic_phase, range(both.critic_updates)), generator]

    def adversarial_loss(
        self, both: CriticAndGenerator, batch: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """Gives the weighted sum of the adversarial loss and the negative log-likelihood, and both.

        Args:
          both: this generator and its critic.
          batch: of data; the last part of it is learned from, see `CriticAndGenerator.phases`.
        """
        batch = part_of(batch, both.critic_updates - 1, both.critic_updates)
        likelihood, _ = self.pretraining_loss(batch)
        if self.config.generator_gradient == "policy":
            adversarial, reports = self.policy_loss(batch, functools.partial(both.reward, batch))
        else:
            sampled = dataclasses.replace(both, produce=self.straight_through)
            adversarial, reports = sampled.generator_loss(batch)
        loss = self.config.likelihood_weight * likelihood
        loss = loss + self.config.adversarial_weight * adversarial
        return loss, {**reports, "likelihood": likelihood}

    def policy_loss(
        self, batch: Mapping[str, Any], reward_of: Callable[[Any], tuple[Any, Mapping[str, Any]]]
    ) -> tuple[Any, Mapping[str, Any]]:
        """Gives a loss whose gradient is that of minus the expected reward, and reports.

        REINFORCE (Williams 1992): the log-probability of each sampled window times its advantage,
        its reward minus the mean of the others' (Kool et al. 2019), in standard deviations of
        the batch's rewards, per cell.

        Args:
          batch: as for `produce`.
          reward_of: music, one-hot, -> (float32 [batch], reports).
        """
        music = self.sample_like(batch["music"])
        reward, reports = reward_of(self.fields.windows(music))
        reward = ops.stop_gradient(reward)
        count = ops.cast(ops.shape(reward)[0], "float32")
        mean = ops.mean(reward)
        advantage = (reward - mean) * count / ops.maximum(count - 1, 1.0)
        deviation = ops.sqrt(ops.mean(ops.square(reward - mean)) + 1e-6)
        nats, _ = self.network.negative_log_likelihood(music)
        return ops.mean(advantage / deviation * ops.mean(nats, axis=1)), reports

    def straight_through(self, batch: Mapping[str, Any]) -> Any:
        """Samples as `produce` does; the gradient is that of the probabilities (Bengio et al. 2013,
        arXiv 1308.3432), within each cell, not from a cell to those before it."""
        return self.network.straight_through(self.sample_like(batch["music"]))

    # --- Likelihood ---

    def negative_log_likelihood(self, batch: Mapping[str, Any]) -> Any:
        """See `MusicModel.negative_log_likelihood`: step by step, in the memory of one."""
        music = ops.cast(batch["music"], "int32")
        state, of_piece = self.network.begin_of(music, batch.get("valid_steps"))
        cells = ops.transpose(ops.cast(music, "float32"), (1, 0, 2))

        def step(state: Any, elements: Any) -> tuple[Any, tuple[Any, ...]]:
            state, nats = self.network.step_negative_log_likelihood(
                state, ops.cast(elements[0], "int32")
            )
            return state, (nats[:, None],)

        (nats,) = scan(step, state, [cells], [1])
        nats = ops.transpose(stacked(nats)[..., 0])
        return ops.concatenate([nats[:, :1] + of_piece[:, None], nats[:, 1:]], axis=1)

    # --- Generation ---

    @classmethod
    def controls_for(cls, config: Any) -> Mapping[str, Control]:
        """The temperature, and a factor on it for each kind of decision."""
        factors = {
            f"{name}_temperature": dataclasses.replace(
                OF_FIELD,
                default=DEFAULT_FACTORS.get(name, OF_FIELD.default),
                help=OF_FIELD.help.format(WORDS[name]),
            )
            for name in FIELDS
        }
        return {"temperature": COOLER, **factors}

    def noise_spec(self, count: int, length: int) -> dict[str, Noise]:
        """A uniform number for each decision, and for what is drawn once for a piece."""
        return {
            "cells": Noise((count, length, self.fields.decisions), "uniform", per_step=True),
            "piece": Noise((count, len(DRAWN)), "uniform", per_step=False),
        }

    def begin(self, noise: Mapping[str, Any], controls: Mapping[str, Any]) -> tuple[Any, ...]:
        """See `MusicModel.begin`."""
        return self.network.begin(noise["piece"], controls["temperature"])

    def extend(
        self, state: tuple[Any, ...], noise: Mapping[str, Any], controls: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], Any]:
        """See `MusicModel.extend`."""
        temperatures = {
            name: controls["temperature"] * controls[f"{name}_temperature"] for name in FIELDS
        }

        def step(state: Any, elements: Any) -> tuple[Any, tuple[Any, ...]]:
            state, cell = self.network.step(state, elements[0], temperatures)
            return state, (ops.cast(cell, "float32"),)

        uniform = ops.transpose(noise["cells"], (1, 0, 2))
        state, (cells,) = run(step, state, [uniform], [len(self.fields.names)])
        return state, ops.cast(ops.transpose(stacked(cells), (1, 0, 2)), "int32")
