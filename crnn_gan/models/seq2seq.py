"""seq2seq: an encoder-decoder of GRUs that writes a piano roll block after block.

The sequence-to-sequence model of Deep Musician (a source document). The encoder, a stack of GRUs
(Cho et al. 2014, arXiv 1406.1078), has a frame of silence and then a block of frames as input; its
last hidden states are the decoder's first. The decoder's input is a frame of silence and then the
frame before; a dense layer of ReLUs and an output layer turn its hidden state into the probability
of each cell of the next frame. The source document's frames are onsets alone, a note value each:
--planes=onset, its division is --steps_per_quarter. Any planes of bits do.

In: teacher forcing with a probability (scheduled sampling; Bengio et al. 2015, arXiv 1506.03099);
cross-entropy, focal loss, and focal loss of notes alone; pieces from zero, random or silence's
hidden states; sampled or thresholded notes; density, precision and recall in training.

Differences from the source document:
  blocks      Its decoder runs on as long as a piece lasts. Here the encoder also reads what is
              generated, or a primer, and at each block of frames the decoder starts anew from the
              encoder's states, as in training. So each frame has a probability given all before.
  beginnings  Half of the windows at the beginning of a piece are trained on as what follows silence
              (`from_silence`): there no model ever learns how pieces begin.
  forcing     Teacher forcing is drawn per step and row, not per step; its default is always: that
              is maximum likelihood.
  alpha       Balances notes and rests; there it is 1e-6 times the whole loss, which only sinks the
              gradients below Adam's epsilon.
  sampling    There probabilities are fed back, and thresholded at the end. Notes are rare: hardly
              any is above the threshold, no frame depends on what the one before became, and all
              but the random start give one piece. `sampled` 0 does that; the default samples notes
              and feeds them back.

Left out: the ReLU on the decoder's input, which changes no number from 0 to 1; separate hands.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import keras
from keras import ops

from crnn_gan.autoregressive.base import Autoregressive
from crnn_gan.autoregressive.focal_loss import FocalBernoulli
from crnn_gan.autoregressive.likelihood_training import LikelihoodConfig, step_weights
from crnn_gan.autoregressive.predictions import NOTE_METRICS, note_metrics
from crnn_gan.autoregressive.sampling import COLDEST, TEMPERATURE
from crnn_gan.layers.loops import scan, stacked
from crnn_gan.music_model import Control, Noise
from crnn_gan.training.phases import Phase, Stage
from pipelines.settings import UsageError, flag
from pipelines.spec import Kind, Spec

ZERO, RANDOM, SILENCE = range(3)  # Of the control `start`.


@dataclasses.dataclass(frozen=True)
class Config(LikelihoodConfig):
    """Settings of seq2seq."""

    window_steps: int = flag(
        192,
        "length of a training window, steps of the codec: the first half is the encoder's input, "
        "the second half the decoder's target",
        at_least=2,
        at_most=1_000_000,
    )
    hidden_size: int = flag(256, "units of each GRU layer", at_least=1)
    num_layers: int = flag(
        2, "GRU layers of the encoder, and of the decoder", at_least=1, at_most=64
    )
    classifier_size: int = flag(
        256, "units of the dense layer between decoder and output", at_least=1
    )
    classifier_dropout: float = flag(0.2, "dropout rate of that dense layer", at_least=0, below=1)
    criterion: Literal["bce", "focal", "focal_positive"] = flag(
        "bce",
        "loss; bce: binary cross-entropy; focal: focal loss; focal_positive: focal loss of cells "
        "that are 1, cross-entropy of those that are 0",
    )
    gamma: float = flag(
        2.0, "focal loss: focusing parameter, how much less well predicted cells weigh", at_least=0
    )
    alpha: float = flag(
        0.25,
        "focal loss: weight of cells that are 1; that of the others is 1 - alpha",
        above=0,
        below=1,
    )
    prior: float = flag(
        0.01,
        "probability of each cell at initialisation, set by the output's bias",
        above=0,
        below=1,
    )
    teacher_forcing: float = flag(
        1.0,
        "teacher forcing: probability that the decoder's input in training is the true frame "
        "before, not its own output",
        at_least=0,
        at_most=1,
    )
    feedback: Literal["bits", "probabilities"] = flag(
        "bits",
        "own output that is fed back in training where teacher forcing is off; bits: sampled "
        "cells; probabilities: of the cells",
    )
    from_silence: float = flag(
        0.5,
        "probability that a window at a piece's beginning is trained on as what follows silence: "
        "input silence, target its first half",
        at_least=0,
        at_most=1,
    )
    threshold: float = flag(
        0.5,
        "probability above which the reported metrics count a note as predicted",
        above=0,
        below=1,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window_steps % 2:
            raise UsageError(
                f"--window_steps is {self.window_steps}; give an even number: the first half is "
                "the input, the second the target"
            )


# The constants of the source document, but for its alpha (see above).
ORIGINAL = dict(
    hidden_size=512, num_layers=2, batch_size=128, max_epoch=100, learning_rate=1e-3, dropout=0.2,
    classifier_dropout=0.5, teacher_forcing=0.5, feedback="probabilities", criterion="focal",
    gamma=2.0, prior=0.5, from_silence=0.0, window_steps=192, max_grad_norm=1e9,
)  # fmt: skip

TINY = dict(
    window_steps=16, batch_size=4, max_epoch=2, hidden_size=8, num_layers=2, classifier_size=8,
)  # fmt: skip


class Model(Autoregressive):
    """Encoder and decoder over rolls [batch, time, pitches, planes] of bits.

    `negative_log_likelihood` is that of sampling from silence, under teacher forcing.

    Two pieces of a block of eight frames each, of a model with random weights:

    >>> import numpy as np
    >>> from crnn_gan.generation.noise import draw_numpy
    >>> from pipelines.codecs import piano_roll
    >>> model = Model(Config(**TINY), piano_roll.Codec(planes="onset").spec)
    >>> noise = draw_numpy(model.noise_spec(count=2, length=8), seeds=np.arange(2))
    >>> controls = {name: np.full(2, c.default, c.dtype) for name, c in model.controls.items()}
    >>> keras.ops.shape(model.generate(noise, **controls)) == (2, 8, *model.spec.shape[1:])
    True
    """

    accepts: ClassVar[tuple[Kind, ...]] = ("roll",)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"original": ORIGINAL, "tiny": TINY}
    output_distribution: FocalBernoulli

    # ---------------------------------------------------------------------------------------------
    # Layers.

    def __init__(self, config: Config, spec: Spec, seed: int = 0):
        super().__init__(config, spec, seed, name="seq2seq")
        self.output_distribution = FocalBernoulli(
            spec, config.criterion, config.alpha, config.gamma, config.prior,
            name="output_distribution",
        )  # fmt: skip
        units, numbers = config.hidden_size, range(config.num_layers)
        # XLA, which compiles training on a GPU, has no cuDNN.
        self.encoder = [
            keras.layers.GRU(units, return_sequences=True, use_cudnn=False, name=f"encoder_{k}")
            for k in numbers
        ]
        self.decoder = [keras.layers.GRUCell(units, name=f"decoder_{k}") for k in numbers]
        for number in numbers:
            size = units if number else self.output_distribution.noise_size
            self.encoder[number].build((None, None, size))
            self.decoder[number].build((None, size))
        self.classifier = keras.layers.Dense(config.classifier_size, "relu", name="classifier")
        self.classifier.build((None, units))
        self.output_distribution.build((None, config.classifier_size))
        self.networks = [
            *self.encoder, *self.decoder, self.classifier, self.output_distribution,
        ]  # fmt: skip
        self.built = True

    @property
    def block_steps(self) -> int:
        """Frames of a block: the encoder's input, and as many of the decoder's output."""
        return self.window_steps // 2

    @classmethod
    def piece_steps_for(cls, config: Config, spec: Spec) -> int:
        """See `MusicModel.piece_steps_for`: one block."""
        return config.window_steps // 2

    def encode(self, cells: Any, training: bool = False) -> tuple[Any, ...]:
        """Gives the encoder's last hidden states after silence and frames [batch, time, cells].

        float32 [batch, units] of each layer.
        """
        x = ops.pad(cells, ((0, 0), (1, 0), (0, 0)))
        states = []
        for number, layer in enumerate(self.encoder):
            if number and training:
                x = keras.random.dropout(x, self.config.dropout, seed=self.seed)
            x = layer(x)
            states.append(ops.cast(x[:, -1], "float32"))
        return tuple(states)

    def decode(
        self, state: Sequence[Any], inputs: Any, masks: Sequence[Any] = ()
    ) -> tuple[tuple[Any, ...], Any]:
        """Gives (state, hidden [batch, units]) of the decoder's next frame.

        Args:
          state: at first the encoder's last hidden states.
          inputs: float32 [batch, cells], at first silence, then the frame before.
          masks: dropout masks, multiplied with the outputs of each layer but the last, and with
            those of the classifier; none without dropout.
        """
        state, x = _step_cells(self.decoder, state, inputs, masks)
        x = ops.cast(self.classifier(x), "float32")
        return state, x * masks[-1] if masks else x

    # ---------------------------------------------------------------------------------------------
    # Losses.

    @property
    def stages(self) -> Sequence[Stage]:
        """One stage of one phase."""
        phase = Phase("prediction", self.networks, self.prediction_loss, NOTE_METRICS)
        return [Stage("prediction", self.config.max_epoch, [phase])]

    def prediction_loss(self, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Gives (mean of the criterion over the target frames, {metric: value}).

        Padding does not count; the loss is 0 where no frame does. The metrics are `note_metrics`.
        """
        inputs, target, valid_steps = self.split_blocks(batch)
        outputs = self.decode_block(self.encode(inputs, training=True), target)
        skips_none = ops.zeros_like(valid_steps) > 0
        weights = step_weights(valid_steps, ops.shape(target)[1], skips_none)
        loss = ops.sum(self.output_distribution.criterion(outputs, target) * weights)
        probability = ops.sigmoid(self.output_distribution.logits(outputs))
        metrics = note_metrics(probability > self.config.threshold, target, weights)
        return loss / ops.maximum(ops.sum(weights), 1.0), metrics

    def split_blocks(self, batch: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        """Gives (encoder's input, decoder's target, both [batch, time, cells]; the target's frames
        before its padding, int32 [batch]).

        The first and the second half of a window; of one at a piece's beginning, with probability
        `from_silence`, silence and the first half.
        """
        length, valid_steps = self.block_steps, batch["valid_steps"]
        cells = self.output_distribution.inputs(batch["music"])
        first, second = cells[:, :length], cells[:, length:]
        uniform = keras.random.uniform(ops.shape(valid_steps), seed=self.seed)
        begins = (batch["start_step"] == 0) & (uniform < self.config.from_silence)
        target = ops.where(begins[:, None, None], first, second)
        inputs = ops.where(begins[:, None, None], 0.0, first)
        return inputs, target, ops.where(begins, valid_steps, valid_steps - length)

    def decode_block(self, state: Sequence[Any], target: Any) -> Any:
        """Gives the head's outputs [batch, time, cells] of a block, from the encoder's states.

        For each frame and row it is drawn, with probability `teacher_forcing`, whether the next
        frame's input is the frame of `target`, float32 [batch, time, cells], or the decoder's own.
        """
        config, cells = self.config, self.output_distribution.noise_size
        target = ops.transpose(target, (1, 0, 2))
        time, batch = ops.shape(target)[:2]
        # Drawn here: on JAX nothing can be drawn in a loop.
        is_forced = keras.random.uniform((time, batch, 1), seed=self.seed) < config.teacher_forcing
        uniform = keras.random.uniform((time, batch, cells), seed=self.seed)
        shares = [(config.hidden_size, config.dropout)] * (config.num_layers - 1)
        masks = [
            keras.random.dropout(ops.ones((time, batch, size)), share, seed=self.seed)
            for size, share in [*shares, (config.classifier_size, config.classifier_dropout)]
        ]

        def step(state: Any, elements: Any) -> tuple[Any, tuple[Any, ...]]:
            network, inputs = state
            target, is_forced, uniform, *masks = elements
            network, hidden = self.decode(network, inputs, masks)
            outputs = self.output_distribution.head(hidden)
            own = ops.sigmoid(self.output_distribution.logits(outputs))
            if config.feedback == "bits":
                own = ops.cast(own > uniform, "float32")
            return (network, ops.where(is_forced, target, own)), (outputs,)

        initial = (tuple(state), self.output_distribution.start_input(batch))
        (outputs,) = scan(step, initial, [target, is_forced, uniform, *masks], [cells])
        return ops.transpose(stacked(outputs), (1, 0, 2))

    # ---------------------------------------------------------------------------------------------
    # Generation, block after block.

    def initial_state(self, batch: Any) -> tuple[Any, ...]:
        """See `Autoregressive.initial_state`: the state after silence.

        (frames of this block that were decoded; the encoder's states after the input so far; those
        at the beginning of a block; the decoder's states.)
        """

        def each(states: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(ops.broadcast_to(h, (batch, self.config.hidden_size)) for h in states)

        size = self.output_distribution.noise_size
        begun = each(self.encode(ops.zeros((1, 0, size))))
        decoder = each(self.encode(ops.zeros((1, self.block_steps, size))))
        return ops.zeros((), "int32"), tuple(map(ops.zeros_like, begun)), begun, decoder

    def advance(
        self, state: tuple[Any, ...], inputs: Any, conditions: Any
    ) -> tuple[tuple[Any, ...], Any]:
        """See `Autoregressive.advance`."""
        decoded, encoder, begun, decoder = state
        # The first input is the silence before any frame.
        encoder, _ = _step_cells([layer.cell for layer in self.encoder], encoder, inputs)
        is_full = decoded == self.block_steps
        decoder, encoder = _where(is_full, encoder, decoder), _where(is_full, begun, encoder)
        decoder, hidden = self.decode(decoder, ops.where(is_full, 0.0, inputs))
        return (ops.where(is_full, 0, decoded) + 1, encoder, begun, decoder), hidden

    @classmethod
    def controls_for(cls, config: Any, spec: Spec) -> Mapping[str, Control]:
        """Gives the controls of the decoder's first state, and of sampling."""
        start = "the decoder's first hidden state: 0 zeros, 1 random, 2 the encoder's after silence"
        sampled = "1 samples each note and feeds it back, 0 takes those above the threshold"
        return {
            "start": Control(SILENCE, ZERO, SILENCE, start, "int32"),
            "sampled": Control(1, 0, 1, sampled, "int32"),
            "threshold": Control(
                0.5, 0.0, 1.0, "of sampled 0: probability above which a note is on"
            ),
            "temperature": TEMPERATURE,
        }

    def noise_spec(self, count: int, length: int) -> dict[str, Noise]:
        """A uniform number per cell, and a random first state."""
        shape = (count, self.config.num_layers, self.config.hidden_size)
        state = Noise(shape, "normal", per_step=False)
        return {**super().noise_spec(count, length), "state": state}

    def initial_network_state(
        self, count: Any, noise: Mapping[str, Any], controls: Mapping[str, Any]
    ) -> Any:
        """See `Autoregressive.initial_network_state`: as the control `start` says.

        A primer is read from that state on.
        """
        *others, decoder = self.initial_state(count)
        start, random = controls["start"][:, None], ops.unstack(noise["state"], axis=1)
        decoder = _where(start == RANDOM, random, decoder)
        return *others, _where(start == ZERO, [ops.zeros_like(h) for h in decoder], decoder)

    def step(
        self, state: tuple[Any, ...], noise: Mapping[str, Any], steps_left: Any, **controls: Any
    ) -> tuple[tuple[Any, ...], Any]:
        """See `Autoregressive.step`; what is fed back is the sampled frame, or, with `sampled` 0,
        the probabilities that are thresholded."""
        network, distribution_state, inputs = state
        network, hidden = self.advance(network, inputs, None)
        logits = self.output_distribution.logits(self.output_distribution.head(hidden))
        temperature = ops.maximum(controls["temperature"], COLDEST)[:, None]
        probability = ops.sigmoid(logits / temperature)
        is_sampled = controls["sampled"][:, None] > 0
        limit = ops.where(is_sampled, noise["draw"], controls["threshold"][:, None])
        bits = ops.cast(probability > limit, "float32")
        inputs = ops.where(is_sampled, bits, probability)
        return (network, distribution_state, inputs), self.output_distribution.to_frames(bits)


def _step_cells(
    cells: Sequence[Any], state: Sequence[Any], x: Any, masks: Sequence[Any] = ()
) -> tuple[tuple[Any, ...], Any]:
    """Gives (state, output) of a stack of GRU cells after one more frame, float32."""
    after: list[Any] = []
    for number, (cell, before) in enumerate(zip(cells, state, strict=True)):
        x = x * masks[number - 1] if masks and number else x
        x = ops.cast(cell(x, [before])[0], "float32")
        after.append(x)
    return tuple(after), x


def _where(condition: Any, ones: Sequence[Any], others: Sequence[Any]) -> tuple[Any, ...]:
    """Gives `ops.where` of each pair of tensors."""
    return tuple(ops.where(condition, a, b) for a, b in zip(ones, others, strict=True))
