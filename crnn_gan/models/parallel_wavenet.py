"""parallel_wavenet: a WaveNet of sound, and a flow that learns of it to give all samples at once.

van den Oord et al. 2017, "Parallel WaveNet: fast high-fidelity speech synthesis", arXiv
1711.10433, in the Gaussian form of Ping et al. 2019, "ClariNet: parallel wave generation in
end-to-end text-to-speech", arXiv 1807.07281.

The teacher hears the samples so far and says of the next one a Gaussian. It is trained by
maximum likelihood, and slow to draw from: every sample waits for the one before. The student is
a chain of inverse autoregressive flows, x = z * s(z before) + m(z before). It hears noise, which
is there all at once, so it gives all samples in one pass. It is moved such that at each sample
its own Gaussian is that which the teacher, told what the student gave before, says (distillation).

In: both networks as WaveNets; the Kullback-Leibler divergence in closed form, regularised; a loss
of spectra beside it; temperature; drawing from the teacher, cached (`composes`). Mu-law levels
are expanded to sound, spread evenly over the width of each level in training, so that there is a
density to learn. The teacher's likelihood is that of levels, the Gaussian's integral over each,
so that its nats stand beside those of `wavenet`.

Left out: conditions, and with them what needs a text or a class (perceptual and contrastive
losses); the mixture of logistics, whose divergence has no closed form; primers: noise
would have to be found of which the student makes them. As nothing tells the student which
music to make, spectra are compared in the mean over batch and time; the papers compare a sentence
with its recording, ClariNet frame by frame.

The likelihood is the teacher's, and does not choose among epochs of the student: train with
`--best_by=`, and take the newest.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import keras
from keras import ops

from crnn_gan.autoregressive.base import LikelihoodConfig, counted
from crnn_gan.layers.dilated import DilatedStack
from crnn_gan.layers.gaussian import (
    LEAST_LOG_DEVIATION,
    density_negative_log_likelihood,
    interval_negative_log_likelihood,
    kl_divergence_and_regularizer,
)
from crnn_gan.layers.loops import scan_compiled, stacked
from crnn_gan.layers.spectra import mean_spectrum, spectral_distance
from crnn_gan.music_model import Control, MusicModel, Noise
from crnn_gan.training.phases import Phase, Stage
from pipelines.codecs.audio import (
    BOUNDARIES,
    CENTRES,
    LOWER_BOUNDS,
    OUTER_LOWER_BOUNDS,
    OUTER_UPPER_BOUNDS,
    UPPER_BOUNDS,
)
from pipelines.settings import UsageError, flag
from pipelines.spec import Kind, Spec

FIRST_LOG_DEVIATION = -2.0  # Where both begin: about as loud as music.
TEMPERATURE = Control(1.0, 0.0, 4.0, "factor on the noise: below 1 bolder, above 1 freer")


@dataclasses.dataclass(frozen=True)
class Config(LikelihoodConfig):
    """Settings of parallel_wavenet."""

    window_steps: int = flag(4096, "length of a training window, samples", at_least=2)
    batch_size: int = flag(8, "windows per batch", at_least=1)
    max_epoch: int = flag(20, "epochs of training, of teacher and student together", at_least=1)
    teacher_epochs: int = flag(
        10, "first epochs, which train the teacher; the others train the student", at_least=1
    )
    blocks: int = flag(
        2,
        "of the teacher: blocks of dilated convolutions, each with dilations 1, 2, 4, ...",
        at_least=1,
    )
    layers_per_block: int = flag(
        8, "convolutions per block, of the teacher and of each flow", at_least=1
    )
    kernel_size: int = flag(2, "kernel size of each convolution, samples", at_least=2)
    residual_channels: int = flag(32, "channels of the residual path", at_least=1)
    dilation_channels: int = flag(32, "output channels of each dilated convolution", at_least=1)
    skip_channels: int = flag(64, "channels of the sum of the skip connections", at_least=1)
    end_channels: int = flag(64, "units of the layer before the output", at_least=1)
    flows: int = flag(
        2, "inverse autoregressive flows of the student, each of one block", at_least=1
    )
    distilled_log_deviation: float = flag(
        -7.0,
        "natural logarithm of the least standard deviation in the Kullback-Leibler divergence; "
        "smaller ones are clipped to it",
    )
    divergence_weight: float = flag(
        1.0, "weight of the Kullback-Leibler divergence in the student's loss", at_least=0
    )
    regularizer_weight: float = flag(
        4.0,
        "weight in the student's loss of the squared difference of the log standard deviations "
        "(ClariNet)",
        at_least=0,
    )
    spectral_weight: float = flag(
        1.0, "weight in the student's loss of the distance of the mean spectra", at_least=0
    )
    spectral_frame: int = flag(
        512, "frame length of the spectra, samples; at most that of a window", at_least=2
    )
    composes: Literal["student", "teacher"] = flag(
        "student",
        "network that generates; student: all samples in parallel; teacher: sample by sample",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.composes == "student" and self.teacher_epochs >= self.max_epoch:
            raise UsageError(
                f"--teacher_epochs is {self.teacher_epochs} of --max_epoch={self.max_epoch}, so no "
                "student would be trained: give fewer, or --composes=teacher"
            )


# The smallest that is faithful to the papers.
SMALL = dict(
    blocks=2, layers_per_block=8, residual_channels=32, dilation_channels=32, skip_channels=64,
    end_channels=64, flows=2,
)  # fmt: skip

TINY = dict(
    window_steps=256, batch_size=4, max_epoch=2, teacher_epochs=1, blocks=1, layers_per_block=2,
    residual_channels=8, dilation_channels=8, skip_channels=8, end_channels=8,
)  # fmt: skip


class Model(MusicModel):
    """A teacher and a student of mu-law levels [batch, time]."""

    accepts: ClassVar[tuple[Kind, ...]] = ("audio",)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"small": SMALL, "tiny": TINY}
    pads_windows: ClassVar[bool] = True
    measures_likelihood: ClassVar[bool] = True

    def __init__(self, config: Config, spec: Spec, seed: int = 0):
        super().__init__(config, spec, seed, name="parallel_wavenet")
        self.clip_norm = config.max_grad_norm
        first_of_flow = FIRST_LOG_DEVIATION / config.flows
        self.teacher = GaussianWaveNet(config, config.blocks, FIRST_LOG_DEVIATION, name="teacher")
        self.flows = [
            GaussianWaveNet(config, 1, first_of_flow, name=f"flow_{k}") for k in range(config.flows)
        ]
        for network in (self.teacher, *self.flows):
            network.build((None, None))
        self.built = True

    # How it trains.

    @property
    def stages(self) -> Sequence[Stage]:
        """The teacher by maximum likelihood; then the student, by the teacher as it is."""
        config = self.config
        teacher = Phase("teacher", [self.teacher], self.teacher_loss, reports=("level_nats",))
        names = ("divergence", "regularizer", "spectral_distance")
        student = Phase("student", self.flows, self.student_loss, reports=names)
        first = min(config.teacher_epochs, config.max_epoch)
        epochs = {"teacher": first, "student": config.max_epoch - first}
        return [Stage(p.name, epochs[p.name], [p]) for p in (teacher, student) if epochs[p.name]]

    @property
    def averaged(self) -> Sequence[keras.layers.Layer]:
        """See `MusicModel.averaged`; the student learns of the teacher's own weights."""
        return [self.teacher, *self.flows] if self.config.average else ()

    def optimizer_for(self, phase: str) -> keras.optimizers.Optimizer:
        """Gives Adam."""
        return keras.optimizers.Adam(self.config.learning_rate, name=f"{phase}_adam")

    def begin_epoch(self, epoch: int) -> None:
        """Sets the learning rate of an epoch, from 0."""
        for optimizer in self.optimizer.by_phase.values():
            optimizer.learning_rate = self.config.learning_rate_of(epoch)

    def teacher_loss(self, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Gives the mean nats of a level by the density, an upper bound of its nats.

        Spread evenly over a level of width w, -ln(p(x) w) is in the mean no less than
        -ln of the integral of p over the level (Jensen; Theis et al. 2016, arXiv 1511.01844).
        """
        levels = ops.cast(batch["music"], "int32")
        low, high = ops.take(LOWER_BOUNDS, levels), ops.take(UPPER_BOUNDS, levels)
        spread = keras.random.uniform(ops.shape(levels), dtype="float32", seed=self.seed)
        sound = low + spread * (high - low)
        mean, log_deviation = self.teacher(sound, training=True)
        counts = counted(batch["known"], ops.shape(levels)[1], skips=batch["place"] > 0)
        total = ops.maximum(ops.sum(counts), 1.0)
        nats = density_negative_log_likelihood(sound, mean, log_deviation) - ops.log(high - low)
        of_levels = level_nats(levels, mean, log_deviation)
        report = {"level_nats": ops.sum(of_levels * counts) / total}
        return ops.sum(nats * counts) / total, report

    def student_loss(self, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Gives how far the student is from the teacher, and its spectra from those of music."""
        music = ops.cast(batch["music"], "int32")
        noise = keras.random.normal(ops.shape(music), dtype="float32", seed=self.seed)
        sound, own_mean, own_log = self.flowed(noise)
        mean, log_deviation = self.teacher(sound)
        least = self.config.distilled_log_deviation
        divergence, regularizer = kl_divergence_and_regularizer(
            own_mean, own_log, mean, log_deviation, least
        )
        is_known = ops.arange(ops.shape(music)[1])[None, :] < batch["known"][:, None]
        frame = min(self.config.spectral_frame, self.config.window_steps)
        real = mean_spectrum(ops.where(is_known, ops.take(CENTRES, music), 0.0), frame)
        reports = {
            "divergence": ops.mean(divergence),
            "regularizer": ops.mean(regularizer),
            "spectral_distance": spectral_distance(mean_spectrum(sound, frame), real),
        }
        config = self.config
        weights = config.divergence_weight, config.regularizer_weight, config.spectral_weight
        return sum(w * r for w, r in zip(weights, reports.values(), strict=True)), reports

    def flowed(self, noise: Any) -> tuple[Any, Any, Any]:
        """Gives what the flows make of noise [batch, time]: (sound, mean, log deviation).

        Given the noise before it, a sample is Gaussian: flow k makes x_k = x_(k-1) s_k + m_k, so
        all together x = noise * s + m with s the product of all s_k, and m the sum of each m_k
        times the s of the flows after it (ClariNet, section 3.2).
        """
        sound, mean, log_deviation = noise, 0.0, 0.0
        for flow in self.flows:
            own_mean, own_log = flow(sound)
            deviation = ops.exp(own_log)
            sound = sound * deviation + own_mean
            mean = mean * deviation + own_mean
            log_deviation = log_deviation + own_log
        return sound, mean, log_deviation

    def nats(self, batch: Mapping[str, Any]) -> Any:
        """See `MusicModel.nats`: the teacher's, of levels, given the middles of those before."""
        levels = ops.cast(batch["music"], "int32")
        return level_nats(levels, *self.teacher(ops.take(CENTRES, levels)))

    # How it composes.

    @classmethod
    def controls_for(cls, config: Config, spec: Spec) -> Mapping[str, Control]:
        """Temperature."""
        return {"temperature": TEMPERATURE}

    def noise_spec(self, count: int, length: int) -> dict[str, Noise]:
        """A number a sample."""
        return {"noise": Noise((count, length), "normal", per_step=True)}

    def generate(self, noise: Mapping[str, Any], **controls: Any) -> Any:
        """Gives levels, int32 [batch, time]; see `controls`."""
        drawn = noise["noise"] * controls["temperature"][:, None]
        composes_at_once = self.config.composes == "student"
        return levels_of(self.flowed(drawn)[0] if composes_at_once else self.teacher_sound(drawn))

    def teacher_sound(self, noise: Any) -> Any:
        """Gives what the teacher makes of noise [batch, time], sample by sample, in [-1, 1]."""

        def step(state: Any, elements: Any) -> tuple[Any, tuple[Any, ...]]:
            network, heard = state
            network, mean, log_deviation = self.teacher.step(network, heard)
            deviation = ops.exp(ops.maximum(log_deviation, LEAST_LOG_DEVIATION))
            sound = ops.clip(mean + elements[0] * deviation, -1.0, 1.0)
            return (network, sound), (sound,)

        noise = ops.transpose(noise)[..., None]
        count = ops.shape(noise)[1]
        state = (self.teacher.stack.initial_state(count), ops.zeros((count, 1)))
        (sound,) = scan_compiled(step, state, [noise], [1])
        return ops.transpose(stacked(sound)[..., 0])


class GaussianWaveNet(keras.layers.Layer):
    """A WaveNet that says of each number the mean and log deviation, given those before it.

    Teacher and flows are each one of these. Float32 outside the stack: of sound in bfloat16 three
    digits would be left.

    Args:
      config: sizes of the layers.
      blocks: how often the dilations are gone through.
      first_log_deviation: about what it says before training.
    """

    def __init__(self, config: Config, blocks: int, first_log_deviation: float, name: str):
        super().__init__(name=name, autocast=False)
        self.first_log_deviation = first_log_deviation
        self.embed = keras.layers.Dense(config.residual_channels, dtype="float32", name="embed")
        self.stack = DilatedStack(
            blocks, config.layers_per_block, config.kernel_size, config.residual_channels,
            config.dilation_channels, config.skip_channels, config.end_channels,
            dropout=config.dropout, seed=0, name="stack",
        )  # fmt: skip
        self.head = keras.layers.Dense(2, dtype="float32", name="head")

    def build(self, _: tuple[int | None, ...]) -> None:
        """Makes the weights."""
        self.embed.build((None, None, 1))
        self.stack.build((None, None, self.stack.residual_channels))
        self.head.build((None, None, self.stack.end_channels))

    def call(self, x: Any, training: bool = False) -> tuple[Any, Any]:
        """Gives (mean, log deviation), each [batch, time], of x [batch, time]."""
        past = ops.pad(x, ((0, 0), (1, 0)))[:, :-1, None]
        mean, log_deviation = self._said(self.stack(self.embed(past), training=training))
        return mean[..., 0], log_deviation[..., 0]

    def step(self, state: tuple[Any, ...], before: Any) -> tuple[tuple[Any, ...], Any, Any]:
        """Gives (the stack's state, mean, log deviation) after `before`; each [batch, 1]."""
        state, hidden = self.stack.step(state, self.embed(before))
        return state, *self._said(hidden)

    def _said(self, hidden: Any) -> tuple[Any, Any]:
        mean, log_deviation = ops.split(self.head(hidden), 2, axis=-1)
        return mean, log_deviation + self.first_log_deviation


def level_nats(levels: Any, mean: Any, log_deviation: Any) -> Any:
    """Gives -ln of a Gaussian's integral over each level, all of one shape."""
    low, high = ops.take(OUTER_LOWER_BOUNDS, levels), ops.take(OUTER_UPPER_BOUNDS, levels)
    return interval_negative_log_likelihood(low, high, mean, log_deviation)


def levels_of(sound: Any) -> Any:
    """Gives the levels that the codec has for sound [batch, time]: int32."""
    found = ops.searchsorted(ops.convert_to_tensor(BOUNDARIES), ops.reshape(sound, (-1,)), "right")
    return ops.cast(ops.reshape(found, ops.shape(sound)), "int32")
