"""C-RNN-GAN: a recurrent generator that hears itself, against a bidirectional critic.

Mogren 2016, "C-RNN-GAN: Continuous recurrent neural networks with adversarial training",
arXiv 1611.09904, and the authors' code.

In: the generator that feeds back its own output; a discriminator of two independent
stacks, one in each direction; the mean of its verdicts over the steps; feature matching;
L2; the freezing rule; pretraining by teacher forcing on the squared error (alone it is the
paper's baseline); the growing sequence length; minibatch discrimination; verdict by the
ends; generated genre and composer; wider noise; several tones a cell (the codec's
`tones_per_cell`). Where paper and code differ both are options.

Added, because the original loss tends to collapse to a few notes: a Wasserstein loss with
gradient penalty (Gulrajani et al. 2017, arXiv 1704.00028), which is the default, Adam for
both, outputs bounded by tanh, inputs spread evenly over their grid (`dequantize`), and
noise that stays the same through a piece, which can hold a key (`piece_noise`), and
composing with an average of the generator's weights over the last batches (Yazici et al.
2019, arXiv 1806.04498), which calms what the two do to each other.

Left out: the code's `pace_events` and synthetic chords (data, not model), `multiscale`
(never written there), and its curriculum's dependence on the step a run started from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import keras
from keras import ops

from crnn_gan.adversarial import losses
from crnn_gan.adversarial.config import AdversarialConfig, Blur, Replay
from crnn_gan.adversarial.minibatch_discrimination import MinibatchDiscrimination
from crnn_gan.layers.feedback_lstm import FeedbackLSTM
from crnn_gan.layers.recurrent import LSTM
from crnn_gan.music_model import Control, MusicModel, Noise
from crnn_gan.training.phases import JointPhase, Phase, Stage, leading_steps
from pipelines.codecs.codec import Codec
from pipelines.settings import flag
from pipelines.spec import Kind, Spec

L2_STRENGTH = 0.1  # The reference code's constant, times reg_scale.
CURRICULUM_STEP = 4  # Events that the sequence grows by, an epoch.
TEMPERATURE = Control(1.0, 0.0, 4.0, "spread of the noise around its mean; 1 as trained")
DROPOUT = Control(0.0, 0.0, 0.9, "share of the generator's units dropped while sampling")


@dataclasses.dataclass(frozen=True)
class Config(AdversarialConfig):
    """Settings of c_rnn_gan."""

    window_steps: int = flag(32, "steps of the codec in a training window")
    batch_size: int = flag(32, "windows in a batch of the generator")
    max_epoch: int = flag(20, "epochs in all, pretraining included")
    pretraining_epochs: int = flag(
        0, "first epochs of teacher forcing; max_epoch or more is the paper's baseline"
    )
    pretraining_d: bool = flag(False, "also train the discriminator while pretraining")
    hidden_size_g: int = flag(96, "units of each generator layer; the paper has 350")
    hidden_size_d: int = flag(96, "units of each discriminator layer and direction")
    num_layers_g: int = flag(2, "layers of the generator")
    num_layers_d: int = flag(2, "layers of each direction of the discriminator")
    random_input_scale: float = flag(0.3, "noise numbers a step, for each feature of the codec")
    piece_noise: int = flag(
        8, "noise numbers that stay the same all through a piece; 0 as the paper has it"
    )
    noise: Literal["normal", "uniform"] = flag("normal", "distribution of the noise")
    output: Literal["tanh", "linear"] = flag("tanh", "activation of the generator's output")
    adversarial_loss: Literal["wasserstein", "non_saturating", "saturating"] = flag(
        "wasserstein",
        "wasserstein: with gradient penalty; non_saturating: -log D(G), as the reference code; "
        "saturating: log(1 - D(G)), as the paper",
    )
    gradient_penalty: float = flag(10.0, "weight of the gradient penalty (wasserstein)")
    critic_steps: int = flag(1, "critic updates for each of the generator (wasserstein)")
    feature_matching: bool = flag(False, "generator matches the discriminator's features")
    feature_matching_reduction: Literal["mean", "sum"] = flag(
        "mean", "over the batch: mean as the paper, sum as the reference code"
    )
    freezing: Literal["off", "paper", "code"] = flag(
        "off", "paper: stop whoever is below 70 % of the other's loss; code: its guard at 2.0"
    )
    end_classification: bool = flag(False, "judge by the first and last step only")
    unidirectional_d: bool = flag(False, "discriminator reads forwards only")
    disable_feed_previous: bool = flag(False, "generator does not hear its previous output")
    generate_meta: bool = flag(False, "generate genre and composer along with the music")
    meta_layer_size: int = flag(200, "units of the layer that makes genre and composer")
    keep_prob: float = flag(1.0, "share of units kept by dropout; the paper keeps 0.5")
    disable_l2_regularizer: bool = flag(True, "no L2 on the weights")
    reg_scale: float = flag(1.0, "L2 is 0.1 times this")
    initializer: Literal["glorot", "original"] = flag(
        "glorot", "of the dense layers; original: normal with deviation 1, as the reference code"
    )
    optimizer: Literal["adam", "sgd"] = flag("adam", "sgd as the paper; adam works")
    learning_rate: float = flag(5e-4, "of the generator")
    d_lr_factor: float = flag(2.0, "the discriminator's learning rate over the generator's")
    max_grad_norm: float = flag(5.0, "largest global norm of a gradient")
    curriculum: Literal["off", "pretraining", "whole"] = flag(
        "off",
        "length grows by 4 events an epoch: while pretraining (paper), or until it is "
        "window_steps (reference code)",
    )
    average: float = flag(
        0.99, "decay of the average of the generator's weights that composes; 0 for none"
    )
    dequantize: bool = flag(True, "spread inputs evenly over the codec's grid")

    def __post_init__(self) -> None:
        super().__post_init__()
        smallest = dict(
            window_steps=2, batch_size=1, max_epoch=1, pretraining_epochs=0, hidden_size_g=1,
            hidden_size_d=1, num_layers_g=1, num_layers_d=1, critic_steps=1, meta_layer_size=1,
            piece_noise=0,
        )  # fmt: skip
        for name, low in smallest.items():
            if getattr(self, name) < low:
                raise ValueError(f"--{name} is {getattr(self, name)}; give {low} or more")
        for name in ("random_input_scale", "learning_rate", "max_grad_norm", "d_lr_factor"):
            if not getattr(self, name) > 0:
                raise ValueError(f"--{name} is {getattr(self, name)}; give a number above 0")
        if self.freezing != "off" and self.adversarial_loss == "wasserstein":
            raise ValueError(
                "--freezing compares losses of probabilities; a Wasserstein critic has none: add "
                "--adversarial_loss=non_saturating or saturating"
            )
        for name in ("balance_above", "label_smoothing"):
            if getattr(self, name) and self.adversarial_loss == "wasserstein":
                raise ValueError(
                    f"--{name} is of losses of probabilities; a Wasserstein critic has none: add "
                    "--adversarial_loss=non_saturating or saturating"
                )
        if self.r1 and self.adversarial_loss == "wasserstein":
            raise ValueError(
                "--r1 is of losses of probabilities; a Wasserstein critic has --gradient_penalty: "
                "give that, or add --adversarial_loss=non_saturating or saturating"
            )
        if self.balance_above and self.freezing != "off":
            raise ValueError("--balance_above and --freezing both balance the sides; give one")
        if self.replay and self.curriculum != "off":
            raise ValueError(
                f"--replay keeps pieces of one length, and --curriculum={self.curriculum} lets it "
                "grow; give one"
            )
        if not 0 <= self.average < 1:
            raise ValueError(f"--average is {self.average}; give 0 (none) or more, below 1")
        if self.gradient_penalty < 0:
            raise ValueError(f"--gradient_penalty is {self.gradient_penalty}; give 0 or more")
        if not 0 < self.keep_prob <= 1:
            raise ValueError(f"--keep_prob is {self.keep_prob}; give a share above 0, up to 1")


PAPER = dict(
    window_steps=100, batch_size=20, max_epoch=126, pretraining_epochs=6, hidden_size_g=350,
    hidden_size_d=350, random_input_scale=1.0, piece_noise=0, noise="uniform", output="linear",
    adversarial_loss="saturating", feature_matching=True, freezing="paper", keep_prob=0.5,
    disable_l2_regularizer=False, initializer="original", optimizer="sgd", learning_rate=0.1,
    critic_steps=1, d_lr_factor=0.5, curriculum="pretraining", average=0.0, dequantize=False,
)  # fmt: skip
CODE = PAPER | dict(
    hidden_size_g=100, hidden_size_d=100, max_epoch=500, adversarial_loss="non_saturating",
    feature_matching=False, feature_matching_reduction="sum", freezing="code", curriculum="whole",
)  # fmt: skip

TINY = dict(
    window_steps=8, batch_size=4, max_epoch=2, pretraining_epochs=1, hidden_size_g=8,
    hidden_size_d=8, meta_layer_size=8, critic_steps=1,
)  # fmt: skip


class Model(MusicModel):
    """C-RNN-GAN over vectors [batch, time, features]."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": PAPER,
        "code": CODE,
        "tiny": TINY,
    }
    aliases: ClassVar[Mapping[str, str]] = {"songlength": "window_steps"}
    retired: ClassVar[Mapping[str, str]] = {
        "feed_previous": "always on (--disable_feed_previous turns it off)",
        "bidirectional_d": "always on (--unidirectional_d turns it off)",
    }
    accepts: ClassVar[tuple[Kind, ...]] = ("vectors",)

    def __init__(self, config: Config, spec: Spec, seed: int = 0):
        super().__init__(config, spec, seed, name="c_rnn_gan")
        self.clip_norm = config.max_grad_norm
        self.noise_size = max(1, int(config.random_input_scale * spec.size))
        self.meta_sizes = [len(names) for names in spec.classes.values()] if self.has_meta else []
        self.length = keras.Variable(
            config.window_steps, dtype="int32", trainable=False, name="curriculum_length"
        )
        self._dense = "glorot_uniform"
        if config.initializer == "original":
            self._dense = keras.initializers.RandomNormal(stddev=1.0)
        self.generator = self._draw_generator("generator")
        if self.has_meta:
            self.meta_generator = self._draw_meta_generator()
        self.discriminator = self._draw_discriminator()
        self.blur = Blur(config.instance_noise, name="blur") if config.instance_noise else None
        shape = (config.window_steps, spec.size + sum(self.meta_sizes))
        self.kept = Replay(config.replay, shape, name="kept") if config.replay else None
        self.built = True

    @property
    def has_meta(self) -> bool:
        """Whether genre and composer are generated; needs classes in the data."""
        return self.config.generate_meta and bool(self.spec.classes)

    def _draw_generator(self, name: str) -> FeedbackLSTM:
        config = self.config
        generator = FeedbackLSTM(
            self.spec.size,
            config.hidden_size_g,
            config.num_layers_g,
            activation=config.output,
            output_scale=1.5 if config.output == "tanh" else 1.0,
            feedback=not config.disable_feed_previous,
            dense_initializer=self._dense,
            name=name,
        )
        known = self.noise_size + self.config.piece_noise + sum(self.meta_sizes)
        generator.build((None, None, known))
        return generator

    def _draw_meta_generator(self) -> keras.Model:
        noise = keras.Input((self._meta_noise_size,))
        hidden = keras.layers.Dense(
            self.config.meta_layer_size, "relu", kernel_initializer=self._dense
        )(noise)
        meta = keras.layers.Dense(
            sum(self.meta_sizes), "softmax", kernel_initializer=self._dense, dtype="float32"
        )(hidden)
        return keras.Model(noise, meta, name="meta_generator")

    @property
    def _meta_noise_size(self) -> int:
        return max(1, int(self.config.random_input_scale * sum(self.meta_sizes)))

    def _draw_discriminator(self) -> keras.Model:
        """music [batch, time, features + meta] and mask [batch, time] -> verdicts, features.

        Without a curriculum all steps count, and it takes no mask.
        """
        config = self.config
        seeds = iter(range(1, 99))

        def dropout(x: Any) -> Any:
            if config.keep_prob == 1:
                return x
            return keras.layers.Dropout(1 - config.keep_prob, seed=next(seeds))(x)

        music = keras.Input((None, self.spec.size + sum(self.meta_sizes)))
        mask = None if config.curriculum == "off" else keras.Input((None,), dtype="bool")
        dropped, stacks = dropout(music), []
        for reverse in (False,) if config.unidirectional_d else (False, True):
            x = dropped
            for _ in range(config.num_layers_d):
                x = dropout(LSTM(config.hidden_size_d, reverse=reverse)(x, mask=mask))
            stacks.append(x)
        join = keras.layers.Concatenate(dtype="float32")
        if config.minibatch_d:
            stacks.append(MinibatchDiscrimination()(join(stacks) if stacks[1:] else stacks[0]))
        features = join(stacks) if stacks[1:] else stacks[0]
        verdicts = keras.layers.Dense(1, kernel_initializer=self._dense, dtype="float32")(features)
        inputs = music if mask is None else [music, mask]
        return keras.Model(inputs, [verdicts, features], name="discriminator")

    # How it trains.

    def transform_of(self, codec: Codec) -> Callable[[Any, Any], Any] | None:
        """Spreads inputs evenly over the codec's grid."""
        return codec.dequantize if self.config.dequantize else None

    @property
    def batch_windows(self) -> int:
        """Windows that a batch of data holds: one part for each critic update."""
        return self.config.batch_size * self._critic_updates

    @property
    def _critic_updates(self) -> int:
        return self.config.critic_steps if self._is_wasserstein else 1

    @property
    def _is_wasserstein(self) -> bool:
        return self.config.adversarial_loss == "wasserstein"

    @property
    def stages(self) -> Sequence[Stage]:
        """Pretraining by teacher forcing, then the two against each other."""
        config = self.config
        pretraining = min(config.pretraining_epochs, config.max_epoch)
        first = [self._phase("pretraining", self.pretraining_loss)]
        if config.pretraining_d:
            first.append(self._discriminator_phase(0))
        stages = [
            Stage("pretraining", pretraining, first),
            Stage("adversarial", config.max_epoch - pretraining, self._adversarial_phases()),
        ]
        return [stage for stage in stages if stage.epochs]

    def _adversarial_phases(self) -> list[Phase | JointPhase]:
        last = self._critic_updates - 1
        discriminators = [self._discriminator_phase(part) for part in range(last + 1)]
        generator = self._generator_phase(last)
        config = self.config
        if config.balance_above or config.replay or config.feature_matching or config.minibatch_d:
            return [*discriminators, generator]
        joint = JointPhase(
            discriminators[-1],
            generator,
            produce=lambda batch: self.produce(self._part(batch, last)),
            judge=lambda batch, fake: self.judge(self._part(batch, last), fake),
        )
        return [*discriminators[:-1], joint]

    def _phase(self, name: str, loss: Any, **more: Any) -> Phase:
        networks = [self.discriminator] if name == "discriminator" else [self.generator]
        if self.has_meta and name == "generator":
            networks.append(self.meta_generator)
        config = self.config
        l2 = 0.0 if config.disable_l2_regularizer else L2_STRENGTH * config.reg_scale
        return Phase(name, networks, loss, l2=l2, **more)

    def _discriminator_phase(self, part: int) -> Phase:
        def loss(batch: Any) -> Any:
            batch = self._part(batch, part)
            fake = self.produce(batch)
            if self.kept is not None:
                draws = self._draw((fake.shape[0] // 2,))
                fake = self.kept(ops.stop_gradient(fake), draws)
            loss, _, reports, _, _ = self.judge(batch, fake)
            return loss, reports

        of_probabilities = self.config.discriminator_reports
        reports = ("distance", "penalty") if self._is_wasserstein else of_probabilities
        return self.config.balanced(
            self._phase(
                "discriminator", loss, reports=reports, enabled=self._freezing("discriminator")
            )
        )

    def _generator_phase(self, part: int) -> Phase:
        return self.config.balanced(
            self._phase(
                "generator",
                lambda batch: self.generator_loss(self._part(batch, part)),
                reports=("adversarial",),
                enabled=self._freezing("generator"),
            )
        )

    def _freezing(self, who: Literal["discriminator", "generator"]) -> Any:
        rule = self.config.freezing
        return None if rule == "off" else losses.freezing_rule(rule, who)

    def optimizer_for(self, phase: str) -> keras.optimizers.Optimizer:
        """Adam with the momenta of WGAN-GP, or plain SGD as the paper."""
        rate = self._learning_rate(phase, epoch=0)
        if self.config.optimizer == "sgd":
            return keras.optimizers.SGD(rate, name=f"{phase}_sgd")
        return keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.9, name=f"{phase}_adam")

    def _learning_rate(self, phase: str, epoch: int) -> float:
        config = self.config
        factor = config.d_lr_factor if phase == "discriminator" else 1.0
        return config.decayed(config.learning_rate * factor, epoch)

    @property
    def averaged(self) -> Sequence[keras.layers.Layer]:
        """See `MusicModel.averaged`: the generator, alone of all."""
        return [self.generator] if self.config.average else ()

    def begin_epoch(self, epoch: int) -> None:
        """Sets the learning rates and the length of the curriculum for an epoch, from 0."""
        for name, optimizer in self.optimizer.by_phase.items():
            optimizer.learning_rate = self._learning_rate(name, epoch)
        config = self.config
        if self.blur is not None:
            self.blur.deviation.assign(config.noise_of(epoch, config.max_epoch))
        grown = min(CURRICULUM_STEP * (epoch + 1), config.window_steps)
        pretraining = epoch < config.pretraining_epochs
        grows = config.curriculum == "whole" or (config.curriculum == "pretraining" and pretraining)
        self.length.assign(grown if grows else config.window_steps)

    # Losses. A batch has "music" [windows, window_steps, features] and its classes [windows].

    def _part(self, batch: Mapping[str, Any], part: int) -> dict[str, Any]:
        rows = slice(part * self.config.batch_size, (part + 1) * self.config.batch_size)
        return {name: values[rows] for name, values in batch.items()}

    def _steps(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """Gives the music of the batch and which of its steps count."""
        music = batch["music"]
        if self.config.curriculum == "off":
            return music, ops.ones(music.shape[:2], "bool")
        return leading_steps(music, self.length)

    def _real(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """Gives the real music of the batch, meta beside it, and which steps count."""
        music, mask = self._steps(batch)
        meta = self._classes(batch) if self.has_meta else None
        return ops.cast(self._with_meta(music, meta), "float32"), mask

    def _classes(self, batch: Mapping[str, Any]) -> Any:
        """Gives the true meta [batch, meta]: one-hot classes side by side."""
        sizes = zip(self.spec.classes, self.meta_sizes, strict=True)
        return ops.concatenate([ops.one_hot(batch[name], size) for name, size in sizes], axis=-1)

    def _with_meta(self, x: Any, meta: Any) -> Any:
        """Puts meta [batch, meta] beside each step of [batch, time, ...]."""
        if meta is None:
            return x
        meta = ops.broadcast_to(meta[:, None], (*ops.shape(x)[:2], meta.shape[-1]))
        return ops.concatenate([x, ops.cast(meta, x.dtype)], axis=-1)

    def _generator_inputs(self, noise: Any, piece: Any, meta: Any) -> Any:
        """Puts together what the generator knows of each step: [batch, time, inputs]."""
        return self._with_meta(self._with_meta(noise, piece), meta)

    def _draw_noise(self, rows: Any, time: Any) -> tuple[Any, Any]:
        """Draws noise a step [rows, time, noise] and a piece [rows, noise] (None for none)."""
        config = self.config
        piece = None
        if config.piece_noise:
            piece = self._draw((rows, config.piece_noise), config.noise)
        return self._draw((rows, time, self.noise_size), config.noise), piece

    def _draw(self, shape: Sequence[Any], distribution: str = "uniform") -> Any:
        draw = keras.random.normal if distribution == "normal" else keras.random.uniform
        return draw(shape, dtype="float32", seed=self.seed)

    def _dropout_masks(self, batch: Any, time: Any) -> list[Any] | None:
        keep = self.config.keep_prob
        if keep == 1:
            return None
        shape = (batch, time, self.config.hidden_size_g)
        draws = [self._draw(shape) for _ in range(self.config.num_layers_g)]
        return [ops.cast(draw < keep, "float32") / keep for draw in draws]

    def produce(self, batch: Mapping[str, Any]) -> Any:
        """Gives as much generated music as the batch has: [batch, time, features + meta]."""
        music, _ = self._steps(batch)
        rows, time = music.shape[0], ops.shape(music)[1]
        meta = None
        if self.has_meta:
            meta = self.meta_generator(self._draw((rows, self._meta_noise_size)))
        inputs = self._generator_inputs(*self._draw_noise(rows, time), meta)
        first = self._draw((rows, self.spec.size))
        masks = self._dropout_masks(rows, time)
        made = self.generator(inputs, first, dropout_masks=masks)
        return self._with_meta(ops.cast(made, "float32"), meta)

    def _blurred(self, music: Any) -> Any:
        """Adds instance noise to what the discriminator sees, where there is any."""
        if self.blur is None:
            return music
        return self.blur(music, self._draw(ops.shape(music), "normal"))

    def _verdict(self, music: Any, mask: Any) -> tuple[Any, Any]:
        """Gives the discriminator's verdict [batch] and its features [batch, time, units].

        The verdict is the mean over the steps that count, of probabilities (not of logits);
        of plain numbers for a Wasserstein critic.
        """
        verdicts, features = self._verdicts(music, mask)
        if not self._is_wasserstein:
            verdicts = ops.sigmoid(verdicts)
        return ops.sum(verdicts * self._weights(mask), axis=1), ops.cast(features, "float32")

    def _verdicts(self, music: Any, mask: Any) -> tuple[Any, Any]:
        """Gives the discriminator's numbers, float32 [batch, time], and its features."""
        inputs = music if self.config.curriculum == "off" else [music, mask]
        verdicts, features = self.discriminator(inputs, training=True)
        return ops.cast(verdicts[..., 0], "float32"), features

    def _mean_logit(self, music: Any, mask: Any) -> Any:
        """Gives the mean of the discriminator's logits over the steps that count: [batch]."""
        return ops.sum(self._verdicts(music, mask)[0] * self._weights(mask), axis=1)

    def _weights(self, mask: Any) -> Any:
        """Gives what each step counts in a verdict: float32 [batch, time], 1 a row in all."""
        weight = ops.cast(mask, "float32")
        if self.config.end_classification:
            after = ops.concatenate([weight[:, 1:], ops.zeros_like(weight[:, :1])], axis=1)
            before = ops.concatenate([ops.zeros_like(weight[:, :1]), weight[:, :-1]], axis=1)
            weight = (weight - after) * weight + (1 - before) * weight
        return weight / ops.sum(weight, axis=1, keepdims=True)

    def judge(self, batch: Mapping[str, Any], fake: Any) -> Any:
        """Gives what `JointPhase.judge` gives, from one pass over real and generated music."""
        real, mask = self._real(batch)
        both = self._blurred(ops.concatenate([real, fake], axis=0))
        real, fake = ops.split(both, 2)
        verdict, _ = self._verdict(both, ops.concatenate([mask, mask], axis=0))
        of_real, of_fake = ops.split(verdict, 2)
        if self._is_wasserstein:
            distance = ops.mean(of_real) - ops.mean(of_fake)
            penalty = losses.gradient_penalty(
                lambda x: self._verdict(x, mask)[0],
                real,
                fake,
                self._draw((real.shape[0], 1, 1)),
                mask,
            )
            loss = self.config.gradient_penalty * penalty - distance
            reports = {"distance": distance, "penalty": penalty}
            of_generator, ratio = -ops.mean(of_fake), -ops.ones_like(of_fake)
        else:
            loss = losses.discriminator_loss(of_real, of_fake, self.config.label_smoothing)
            reports = {"real": ops.mean(of_real), "fake": ops.mean(of_fake)}
            loss, reports = self.config.restrained(
                loss, reports, lambda x: self._mean_logit(x, mask), real
            )
            of_generator, ratio = losses.generator_loss(of_fake, self.config.adversarial_loss)
        return loss, ratio, reports, of_generator, {"adversarial": self._adversarial(of_fake)}

    def _adversarial(self, of_fake: Any) -> Any:
        """Gives the generator's loss as it is shown and as the freezing rule sees it.

        Of probabilities it is -log D(G(z)), which unlike the paper's log(1 - D(G(z))) is never
        negative, so that 70 % of it means something.
        """
        if self._is_wasserstein:
            return -ops.mean(of_fake)
        return losses.generator_loss(of_fake, "non_saturating")[0]

    def generator_loss(self, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Gives the generator's loss: adversarial, or the distance of features."""
        fake = self.produce(batch)
        if not self.config.feature_matching:
            _, _, _, loss, reports = self.judge(batch, fake)
            return loss, reports
        real, mask = self._real(batch)
        both = self._blurred(ops.concatenate([real, fake], axis=0))
        verdict, features = self._verdict(both, ops.concatenate([mask, mask], axis=0))
        real_features, fake_features = ops.split(features, 2)
        reduction = self.config.feature_matching_reduction
        distance = losses.feature_distance(real_features, fake_features, mask, reduction)
        of_fake = ops.split(verdict, 2)[1]
        return distance, {"adversarial": self._adversarial(of_fake)}

    def pretraining_loss(self, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Gives the mean squared error of the next step, the true past being fed (3.2)."""
        batch = self._part(batch, 0)
        music, mask = self._steps(batch)
        rows, time = music.shape[0], ops.shape(music)[1]
        meta = self._classes(batch) if self.has_meta else None
        inputs = self._generator_inputs(*self._draw_noise(rows, time), meta)
        previous = ops.concatenate([self._draw((rows, 1, self.spec.size)), music[:, :-1]], axis=1)
        masks = self._dropout_masks(rows, time)
        made = self.generator.teacher_forced(inputs, previous, dropout_masks=masks)
        error = ops.mean(ops.square(ops.cast(made, "float32") - music), axis=-1)
        weight = ops.cast(mask, "float32")
        return ops.sum(error * weight) / ops.sum(weight), {}

    # How it composes.

    @classmethod
    def controls_for(cls, config: Config, spec: Spec) -> Mapping[str, Control]:
        """Temperature; and dropout (the original samples with it), where it was trained with."""
        if config.keep_prob == 1:
            return {"temperature": TEMPERATURE}
        return {"temperature": TEMPERATURE, "dropout": DROPOUT}

    def noise_spec(self, count: int, length: int) -> dict[str, Noise]:
        """Noise a step and a piece, the first "previous output", dropout draws, meta noise."""
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
        if self.has_meta:
            noises["meta"] = Noise((count, self._meta_noise_size), "uniform", per_step=False)
        return noises

    def generate(self, noise: Mapping[str, Any], **controls: Any) -> Any:
        """Gives music [batch, time, features]; see `controls` for what may be set."""
        mean = 0.5 if self.config.noise == "uniform" else 0.0
        spread = controls["temperature"][:, None, None]
        meta = self.meta_generator(noise["meta"]) if self.has_meta else None
        steps = mean + spread * (noise["noise"] - mean)
        inputs = self._generator_inputs(steps, noise.get("piece"), meta)
        masks = None
        if "dropout" in controls:
            rate = controls["dropout"][:, None, None]
            masks = [
                ops.cast(noise[f"dropout_{layer}"] >= rate, "float32") / (1 - rate)
                for layer in range(self.config.num_layers_g)
            ]
        made = self.generator(inputs, noise["first"], dropout_masks=masks)
        return ops.cast(made, "float32")
