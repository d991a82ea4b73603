"""parallel_wavenet: a WaveNet of sound, and a flow distilled from it that samples in parallel.

van den Oord et al. 2017, "Parallel WaveNet: fast high-fidelity speech synthesis", arXiv
1711.10433, in the Gaussian form of Ping et al. 2019, "ClariNet: parallel wave generation in
end-to-end text-to-speech", arXiv 1807.07281.

The teacher is an autoregressive WaveNet whose output distribution is a Gaussian. It is trained by
maximum likelihood, and slow to sample from: each sample waits for the one before. The student is a
chain of inverse autoregressive flows, x = z * s(z before) + m(z before), of noise z, which is there
all at once: it gives all samples in one pass. It is trained by probability density distillation:
at each sample its own Gaussian is to equal the teacher's, given the student's samples before.

In: both networks as WaveNets; the Kullback-Leibler divergence in closed form, regularised; a loss
of spectra beside it; temperature; sampling from the teacher, cached (`sampled_network`). Mu-law
levels are expanded to sound and dequantised in training, spread evenly over the width of each
level, so that there is a density to learn. The teacher's likelihood is that of levels, the integral
of the Gaussian over each, so that its nats per sample stand beside those of `wavenet`.

Left out: conditions, and with them the perceptual and contrastive losses, which need a text or a
class; the mixture of logistics, whose divergence has no closed form; primers: noise would have to
be found from which the student makes them. As no condition says which music the student is to
make, spectra are compared in the mean over batch and time; the papers compare a sentence with its
recording, ClariNet frame by frame.

The likelihood is the teacher's, and does not choose among epochs of the student: train with
`--best_by=`, and take the newest.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import keras
from keras import ops

from crnn_gan.autoregressive.likelihood_training import LikelihoodConfig, step_weights
from crnn_gan.layers.dilated import DilatedStack
from crnn_gan.layers.gaussian import (
    LEAST_LOG_DEVIATION,
    density_negative_log_likelihood,
    interval_negative_log_likelihood,
    kl_divergence_and_regularizer,
)
from crnn_gan.layers.loops import run_compiled, stacked
from crnn_gan.layers.spectra import mean_spectrum, spectral_distance
from crnn_gan.music_model import Control, MusicModel, Noise
from crnn_gan.training.phases import Phase, Stage
from pipelines.codecs import audio
from pipelines.settings import UsageError, flag
from pipelines.spec import Kind, Spec

BLOCK_BYTES = 2**30  # Of the activations of what the student writes at once.
FIRST_LOG_DEVIATION = -2.0  # Of teacher and student at initialisation: about as loud as music.
TEMPERATURE = Control(1.0, 0.0, 4.0, "factor on the noise: below 1 less random, above 1 more")


@dataclasses.dataclass(frozen=True)
class Config(LikelihoodConfig):
    """Settings of parallel_wavenet."""

    window_steps: int = flag(
        4096, "length of a training window, samples", at_least=2, at_most=1_000_000
    )
    batch_size: int = flag(8, "windows per batch", at_least=1)
    max_epoch: int = flag(20, "epochs of training, of teacher and student together", at_least=1)
    teacher_epochs: int = flag(
        10, "first epochs, which train the teacher; the others train the student", at_least=1
    )
    blocks: int = flag(
        2,
        "of the teacher: blocks of dilated convolutions, each with dilations 1, 2, 4, ...",
        at_least=1,
        at_most=64,
    )
    layers_per_block: int = flag(
        8, "convolutions per block, of the teacher and of each flow", at_least=1, at_most=20
    )
    kernel_size: int = flag(2, "kernel size of each convolution, samples", at_least=2)
    residual_channels: int = flag(32, "channels of the residual path", at_least=1)
    dilation_channels: int = flag(32, "output channels of each dilated convolution", at_least=1)
    skip_channels: int = flag(64, "channels of the sum of the skip connections", at_least=1)
    end_channels: int = flag(64, "units of the layer before the output", at_least=1)
    flows: int = flag(
        2, "inverse autoregressive flows of the student, each of one block", at_least=1, at_most=64
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
    sampled_network: Literal["student", "teacher"] = flag(
        "student",
        "network that generates; student: all samples in parallel; teacher: sample by sample",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sampled_network == "student" and self.teacher_epochs >= self.max_epoch:
            raise UsageError(
                f"--teacher_epochs is {self.teacher_epochs} of --max_epoch={self.max_epoch}, so no "
                "student would be trained: give fewer, or --sampled_network=teacher"
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
    """A teacher and a student of mu-law levels [batch, time].

    Two pieces of 100 samples each, of a student with random weights:

    >>> import numpy as np
    >>> model = Model(Config(**TINY), audio.Codec().spec)
    >>> noise = {"noise": np.random.randn(2, 100).astype("float32")}
    >>> keras.ops.shape(model.generate(noise, temperature=np.ones(2, "float32")))
    (2, 100)
    """

    accepts: ClassVar[tuple[Kind, ...]] = ("audio",)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"small": SMALL, "tiny": TINY}
    pads_windows: ClassVar[bool] = True

    # ---------------------------------------------------------------------------------------------
    # Layers.

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
        # The student recomputes its receptive field for each block: few and long ones.
        is_student = config.sampled_network == "student"
        self.steps_together = 256
        # Of one flow the gated outputs of all layers, and a few more; float32.
        channels = (config.layers_per_block + 4) * config.dilation_channels
        channels += 4 * config.residual_channels + 2 * (config.skip_channels + config.end_channels)
        if is_student:
            self.bytes_per_row_and_step = 2 * 4 * channels
            self.bytes_per_row += self.student_receptive_field * self.bytes_per_row_and_step
            fitting = BLOCK_BYTES // (self.rows_together * self.bytes_per_row_and_step)
            wanted = max(2048, 4 * self.student_receptive_field)
            self.steps_together = 4 * (max(self.steps_together, min(wanted, fitting)) // 4)
        self.built = True

    def apply_flows(self, noise: Any) -> tuple[Any, Any, Any]:
        """Gives the student's (sound, mean, log deviation) of noise, each [batch, time].

        Given the noise before it, a sample is Gaussian: flow k makes x_k = x_(k-1) s_k + m_k, so
        all together x = noise * s + m with s the product of all s_k, and m the sum of each m_k
        times the s of the flows after it (ClariNet, section 3.2).
        """
        sound, mean, log_deviation = noise, 0.0, 0.0
        for flow in self.flows:
            own_mean, own_log_deviation = flow(sound)
            deviation = ops.exp(own_log_deviation)
            sound = sound * deviation + own_mean
            mean = mean * deviation + own_mean
            log_deviation = log_deviation + own_log_deviation
        return sound, mean, log_deviation

    # ---------------------------------------------------------------------------------------------
    # Losses.

    @property
    def stages(self) -> Sequence[Stage]:
        """The teacher, by maximum likelihood; then the student, by distillation."""
        config = self.config
        teacher = Phase("teacher", [self.teacher], self.teacher_loss, reports=("level_nats",))
        names = ("divergence", "regularizer", "spectral_distance")
        student = Phase("student", self.flows, self.student_loss, reports=names)
        first = min(config.teacher_epochs, config.max_epoch)
        epochs = {"teacher": first, "student": config.max_epoch - first}
        return [Stage(p.name, epochs[p.name], [p]) for p in (teacher, student) if epochs[p.name]]

    @property
    def averaged(self) -> Sequence[keras.layers.Layer]:
        """See `MusicModel.averaged`; the student is distilled from the teacher's own weights."""
        return [self.teacher, *self.flows] if self.config.average else ()

    def optimizer_for(self, phase: str) -> keras.optimizers.Optimizer:
        """Gives Adam."""
        return keras.optimizers.Adam(self.config.learning_rate, name=f"{phase}_adam")

    def begin_epoch(self, epoch: int) -> None:
        """Sets the learning rate of an epoch, counted from 0."""
        for optimizer in self.optimizer.by_phase.values():
            optimizer.learning_rate = self.config.learning_rate_of(epoch)

    def teacher_loss(self, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Gives the negative log-likelihood of dequantised levels, nats per sample.

        An upper bound of that of levels: spread evenly over a level of width w, -ln(p(x) w) is in
        the mean no less than -ln of the integral of p over the level (Jensen; Theis et al. 2016,
        arXiv 1511.01844). The report `level_nats` is that of levels.
        """
        levels = ops.cast(batch["music"], "int32")
        low, high = ops.take(audio.LOWER_BOUNDS, levels), ops.take(audio.UPPER_BOUNDS, levels)
        spread = keras.random.uniform(ops.shape(levels), dtype="float32", seed=self.seed)
        sound = low + spread * (high - low)
        mean, log_deviation = self.teacher(sound, training=True)
        skips_first = batch["start_step"] > 0
        weights = step_weights(batch["valid_steps"], ops.shape(levels)[1], skips_first)
        total = ops.maximum(ops.sum(weights), 1.0)
        nats = density_negative_log_likelihood(sound, mean, log_deviation) - ops.log(high - low)
        level_nats = level_negative_log_likelihood(levels, mean, log_deviation)
        report = {"level_nats": ops.sum(level_nats * weights) / total}
        return ops.sum(nats * weights) / total, report

    def student_loss(self, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Gives the weighted sum of the divergence from the teacher, its regularizer, and the
        distance of the mean spectrum from that of the music."""
        music = ops.cast(batch["music"], "int32")
        noise = keras.random.normal(ops.shape(music), dtype="float32", seed=self.seed)
        sound, own_mean, own_log_deviation = self.apply_flows(noise)
        mean, log_deviation = self.teacher(sound)
        least = self.config.distilled_log_deviation
        divergence, regularizer = kl_divergence_and_regularizer(
            own_mean, own_log_deviation, mean, log_deviation, least
        )
        is_valid = ops.arange(ops.shape(music)[1])[None, :] < batch["valid_steps"][:, None]
        frame = min(self.config.spectral_frame, self.config.window_steps)
        real = mean_spectrum(ops.where(is_valid, ops.take(audio.CENTRES, music), 0.0), frame)
        reports = {
            "divergence": ops.mean(divergence),
            "regularizer": ops.mean(regularizer),
            "spectral_distance": spectral_distance(mean_spectrum(sound, frame), real),
        }
        config = self.config
        weights = config.divergence_weight, config.regularizer_weight, config.spectral_weight
        return sum(w * r for w, r in zip(weights, reports.values(), strict=True)), reports

    @classmethod
    def measures_likelihood_of(cls, spec: Spec) -> bool:
        """See `MusicModel.measures_likelihood_of`: the teacher's."""
        return True

    def negative_log_likelihood(self, batch: Mapping[str, Any]) -> Any:
        """See `MusicModel.negative_log_likelihood`: the teacher's, of levels.

        Its input are the centres of the levels before.
        """
        levels = ops.cast(batch["music"], "int32")
        return level_negative_log_likelihood(levels, *self.teacher(ops.take(audio.CENTRES, levels)))

    # ---------------------------------------------------------------------------------------------
    # Generation.

    @classmethod
    def controls_for(cls, config: Config, spec: Spec) -> Mapping[str, Control]:
        """Temperature."""
        return {"temperature": TEMPERATURE}

    def noise_spec(self, count: int, length: int) -> dict[str, Noise]:
        """A normal number per sample."""
        return {"noise": Noise((count, length), "normal", per_step=True)}

    def begin(self, length: Any, noise: Mapping[str, Any], **controls: Any) -> tuple[Any, ...]:
        """See `MusicModel.begin`: of the student the last noise that its next sample depends on,
        none at first; of the teacher its ring buffers and the sample before."""
        count = ops.shape(length)[0]
        if self.config.sampled_network == "student":
            # No columns, in a graph too, where their number is to be unknown: more will come.
            return (ops.zeros((count, ops.shape(length)[0] - count)),)
        return self.teacher.stack.initial_state(count), ops.zeros((count, 1))

    def extend(
        self, state: tuple[Any, ...], noise: Mapping[str, Any], **controls: Any
    ) -> tuple[tuple[Any, ...], Any]:
        """See `MusicModel.extend`: levels."""
        scaled = noise["noise"] * controls["temperature"][:, None]
        if self.config.sampled_network == "teacher":
            state, sound = self.extend_teacher(state, scaled)
            return state, to_levels(sound)
        before = ops.shape(state[0])[1]
        whole = ops.concatenate([state[0], scaled], axis=1)
        sound = self.apply_flows(whole)[0][:, before:]
        return (whole[:, -self.student_receptive_field :],), to_levels(sound)

    def generate(self, noise: Mapping[str, Any], **controls: Any) -> Any:
        """Gives levels, int32 [batch, time]; see `controls`."""
        count, time = ops.shape(noise["noise"])
        state = self.begin(ops.full((count,), time, "int32"), noise)
        return self.extend(state, noise, **controls)[1]

    @property
    def student_receptive_field(self) -> int:
        """Samples of noise before its own that a sample of the student depends on, at most."""
        return sum(flow.stack.receptive_field for flow in self.flows)

    def extend_teacher(self, state: tuple[Any, ...], noise: Any) -> tuple[tuple[Any, ...], Any]:
        """Gives (state, the teacher's sound of noise [batch, time], sample by sample, -1 to 1)."""

        def step(state: Any, elements: Any) -> tuple[Any, tuple[Any, ...]]:
            network, before = state
            network, mean, log_deviation = self.teacher.step(network, before)
            deviation = ops.exp(ops.maximum(log_deviation, LEAST_LOG_DEVIATION))
            sound = ops.clip(mean + elements[0] * deviation, -1.0, 1.0)
            return (network, sound), (sound,)

        state, (sound,) = run_compiled(step, state, [ops.transpose(noise)[..., None]], [1])
        return tuple(state), ops.transpose(stacked(sound)[..., 0])


class GaussianWaveNet(keras.layers.Layer):
    """A WaveNet whose output is the mean and log deviation of each sample, given those before it.

    Teacher and flows are each one of these. Float32 outside the stack: sound in bfloat16 would have
    three digits.

    Args:
      config: sizes of the layers.
      blocks: blocks of dilated convolutions, each with dilations 1, 2, 4, ...
      first_log_deviation: about the log deviation at initialisation.
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
        """Gives (mean, log deviation), each [batch, time], of x [batch, time].

        Those of sample 3 have samples 0 to 2 as input.
        """
        past = ops.pad(x, ((0, 0), (1, 0)))[:, :-1, None]
        mean, log_deviation = self._gaussian(self.stack(self.embed(past), training=training))
        return mean[..., 0], log_deviation[..., 0]

    def step(self, state: tuple[Any, ...], before: Any) -> tuple[tuple[Any, ...], Any, Any]:
        """Gives (the stack's state, mean, log deviation) after the sample `before`; each but the
        state [batch, 1]."""
        state, hidden = self.stack.step(state, self.embed(before))
        return state, *self._gaussian(hidden)

    def _gaussian(self, hidden: Any) -> tuple[Any, Any]:
        mean, log_deviation = ops.split(self.head(hidden), 2, axis=-1)
        return mean, log_deviation + self.first_log_deviation


def level_negative_log_likelihood(levels: Any, mean: Any, log_deviation: Any) -> Any:
    """Gives -ln of a Gaussian's integral over each mu-law level, nats, all of one shape.

    The outermost levels are unbounded, as the codec clips there: the levels sum to 1.
    """
    low = ops.take(audio.OUTER_LOWER_BOUNDS, levels)
    high = ops.take(audio.OUTER_UPPER_BOUNDS, levels)
    return interval_negative_log_likelihood(low, high, mean, log_deviation)


def to_levels(sound: Any) -> Any:
    """Gives the mu-law levels of sound [batch, time], int32, as the codec does."""
    boundaries = ops.convert_to_tensor(audio.BOUNDARIES)
    levels = ops.searchsorted(boundaries, ops.reshape(sound, (-1,)), "right")
    return ops.cast(ops.reshape(levels, ops.shape(sound)), "int32")
