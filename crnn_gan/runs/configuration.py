"""A run's config.json: everything that is needed to build its model again."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipelines.atomic_file import write_atomically
from pipelines.codecs.codec import Codec, Spec, codec_from_json

if TYPE_CHECKING:
    from crnn_gan.music_model import MusicModel

FILE = "config.json"
CHECKPOINT_HELP = (
    "of a run, which weights: newest, best (by the trainer's --best_by), or the number of an epoch"
)
PACKAGES = ("tensorflow", "keras", "numpy", "symusic", "music21")


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """What config.json holds.

    Attributes:
      model: the model's name, the file in crnn_gan/models.
      config: the fields of the model's Config.
      codec: as `Codec.to_json` gives it.
      spec: the Spec of the records, with its classes.
      training: precision, seed, filters and the rest of the trainer's flags.
      data: of the prepared data: source, licence, citation, configuration hash.
      versions: of the packages that matter; git_revision of the project, "" outside git.
    """

    model: str
    config: dict[str, Any]
    codec: dict[str, Any]
    spec: Spec
    training: dict[str, Any]
    data: dict[str, Any]
    versions: dict[str, str]

    def write(self, run_dir: Path) -> None:
        """Writes run_dir/config.json, whole or not at all."""
        values = {**dataclasses.asdict(self), "spec": self.spec.to_json()}
        write_atomically(run_dir / FILE, (json.dumps(values, indent=1) + "\n").encode())

    @classmethod
    def read(cls, run_dir: Path) -> RunConfig:
        """Reads run_dir/config.json.

        Raises:
          ValueError: the directory is not a run, or its file is damaged.
        """
        path = run_dir / FILE
        if not path.is_file():
            raise ValueError(
                f"{run_dir} is not a run directory: it has no {FILE}; give the --run_dir of "
                "`python -m crnn_gan.train`"
            )
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{**values, "spec": Spec.from_json(values["spec"])})
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} cannot be read: {error}") from None

    def build_codec(self) -> Codec:
        """Gives the codec of the run."""
        return codec_from_json(self.codec)

    def build_model(self, precision: str = "") -> MusicModel:
        """Draws the run's model, with fresh weights, and compiles it.

        Args:
          precision: another than that of training.

        Raises:
          ValueError: there is no such model, or its settings are of another version.
        """
        import keras

        from crnn_gan.music_model import config_class, model_class

        keras.config.set_dtype_policy(precision or self.training["precision"])
        keras.utils.set_random_seed(self.training["seed"])
        try:
            config = config_class(self.model)(**self.config)
        except TypeError as error:
            raise ValueError(
                f"the settings of {self.model} are not those of this version ({error}); use the "
                f"one that trained it: {self.versions.get('git_revision') or 'unknown'}"
            ) from None
        model = model_class(self.model)(config, self.spec, seed=self.training["seed"])
        model.compile(jit_compile=wants_jit())
        return model


@dataclasses.dataclass(frozen=True)
class Run:
    """A trained run: its configuration, codec and model with the weights of a checkpoint.

    Attributes:
      config, codec, model: of the run.
      epoch: after which the weights are those.
      chosen: how that was chosen, in words: "the newest", for example.
    """

    config: RunConfig
    codec: Codec
    model: MusicModel
    epoch: int
    chosen: str


def load_run(run_dir: Path, which: str = "newest") -> Run:
    """Builds the model of a run, in float32, with the weights of a checkpoint.

    Args:
      run_dir: of the run.
      which: "newest", "best" or an epoch; see `checkpoint.restore_weights`.

    Raises:
      ValueError: not a run directory, or it has no such checkpoint.
      CheckpointError: the checkpoint is damaged, or of another model.
    """
    from crnn_gan.runs import checkpoint

    config = RunConfig.read(run_dir)
    model = config.build_model("float32")
    restored = checkpoint.restore_weights(run_dir, model, which)
    model.take_averages()
    return Run(config, config.build_codec(), model, restored.epoch, restored.chosen)


def wants_jit() -> bool:
    """Whether training graphs are compiled by XLA: on JAX and on a GPU.

    Recurrent nets on TensorFlow's CPU are slower with it (docs/decisions/0002).
    """
    import keras

    return keras.backend.backend() == "jax" or automatic_precision() != "float32"


def automatic_precision() -> Literal["float32", "mixed_bfloat16"]:
    """Gives the precision for this machine: mixed_bfloat16 on a GPU, else float32."""
    import keras

    has_gpu = any("gpu" in name.lower() for name in keras.distribution.list_devices())
    return "mixed_bfloat16" if has_gpu else "float32"


def versions() -> dict[str, str]:
    """Gives the versions of the packages that decide a result, and the git revision."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {**found, "git_revision": _git_revision()}


def _git_revision() -> str:
    root = Path(__file__).parent.parent
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
