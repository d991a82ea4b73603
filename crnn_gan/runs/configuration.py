"""A run's config.json: everything that is needed to build its model again."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipelines.atomic_file import write_atomically
from pipelines.codecs.codec import Codec, codec_from_json
from pipelines.spec import Spec

if TYPE_CHECKING:
    from crnn_gan.music_model import MusicModel

FILE = "config.json"
LOCK = "train"  # What is held of a run directory while it is trained: its file .train.lock.
CHECKPOINT_HELP = (
    "of a run, which weights: newest, best (by the trainer's --best_by), or the number of an epoch"
)
# Settings that a run may go on with where they differ from those that it began with.
MAY_CHANGE = {
    *("max_epoch", "epochs_per_checkpoint", "samples_per_epoch", "best_by"),
    *("data_dir", "preset"),
}
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
        """Builds the run's model, with new weights, and compiles it.

        Args:
          precision: another than that of training.

        Raises:
          ValueError: there is no such model, or its settings are of another version.
        """
        import keras

        from crnn_gan.models.registry import config_class, model_class

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


def require_same_run(run_dir: Path, run: RunConfig) -> None:
    """Checks that a directory that already holds a run holds this one.

    Raises:
      ValueError: it holds a run with other settings, which are named.
    """
    if not (run_dir / FILE).exists():
        if run_dir.exists() and any(path.name != f".{LOCK}.lock" for path in run_dir.iterdir()):
            raise ValueError(
                f"{run_dir} is not empty and holds no run; give a new directory as --run_dir"
            )
        return
    old = RunConfig.read(run_dir)
    if old.model != run.model:
        raise ValueError(
            f"{run_dir} holds a run of the model {old.model}, not {run.model}; give another "
            "--run_dir"
        )
    different = [
        f"{name} is {before.get(name)!r} there and {now.get(name)!r} here"
        for before, now in (
            (old.config, run.config),
            (old.training, run.training),
            ({"codec": old.codec}, {"codec": run.codec}),
            ({"data": old.data["configuration"]}, {"data": run.data["configuration"]}),
        )
        for name in sorted(before.keys() | now.keys())
        if name not in MAY_CHANGE and before.get(name) != now.get(name)
    ]
    if different:
        raise ValueError(
            f"{run_dir} holds a run with other settings: {'; '.join(different)}. Give the same "
            "ones to go on with it, or another --run_dir"
        )


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
