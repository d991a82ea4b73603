"""A run's config.json: everything that is needed to build its model again."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import importlib.metadata
import json
import math
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from crnn_gan.runs.trainer_settings import TrainerFlags
from pipelines.atomic_file import write_atomically
from pipelines.codecs.codec import Codec, codec_from_json
from pipelines.json_file import read_json, shown
from pipelines.json_schema import SchemaError, UnknownKeyError, fields_of, object_of, value_of
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
MOST_WEIGHTS = 2**30  # 4 GiB in float32; training takes four times that.
PACKAGES = ("tensorflow", "keras", "numpy", "symusic", "music21")


@dataclasses.dataclass(frozen=True)
class LearnedData:
    """The prepared data that a run learned from, as its manifest says it."""

    configuration: str = ""
    name: str = ""
    flags: dict[str, Any] = dataclasses.field(default_factory=dict)
    licence: str = ""
    citation: str = ""
    homepage: str = ""


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
      epoch, chosen: of an exported model: after which epoch its weights are those, and how that
        was chosen.
    """

    model: str
    config: dict[str, Any]
    codec: dict[str, Any]
    spec: Spec
    training: dict[str, Any]
    data: dict[str, Any]
    versions: dict[str, str]
    epoch: int | None = None
    chosen: str | None = None

    def write(self, run_dir: Path) -> None:
        """Writes run_dir/config.json, whole or not at all."""
        write_atomically(run_dir / FILE, (json.dumps(self.to_json(), indent=1) + "\n").encode())

    def to_json(self) -> dict[str, Any]:
        """Gives it as plain JSON values; what only an exported model has, where it has it."""
        values = {**dataclasses.asdict(self), "spec": self.spec.to_json()}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def read(cls, folder: Path) -> RunConfig:
        """Reads the config.json of a run directory or of an exported model.

        The settings of the model are not looked at: see `settings`.

        Raises:
          ValueError: the directory is neither, or its file is damaged or of another version; the
            key, what stands there and what was expected are named.
        """
        path = folder / FILE
        is_exported = (folder / "signature.json").exists()
        if not path.exists():
            raise ValueError(
                f"{folder} has lost its {FILE}; export the model again"
                if is_exported
                else f"{folder} is not a run directory: it has no {FILE}; give the --run_dir of "
                "`python -m crnn_gan.train`"
            )
        again = "export the model again" if is_exported else "train again in another --run_dir"
        values: Any = None
        try:
            values = read_json(path)
            config: RunConfig = value_of(cls, values)
            value_of(str | tuple[str, ...], config.training.get("preset", ""), "training.preset")
            training = {n: value for n, value in config.training.items() if n != "preset"}
            fields_of(TrainerFlags, training, "training")
            fields_of(LearnedData, config.data, "data")
            config.build_codec()
            return config
        except UnknownKeyError as error:
            by = f"it was written by the version {_version(values)}: use that one, or {again}"
            raise ValueError(f"{path} cannot be read: {error}; {by}") from None
        except ValueError as error:
            raise ValueError(f"{path} cannot be read: {error}; mend it, or {again}") from None

    def build_codec(self) -> Codec:
        """Gives the codec of the run. ValueError where its Spec is not that of the run."""
        codec = codec_from_json(self.codec)
        codec.require_spec(self.spec)
        return codec

    def settings(self, path: Path = Path(FILE)) -> Any:
        """Gives the Config of the run's model; `path` is of the file, for what is said of it.

        Raises:
          ValueError: there is no such model, or its settings cannot be taken or are of another
            version.
        """
        from crnn_gan.models.registry import config_class

        try:
            return object_of(config_class(self.model), self.config, "config")
        except UnknownKeyError as error:
            raise ValueError(
                f"the settings of {self.model} are not those of this version ({error}); use the "
                f"one that trained it: {self.versions.get('git_revision') or 'unknown'}"
            ) from None
        except SchemaError as error:
            raise ValueError(f"{path}: {error}; mend it, or train again") from None

    def build_model(self, precision: str = "") -> MusicModel:
        """Builds the run's model, with new weights, and compiles it.

        Args:
          precision: another than that of training.

        Raises:
          ValueError: there is no such model, or its settings are of another version, or it would
            have more than `MOST_WEIGHTS`.
        """
        import keras

        from crnn_gan.models.registry import model_class

        settings, cls = self.settings(), model_class(self.model)
        self.build_codec()
        seed = self._of_training("seed")
        keras.config.set_dtype_policy(precision or self._of_training("precision"))
        refuse_too_large(lambda: cls(settings, self.spec, seed=seed))
        keras.utils.set_random_seed(seed)
        model = cls(settings, self.spec, seed=seed)
        model.compile(jit_compile=wants_jit())
        return model

    def _of_training(self, name: str) -> Any:
        if name not in self.training:
            raise ValueError(f"{FILE}: training has no key {name!r}; mend it, or train again")
        return self.training[name]


def _version(values: Any) -> str:
    """Which version wrote a config.json, as far as it says so."""
    versions = values.get("versions", {}) if isinstance(values, dict) else {}
    revision = versions.get("git_revision") if isinstance(versions, dict) else None
    return shown(revision) if revision else "unknown"


def refuse_too_large(build: Callable[[], Any]) -> None:
    """Refuses a model of too many weights, before memory is taken for them.

    Args:
      build: builds the model. It is called where Keras notes shapes and makes no values, in a
        thread of its own: Keras keeps a list of such variables per thread, which goes with it.

    Raises:
      ValueError: it would have more than `MOST_WEIGHTS`.
    """
    import keras

    def weights() -> int:
        with keras.StatelessScope(initialize_variables=False):
            return sum(math.prod(variable.shape) for variable in build().variables)

    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        count = thread.submit(weights).result()
    if count > MOST_WEIGHTS:
        raise ValueError(
            f"the model would have {count:,} weights; at most {MOST_WEIGHTS:,} are taken: give "
            "smaller or fewer layers"
        )


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
        f"{name} is {shown(before.get(name))} there and {shown(now.get(name))} here"
        for before, now in (
            (old.config, run.config),
            (old.training, run.training),
            (_settings_of_codec(old, run), _settings_of_codec(run, old)),
            ({"data": old.data.get("configuration")}, {"data": run.data["configuration"]}),
        )
        for name in sorted(before.keys() | now.keys())
        if name not in MAY_CHANGE and before.get(name) != now.get(name)
    ]
    if different:
        raise ValueError(
            f"{run_dir} holds a run with other settings: {'; '.join(different)}. Give the same "
            "ones to go on with it, or another --run_dir"
        )


def _settings_of_codec(run: RunConfig, other: RunConfig) -> dict[str, Any]:
    """Gives the codec's name, and where another run has the same codec its settings too."""
    name = {"codec": run.codec.get("name")}
    if run.codec.get("name") != other.codec.get("name"):
        return name
    return name | {f"the codec's {key}": value for key, value in run.codec.items()}


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
