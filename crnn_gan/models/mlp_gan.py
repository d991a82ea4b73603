"""mlp_gan: dense layers that make a whole window of a piano roll from one vector of noise.

The Bach GAN of the source documents (after Goodfellow et al. 2014, arXiv 1406.2661): a generator
of dense layers, each wider than the one before, with batch normalisation and a tanh at the end; a
discriminator of two dense layers. A piece longer than a window is several windows, each from
noise of its own.

In: cross-entropy without saturation; both sides from one pass where nothing balances them; R1
and learning rates that fall, and off by default the balancer, label smoothing, instance noise,
replay, minibatch discrimination (`crnn_gan/adversarial/`), spectral normalisation, dropout in
the discriminator; composing with averaged weights; cells taken above a threshold, or drawn;
pieces between the pieces of two seeds.

Added, for rolls are nearly all off, and never half on:
  fake_cells  The discriminator sees generated cells on or off, by the sign of their tanh or drawn
              by their probabilities, with gradients as if it saw the tanh (straight-through:
              Bengio et al. 2013, arXiv 1308.3432; in a GAN of music: Dong and Yang 2018, arXiv
              1804.09399).
  centred     The mean of each cell over real windows is measured first. The generator begins with
              it, and it is taken away from what the discriminator sees: thousands of cells that
              are off would else move each of its units as one, with every step.
  struck      A key that begins to sound and was not struck is struck there; one that is struck
              sounds. The codec drops sound that no onset began, so a discriminator that saw cells
              as they are would judge music that nobody hears.

Other than there:
  range       Its rolls were 0 and 1, its generator's tanh -1 to 1, so half of what the generator
              could say was told apart at once. `--real_range=unit` does that; the default is tanh.
  windows     It took the first 250 sixteenths of each piece; training here takes windows from all
              over the pieces, and pieces shorter than one are left out, as there.
  epsilon     It gave 0.8 as the epsilon of batch normalisation, where the momentum was meant.
  balancer    It had no end; here `balance_most` ends it.
`--preset=original` has its settings, these three included as far as they are settings.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import keras
import numpy as np
from keras import ops

from crnn_gan.adversarial.config import AdversarialConfig, Blur, Replay
from crnn_gan.adversarial.minibatch_discrimination import MinibatchDiscrimination
from crnn_gan.adversarial.spectral_norm import SpectralDense
from crnn_gan.autoregressive.sampling import COLDEST, TEMPERATURE
from crnn_gan.layers.frames import Frames
from crnn_gan.music_model import Control, MusicModel, Noise
from crnn_gan.training.phases import JointPhase, Phase, Stage
from pipelines.settings import flag
from pipelines.spec import Kind, Spec


@dataclasses.dataclass(frozen=True)
class Config(AdversarialConfig):
    """Settings of mlp_gan."""

    window_steps: int = flag(64, "steps of the codec in a window, all of which are made at once")
    batch_size: int = flag(32, "windows in a batch")
    max_epoch: int = flag(36, "epochs in all")
    latent_size: int = flag(100, "noise numbers a window")
    generator_units: tuple[int, ...] = flag(
        (128, 256, 512, 1024), "units of the generator's layers, separated by commas"
    )
    discriminator_units: tuple[int, ...] = flag(
        (512, 256), "units of the discriminator's layers, separated by commas"
    )
    norm_momentum: float = flag(0.8, "of batch normalisation: what a batch leaves of the mean")
    norm_epsilon: float = flag(1e-3, "of batch normalisation: is added to the variance")
    leak: float = flag(0.2, "slope of the leaky ReLUs below 0")
    discriminator_dropout: float = flag(0.0, "share of the discriminator's units that is dropped")
    spectral_norm: bool = flag(False, "the discriminator's layers stretch nothing by more than 1")
    fake_cells: Literal["soft", "hard", "drawn"] = flag(
        "drawn",
        "what the discriminator sees of generated cells: soft, their tanh; hard, -1 or 1, "
        "whichever is nearer; drawn, -1 or 1 by chance. Gradients are those of the tanh",
    )
    draw_steps: int = flag(
        4,
        "of a drawn window: steps of a pitch, in all planes, that one number decides, so that a "
        "note is on as a whole: the steps of a beat",
    )
    centred: bool = flag(
        True,
        "the mean of each cell over real windows is measured first: the generator begins with it, "
        "and the discriminator sees what differs from it",
    )
    struck: bool = flag(
        True,
        "of cells on or off, in rolls of onsets and frames: a key that begins to sound is struck, "
        "and one that is struck sounds, as in real music",
    )
    real_range: Literal["tanh", "unit"] = flag(
        "tanh",
        "what the discriminator sees of real cells: -1 and 1, as the generator's; or 0 and 1",
    )
    learning_rate: float = flag(1e-3, "of the generator; of Adam")
    d_learning_rate: float = flag(4e-4, "of the discriminator")
    lr_decay: float = flag(0.86, "factor an epoch on the learning rates, after epochs_before_decay")
    epochs_before_decay: int = flag(18, "epochs before the learning rates decay")
    r1: float = flag(
        0.3,
        "weight of half the squared slope of the discriminator's logit at real music, which keeps "
        "it from being sure; a part of its loss, which is the mean over both kinds of music",
    )
    beta_1: float = flag(0.5, "of Adam: what a batch leaves of the mean gradient")
    beta_2: float = flag(0.999, "of Adam: what a batch leaves of its square")
    max_grad_norm: float = flag(100.0, "largest global norm of a gradient")
    average: float = flag(
        0.99, "decay of the average of the generator's weights that composes; 0 for none"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("window_steps", "batch_size", "max_epoch", "latent_size", "draw_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} is {getattr(self, name)}; give 1 or more")
        if self.batch_size < 2:
            raise ValueError(
                "--batch_size is 1; batch normalisation compares the windows of a batch: give 2 "
                "or more"
            )
        for name in ("learning_rate", "d_learning_rate", "max_grad_norm", "norm_epsilon"):
            if not getattr(self, name) > 0:
                raise ValueError(f"--{name} is {getattr(self, name)}; give a number above 0")
        for name in ("average", "beta_1", "beta_2", "norm_momentum", "discriminator_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"--{name} is {getattr(self, name)}; give 0 or more, below 1")
        if self.fake_cells != "soft" and self.real_range == "unit":
            raise ValueError(
                f"--fake_cells is {self.fake_cells}, whose cells are -1 or 1, and --real_range is "
                "unit, whose are 0 or 1; give --fake_cells=soft or --real_range=tanh"
            )
        for name in ("generator_units", "discriminator_units"):
            units = tuple(getattr(self, name))  # Config files hold lists.
            object.__setattr__(self, name, units)
            if not units or min(units) < 1:
                raise ValueError(
                    f"--{name} is {','.join(map(str, units)) or 'empty'}; give one layer or more, "
                    "each of 1 unit or more, separated by commas"
                )


RAREST = 0.0005  # So near may the mean of a cell come to the ends of its range.
SUREST = 60.0  # Logits below minus this would take a gradient out of float32.
ORIGINAL = dict(
    window_steps=250, batch_size=64, max_epoch=1000, latent_size=100, norm_momentum=0.9,
    norm_epsilon=0.8, fake_cells="soft", real_range="unit", learning_rate=8e-4,
    d_learning_rate=1e-5, beta_2=0.9999, average=0.0, balance_above=0.8, balance_most=20,
    max_grad_norm=1e9, discriminator_dropout=0.0, centred=False, struck=False,
    lr_decay=1.0, r1=0.0,
)  # fmt: skip

TINY = dict(
    window_steps=8, batch_size=4, max_epoch=2, latent_size=4, generator_units=(8, 8),
    discriminator_units=(8,),
)  # fmt: skip


class Model(MusicModel):
    """A generator and a discriminator of rolls [batch, time, pitches, planes] of bits."""

    accepts: ClassVar[tuple[Kind, ...]] = ("roll",)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"original": ORIGINAL, "tiny": TINY}
    interpolated: ClassVar[tuple[str, ...]] = ("latent", "draw")

    def __init__(self, config: Config, spec: Spec, seed: int = 0):
        super().__init__(config, spec, seed, name="mlp_gan")
        self.clip_norm = config.max_grad_norm
        self.frames = Frames(spec, name="frames")
        self.frames.build((None, None, *spec.shape[1:]))
        self.cells = config.window_steps * self.frames.noise_size
        self.generator = self._draw_generator()
        self.discriminator = self._draw_discriminator()
        self.blur = Blur(config.instance_noise, name="blur")
        self.mean = self.add_weight(
            shape=(self.cells,), dtype="float32", initializer="zeros", trainable=False, name="mean"
        )
        self.kept = Replay(config.replay, (self.cells,), name="kept") if config.replay else None
        self.built = True

    def _draw_generator(self) -> keras.Model:
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

    def _draw_discriminator(self) -> keras.Model:
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

    # How it trains.

    @property
    def averaged(self) -> Sequence[keras.layers.Layer]:
        """See `MusicModel.averaged`: the generator."""
        return [self.generator] if self.config.average else ()

    @property
    def stages(self) -> Sequence[Stage]:
        """The two against each other: from one pass, where rows are judged by themselves."""
        config = self.config
        reports = config.discriminator_reports
        generator = config.balanced(Phase("generator", [self.generator], self.generator_loss))
        discriminator = config.balanced(
            Phase("discriminator", [self.discriminator], self.discriminator_loss, reports)
        )
        phases: list[Phase | JointPhase] = [generator, discriminator]
        if not (config.balance_above or config.replay or config.minibatch_d):
            phases = [JointPhase(discriminator, generator, self.produce, self.judge)]
        return [Stage("adversarial", config.max_epoch, phases)]

    def optimizer_for(self, phase: str) -> keras.optimizers.Optimizer:
        """Gives Adam, at the rate of the side."""
        config = self.config
        return keras.optimizers.Adam(
            self._learning_rate(phase, epoch=0),
            beta_1=config.beta_1,
            beta_2=config.beta_2,
            name=f"{phase}_adam",
        )

    def _learning_rate(self, phase: str, epoch: int) -> float:
        config = self.config
        rate = config.learning_rate if phase == "generator" else config.d_learning_rate
        return config.decayed(rate, epoch)

    def adapt(self, batches: Iterable[Mapping[str, Any]]) -> None:
        """See `MusicModel.adapt`: the mean of each cell, with `--centred`."""
        if not self.config.centred:
            return
        total, windows = np.zeros(self.cells), 0
        for batch in batches:
            real = np.asarray(self._real(batch), np.float64)
            total, windows = total + real.sum(axis=0), windows + len(real)
        mean = total / windows
        low, high = (0.0, 1.0) if self.config.real_range == "unit" else (-1.0, 1.0)
        # The tanh's argument, where it is the mean; a cell that is never on stays within reach.
        mean = np.clip(mean, low + RAREST, high - RAREST)
        self.mean.assign(mean)
        self.generator.get_layer("cells").bias.assign(np.arctanh(mean))

    def begin_epoch(self, epoch: int) -> None:
        """Sets the learning rates and the instance noise of an epoch, from 0."""
        for name, optimizer in self.optimizer.by_phase.items():
            optimizer.learning_rate = self._learning_rate(name, epoch)
        self.blur.deviation.assign(self.config.noise_of(epoch, self.config.max_epoch))

    def produce(self, batch: Mapping[str, Any]) -> Any:
        """Gives as many generated windows as the batch has: [batch, cells] in [-1, 1]."""
        rows = ops.shape(batch["music"])[0]
        shape = (rows, self.config.latent_size)
        latent = keras.random.normal(shape, dtype="float32", seed=self.seed)
        soft = ops.tanh(self.generator(latent, training=True))
        if self.config.fake_cells == "soft":
            return soft
        limit: Any = 0.0
        if self.config.fake_cells == "drawn":
            draws = keras.random.uniform(
                (rows, *self._draws), -1, 1, dtype="float32", seed=self.seed
            )
            limit = self._of_cells(draws)
        hard = ops.where(soft > limit, 1.0, -1.0)
        seen = hard + (soft - ops.stop_gradient(soft))
        if not self.is_struck:
            return seen
        # What sounds at first may have been struck before the window, as in real ones.
        shape = (-1, self.config.window_steps, *self.frames.frame_shape)
        bits = self._struck(0.5 + 0.5 * ops.reshape(seen, shape), held=True)
        return 2 * ops.reshape(bits, (-1, self.cells)) - 1

    @property
    def _draws(self) -> tuple[int, int]:
        """The shape of the numbers that decide a window's cells: [stretches of time, pitches]."""
        return -(-self.config.window_steps // self.config.draw_steps), self.frames.frame_shape[0]

    def _of_cells(self, draws: Any) -> Any:
        """Gives each cell the number that decides it: [batch, cells]."""
        steps = ops.repeat(draws, self.config.draw_steps, axis=1)[:, : self.config.window_steps]
        planes = ops.repeat(steps[..., None], self.frames.frame_shape[1], axis=-1)
        return ops.reshape(planes, (-1, self.cells))

    @property
    def is_struck(self) -> bool:
        """Whether onsets and frames are made to agree: where there are both, on or off."""
        names = [name for name, _, _ in self.spec.blocks]
        config = self.config
        return config.struck and config.fake_cells != "soft" and names == ["onset", "frame"]

    def _struck(self, bits: Any, held: bool) -> Any:
        """Gives bits [batch, time, pitches, onset and frame] whose two planes agree.

        Of products, so that what the discriminator says of an onset reaches the frames that it
        came of.

        Args:
          bits: 0 and 1, of any dtype.
          held: whether all that sounds in the first frame sounded before, or nothing.
        """
        onset, frame = bits[..., 0], bits[..., 1]
        frame = onset + frame - onset * frame
        first = ops.ones_like(frame[:, :1]) if held else ops.zeros_like(frame[:, :1])
        before = ops.concatenate([first, frame[:, :-1]], axis=1)
        begins = frame * (1 - before)
        return ops.stack([onset + begins - onset * begins, frame], axis=-1)

    def judge(self, batch: Mapping[str, Any], fake: Any) -> Any:
        """Gives what `JointPhase.judge` gives, from one pass over real and generated music."""
        real = self._real(batch)
        both = ops.concatenate([real, fake], axis=0)
        of_real, of_fake = ops.split(self._logits(both), 2)
        loss, reports = self._discriminator_loss(of_real, of_fake)
        loss, reports = self.config.restrained(loss, reports, self._logits, real)
        # The generator's -ln p has the derivative -(1 - p) by the logit, and half of -ln(1 - p)
        # has p / 2, which is small, not lost, where the discriminator is sure.
        ratio = -2 * ops.exp(ops.minimum(-of_fake, SUREST))
        return loss, ratio, reports, ops.mean(ops.softplus(-of_fake)), {}

    def generator_loss(self, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Gives -ln of the probability that generated windows are taken for real."""
        return ops.mean(ops.softplus(-self._logits(self.produce(batch)))), {}

    def discriminator_loss(self, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Gives the mean cross-entropy of both kinds, ln 2 where they cannot be told apart, and
        with `r1` that of the slope."""
        fake = ops.stop_gradient(self.produce(batch))
        if self.kept is not None:
            draws = keras.random.uniform((fake.shape[0] // 2,), dtype="float32", seed=self.seed)
            fake = self.kept(fake, draws)
        real = self._real(batch)
        if self.config.minibatch_d:
            of_real, of_fake = self._logits(real), self._logits(fake)
        else:
            both = ops.concatenate([real, fake], axis=0)
            of_real, of_fake = ops.split(self._logits(both), 2)
        loss, reports = self._discriminator_loss(of_real, of_fake)
        return self.config.restrained(loss, reports, self._logits, real)

    def _discriminator_loss(self, of_real: Any, of_fake: Any) -> tuple[Any, dict[str, Any]]:
        """Gives the loss of logits, and the mean probabilities that each kind is real."""
        label = 1 - self.config.label_smoothing
        real = ops.softplus(-of_real) + (1 - label) * of_real
        loss = 0.5 * (ops.mean(real) + ops.mean(ops.softplus(of_fake)))
        probabilities = [ops.mean(ops.sigmoid(logits)) for logits in (of_real, of_fake)]
        return loss, dict(zip(("real", "fake"), probabilities, strict=True))

    def _real(self, batch: Mapping[str, Any]) -> Any:
        """Gives the windows of a batch as the discriminator sees them: [batch, cells]."""
        bits = self.frames.inputs(batch["music"])
        bits = ops.reshape(bits, (ops.shape(bits)[0], self.cells))
        return bits if self.config.real_range == "unit" else 2 * bits - 1

    def _logits(self, windows: Any) -> Any:
        """Gives the logit that each window is real: [batch]."""
        if self.config.instance_noise:
            noise = keras.random.normal(ops.shape(windows), dtype="float32", seed=self.seed)
            windows = self.blur(windows, noise)
        return self.discriminator(windows - self.mean, training=True)[:, 0]

    # How it composes.

    @classmethod
    def controls_for(cls, config: Config, spec: Spec) -> Mapping[str, Control]:
        """How cells are taken: by default as the discriminator saw them."""
        sampled = "1 draws cells by their probabilities, 0 takes those above the threshold"
        learned = int(config.fake_cells == "drawn")
        return {
            "sampled": Control(learned, 0, 1, sampled, "int32"),
            "threshold": Control(0.5, 0.0, 1.0, "of sampled 0: probability of cells to take"),
            "temperature": TEMPERATURE,
            **cls.controls_between,
        }

    def noise_spec(self, count: int, length: int) -> dict[str, Noise]:
        """A vector a window, and the numbers that decide its cells."""
        windows = (length + self.config.window_steps - 1) // self.config.window_steps
        return {
            "latent": Noise((count, windows, self.config.latent_size), "normal", per_step=True),
            "draw": Noise((count, windows, *self._draws), "normal", per_step=True),
        }

    def generate(self, noise: Mapping[str, Any], **controls: Any) -> Any:
        """Gives int32 [batch, windows * window_steps, pitches, planes]; see `controls`.

        A cell's probability is where its tanh lies in the range of real cells.
        """
        latent, config = noise["latent"], self.config
        batch, windows = ops.shape(latent)[0], ops.shape(latent)[1]
        x = self.generator(ops.reshape(latent, (-1, config.latent_size)), training=False)
        x = ops.reshape(ops.cast(x, "float32"), (batch, windows, self.cells))
        # A tanh between -1 and 1 is the sigmoid of twice its argument between 0 and 1.
        logit = 2 * x
        if config.real_range == "unit":
            p = ops.clip(ops.tanh(x), 1e-6, 1 - 1e-6)
            logit = ops.log(p) - ops.log1p(-p)
        cold = ops.maximum(controls["temperature"], COLDEST)[:, None, None]
        is_drawn = controls["sampled"][:, None, None] > 0
        # Even numbers between 0 and 1, of normal ones, as those of two seeds can be blended.
        draws = 0.5 + 0.5 * ops.erf(noise["draw"] * math.sqrt(0.5))
        draws = ops.reshape(draws, (-1, *self._draws))
        draws = ops.reshape(self._of_cells(draws), (batch, windows, self.cells))
        limit = ops.where(is_drawn, draws, controls["threshold"][:, None, None])
        bits = ops.sigmoid(logit / cold) > limit
        shape = (batch, windows * config.window_steps, *self.frames.frame_shape)
        bits = ops.cast(ops.reshape(bits, shape), "int32")
        return self._struck(bits, held=False) if self.is_struck else bits
