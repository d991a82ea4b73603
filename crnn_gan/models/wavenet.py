"""wavenet: gated dilated causal convolutions that write step after step.

van den Oord et al. 2016, "WaveNet: a generative model for raw audio", arXiv 1609.03499, over
tokens (events, sixteenths, ABC), over frames of piano rolls, and over mu-law levels of sound.

In: residual and skip connections, any number of blocks and layers, ReLU in place of the gated
activation units (Bai et al. 2018, arXiv 1803.01271, found that gates gain nothing on rolls); the
cells of a frame as independent Bernoulli, or autoregressive by NADE (`autoregressive/nade.py`);
dropout; local conditioning (section 2.5) on the music ahead; fast generation with the layers' past
activations in ring buffers (Le Paine et al. 2016, arXiv 1611.09482), in one graph, a batch of
pieces at once.

Left out: the mixture of logistics of Parallel WaveNet's teacher (`parallel_wavenet` has a
Gaussian one); global conditioning.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import keras

from crnn_gan.autoregressive.base import Autoregressive
from crnn_gan.autoregressive.conditioning import ConditionConfig
from crnn_gan.autoregressive.frame_distributions import IndependentBernoulli, NADEKeys
from crnn_gan.autoregressive.likelihood_training import LikelihoodConfig
from crnn_gan.autoregressive.output_distributions import Categorical
from crnn_gan.layers.dilated import DilatedStack
from pipelines.settings import flag
from pipelines.spec import Kind, Spec


@dataclasses.dataclass(frozen=True)
class Config(ConditionConfig, LikelihoodConfig):
    """Settings of wavenet."""

    blocks: int = flag(
        2,
        "blocks of dilated convolutions, each with dilations 1, 2, 4, ...",
        at_least=1,
        at_most=64,
    )
    layers_per_block: int = flag(
        7,
        "convolutions per block; the last has dilation 2^(layers_per_block - 1)",
        at_least=1,
        at_most=20,
    )
    kernel_size: int = flag(2, "kernel size of each convolution, steps", at_least=2)
    residual_channels: int = flag(64, "channels of the residual path", at_least=1)
    dilation_channels: int = flag(64, "output channels of each dilated convolution", at_least=1)
    skip_channels: int = flag(256, "channels of the sum of the skip connections", at_least=1)
    end_channels: int = flag(256, "units of the layer before the output", at_least=1)
    gated: bool = flag(True, "gated activation units, tanh times sigmoid; off: ReLU")
    input_dropout: float = flag(
        0.0, "of rolls: dropout rate of the input frame", at_least=0, below=1
    )
    skip_dropout: float = flag(
        0.0, "dropout rate of the sum of the skip connections", at_least=0, below=1
    )
    end_dropout: float = flag(
        0.0, "dropout rate of the layer before the output", at_least=0, below=1
    )
    notes: Literal["independent", "neighbours", "one_by_one"] = flag(
        "independent",
        "of rolls, the distribution of a frame's keys; independent: independent Bernoulli; "
        "neighbours: so, but each also has past frames around its own pitch as input; one_by_one: "
        "autoregressive over the keys from the lowest up (NADE), with those past frames",
    )
    notewise_hidden: int = flag(
        64, "of neighbours and one_by_one: hidden units per key", at_least=1
    )
    notewise_layers: int = flag(
        2, "of neighbours and one_by_one: hidden layers", at_least=1, at_most=64
    )
    notewise_dropout: float = flag(
        0.0, "of neighbours and one_by_one: dropout rate of the hidden units", at_least=0, below=1
    )
    notewise_span: int = flag(
        24,
        "of one_by_one: keys below a key that are inputs by their interval to it, semitones",
        at_least=0,
    )
    notewise_reach: int = flag(
        16,
        "of neighbours and one_by_one: keys of past frames on each side of a key that are inputs, "
        "semitones",
        at_least=0,
    )
    notewise_frames: int = flag(
        4, "of neighbours and one_by_one: past frames that are inputs", at_least=1
    )
    notewise_frames_dropout: float = flag(
        0.0, "of neighbours and one_by_one: dropout rate of the past frames", at_least=0, below=1
    )


TINY = dict(
    window_steps=64, batch_size=4, max_epoch=2, blocks=2, layers_per_block=2, residual_channels=8,
    dilation_channels=8, skip_channels=8, end_channels=8,
)  # fmt: skip


class Model(Autoregressive):
    """Dilated convolutions over tokens [batch, time], rolls [batch, time, pitches, planes] or
    mu-law levels [batch, time].

    Two rolls of 16 frames each, of a model with random weights:

    >>> import numpy as np
    >>> from pipelines.codecs import piano_roll
    >>> model = Model(Config(**TINY), piano_roll.Codec().spec)
    >>> noise = np.random.rand(2, 16, model.output_distribution.noise_size).astype("float32")
    >>> rolls = model.generate({"draw": noise}, temperature=np.ones(2, "float32"))
    >>> keras.ops.shape(rolls) == (2, 16, *model.spec.shape[1:])
    True
    """

    accepts: ClassVar[tuple[Kind, ...]] = ("tokens", "roll", "audio")
    bytes_per_row: int = 2**17  # XLA compiles for each batch size, and that takes some too.
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"tiny": TINY}

    # ---------------------------------------------------------------------------------------------
    # Layers.

    def __init__(self, config: Config, spec: Spec, seed: int = 0):
        super().__init__(config, spec, seed, name="wavenet")
        self.output_distribution = self._build_output_distribution()
        if isinstance(self.output_distribution, Categorical):
            self.embed = keras.layers.Embedding(
                self.output_distribution.input_vocabulary, config.residual_channels, name="embed"
            )
        else:
            self.embed = keras.layers.Dense(config.residual_channels, name="embed")
        self.embed.build((None, None, self.output_distribution.noise_size))
        self.stack = DilatedStack(
            config.blocks,
            config.layers_per_block,
            config.kernel_size,
            config.residual_channels,
            config.dilation_channels,
            config.skip_channels,
            config.end_channels,
            condition_channels=config.condition_channels,
            gated=config.gated,
            dropout=config.dropout,
            skip_dropout=config.skip_dropout,
            seed=seed,
            name="stack",
        )
        self.stack.build((None, None, config.residual_channels))
        self.input_drop = keras.layers.Dropout(config.input_dropout, seed=1)
        self.end_drop = keras.layers.Dropout(config.end_dropout, seed=2)
        self.output_distribution.build((None, None, config.end_channels))
        self.networks = [self.embed, self.stack, self.output_distribution]
        self.built = True

    def _build_output_distribution(self) -> Any:
        config = self.config
        if self.spec.kind != "roll":
            return Categorical(self.spec, name="output_distribution")
        if config.notes == "independent":
            return IndependentBernoulli(self.spec, name="output_distribution")
        return NADEKeys(
            self.spec,
            hidden=config.notewise_hidden,
            layers=config.notewise_layers,
            dropout=config.notewise_dropout,
            span=config.notewise_span if config.notes == "one_by_one" else 0,
            reach=config.notewise_reach,
            frames=config.notewise_frames,
            frames_dropout=config.notewise_frames_dropout,
            autoregressive=config.notes == "one_by_one",
            name="output_distribution",
        )

    # ---------------------------------------------------------------------------------------------
    # The network over whole sequences, for training, and step by step, for generation.

    def hidden(self, inputs: Any, conditions: Any, training: bool) -> Any:
        """See `Autoregressive.hidden`."""
        if self.spec.kind == "roll":
            inputs = self.input_drop(inputs, training=training)
        x = self.stack(self.embed(inputs), conditions, training=training)
        return self.end_drop(x, training=training)

    def initial_state(self, batch: Any) -> tuple[Any, ...]:
        """See `Autoregressive.initial_state`: ring buffers of zeros."""
        return self.stack.initial_state(batch)

    def advance(
        self, state: tuple[Any, ...], inputs: Any, conditions: Any
    ) -> tuple[tuple[Any, ...], Any]:
        """See `Autoregressive.advance`."""
        return self.stack.step(state, self.embed(inputs), conditions)

    @property
    def compiles_generation(self) -> bool:
        """Not of rolls: their steps are few, and XLA crashes on a loop over keys within one."""
        return self.spec.kind != "roll"
