"""MusicModel: what every model gives."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import numpy as np
from keras import ops

from crnn_gan.generation.controls import Control, Noise
from crnn_gan.training.phases import PhasedModel, Stage
from crnn_gan.training.variable_paths import model_variables
from pipelines.codecs.codec import Codec, codecs_of
from pipelines.spec import Kind, Spec

if TYPE_CHECKING:
    from pipelines.batches.conditions import Conditions


class MusicModel(PhasedModel):
    """Base of all models, and the contract of a model file. Each clause is tried on every model
    by tests/test_every_model.py.

    A model file `crnn_gan/models/NAME.py` holds two classes; NAME becomes `--model=NAME`.

    `Config`, a frozen dataclass of settings:
      - Each field is made by `flag(default, help)`: it is a flag of the trainer, an attribute and a
        key of config.json under one name. No name is one of the trainer's own.
      - `Config()` trains; any Config is equal to itself after a way through JSON.
      - Fields that every family has: `batch_size`, `max_epoch` (epochs of all stages together);
        `window_steps` where it trains on windows of time; `average` where it averages weights.
      - A combination of values that makes no sense raises ValueError, in words.

    `Model`, a subclass of this class, built by `Model(config, spec, seed)`, with the class
    attributes

      accepts: the kinds of Spec it can learn; any other is refused in words.
      presets: named sets of Config fields that differ from the defaults. `tiny` is one of them:
        trained within seconds, for tests and SMOKE=1; it may come after another (`paper,tiny`).
      aliases: {other name of a flag: its field}, for names that users know from a paper's code.
      retired: {flag of an older program: what to say}; accepted, without effect.
      pads_windows: whether windows are padded; then a batch has the number of valid steps of each.
      generates: whether it makes pieces from noise alone. One that does not takes music and gives
        other music by signatures of its own: no pieces are written while it trains.
      continues: whether `generate` takes a primer, and the length of each piece.
      interpolated: normal noises of it that pieces between those of two seeds mix; with any, its
        controls have `controls_between`.
      rows_together: rows are sampled in multiples of this, so that a piece is the same in any
        batch: a product of one row adds in another order than one of two, and elements that
        fill no vector register (16 floats) go through another tanh than the rest.
      steps_together: steps that an exported model writes at once, a multiple of 4 (of 4 windows,
        where a noise is per window): `extend` writes them and gives the state that the next are
        written from, so that the network takes the memory of so many, however long a piece is. 0
        of a model that makes whole pieces.
      bytes_per_row, bytes_per_row_and_step: upper bounds of the memory of activations of a row,
        beside noise and state: of a step alone, and of each of the steps that are written at once.
        Of them, and of the codec's `bytes_per_step`, follows how many pieces and steps an exported
        model may be asked for; benchmarks/sampling_memory.py measures them.

    and the following, each documented at its method:

      - Networks are built once, in `__init__`, and are attributes, or in one: every variable can be
        reached from the model by attributes, and so has a path that is the same in each process.
      - Training: `stages` (whose epochs sum to `max_epoch`), `optimizer_for(phase)`;
        `begin_epoch`, `adapt`, `averaged`, where there is something to do.
      - Time, in steps of the codec: `window_steps` of music that a training example holds,
        `piece_steps_for` that a generated piece has by default.
      - Data: `batch_windows` examples per batch, `transform_of`, `conditions_of`.
      - Generation: `noise_spec`, `controls_for`, and `generate`, a pure function of weights, noise
        and controls: the same ones give the same array; other noise another array; a row is the
        same whatever the other rows are; where noise is per step, a longer piece begins with the
        shorter one. With `steps_together` also `begin` and `extend`, by which a piece is the same
        in whatever blocks it is written.
      - Likelihood, where it is measured (`measures_likelihood_of`): `negative_log_likelihood`.

    Only `keras.ops`, `keras.random` and `keras.layers`: the same file trains on TensorFlow and JAX.
    """

    # How families that are no sequences in time with a window would be written:
    #
    # A set autoencoder (Spec kind "set": chunks of equal time, the members of each in no order).
    #   `window_steps` 1 (it has no such field and overrides the property): an example is one chunk.
    #   One stage, reconstruction. `noise_spec` has a code per chunk, per step, and `generate`
    #   decodes them, so a longer piece begins with the shorter one. A GAN over codes of several
    #   chunks is a second file with `window_steps` chunks.
    # A translation of images (pix2pix over rolls). `window_steps` is the width of an image. The
    #   source image is made of "music" in the loss (a voice left out, a plane, a coarser grid), so
    #   that a batch needs nothing beside it. `generate` translates the empty image; what takes
    #   music (fill, refine) is a further signature.
    # A net that refines (durations, velocities or pedal of given notes). `window_steps` notes or
    #   frames; the loss splits "music" into what is given and what is to be predicted. `generates`
    #   is False: there is nothing to generate from noise alone, so the trainer writes losses and
    #   held-out likelihood, and no pieces.

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    accepts: ClassVar[tuple[Kind, ...]]
    aliases: ClassVar[Mapping[str, str]] = {}
    retired: ClassVar[Mapping[str, str]] = {}
    pads_windows: ClassVar[bool] = False
    generates: ClassVar[bool] = True
    continues: ClassVar[bool] = False
    interpolated: ClassVar[tuple[str, ...]] = ()
    controls_between: ClassVar[Mapping[str, Control]] = {
        "mix": Control(0.0, 0.0, 1.0, "0 the piece of its seed, 1 that of other_seed, or between"),
        "other_seed": Control(0, 0, 2**31 - 1, "of mix: the other piece's seed", "int32"),
    }
    rows_together: int = 16
    steps_together: int = 0
    bytes_per_row: int = 2**14
    bytes_per_row_and_step: int = 0

    def __init__(self, config: Any, spec: Spec, seed: int = 0, name: str | None = None):
        # Noise and controls stay float32, and so do weights that are read outside of a layer's
        # call, as in training; each layer has its own precision.
        super().__init__(name=name, dtype="float32", autocast=False)
        if spec.kind not in self.accepts:
            name_of_file = type(self).__module__.rsplit(".", 1)[-1]
            raise ValueError(
                f"the codec gives {spec.kind!r}; {name_of_file} takes "
                f"{' or '.join(map(repr, self.accepts))}: prepare the data with another codec, "
                f"--codec={'|'.join(codecs_of(self.accepts))}"
            )
        self.config, self.spec = config, spec
        self.seed = keras.random.SeedGenerator(seed, name="training_noise")

    @property
    def stages(self) -> Sequence[Stage]:
        """The stages of training, in order."""
        raise TypeError(f"{type(self).__name__} does not say its stages")

    def optimizer_for(self, phase: str) -> keras.optimizers.Optimizer:
        """Gives a new optimizer for a phase."""
        raise TypeError(f"{type(self).__name__} does not say its optimizers")

    @classmethod
    def controls_for(cls, config: Any, spec: Spec) -> Mapping[str, Control]:
        """Names what a caller of `generate` may set, when the model has this Config and Spec."""
        return {}

    @property
    def controls(self) -> Mapping[str, Control]:
        """What a caller of `generate` may set, by name."""
        return self.controls_for(self.config, self.spec)

    @property
    def batch_windows(self) -> int:
        """Training examples that a batch of data holds."""
        return int(self.config.batch_size)

    @property
    def window_steps(self) -> int:
        """Steps of the codec that a training example holds, 1 or more."""
        return int(self.config.window_steps)

    @classmethod
    def piece_steps_for(cls, config: Any, spec: Spec) -> int:
        """Steps of the codec that a generated piece has by default: those of a training example.

        Pieces of this length are generated after each epoch, and compared with windows of real
        music of the same length.
        """
        return int(config.window_steps)

    @property
    def piece_steps(self) -> int:
        """See `piece_steps_for`."""
        return self.piece_steps_for(self.config, self.spec)

    def transform_of(self, codec: Codec) -> Callable[[Any, Any], Any] | None:
        """Gives what is done to a window of music before training; see `dataset.Windows`."""
        return None

    def conditions_of(self, codec: Codec) -> Conditions | None:
        """Gives the conditions that a batch holds beside the music, or None."""
        return None

    def adapt(self, batches: Iterable[Mapping[str, Any]]) -> None:
        """Sets, once before the first epoch, what is measured on the data and not learned.

        Args:
          batches: of training windows, as `fit` gets them; made as they are read.
        """

    def begin_epoch(self, epoch: int) -> None:
        """Sets what changes by the epoch, from 0 over all stages: learning rates, lengths."""

    @property
    def averaged(self) -> Sequence[keras.layers.Layer]:
        """Networks that generate and are evaluated with an exponential moving average of weights.

        `config.average` is its decay per batch (Polyak and Juditsky 1992). Moving means and
        variances of batch normalisation are averaged as well.
        """
        return ()

    def compile(self, **kwargs: Any) -> None:
        """See `PhasedModel.compile`; makes the averages, which are state of the model."""
        self.averages = {
            path: keras.Variable(np.asarray(v), trainable=False, name=f"average_{index}")
            for index, (path, v) in enumerate(self._averaged_weights.items())
        }
        if self.averages:
            self.batches = keras.Variable(0, dtype="int32", trainable=False, name="batches")
        super().compile(**kwargs)

    @functools.cached_property
    def _averaged_weights(self) -> dict[str, keras.Variable]:
        """Weights, and what batch normalisation has measured of a few batches of the last, by
        their paths."""
        averaged = [v for network in self.averaged for v in network.variables]
        paths = {id(v): path for path, v in model_variables(self).items()}
        return {paths[id(v)]: v for v in averaged if keras.backend.is_float_dtype(v.dtype)}

    @property
    def _averages_and_weights(self) -> Iterable[tuple[keras.Variable, keras.Variable]]:
        return zip(self.averages.values(), self._averaged_weights.values(), strict=True)

    def after_batch(self) -> None:
        """Lets the averages follow the weights; the first batches are nothing to hold on to."""
        if not self.averages:
            return
        self.batches.assign(self.batches + 1)
        count = ops.cast(self.batches, "float32")
        decay = ops.minimum(self.config.average, count / (10.0 + count))
        for mean, weight in self._averages_and_weights:
            mean.assign(decay * mean + (1 - decay) * weight)

    def take_averages(self) -> None:
        """Makes the averages the weights, for inference alone: training would not go on well."""
        for mean, weight in self._averages_and_weights:
            weight.assign(np.array(mean))  # A copy: JAX gives buffers away.

    def _with_averages(self) -> AbstractContextManager[Any]:
        """Gives a scope within which the averages are read in place of the weights."""
        if not self.averages:
            return contextlib.nullcontext()
        values = [(v, v.value) for v in self.variables]
        averages = [(weight, mean.value) for mean, weight in self._averages_and_weights]
        return keras.StatelessScope(state_mapping=[*values, *averages])

    def call(self, inputs: Mapping[str, Mapping[str, Any]]) -> Any:
        """Generates, so that `predict_on_batch` does: {"noise": ..., "controls": ...}.

        Of {"batch": ...} it gives `negative_log_likelihood`, for `predict_on_batch` as well.
        """
        with self._with_averages():
            if "batch" in inputs:
                return self.negative_log_likelihood(inputs["batch"])
            return self.generate(inputs["noise"], **inputs["controls"])

    def noise_spec(self, count: int, length: int) -> dict[str, Noise]:
        """Names the noises of `count` pieces of `length` steps (ints, or scalar tensors)."""
        raise TypeError(f"{type(self).__name__} does not say its noises")

    def generate(self, noise: Mapping[str, Any], **controls: Any) -> Any:
        """Gives codec arrays [batch, time, ...] as `spec` says.

        Controls are [batch], of the dtypes that they state. A model that `continues` takes
        beside them, both optional, `length` int32 [batch], the steps of each piece (by default
        those of the noise), and `primer` [steps, ...] as `spec` says, which all pieces go on
        from; it is no part of what is given.
        """
        raise TypeError(f"{type(self).__name__} cannot generate")

    def begin(self, length: Any, noise: Mapping[str, Any], **controls: Any) -> tuple[Any, ...]:
        """Gives the state before the first step of pieces, tensors or nested tuples of them.

        Args:
          length: int32 [batch], the steps of each piece.
          noise: those that are not per step.
          controls: as for `generate`; a `primer` too, of a model that `continues`.
        """
        raise TypeError(f"{type(self).__name__} makes whole pieces")

    def extend(
        self, state: tuple[Any, ...], noise: Mapping[str, Any], **controls: Any
    ) -> tuple[tuple[Any, ...], Any]:
        """Gives (state after the next steps, their codec arrays [batch, steps, ...]).

        Args:
          state: as `begin` or `extend` before gave it.
          noise: those that are per step, of the next steps; others are not read.
          controls: as for `generate`.
        """
        raise TypeError(f"{type(self).__name__} makes whole pieces")

    @classmethod
    def measures_likelihood_of(cls, spec: Spec) -> bool:
        """Whether a model of this Spec gives the probability of music."""
        return False

    @property
    def measures_likelihood(self) -> bool:
        """See `measures_likelihood_of`."""
        return self.measures_likelihood_of(self.spec)

    def negative_log_likelihood(self, batch: Mapping[str, Any]) -> Any:
        """Gives -ln p of each step given all before it, nats: float32 [batch, time].

        Args:
          batch: "music" [batch, time, ...], pieces from their first step on; "valid_steps" int32
            [batch], the steps before a piece's end, beyond which nothing means anything; and what
            else batches of training have that the model reads.
        """
        raise TypeError(f"{type(self).__name__} gives no probabilities")
