"""mlp_gan: dense layers that generate a whole window of a piano roll from one latent vector.

The Bach GAN of the source documents (after Goodfellow et al. 2014, arXiv 1406.2661): a generator
of dense layers, each wider than the one before, with batch normalisation and a tanh; a
discriminator of two dense layers. A longer piece is several windows, each of its own latent vector.

In: the non-saturating loss with R1 and decaying learning rates; off by default the stabilisers of
`crnn_gan/adversarial/`, spectral normalisation and dropout in the discriminator; generation with
averaged weights, by sampling cells or by a threshold; pieces interpolated between two seeds.

Added, because cells of piano rolls are nearly all off, and never half on:
  fake_cells  The discriminator sees generated cells on or off, by the sign of their tanh or sampled
              by their probabilities, with the gradients of the tanh (straight-through estimator:
              Bengio et al. 2013, arXiv 1308.3432; in a GAN of music: Dong and Yang 2018, arXiv
              1804.09399).
  centred     The mean of each cell over real windows is measured first. The generator begins with
              it, and it is subtracted from the discriminator's input: thousands of cells that
              are off would else move each of its units alike, with every step.
  onsets_from_frames  A frame that begins without an onset gets one, an onset without a frame gets
              that. The codec drops notes without an onset: a discriminator of cells as they are
              would score notes that are not in the piece.

Other than there:
  range       Its piano rolls were 0 and 1, its generator's tanh -1 to 1, which told the two apart
              at once. `--real_range=unit` does that; the default is tanh.
  windows     It took the first 250 sixteenths of each piece; training here takes windows from all
              over the pieces, and pieces shorter than one are left out, as there.
  epsilon     It gave 0.8 as the epsilon of batch normalisation, where the momentum was meant.
  balancer    It had no limit; here `balance_most` is one.
`--preset=original` has its settings, these included as far as they are settings.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import keras
import numpy as np
from keras import ops

from crnn_gan.adversarial.config import AdversarialConfig, CrossEntropySettings, changed_default
from crnn_gan.adversarial.critic_and_generator import CriticAndGenerator, Scores
from crnn_gan.adversarial.minibatch_discrimination import MinibatchDiscrimination
from crnn_gan.adversarial.spectral_norm import SpectralDense
from crnn_gan.adversarial.stabilisers import InstanceNoise, make_replay_buffer
from crnn_gan.autoregressive.sampling import COLDEST, TEMPERATURE
from crnn_gan.layers.frames import Frames
from crnn_gan.layers.onsets_and_frames import WindowSampler
from crnn_gan.music_model import Control, MusicModel, Noise
from crnn_gan.training.phases import Stage
from pipelines.settings import UsageError, flag
from pipelines.spec import Kind, Spec

STEPS = 256  # That an exported model writes at once, or more: whole windows.
NEAREST_TO_LIMIT = 0.0005  # Of a cell's mean to the ends of its range, so that arctanh is finite.


@dataclasses.dataclass(frozen=True)
class Config(AdversarialConfig, CrossEntropySettings):
    """Settings of mlp_gan."""

    window_steps: int = flag(
        64,
        "steps of the codec in a window, all of which are generated at once",
        at_least=1,
        at_most=1_000_000,
    )
    batch_size: int = flag(
        32, "windows per batch; batch normalisation compares those of a batch", at_least=2
    )
    latent_size: int = flag(100, "size of the latent vector of a window", at_least=1)
    generator_units: tuple[int, ...] = flag(
        (128, 256, 512, 1024),
        "comma-separated units of the generator's dense layers",
        at_least=1,
        at_most=65_536,
    )
    discriminator_units: tuple[int, ...] = flag(
        (512, 256),
        "comma-separated units of the discriminator's dense layers",
        at_least=1,
        at_most=65_536,
    )
    norm_momentum: float = flag(
        0.8, "momentum of batch normalisation's moving averages", at_least=0, below=1
    )
    norm_epsilon: float = flag(
        1e-3, "epsilon of batch normalisation, which is added to the variance", above=0
    )
    leak: float = flag(0.2, "slope of the leaky ReLUs below 0")
    discriminator_dropout: float = flag(
        0.0, "dropout rate of the discriminator's layers", at_least=0, below=1
    )
    spectral_norm: bool = flag(False, "spectral normalisation of the discriminator's layers")
    fake_cells: Literal["soft", "hard", "drawn"] = flag(
        "drawn",
        "what the discriminator sees of generated cells: soft, their tanh; hard, -1 or 1, "
        "whichever is nearer; drawn, -1 or 1, sampled by probability. Gradients are the tanh's",
    )
    draw_steps: int = flag(
        4,
        "steps of a pitch, in all planes, that are sampled with one random number, so that a note "
        "is on as a whole: 4 sixteenths are a beat",
        at_least=1,
    )
    centred: bool = flag(
        True,
        "measure the mean of each cell over real windows first: the generator begins with it, "
        "and it is subtracted from the discriminator's input",
    )
    onsets_from_frames: bool = flag(
        True,
        "in piano rolls of onsets and frames, generated cells being on or off: a frame that begins "
        "without an onset gets one, and an onset without a frame gets that",
    )
    real_range: Literal["tanh", "unit"] = flag(
        "tanh", "values of real cells: tanh, -1 and 1, as the generator's output; unit, 0 and 1"
    )
    learning_rate: float = changed_default(AdversarialConfig, "learning_rate", 1e-3)
    d_learning_rate: float = changed_default(AdversarialConfig, "d_learning_rate", 4e-4)
    lr_decay: float = changed_default(AdversarialConfig, "lr_decay", 0.86)
    epochs_before_decay: int = changed_default(AdversarialConfig, "epochs_before_decay", 18)
    max_epoch: int = changed_default(AdversarialConfig, "max_epoch", 36)
    max_grad_norm: float = changed_default(AdversarialConfig, "max_grad_norm", 100.0)
    r1: float = changed_default(CrossEntropySettings, "r1", 0.3)
    beta_1: float = flag(0.5, "exponential decay rate of Adam's first moment", at_least=0, below=1)
    beta_2: float = flag(
        0.999, "exponential decay rate of Adam's second moment", at_least=0, below=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fake_cells != "soft" and self.real_range == "unit":
            raise UsageError(
                f"--fake_cells is {self.fake_cells}, whose cells are -1 or 1, and --real_range is "
                "unit, whose are 0 or 1; give --fake_cells=soft or --real_range=tanh"
            )
        for name in ("generator_units", "discriminator_units"):
            if not getattr(self, name):
                raise UsageError(f"--{name} is empty; give the units of one layer or more")


ORIGINAL = dict(
    window_steps=250, batch_size=64, max_epoch=1000, latent_size=100, norm_momentum=0.9,
    norm_epsilon=0.8, fake_cells="soft", real_range="unit", learning_rate=8e-4,
    d_learning_rate=1e-5, beta_2=0.9999, average=0.0, balance_above=0.8, balance_most=20,
    max_grad_norm=1e9, discriminator_dropout=0.0, centred=False, onsets_from_frames=False,
    lr_decay=1.0, r1=0.0,
)  # fmt: skip
TINY = dict(
    window_steps=8, batch_size=4, max_epoch=2, latent_size=4, generator_units=(8, 8),
    discriminator_units=(8,),
)  # fmt: skip


class Model(MusicModel):
    """A generator and a discriminator of piano rolls [batch, time, pitch, plane] of bits.

    ```
    model = Model(Config(window_steps=16), piano_roll.Codec(lowest_pitch=24, pitches=78).spec)
    model.compile()
    model.fit(batches)  # Of {"music": uint8 [batch, 16, 78, 2]}.
    noise = draw_numpy(model.noise_spec(count=8, length=16), seeds=np.arange(8))
    controls = {name: np.full(8, c.default, c.dtype) for name, c in model.controls.items()}
    model.predict_on_batch({"noise": noise, "controls": controls})  # int32 [8, 16, 78, 2]
    ```
    """

    accepts: ClassVar[tuple[Kind, ...]] = ("roll",)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"original": ORIGINAL, "tiny": TINY}
    interpolated: ClassVar[tuple[str, ...]] = ("latent", "draw")

    # --- Layers ---

    def __init__(self, config: Config, spec: Spec, seed: int = 0):
        super().__init__(config, spec, seed, name="mlp_gan")
        self.clip_norm = config.max_grad_norm
        # Four windows or more: see `MusicModel`.
        self.steps_together = config.window_steps * 4 * -(-STEPS // (4 * config.window_steps))
        self.frames = Frames(spec, name="frames")
        self.bytes_per_row_and_step = 12 * 4 * self.frames.noise_size
        self.bytes_per_row = config.window_steps * self.bytes_per_row_and_step
        self.frames.build((None, None, *spec.shape[1:]))
        self.cells = config.window_steps * self.frames.noise_size
        agree = config.onsets_from_frames and config.fake_cells != "soft"
        self.sampler = WindowSampler.of(spec, config.window_steps, config.draw_steps, agree)
        self.generator = self._build_generator()
        self.discriminator = self._build_discriminator()
        self.instance_noise_layer = InstanceNoise(config.instance_noise, name="instance_noise")
        self.mean = self.add_weight(
            shape=(self.cells,), dtype="float32", initializer="zeros", trainable=False, name="mean"
        )
        self.replay_buffer = make_replay_buffer(config.replay, (self.cells,))
        self.built = True

    def _build_generator(self) -> keras.Model:
        """latent [batch, latent_size] -> x [batch, cells], whose tanh is the window."""
        config = self.config
        x = latent = keras.Input((config.latent_size,))
        for number, units in enumerate(config.generator_units):
            x = keras.layers.Dense(units)(x)
            if number:
                x = keras.layers.BatchNormalization(
                    momentum=config.norm_momentum, epsilon=config.norm_epsilon
                )(x)
            x = keras.layers.LeakyReLU(config.leak)(x)
        x = keras.layers.Dense(self.cells, name="cells")(x)
        x = keras.layers.Activation("linear", dtype="float32")(x)
        return keras.Model(latent, x, name="generator")

    def _build_discriminator(self) -> keras.Model:
        """window [batch, cells] -> logit [batch, 1] that it is real."""
        config = self.config
        dense = SpectralDense if config.spectral_norm else keras.layers.Dense
        x = window = keras.Input((self.cells,))
        for number, units in enumerate(config.discriminator_units):
            x = keras.layers.LeakyReLU(config.leak)(dense(units)(x))
            if config.discriminator_dropout:
                x = keras.layers.Dropout(config.discriminator_dropout, seed=number)(x)
        if config.minibatch_d:
            alike = MinibatchDiscrimination()(keras.layers.Reshape((1, x.shape[-1]))(x))
            alike = keras.layers.Flatten()(alike)
            x = keras.layers.Concatenate()([x, alike])
        x = dense(1)(x)
        x = keras.layers.Activation("linear", dtype="float32")(x)
        return keras.Model(window, x, name="discriminator")

    # --- Losses ---

    @functools.cached_property
    def critic_and_generator(self) -> CriticAndGenerator:
        """The two networks and their losses."""
        return CriticAndGenerator(
            generator=[self.generator],
            critic=[self.discriminator],
            loss="non_saturating",
            settings=self.config.loss,
            seed=self.seed,
            produce=self.produce,
            real=lambda batch: (self._real(batch), None),
            scores=lambda windows, mask: Scores(self._logits(windows)),
            replay_buffer=self.replay_buffer,
            kinds="mean",
            rows_compared=self.config.minibatch_d,
            generator_first=True,
        )

    def produce(self, batch: Mapping[str, Any]) -> Any:
        """Generates as many windows as the batch has: float32 [batch, cells] in [-1, 1].

        Args:
          batch: "music" uint8 [batch, time, pitch, plane].
        """
        rows, size = ops.shape(batch["music"])[0], self.config.latent_size
        latent = keras.random.normal((rows, size), dtype="float32", seed=self.seed)
        soft = ops.tanh(self.generator(latent, training=True))
        if self.config.fake_cells == "soft":
            return soft
        limit: Any = 0.0
        if self.config.fake_cells == "drawn":
            shape = (rows, *self.sampler.numbers_shape)
            uniform = keras.random.uniform(shape, -1, 1, dtype="float32", seed=self.seed)
            limit = self.sampler.for_each_cell(uniform)
        return self.sampler.straight_through(soft, limit)

    def _real(self, batch: Mapping[str, Any]) -> Any:
        """Gives the windows of a batch as the discriminator sees them: float32 [batch, cells]."""
        bits = ops.reshape(self.frames.inputs(batch["music"]), (-1, self.cells))
        return bits if self.config.real_range == "unit" else 2 * bits - 1

    def _logits(self, windows: Any) -> Any:
        """Gives the logit that each window [batch, cells] is real: float32 [batch]."""
        if self.config.instance_noise:
            noise = keras.random.normal(ops.shape(windows), dtype="float32", seed=self.seed)
            windows = self.instance_noise_layer(windows, noise)
        return self.discriminator(windows - self.mean, training=True)[:, 0]

    # --- Training ---

    @property
    def averaged(self) -> Sequence[keras.layers.Layer]:
        """See `MusicModel.averaged`: the generator."""
        return [self.generator] if self.config.average else ()

    @property
    def stages(self) -> Sequence[Stage]:
        """The two networks against each other."""
        return [Stage("adversarial", self.config.max_epoch, self.critic_and_generator.phases)]

    def optimizer_for(self, phase: str) -> keras.optimizers.Optimizer:
        """Gives Adam, at the learning rate of the network."""
        rate, config = self.config.decayed_learning_rate(phase, epoch=0), self.config
        return keras.optimizers.Adam(rate, config.beta_1, config.beta_2, name=f"{phase}_adam")

    def adapt(self, batches: Iterable[Mapping[str, Any]]) -> None:
        """See `MusicModel.adapt`: the mean of each cell, with `--centred`."""
        if not self.config.centred:
            return
        total, windows = np.zeros(self.cells), 0
        for batch in batches:
            real = np.asarray(self._real(batch), np.float64)
            total, windows = total + real.sum(axis=0), windows + len(real)
        low, high = (0.0, 1.0) if self.config.real_range == "unit" else (-1.0, 1.0)
        mean = np.clip(total / windows, low + NEAREST_TO_LIMIT, high - NEAREST_TO_LIMIT)
        self.mean.assign(mean)
        self.generator.get_layer("cells").bias.assign(np.arctanh(mean))

    def begin_epoch(self, epoch: int) -> None:
        """Sets the learning rates and the instance noise of an epoch, from 0."""
        for name, optimizer in self.optimizer.by_phase.items():
            optimizer.learning_rate = self.config.decayed_learning_rate(name, epoch)
        self.instance_noise_layer.deviation.assign(self.config.instance_noise_deviation(epoch))

    # --- Generation ---

    @classmethod
    def controls_for(cls, config: Config, spec: Spec) -> Mapping[str, Control]:
        """How cells are taken: by default as the discriminator saw them."""
        sampled = "1 samples cells by their probabilities, 0 takes those above the threshold"
        learned = int(config.fake_cells == "drawn")
        return {
            "sampled": Control(learned, 0, 1, sampled, "int32"),
            "threshold": Control(0.5, 0.0, 1.0, "of sampled 0: probability of cells to take"),
            "temperature": TEMPERATURE,
            **cls.controls_between,
        }

    def noise_spec(self, count: int, length: int) -> dict[str, Noise]:
        """A latent vector per window, and the numbers that its cells are sampled with."""
        windows = (length + self.config.window_steps - 1) // self.config.window_steps
        return {
            "latent": Noise((count, windows, self.config.latent_size), "normal", per_step=True),
            "draw": Noise((count, windows, *self.sampler.numbers_shape), "normal", per_step=True),
        }

    def begin(self, length: Any, noise: Mapping[str, Any], **controls: Any) -> tuple[Any, ...]:
        """See `MusicModel.begin`: the step of the roll before the next window, silent at first."""
        frame = (self.sampler.pitches, self.sampler.planes)
        return (ops.zeros((ops.shape(length)[0], 1, *frame), "int32"),)

    def extend(
        self, state: tuple[Any, ...], noise: Mapping[str, Any], **controls: Any
    ) -> tuple[tuple[Any, ...], Any]:
        """See `MusicModel.extend`. A cell's probability is where its tanh lies in the range of real
        cells."""
        batch, windows = ops.shape(noise["latent"])[0], ops.shape(noise["latent"])[1]
        latent = ops.reshape(noise["latent"], (-1, self.config.latent_size))
        x = self.generator(latent, training=False)
        x = ops.reshape(ops.cast(x, "float32"), (batch, windows, self.cells))
        # A tanh between -1 and 1 is the sigmoid of twice its argument between 0 and 1.
        logit = 2 * x
        if self.config.real_range == "unit":
            p = ops.clip(ops.tanh(x), 1e-6, 1 - 1e-6)
            logit = ops.log(p) - ops.log1p(-p)
        temperature = ops.maximum(controls["temperature"], COLDEST)[:, None, None]
        is_sampled = controls["sampled"][:, None, None] > 0
        # Uniform numbers of normal ones, because those of two seeds can be interpolated.
        uniform = 0.5 + 0.5 * ops.erf(noise["draw"] * math.sqrt(0.5))
        numbers = ops.reshape(uniform, (-1, *self.sampler.numbers_shape))
        uniform = ops.reshape(self.sampler.for_each_cell(numbers), (batch, windows, self.cells))
        limit = ops.where(is_sampled, uniform, controls["threshold"][:, None, None])
        roll = self.sampler.piano_roll(ops.sigmoid(logit / temperature) > limit, *state)
        return (roll[:, -1][:, None],), roll

    def generate(self, noise: Mapping[str, Any], **controls: Any) -> Any:
        """Gives int32 [batch, windows * window_steps, pitch, plane]; see `controls`."""
        batch, windows = ops.shape(noise["latent"])[:2]
        length = ops.full((batch,), windows * self.config.window_steps, "int32")
        return self.extend(self.begin(length, noise), noise, **controls)[1]
