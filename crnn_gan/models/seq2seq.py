"""seq2seq: a GRU reads a block of a piano roll, another writes the next block from its state.

The encoder-decoder of Deep Musician (a source document): an encoder of GRUs (Cho et al. 2014,
arXiv 1406.1078) hears silence and then a block of frames; its last states are the first of a
decoder, which hears silence and then what it wrote, and says through a layer of ReLUs which notes
come. Its frames are onsets alone, a note value each: --planes=onset, its division is
--steps_per_quarter. Any planes of bits do.

In: teacher forcing by a coin; cross-entropy, focal loss, and that for notes alone; pieces from
zeros, random states or silence; notes drawn, or cut by a threshold; density, precision, recall.

Other than there:
  blocks      Its decoder runs on as long as a piece lasts. Here the encoder also reads what is
              written, or heard of a primer, and every block of frames the decoder starts
              anew from that, as in training. So each frame has a probability given all before.
  beginnings  Half of the windows that begin a piece are taken as following silence
              (`from_silence`): there no model ever learns how pieces begin.
  forcing     A coin a step and row, not a step; by default none: that is maximum likelihood.
  alpha       Balances notes and rests; there 1e-6 times all of the loss, which only drowns the
              gradients in Adam's epsilon.
  drawing     There probabilities are fed back, and cut at the end. Notes are rare: hardly any is
              above the cut, no frame knows what the one before became, and all but the random
              start give one piece. `sampled` 0 does that; the default draws, and hears it.

Left out: the ReLU of what the decoder hears, which changes no number from 0 to 1; hands apart.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import keras
from keras import ops

from crnn_gan.autoregressive.base import Autoregressive, LikelihoodConfig, counted
from crnn_gan.autoregressive.focal_loss import focal_loss, logits_of
from crnn_gan.autoregressive.output_distributions import Keys
from crnn_gan.autoregressive.sampling import COLDEST, TEMPERATURE
from crnn_gan.layers.loops import scan, stacked
from crnn_gan.music_model import Control, Noise
from crnn_gan.training.phases import Phase, Stage
from pipelines.settings import UsageError, flag
from pipelines.spec import Kind, Spec

ZERO, RANDOM, SILENCE = range(3)  # Of the control `start`.
REPORTS = ("density", "precision", "recall")


@dataclasses.dataclass(frozen=True)
class Config(LikelihoodConfig):
    """Settings of seq2seq."""

    window_steps: int = flag(
        192,
        "length of a training window, steps of the codec: the first half is the encoder's input, "
        "the second half the decoder's target",
        at_least=2,
    )
    hidden_size: int = flag(256, "units of each GRU layer", at_least=1)
    num_layers: int = flag(2, "GRU layers of the encoder, and of the decoder", at_least=1)
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


# The constants of the source document, but for its alpha.
ORIGINAL = dict(
    hidden_size=512, num_layers=2, batch_size=128, max_epoch=100, learning_rate=1e-3, dropout=0.2,
    classifier_dropout=0.5, teacher_forcing=0.5, feedback="probabilities", criterion="focal",
    gamma=2.0, prior=0.5, from_silence=0.0, window_steps=192, max_grad_norm=1e9,
)  # fmt: skip

TINY = dict(
    window_steps=16, batch_size=4, max_epoch=2, hidden_size=8, num_layers=2, classifier_size=8,
)  # fmt: skip


class Notes(Keys):
    """Which cells of a frame are 1, by one of three criteria.

    bce is cross-entropy, focal that of RetinaNet. The source document's "focal+" is focal's sum
    over notes alone, of a sigmoid of the sigmoid: rests cost nothing, and all notes on is its
    optimum. In focal_positive notes cost what they do in focal, and rests what they do in
    cross-entropy, times 1 - alpha. Nats, draws and thresholds are of probabilities, as `logits`
    tells them, whatever the criterion.
    """

    def __init__(self, spec: Spec, config: Config):
        super().__init__(spec, name="emission")
        bias = math.log(config.prior / (1 - config.prior))
        self.head.bias_initializer = keras.initializers.Constant(bias)
        self.is_focal = config.criterion != "bce"
        of_rests = config.gamma if config.criterion == "focal" else 0.0
        self.focus = (config.alpha, config.gamma, of_rests)

    def cost(self, outputs: Any, bits: Any) -> Any:
        """Gives the criterion of the head's outputs [..., cells], summed over the cells: [...]."""
        if self.is_focal:
            return ops.sum(focal_loss(outputs, bits, *self.focus), axis=-1)
        return ops.sum(ops.softplus(outputs) - outputs * bits, axis=-1)

    def logits(self, outputs: Any) -> Any:
        """See `Keys`."""
        return logits_of(outputs, *self.focus) if self.is_focal else outputs


class Model(Autoregressive):
    """Encoder and decoder over rolls [batch, time, pitches, planes] of bits.

    `nats` is of what `generate` draws from silence: the decoder hears the true past.
    """

    accepts: ClassVar[tuple[Kind, ...]] = ("roll",)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"original": ORIGINAL, "tiny": TINY}
    emission: Notes

    def __init__(self, config: Config, spec: Spec, seed: int = 0):
        super().__init__(config, spec, seed, name="seq2seq")
        self.emission = Notes(spec, config)
        units, numbers = config.hidden_size, range(config.num_layers)
        # XLA, which compiles training on a GPU, has no cuDNN.
        self.encoder = [
            keras.layers.GRU(units, return_sequences=True, use_cudnn=False, name=f"encoder_{k}")
            for k in numbers
        ]
        self.decoder = [keras.layers.GRUCell(units, name=f"decoder_{k}") for k in numbers]
        for number in numbers:
            size = units if number else self.emission.noise_size
            self.encoder[number].build((None, None, size))
            self.decoder[number].build((None, size))
        self.classifier = keras.layers.Dense(config.classifier_size, "relu", name="classifier")
        self.classifier.build((None, units))
        self.emission.build((None, config.classifier_size))
        self.networks = [*self.encoder, *self.decoder, self.classifier, self.emission]
        self.built = True

    @property
    def block_steps(self) -> int:
        """Frames that the encoder reads, and as many that the decoder writes from its state."""
        return self.window_steps // 2

    @classmethod
    def piece_steps_for(cls, config: Config, spec: Spec) -> int:
        """See `MusicModel.piece_steps_for`: one block."""
        return config.window_steps // 2

    # The two networks.

    def encode(self, cells: Any, training: bool = False) -> tuple[Any, ...]:
        """Gives what the encoder knows after silence and frames [batch, time, cells]: float32
        [batch, units] of each layer."""
        x = ops.pad(cells, ((0, 0), (1, 0), (0, 0)))
        known = []
        for number, layer in enumerate(self.encoder):
            if number and training:
                x = keras.random.dropout(x, self.config.dropout, seed=self.seed)
            x = layer(x)
            known.append(ops.cast(x[:, -1], "float32"))
        return tuple(known)

    def decode(
        self, state: Sequence[Any], heard: Any, masks: Sequence[Any] = ()
    ) -> tuple[tuple[Any, ...], Any]:
        """Gives (state, hidden [batch, units]) of the next frame.

        At first the state is what the encoder knows, and silence is heard; then the frame before.
        `masks` multiply the units of each layer but the last, and those of the classifier.
        """
        state, x = _stepped(self.decoder, state, heard, masks)
        x = ops.cast(self.classifier(x), "float32")
        return state, x * masks[-1] if masks else x

    # How it trains.

    @property
    def stages(self) -> Sequence[Stage]:
        """One stage of one phase."""
        phase = Phase("prediction", self.networks, self.loss_of_blocks, REPORTS)
        return [Stage("prediction", self.config.max_epoch, [phase])]

    def loss_of_blocks(self, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Gives the mean of the criterion over the frames that follow and are the piece's, 0 where
        there are none, and what of them is `found`."""
        read, truth, known = self.blocks(batch)
        outputs = self.answer(self.encode(read, training=True), truth)
        counts = counted(known, ops.shape(truth)[1], skips=ops.zeros_like(known) > 0)
        loss = ops.sum(self.emission.cost(outputs, truth) * counts)
        predicted = ops.sigmoid(self.emission.logits(outputs)) > self.config.threshold
        return loss / ops.maximum(ops.sum(counts), 1.0), found(predicted, truth, counts)

    def blocks(self, batch: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        """Gives what is read and what follows, both [batch, time, cells], and how many frames of
        that are the piece's; by a coin, of a piece's beginning, silence and the first half."""
        length, known = self.block_steps, batch["known"]
        cells = self.emission.heard(batch["music"])
        first, second = cells[:, :length], cells[:, length:]
        coin = keras.random.uniform(ops.shape(known), seed=self.seed)
        begins = (batch["place"] == 0) & (coin < self.config.from_silence)
        truth = ops.where(begins[:, None, None], first, second)
        read = ops.where(begins[:, None, None], 0.0, first)
        return read, truth, ops.where(begins, known, known - length)

    def answer(self, state: Sequence[Any], truth: Any) -> Any:
        """Gives the head's outputs [batch, time, cells] of a block, given what the encoder knows.

        A coin for each frame and row of `truth`, float32 of that shape, decides whether the next
        frame hears it, or what the decoder made of it.
        """
        config, cells = self.config, self.emission.noise_size
        truth = ops.transpose(truth, (1, 0, 2))
        time, batch = ops.shape(truth)[:2]
        # Drawn here: on JAX nothing can be drawn in a loop.
        coins = keras.random.uniform((time, batch, 1), seed=self.seed) < config.teacher_forcing
        draws = keras.random.uniform((time, batch, cells), seed=self.seed)
        shares = [(config.hidden_size, config.dropout)] * (config.num_layers - 1)
        masks = [
            keras.random.dropout(ops.ones((time, batch, size)), share, seed=self.seed)
            for size, share in [*shares, (config.classifier_size, config.classifier_dropout)]
        ]

        def step(state: Any, elements: Any) -> tuple[Any, tuple[Any, ...]]:
            network, heard = state
            truth, coin, draw, *masks = elements
            network, hidden = self.decode(network, heard, masks)
            outputs = self.emission.head(hidden)
            own = ops.sigmoid(self.emission.logits(outputs))
            if config.feedback == "bits":
                own = ops.cast(own > draw, "float32")
            return (network, ops.where(coin, truth, own)), (outputs,)

        initial = (tuple(state), self.emission.silence(batch))
        (outputs,) = scan(step, initial, [truth, coins, draws, *masks], [cells])
        return ops.transpose(stacked(outputs), (1, 0, 2))

    # How it goes on, block after block.

    def initial_state(self, batch: Any) -> tuple[Any, ...]:
        """See `Autoregressive.initial_state`: (frames of this block that were decoded, the encoder
        after those it was told, the encoder when a block begins, the decoder), after silence."""

        def each(states: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(ops.broadcast_to(h, (batch, self.config.hidden_size)) for h in states)

        size = self.emission.noise_size
        begun = each(self.encode(ops.zeros((1, 0, size))))
        decoder = each(self.encode(ops.zeros((1, self.block_steps, size))))
        return ops.zeros((), "int32"), tuple(map(ops.zeros_like, begun)), begun, decoder

    def advance(self, state: tuple[Any, ...], heard: Any, told: Any) -> tuple[tuple[Any, ...], Any]:
        """See `Autoregressive.advance`."""
        decoded, encoder, begun, decoder = state
        # The first that it is told is the silence before any frame.
        encoder, _ = _stepped([layer.cell for layer in self.encoder], encoder, heard)
        is_full = decoded == self.block_steps
        decoder, encoder = _chosen(is_full, encoder, decoder), _chosen(is_full, begun, encoder)
        decoder, hidden = self.decode(decoder, ops.where(is_full, 0.0, heard))
        return (ops.where(is_full, 0, decoded) + 1, encoder, begun, decoder), hidden

    # How it writes.

    @classmethod
    def controls_for(cls, config: Any, spec: Spec) -> Mapping[str, Control]:
        """How a piece starts, and how notes are taken."""
        start = "the decoder's first state: 0 zeros, 1 random, 2 what the encoder knows of silence"
        sampled = "1 draws each note and hears what it drew, 0 takes those above the threshold"
        return {
            "start": Control(SILENCE, ZERO, SILENCE, start, "int32"),
            "sampled": Control(1, 0, 1, sampled, "int32"),
            "threshold": Control(0.5, 0.0, 1.0, "of sampled 0: probability of notes to take"),
            "temperature": TEMPERATURE,
        }

    def noise_spec(self, count: int, length: int) -> dict[str, Noise]:
        """A uniform number a cell, and a random first state."""
        shape = (count, self.config.num_layers, self.config.hidden_size)
        state = Noise(shape, "normal", per_step=False)
        return {**super().noise_spec(count, length), "state": state}

    def opening(self, count: Any, noise: Mapping[str, Any], controls: Mapping[str, Any]) -> Any:
        """See `Autoregressive.opening`: as `start` says. A primer is heard from there."""
        *others, decoder = self.initial_state(count)
        start, random = controls["start"][:, None], ops.unstack(noise["state"], axis=1)
        decoder = _chosen(start == RANDOM, random, decoder)
        return *others, _chosen(start == ZERO, [ops.zeros_like(h) for h in decoder], decoder)

    def step(
        self, state: tuple[Any, ...], noise: Mapping[str, Any], left: Any, **controls: Any
    ) -> tuple[tuple[Any, ...], Any]:
        """See `Autoregressive.step`: what is drawn is heard, or the probabilities that are cut."""
        network, drawing, heard = state
        network, hidden = self.advance(network, heard, None)
        logits = self.emission.logits(self.emission.head(hidden))
        temperature = ops.maximum(controls["temperature"], COLDEST)[:, None]
        probability = ops.sigmoid(logits / temperature)
        is_drawn = controls["sampled"][:, None] > 0
        limit = ops.where(is_drawn, noise["draw"], controls["threshold"][:, None])
        bits = ops.cast(probability > limit, "float32")
        heard = ops.where(is_drawn, bits, probability)
        return (network, drawing, heard), self.emission.framed(bits)


def _stepped(
    cells: Sequence[Any], state: Sequence[Any], x: Any, masks: Sequence[Any] = ()
) -> tuple[tuple[Any, ...], Any]:
    """Gives (state, output) of a stack of GRU cells after one more frame, float32."""
    after: list[Any] = []
    for number, (cell, before) in enumerate(zip(cells, state, strict=True)):
        x = x * masks[number - 1] if masks and number else x
        x = ops.cast(cell(x, [before])[0], "float32")
        after.append(x)
    return tuple(after), x


def _chosen(condition: Any, ones: Sequence[Any], others: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(ops.where(condition, a, b) for a, b in zip(ones, others, strict=True))


def found(predicted: Any, truth: Any, counts: Any) -> dict[str, Any]:
    """Gives the predicted notes of a frame (density), the share of them that are there
    (precision, 0 where none is predicted), and the share of notes that are predicted (recall, 0
    where there are none), of `predicted` and `truth` [batch, time, cells] where `counts`
    [batch, time] is 1."""
    predicted, truth = (ops.cast(x, "float32") * counts[..., None] for x in (predicted, truth))
    right, notes, there = (ops.sum(x) for x in (predicted * truth, predicted, truth))
    shares = [notes / ops.maximum(ops.sum(counts), 1.0)]
    shares += [right / ops.maximum(of, 1.0) for of in (notes, there)]
    return dict(zip(REPORTS, shares, strict=True))
