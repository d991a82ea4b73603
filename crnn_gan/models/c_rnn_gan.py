"""C-RNN-GAN: a recurrent generator that is fed its own output, against a bidirectional critic.

Mogren 2016, "C-RNN-GAN: Continuous recurrent neural networks with adversarial training",
arXiv 1611.09904, and the authors' code.

In: the generator that feeds back its own output; a discriminator of two independent stacks of
LSTMs, one in each direction, whose output is the mean over the steps, or of the ends; feature
matching; L2; the freezing rule; pretraining by teacher forcing on the squared error (alone it is
the paper's baseline); the curriculum of length; minibatch discrimination; generated genre and
composer; several tones per cell (the codec's). Where paper and code differ both are options.

Added, because the original loss tends to collapse to a few notes: a Wasserstein loss with
gradient penalty (Gulrajani et al. 2017, arXiv 1704.00028), which is the default, Adam, outputs
bounded by tanh, inputs spread evenly over their grid (`dequantize`), noise that stays the same
through a piece, which can hold a key (`piece_noise`), and generation with an average of the
generator's weights (Yazici et al. 2019, arXiv 1806.04498).

Left out: the code's `pace_events` and synthetic chords (data, not model), `multiscale`
(never written there), and its curriculum's dependence on the step a run started from.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import keras
from keras import ops

from crnn_gan.adversarial.class_generator import ClassGenerator, beside_each_step
from crnn_gan.adversarial.config import AnyLossConfig
from crnn_gan.adversarial.critic_and_generator import CriticAndGenerator, part_of
from crnn_gan.adversarial.curriculum import CurriculumSettings, LengthCurriculum
from crnn_gan.adversarial.recurrent_discriminator import RecurrentDiscriminator
from crnn_gan.adversarial.stabilisers import make_instance_noise, make_replay_buffer
from crnn_gan.layers.feedback_lstm import FeedbackLSTM
from crnn_gan.music_model import Control, MusicModel, Noise
from crnn_gan.training.phases import Phase, Stage
from pipelines.codecs.codec import Codec
from pipelines.settings import UsageError, flag
from pipelines.spec import Kind, Spec

DRAW = {"normal": keras.random.normal, "uniform": keras.random.uniform}
L2_STRENGTH = 0.1  # The reference code's constant, times reg_scale.
TEMPERATURE = Control(1.0, 0.0, 4.0, "spread of the noise around its mean; 1 as trained")
DROPOUT = Control(0.0, 0.0, 0.9, "dropout rate of the generator's layers while sampling")


@dataclasses.dataclass(frozen=True)
class Config(AnyLossConfig, CurriculumSettings):
    """Settings of c_rnn_gan."""

    window_steps: int = flag(
        32, "steps of the codec in a training window", at_least=2, at_most=1_000_000
    )
    batch_size: int = flag(32, "windows per update of a network", at_least=1)
    pretraining_epochs: int = flag(0, "first epochs, of teacher forcing alone", at_least=0)
    pretraining_d: bool = flag(False, "also train the discriminator while pretraining")
    hidden_size_g: int = flag(96, "units of each generator layer; the paper has 350", at_least=1)
    hidden_size_d: int = flag(96, "units of each discriminator layer and direction", at_least=1)
    num_layers_g: int = flag(2, "layers of the generator", at_least=1, at_most=64)
    num_layers_d: int = flag(
        2, "layers of each direction of the discriminator", at_least=1, at_most=64
    )
    random_input_scale: float = flag(0.3, "random numbers per step and feature", above=0)
    piece_noise: int = flag(8, "random numbers of a piece, the same at each step", at_least=0)
    noise: Literal["normal", "uniform"] = flag("normal", "distribution of the random numbers")
    output: Literal["tanh", "linear"] = flag("tanh", "activation of the generator's output")
    feature_matching: bool = flag(False, "generator matches the discriminator's features")
    feature_matching_reduction: Literal["mean", "sum"] = flag(
        "mean", "of feature matching, over the batch: mean as the paper, sum as the reference code"
    )
    end_classification: bool = flag(False, "discriminator scores the first and last step only")
    unidirectional_d: bool = flag(False, "discriminator of the forward direction alone")
    disable_feed_previous: bool = flag(False, "generator without its previous output as input")
    generate_meta: bool = flag(False, "generate genre and composer along with the music")
    meta_layer_size: int = flag(200, "hidden units that generate genre and composer", at_least=1)
    keep_prob: float = flag(1.0, "1 minus the dropout rate; the paper's is 0.5", above=0, at_most=1)
    disable_l2_regularizer: bool = flag(True, "no L2 regularisation of the weights")
    reg_scale: float = flag(1.0, "factor on the reference code's strength of L2, 0.1")
    initializer: Literal["glorot", "original"] = flag(
        "glorot", "initial kernels of dense layers; original: normal with deviation 1"
    )
    optimizer: Literal["adam", "sgd"] = flag("adam", "optimizer of both networks; the paper's: sgd")
    dequantize: bool = flag(True, "spread inputs evenly over the codec's grid")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.replay and self.curriculum != "off":
            raise UsageError(
                f"--replay keeps windows of one length, and --curriculum={self.curriculum} lets it "
                "grow; give one"
            )


PAPER = dict(
    window_steps=100, batch_size=20, max_epoch=126, pretraining_epochs=6, hidden_size_g=350,
    hidden_size_d=350, random_input_scale=1.0, piece_noise=0, noise="uniform", output="linear",
    adversarial_loss="saturating", feature_matching=True, freezing="paper", keep_prob=0.5,
    disable_l2_regularizer=False, initializer="original", optimizer="sgd", learning_rate=0.1,
    d_learning_rate=0.05, curriculum="pretraining", average=0.0, dequantize=False,
)  # fmt: skip
CODE = PAPER | dict(
    hidden_size_g=100, hidden_size_d=100, max_epoch=500, adversarial_loss="non_saturating",
    feature_matching=False, feature_matching_reduction="sum", freezing="code", curriculum="whole",
)  # fmt: skip
TINY = dict(
    window_steps=8, batch_size=4, max_epoch=2, pretraining_epochs=1, hidden_size_g=8,
    hidden_size_d=8, num_layers_g=1, num_layers_d=1, meta_layer_size=8, critic_steps=1,
)  # fmt: skip


class Model(MusicModel):
    """C-RNN-GAN over vectors float32 [batch, time, features].

    ```
    model = Model(Config(), note_tuples.Codec().spec)
    model.compile()
    model.fit(batches)  # Of "music" float32 [windows, 32, features], and classes int32 [windows].
    noise = draw_numpy(model.noise_spec(count=8, length=50), seeds=np.arange(8))
    model.predict_on_batch({"noise": noise, "controls": {"temperature": np.ones(8, "float32")}})
    ```
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": PAPER, "code": CODE, "tiny": TINY,
    }  # fmt: skip
    aliases: ClassVar[Mapping[str, str]] = {"songlength": "window_steps"}
    retired: ClassVar[Mapping[str, str]] = {
        "feed_previous": "always on (--disable_feed_previous turns it off)",
        "bidirectional_d": "always on (--unidirectional_d turns it off)",
    }
    accepts: ClassVar[tuple[Kind, ...]] = ("vectors",)
    steps_together: int = 256

    # --- Layers ---

    def __init__(self, config: Config, spec: Spec, seed: int = 0):
        super().__init__(config, spec, seed, name="c_rnn_gan")
        self.clip_norm = config.max_grad_norm
        # Without feedback the gates of all steps are computed at once.
        copies = 8 if config.disable_feed_previous else 4
        self.bytes_per_row_and_step = copies * 4 * config.hidden_size_g
        self.noise_size = max(1, int(config.random_input_scale * spec.size))
        self.curriculum = LengthCurriculum(config.curriculum, config.window_steps)
        classes = spec.classes if config.generate_meta else {}
        meta_size = sum(map(len, classes.values()))
        original = config.initializer == "original"
        dense = keras.initializers.RandomNormal(stddev=1.0) if original else "glorot_uniform"
        self.generator = self._build_generator(meta_size, dense)
        self.meta_generator = None
        if classes:
            units, scale = config.meta_layer_size, config.random_input_scale
            self.meta_generator = ClassGenerator(classes, units, scale, dense, "meta_generator")
        self.discriminator = self._build_discriminator(meta_size, dense)
        self.instance_noise_layer = make_instance_noise(config.instance_noise)
        shape = (config.window_steps, spec.size + meta_size)
        self.replay_buffer = make_replay_buffer(config.replay, shape)
        self.built = True

    def _build_generator(self, meta_size: int, dense: Any) -> FeedbackLSTM:
        """inputs [batch, time, noise + piece noise + meta] -> music [batch, time, features]."""
        config, size = self.config, self.noise_size + self.config.piece_noise + meta_size
        generator = FeedbackLSTM(
            self.spec.size,
            config.hidden_size_g,
            config.num_layers_g,
            activation=config.output,
            output_scale=1.5 if config.output == "tanh" else 1.0,
            feedback=not config.disable_feed_previous,
            dense_initializer=dense,
            name="generator",
        )
        generator.build((None, None, size))
        return generator

    def _build_discriminator(self, meta_size: int, dense: Any) -> RecurrentDiscriminator:
        config = self.config
        return RecurrentDiscriminator(
            self.spec.size + meta_size,
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
            generator=[n for n in (self.generator, self.meta_generator) if n is not None],
            critic=[self.discriminator],
            loss=config.adversarial_loss,
            settings=config.loss,
            seed=self.seed,
            produce=self.produce,
            real=self._real,
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

    def produce(self, batch: Mapping[str, Any]) -> Any:
        """Generates as much music as the batch has: float32 [batch, time, features + meta]."""
        music, _ = self.curriculum.cut(batch["music"])
        noise = self._draw_noise(music, "meta", "piece", "noise", "first", "dropout")
        meta = self._meta(noise)
        inputs, masks = self._generator_inputs(noise, meta), self._dropout_masks(noise)
        generated = self.generator(inputs, noise["first"], dropout_masks=masks)
        return beside_each_step(ops.cast(generated, "float32"), meta)

    def _real(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """Gives the real music of the batch, meta beside it, and which steps count."""
        music, mask = self.curriculum.cut(batch["music"])
        return ops.cast(beside_each_step(music, self._true_meta(batch)), "float32"), mask

    def _meta(self, noise: Mapping[str, Any]) -> Any:
        return None if self.meta_generator is None else self.meta_generator(noise["meta"])

    def _true_meta(self, batch: Mapping[str, Any]) -> Any:
        return None if self.meta_generator is None else self.meta_generator.one_hot(batch)

    def _generator_inputs(self, noise: Mapping[str, Any], meta: Any) -> Any:
        """Joins what the generator gets at each step: [batch, time, inputs]."""
        return beside_each_step(beside_each_step(noise["noise"], noise.get("piece")), meta)

    def _draw_noise(self, music: Any, *names: str) -> dict[str, Any]:
        """Draws noises of `noise_spec` for as many windows and steps as `music` has, in order."""
        spec = self.noise_spec(music.shape[0], ops.shape(music)[1])
        spec = {n: spec[n] for start in names for n in spec if n.split("_")[0] == start}
        return {
            name: DRAW[noise.distribution](noise.shape, dtype="float32", seed=self.seed)
            for name, noise in spec.items()
        }

    def _dropout_masks(self, noise: Mapping[str, Any]) -> list[Any] | None:
        keep, layers = self.config.keep_prob, range(self.config.num_layers_g)
        if keep == 1:
            return None
        return [ops.cast(noise[f"dropout_{n}"] < keep, "float32") / keep for n in layers]

    def _add_instance_noise(self, music: Any) -> Any:
        if self.instance_noise_layer is None:
            return music
        noise = keras.random.normal(ops.shape(music), dtype="float32", seed=self.seed)
        return self.instance_noise_layer(music, noise)

    def pretraining_loss(self, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Gives the mean squared error of the next step under teacher forcing (section 3.2)."""
        batch = part_of(batch, 0, self.critic_and_generator.critic_updates)
        music, mask = self.curriculum.cut(batch["music"])
        noise = self._draw_noise(music, "piece", "noise", "first", "dropout")
        inputs = self._generator_inputs(noise, self._true_meta(batch))
        previous = ops.concatenate([noise["first"][:, None], music[:, :-1]], axis=1)
        masks = self._dropout_masks(noise)
        predicted = self.generator.teacher_forced(inputs, previous, dropout_masks=masks)
        error = ops.mean(ops.square(ops.cast(predicted, "float32") - music), axis=-1)
        weight = ops.cast(mask, "float32")
        return ops.sum(error * weight) / ops.sum(weight), {}

    # --- Training ---

    def transform_of(self, codec: Codec) -> Callable[[Any, Any], Any] | None:
        """Spreads inputs evenly over the codec's grid."""
        return codec.dequantize if self.config.dequantize else None

    @property
    def batch_windows(self) -> int:
        """Windows that a batch of data holds: `batch_size` for each update of the critic."""
        return self.config.batch_size * self.critic_and_generator.critic_updates

    @property
    def averaged(self) -> Sequence[keras.layers.Layer]:
        """See `MusicModel.averaged`: the generator, but not that of genre and composer."""
        return [self.generator] if self.config.average else ()

    @property
    def stages(self) -> Sequence[Stage]:
        """Pretraining by teacher forcing, then the two networks against each other."""
        config, both = self.config, self.critic_and_generator
        pretraining = min(config.pretraining_epochs, config.max_epoch)
        first = [Phase("pretraining", [self.generator], self.pretraining_loss, l2=both.l2)]
        if config.pretraining_d:
            first.append(both.critic_phase())
        stages = [
            Stage("pretraining", pretraining, first),
            Stage("adversarial", config.max_epoch - pretraining, both.phases),
        ]
        return [stage for stage in stages if stage.epochs]

    def optimizer_for(self, phase: str) -> keras.optimizers.Optimizer:
        """Gives Adam with the decay rates of WGAN-GP, or plain SGD as the paper."""
        rate = self.config.decayed_learning_rate(phase, epoch=0)
        if self.config.optimizer == "sgd":
            return keras.optimizers.SGD(rate, name=f"{phase}_sgd")
        return keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.9, name=f"{phase}_adam")

    def begin_epoch(self, epoch: int) -> None:
        """Sets learning rates, instance noise and the curriculum's length for an epoch, from 0."""
        for name, optimizer in self.optimizer.by_phase.items():
            optimizer.learning_rate = self.config.decayed_learning_rate(name, epoch)
        if self.instance_noise_layer is not None:
            self.instance_noise_layer.deviation.assign(self.config.instance_noise_deviation(epoch))
        self.curriculum.begin_epoch(epoch, is_pretraining=epoch < self.config.pretraining_epochs)

    # --- Generation ---

    @classmethod
    def controls_for(cls, config: Config, spec: Spec) -> Mapping[str, Control]:
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
        for layer in range(config.num_layers_g if "dropout" in self.controls else 0):
            shape = (count, length, config.hidden_size_g)
            noises[f"dropout_{layer}"] = Noise(shape, "uniform", per_step=True)
        if self.meta_generator is not None:
            noises["meta"] = Noise((count, self.meta_generator.noise_size), "uniform", False)
        return noises

    def begin(self, length: Any, noise: Mapping[str, Any], **controls: Any) -> tuple[Any, ...]:
        """See `MusicModel.begin`: (the noise of the piece, meta, the generator's state)."""
        first = noise["first"]
        states = self.generator.initial_states(ops.shape(first)[0])
        vectors = [v for v in (noise.get("piece"), self._meta(noise)) if v is not None]
        return tuple(vectors), (first, *states)

    def extend(
        self, state: tuple[Any, ...], noise: Mapping[str, Any], **controls: Any
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
        network, music = self.generator.extend(network, inputs, masks)
        return (vectors, network), ops.cast(music, "float32")

    def generate(self, noise: Mapping[str, Any], **controls: Any) -> Any:
        """Gives music float32 [batch, time, features]; see `controls` for what may be set."""
        count, time = ops.shape(noise["noise"])[:2]
        state = self.begin(ops.full((count,), time, "int32"), noise, **controls)
        return self.extend(state, noise, **controls)[1]
