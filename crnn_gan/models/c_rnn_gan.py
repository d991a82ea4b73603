"""C-RNN-GAN: a recurrent generator that is fed its own output, against a bidirectional critic.

Mogren 2016, "C-RNN-GAN: Continuous recurrent neural networks with adversarial training",
arXiv 1611.09904, and the authors' code.

In: the generator that feeds back its own output; a discriminator of two independent stacks of
LSTMs, one in each direction, whose output is the mean over the steps, or of the ends; feature
matching; L2; the freezing rule; pretraining by teacher forcing (alone it is the paper's baseline);
the curriculum of length; minibatch discrimination; generated genre and composer; several tones per
cell (the codec's). Where paper and code differ both are options.

Two kinds of outputs. Continuous, as in the paper: vectors of the codec note_tuples, pretrained on
the squared error. Categorical: cells of the codec `cells`, each field sampled from its
distribution; pretraining is maximum likelihood. Continuous velocities and times are never equal
twice and off the beat: what made pieces sound random (docs/decisions/0004).

Added, because the original loss tends to collapse to a few notes: a Wasserstein loss with
gradient penalty (Gulrajani et al. 2017, arXiv 1704.00028), Adam, generation with an average of the
generator's weights (Yazici et al. 2019, arXiv 1806.04498); of continuous outputs a bound by tanh,
inputs spread evenly over their grid (`dequantize`), and noise that stays the same through a piece,
which can hold a key (`piece_noise`).

Left out: the code's `pace_events` and synthetic chords (data, not model), `multiscale`
(never written there), and its curriculum's dependence on the step a run started from; of
categorical outputs the curriculum, and generated genre and composer.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import keras
from keras import ops

from crnn_gan.adversarial.config import AnyLossConfig, changed_default, changed_fields
from crnn_gan.adversarial.critic_and_generator import CriticAndGenerator, part_of
from crnn_gan.adversarial.curriculum import CurriculumSettings, LengthCurriculum
from crnn_gan.adversarial.pretraining import PretrainingSettings
from crnn_gan.adversarial.recurrent_discriminator import RecurrentDiscriminator
from crnn_gan.adversarial.stabilisers import make_instance_noise, make_replay_buffer
from crnn_gan.autoregressive.categorical_generator import (
    FIELDS,
    CategoricalGenerator,
    CategoricalSettings,
)
from crnn_gan.autoregressive.continuous_generator import ContinuousGenerator, ContinuousSettings
from crnn_gan.music_model import Control, MusicModel, Noise
from crnn_gan.training.phases import Phase, Stage
from pipelines.codecs.codec import Codec
from pipelines.settings import UsageError, flag
from pipelines.spec import Kind, Spec

L2_STRENGTH = 0.1  # The reference code's constant, times reg_scale.
OUTPUTS = {"vectors": "continuous", "cells": "categorical"}  # By the kind of Spec.
CODECS = {"continuous": "note_tuples", "categorical": "cells"}
SETTINGS_OF = {"continuous": ContinuousSettings, "categorical": CategoricalSettings}


@dataclasses.dataclass(frozen=True)
class Config(
    AnyLossConfig, CurriculumSettings, PretrainingSettings, ContinuousSettings, CategoricalSettings
):
    """Settings of c_rnn_gan."""

    outputs: Literal["auto", "categorical", "continuous"] = flag(
        "auto",
        "outputs of the generator; categorical: cells, of data prepared with --codec=cells; "
        "continuous: vectors, as in the paper, of --codec=note_tuples; auto: as the data",
    )
    window_steps: int = flag(
        32, "steps of the codec in a training window", at_least=2, at_most=1_000_000
    )
    batch_size: int = flag(64, "windows per update of a network", at_least=1)
    max_epoch: int = changed_default(AnyLossConfig, "max_epoch", 41)
    learning_rate: float = changed_default(AnyLossConfig, "learning_rate", 5e-5)
    d_learning_rate: float = changed_default(AnyLossConfig, "d_learning_rate", 5e-4)
    max_grad_norm: float = changed_default(AnyLossConfig, "max_grad_norm", 1.0)
    hidden_size_g: int = flag(128, "units of each generator layer; the paper has 350", at_least=1)
    hidden_size_d: int = flag(96, "units of each discriminator layer and direction", at_least=1)
    num_layers_g: int = flag(2, "layers of the generator", at_least=1, at_most=64)
    num_layers_d: int = flag(
        2, "layers of each direction of the discriminator", at_least=1, at_most=64
    )
    feature_matching: bool = flag(False, "generator matches the discriminator's features")
    feature_matching_reduction: Literal["mean", "sum"] = flag(
        "mean", "of feature matching, over the batch: mean as the paper, sum as the reference code"
    )
    end_classification: bool = flag(False, "discriminator scores the first and last step only")
    unidirectional_d: bool = flag(False, "discriminator of the forward direction alone")
    keep_prob: float = flag(0.9, "1 minus the dropout rate; the paper's is 0.5", above=0, at_most=1)
    disable_l2_regularizer: bool = flag(True, "no L2 regularisation of the weights")
    reg_scale: float = flag(1.0, "factor on the reference code's strength of L2, 0.1")
    initializer: Literal["glorot", "original"] = flag(
        "glorot", "initial kernels of dense layers; original: normal with deviation 1"
    )
    optimizer: Literal["adam", "sgd"] = flag("adam", "optimizer of both networks; the paper's: sgd")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.replay and self.curriculum != "off":
            raise UsageError(
                f"--replay keeps windows of one length, and --curriculum={self.curriculum} lets it "
                "grow; give one"
            )
        if self.outputs != "auto":
            self.require_outputs(self.outputs)

    def require_outputs(self, outputs: str) -> None:
        """Refuses settings of the other outputs that are not their defaults: UsageError."""
        other = "continuous" if outputs == "categorical" else "categorical"
        if changed := changed_fields(self, SETTINGS_OF[other]):
            raise UsageError(
                f"--{changed[0]} is a setting of {other} outputs, but the outputs are {outputs}; "
                "leave it out, or prepare the data with another codec"
            )
        if outputs == "continuous":
            return
        if self.curriculum != "off":
            raise UsageError(
                f"--curriculum={self.curriculum} is of continuous outputs; leave it out"
            )
        if self.balance_above:
            raise UsageError(
                "--balance_above compares a loss that with categorical outputs has the likelihood "
                "in it; leave it out"
            )
        if self.feature_matching and self.generator_gradient == "policy":
            raise UsageError(
                "--feature_matching takes a gradient through the discriminator, which "
                "--generator_gradient=policy does not; give --generator_gradient=straight_through"
            )


CONTINUOUS = dict(
    outputs="continuous", batch_size=32, max_epoch=20, pretraining_epochs=0, hidden_size_g=96,
    learning_rate=5e-4, d_learning_rate=1e-3, pretraining_learning_rate=5e-4,
    pretraining_schedule="constant", max_grad_norm=5.0, keep_prob=1.0,
)  # fmt: skip
PAPER = CONTINUOUS | dict(
    window_steps=100, batch_size=20, max_epoch=126, pretraining_epochs=6, hidden_size_g=350,
    hidden_size_d=350, random_input_scale=1.0, piece_noise=0, noise="uniform", output="linear",
    adversarial_loss="saturating", feature_matching=True, freezing="paper", keep_prob=0.5,
    disable_l2_regularizer=False, initializer="original", optimizer="sgd", learning_rate=0.1,
    pretraining_learning_rate=0.1, d_learning_rate=0.05, curriculum="pretraining", average=0.0,
    dequantize=False,
)  # fmt: skip
CODE = PAPER | dict(
    hidden_size_g=100, hidden_size_d=100, max_epoch=500, adversarial_loss="non_saturating",
    feature_matching=False, feature_matching_reduction="sum", freezing="code", curriculum="whole",
)  # fmt: skip
TINY = dict(
    window_steps=8, batch_size=4, max_epoch=2, pretraining_epochs=1, hidden_size_g=8,
    hidden_size_d=8, num_layers_g=1, num_layers_d=1, critic_steps=1,
)  # fmt: skip


class Model(MusicModel):
    """C-RNN-GAN over cells int32 [batch, time, fields], or vectors float32 [batch, time, features].

    ```
    model = Model(Config(), cells.Codec().spec)
    model.compile()
    model.fit(batches)  # Of "music" int32 [windows, 32, fields], and classes int32 [windows].
    noise = draw_numpy(model.noise_spec(count=8, length=50), seeds=np.arange(8))
    controls = {name: np.full(8, c.default, c.dtype) for name, c in model.controls.items()}
    model.predict_on_batch({"noise": noise, "controls": controls})
    ```
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "continuous": CONTINUOUS, "paper": PAPER, "code": CODE, "tiny": TINY,
    }  # fmt: skip
    aliases: ClassVar[Mapping[str, str]] = {"songlength": "window_steps"}
    retired: ClassVar[Mapping[str, str]] = {
        "feed_previous": "always on (--disable_feed_previous turns it off)",
        "bidirectional_d": "always on (--unidirectional_d turns it off)",
    }
    accepts: ClassVar[tuple[Kind, ...]] = ("cells", "vectors")
    steps_together: int = 256

    # --- Layers ---

    def __init__(self, config: Config, spec: Spec, seed: int = 0):
        super().__init__(config, spec, seed, name="c_rnn_gan")
        self.clip_norm = config.max_grad_norm
        self.outputs = OUTPUTS[spec.kind]
        if config.outputs not in ("auto", self.outputs):
            raise UsageError(
                f"the data holds {spec.kind}, for {self.outputs} outputs, but --outputs is "
                f"{config.outputs} (a preset may have set it): prepare the data with "
                f"--codec={CODECS[config.outputs]}, or leave --outputs or the preset out"
            )
        config.require_outputs(self.outputs)
        original = config.initializer == "original"
        dense = keras.initializers.RandomNormal(stddev=1.0) if original else "glorot_uniform"
        self.curriculum = LengthCurriculum(config.curriculum, config.window_steps)
        if self.outputs == "continuous":
            self.generator = ContinuousGenerator(config, spec, self.seed, self.curriculum, dense)
        else:
            self.generator = CategoricalGenerator(config, spec, self.seed)
        self.bytes_per_row_and_step = self.generator.bytes_per_row_and_step
        self.discriminator = self._build_discriminator(dense)
        self.instance_noise_layer = make_instance_noise(config.instance_noise)
        shape = (config.window_steps, self.generator.critic_size)
        self.replay_buffer = make_replay_buffer(config.replay, shape)
        self.built = True

    def _build_discriminator(self, dense: Any) -> RecurrentDiscriminator:
        config = self.config
        return RecurrentDiscriminator(
            self.generator.critic_size,
            config.hidden_size_d,
            config.num_layers_d,
            bidirectional=not config.unidirectional_d,
            dropout=1 - config.keep_prob,
            minibatch=config.minibatch_d,
            masked=config.curriculum != "off",
            ends_only=config.end_classification,
            of_probabilities=config.adversarial_loss != "wasserstein",
            dense_initializer=dense,
            name="discriminator",
        )

    # --- Losses ---

    @functools.cached_property
    def critic_and_generator(self) -> CriticAndGenerator:
        """The networks and their adversarial losses."""
        config = self.config
        return CriticAndGenerator(
            generator=self.generator.networks,
            critic=[self.discriminator],
            loss=config.adversarial_loss,
            settings=config.loss,
            seed=self.seed,
            produce=self.generator.produce,
            real=self.generator.real,
            scores=self.discriminator.scores,
            logits_for_r1=self.discriminator.mean_output,
            add_instance_noise=self._add_instance_noise,
            replay_buffer=self.replay_buffer,
            feature_matching=config.feature_matching_reduction if config.feature_matching else None,
            rows_compared=config.minibatch_d,
            generator_sees_real=True,
            l2=0.0 if config.disable_l2_regularizer else L2_STRENGTH * config.reg_scale,
            generator_reports=("adversarial",),
        )

    def _add_instance_noise(self, music: Any) -> Any:
        if self.instance_noise_layer is None:
            return music
        noise = keras.random.normal(ops.shape(music), dtype="float32", seed=self.seed)
        return self.instance_noise_layer(music, noise)

    def pretraining_loss(self, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Gives the loss of teacher forcing on the rows of one update."""
        part = part_of(batch, 0, self.critic_and_generator.critic_updates)
        return self.generator.pretraining_loss(part)

    def negative_log_likelihood(self, batch: Mapping[str, Any]) -> Any:
        """See `MusicModel.negative_log_likelihood`; of categorical outputs."""
        if self.outputs == "continuous":
            return super().negative_log_likelihood(batch)
        return self.generator.negative_log_likelihood(batch)

    @classmethod
    def measures_likelihood_of(cls, spec: Spec) -> bool:
        """See `MusicModel.measures_likelihood_of`: of cells, not of vectors."""
        return spec.kind == "cells"

    # --- Training ---

    def transform_of(self, codec: Codec) -> Callable[[Any, Any], Any] | None:
        """Spreads continuous inputs evenly over the codec's grid."""
        spreads = self.outputs == "continuous" and self.config.dequantize
        return codec.dequantize if spreads else None

    @property
    def batch_windows(self) -> int:
        """Windows that a batch of data holds: `batch_size` for each update of the critic."""
        return self.config.batch_size * self.critic_and_generator.critic_updates

    @property
    def averaged(self) -> Sequence[keras.layers.Layer]:
        """See `MusicModel.averaged`: the generator, but not that of genre and composer."""
        return [self.generator.network] if self.config.average else ()

    @property
    def stages(self) -> Sequence[Stage]:
        """Pretraining by teacher forcing, then the two networks against each other.

        The second stage is there even if it has no epoch yet, so that a run of the first alone
        can go on with a larger max_epoch.
        """
        config, both = self.config, self.critic_and_generator
        pretraining = min(config.pretraining_epochs, config.max_epoch)
        fields = (*FIELDS, "piece") if self.outputs == "categorical" else ()
        first = [
            Phase(
                "pretraining", [self.generator.network], self.pretraining_loss, fields, l2=both.l2
            )
        ]
        if config.pretraining_d:
            first.append(both.critic_phase())
        adversarial = self.generator.phases(both)
        return [
            *([Stage("pretraining", pretraining, first)] if pretraining else []),
            Stage("adversarial", config.max_epoch - pretraining, adversarial),
        ]

    def optimizer_for(self, phase: str) -> keras.optimizers.Optimizer:
        """Gives Adam, in adversarial training with the decay rates of WGAN-GP; or plain SGD as the
        paper."""
        rate = self._learning_rate(phase, epoch=0)
        if self.config.optimizer == "sgd":
            return keras.optimizers.SGD(rate, name=f"{phase}_sgd")
        betas = dict(beta_1=0.5, beta_2=0.9)
        if phase == "pretraining" and self.outputs == "categorical":
            betas = dict(beta_1=0.9, beta_2=0.99)
        return keras.optimizers.Adam(rate, **betas, name=f"{phase}_adam")

    def _learning_rate(self, phase: str, epoch: int) -> float:
        if phase != "pretraining":
            return self.config.decayed_learning_rate(phase, epoch)
        return self.config.pretraining_rate(epoch) * self.config.decay(epoch)

    def begin_epoch(self, epoch: int) -> None:
        """Sets learning rates, instance noise and the curriculum's length for an epoch, from 0."""
        for name, optimizer in self.optimizer.by_phase.items():
            optimizer.learning_rate = self._learning_rate(name, epoch)
        if self.instance_noise_layer is not None:
            self.instance_noise_layer.deviation.assign(self.config.instance_noise_deviation(epoch))
        self.curriculum.begin_epoch(epoch, is_pretraining=epoch < self.config.pretraining_epochs)

    # --- Generation ---

    @classmethod
    def controls_for(cls, config: Config, spec: Spec) -> Mapping[str, Control]:
        """See `ContinuousGenerator.controls_for` and `CategoricalGenerator.controls_for`."""
        generator = CategoricalGenerator if spec.kind == "cells" else ContinuousGenerator
        return generator.controls_for(config)

    def noise_spec(self, count: int, length: int) -> dict[str, Noise]:
        """See `MusicModel.noise_spec`: the generator's."""
        return self.generator.noise_spec(count, length)

    def begin(self, length: Any, noise: Mapping[str, Any], **controls: Any) -> tuple[Any, ...]:
        """See `MusicModel.begin`."""
        return self.generator.begin(noise, controls)

    def extend(
        self, state: tuple[Any, ...], noise: Mapping[str, Any], **controls: Any
    ) -> tuple[tuple[Any, ...], Any]:
        """See `MusicModel.extend`."""
        return self.generator.extend(state, noise, controls)

    def generate(self, noise: Mapping[str, Any], **controls: Any) -> Any:
        """Gives music [batch, time, ...]; see `controls` for what may be set."""
        state = self.generator.begin(noise, controls)
        return self.generator.extend(state, noise, controls)[1]
