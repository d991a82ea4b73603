"""C-RNN-GAN's generator of vectors: each step from noise and the output of the step before."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import keras
from keras import ops

from crnn_gan.adversarial.class_generator import ClassGenerator, beside_each_step
from crnn_gan.adversarial.critic_and_generator import CriticAndGenerator
from crnn_gan.adversarial.curriculum import LengthCurriculum
from crnn_gan.layers.feedback_lstm import FeedbackLSTM
from crnn_gan.music_model import Control, Noise
from crnn_gan.training.phases import JointPhase, Phase
from pipelines.settings import Settings, flag
from pipelines.spec import Spec

DRAW = {"normal": keras.random.normal, "uniform": keras.random.uniform}
TEMPERATURE = Control(1.0, 0.0, 4.0, "spread of the noise around its mean; 1 as trained")
DROPOUT = Control(0.0, 0.0, 0.9, "dropout rate of the generator's layers while sampling")


@dataclasses.dataclass(frozen=True)
class ContinuousSettings(Settings):
    """Settings of continuous outputs alone."""

    random_input_scale: float = flag(0.3, "random numbers per step and feature", above=0)
    piece_noise: int = flag(8, "random numbers of a piece, the same at each step", at_least=0)
    noise: Literal["normal", "uniform"] = flag("normal", "distribution of the random numbers")
    output: Literal["tanh", "linear"] = flag("tanh", "activation of the generator's output")
    disable_feed_previous: bool = flag(False, "generator without its previous output as input")
    generate_meta: bool = flag(False, "generate genre and composer along with the music")
    meta_layer_size: int = flag(200, "hidden units that generate genre and composer", at_least=1)
    dequantize: bool = flag(True, "spread inputs evenly over the codec's grid")


class ContinuousGenerator(keras.layers.Layer):
    """The generator of C-RNN-GAN (Mogren 2016, section 3), and its genre and composer.

    Args:
      config: of the model: see `ContinuousSettings`; hidden_size_g, num_layers_g, keep_prob.
      spec: of the kind "vectors".
      seed: random numbers of the losses come from it.
      curriculum: cuts the windows that are trained on.
      dense_initializer: of the dense layers' kernels.

    Attributes:
      critic_size: numbers per step that the critic sees.
    """

    def __init__(
        self,
        config: Any,
        spec: Spec,
        seed: keras.random.SeedGenerator,
        curriculum: LengthCurriculum,
        dense_initializer: Any,
        **kwargs: Any,
    ):
        super().__init__(**kwargs, autocast=False)
        self.config, self.spec, self.curriculum = config, spec, curriculum
        # Not the generator itself, which Keras would then count twice.
        self.draw = {
            name: functools.partial(function, dtype="float32", seed=seed)
            for name, function in DRAW.items()
        }
        self.noise_size = max(1, int(config.random_input_scale * spec.size))
        classes = spec.classes if config.generate_meta else {}
        meta_size = sum(map(len, classes.values()))
        self.critic_size = spec.size + meta_size
        self.network = FeedbackLSTM(
            spec.size,
            config.hidden_size_g,
            config.num_layers_g,
            activation=config.output,
            output_scale=1.5 if config.output == "tanh" else 1.0,
            feedback=not config.disable_feed_previous,
            dense_initializer=dense_initializer,
            name="generator",
        )
        self.network.build((None, None, self.noise_size + config.piece_noise + meta_size))
        self.meta_generator = None
        if classes:
            units, scale = config.meta_layer_size, config.random_input_scale
            self.meta_generator = ClassGenerator(
                classes, units, scale, dense_initializer, "meta_generator"
            )
        self.built = True

    @property
    def networks(self) -> list[keras.layers.Layer]:
        """What adversarial training moves."""
        return [n for n in (self.network, self.meta_generator) if n is not None]

    @property
    def bytes_per_row_and_step(self) -> int:
        """See `MusicModel`."""
        # Without feedback the gates of all steps are computed at once.
        copies = 8 if self.config.disable_feed_previous else 4
        return copies * 4 * self.config.hidden_size_g

    # --- Losses ---

    def phases(self, both: CriticAndGenerator) -> Sequence[Phase | JointPhase]:
        """Gives the phases of the adversarial stage."""
        return both.phases

    def produce(self, batch: Mapping[str, Any]) -> Any:
        """Generates as much music as the batch has: float32 [batch, time, features + meta]."""
        music, _ = self.curriculum.cut(batch["music"])
        noise = self._draw_noise(music, "meta", "piece", "noise", "first", "dropout")
        meta = self._meta(noise)
        inputs, masks = self._inputs(noise, meta), self._dropout_masks(noise)
        generated = self.network(inputs, noise["first"], dropout_masks=masks)
        return beside_each_step(ops.cast(generated, "float32"), meta)

    def real(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """Gives the real music of the batch, meta beside it, and which steps count."""
        music, mask = self.curriculum.cut(batch["music"])
        return ops.cast(beside_each_step(music, self._true_meta(batch)), "float32"), mask

    def pretraining_loss(self, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Gives the mean squared error of the next step under teacher forcing (section 3.2)."""
        music, mask = self.curriculum.cut(batch["music"])
        noise = self._draw_noise(music, "piece", "noise", "first", "dropout")
        inputs = self._inputs(noise, self._true_meta(batch))
        previous = ops.concatenate([noise["first"][:, None], music[:, :-1]], axis=1)
        masks = self._dropout_masks(noise)
        predicted = self.network.teacher_forced(inputs, previous, dropout_masks=masks)
        error = ops.mean(ops.square(ops.cast(predicted, "float32") - music), axis=-1)
        weight = ops.cast(mask, "float32")
        return ops.sum(error * weight) / ops.sum(weight), {}

    def _meta(self, noise: Mapping[str, Any]) -> Any:
        return None if self.meta_generator is None else self.meta_generator(noise["meta"])

    def _true_meta(self, batch: Mapping[str, Any]) -> Any:
        return None if self.meta_generator is None else self.meta_generator.one_hot(batch)

    def _inputs(self, noise: Mapping[str, Any], meta: Any) -> Any:
        """Joins what the generator gets at each step: [batch, time, inputs]."""
        return beside_each_step(beside_each_step(noise["noise"], noise.get("piece")), meta)

    def _draw_noise(self, music: Any, *names: str) -> dict[str, Any]:
        """Draws noises of `noise_spec` for as many windows and steps as `music` has, in order."""
        spec = self.noise_spec(music.shape[0], ops.shape(music)[1])
        spec = {n: spec[n] for start in names for n in spec if n.split("_")[0] == start}
        return {name: self.draw[noise.distribution](noise.shape) for name, noise in spec.items()}

    def _dropout_masks(self, noise: Mapping[str, Any]) -> list[Any] | None:
        keep, layers = self.config.keep_prob, range(self.config.num_layers_g)
        if keep == 1:
            return None
        return [ops.cast(noise[f"dropout_{n}"] < keep, "float32") / keep for n in layers]

    # --- Generation ---

    @classmethod
    def controls_for(cls, config: Any) -> Mapping[str, Control]:
        """Temperature; and dropout (the original samples with it), where it was trained with."""
        dropout = {} if config.keep_prob == 1 else {"dropout": DROPOUT}
        return {"temperature": TEMPERATURE, **dropout}

    def noise_spec(self, count: int, length: int) -> dict[str, Noise]:
        """Noise per step and per piece, the first "previous output", of dropout, and of meta."""
        config = self.config
        noises = {
            "noise": Noise((count, length, self.noise_size), config.noise, per_step=True),
            "first": Noise((count, self.spec.size), "uniform", per_step=False),
        }
        if config.piece_noise:
            noises["piece"] = Noise((count, config.piece_noise), config.noise, per_step=False)
        for layer in range(0 if config.keep_prob == 1 else config.num_layers_g):
            shape = (count, length, config.hidden_size_g)
            noises[f"dropout_{layer}"] = Noise(shape, "uniform", per_step=True)
        if self.meta_generator is not None:
            noises["meta"] = Noise((count, self.meta_generator.noise_size), "uniform", False)
        return noises

    def begin(self, noise: Mapping[str, Any], controls: Mapping[str, Any]) -> tuple[Any, ...]:
        """See `MusicModel.begin`: (the noise of the piece, meta), the network's state."""
        first = noise["first"]
        states = self.network.initial_states(ops.shape(first)[0])
        vectors = [v for v in (noise.get("piece"), self._meta(noise)) if v is not None]
        return tuple(vectors), (first, *states)

    def extend(
        self, state: tuple[Any, ...], noise: Mapping[str, Any], controls: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], Any]:
        """See `MusicModel.extend`."""
        vectors, network = state
        mean = 0.5 if self.config.noise == "uniform" else 0.0
        inputs = mean + controls["temperature"][:, None, None] * (noise["noise"] - mean)
        for vector in vectors:
            inputs = beside_each_step(inputs, vector)
        masks = None
        if "dropout" in controls:
            rate, layers = controls["dropout"][:, None, None], range(self.config.num_layers_g)
            masks = [ops.cast(noise[f"dropout_{layer}"] >= rate, "float32") for layer in layers]
            masks = [mask / (1 - rate) for mask in masks]
        network, music = self.network.extend(network, inputs, masks)
        return (vectors, network), ops.cast(music, "float32")
