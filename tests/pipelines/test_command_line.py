"""Flags from dataclasses: what is read, what is refused and in which words."""

import dataclasses
import errno
import subprocess
import sys
from typing import Literal

import pytest

from pipelines.command_line import UsageError, flag, parse, peek, run_command


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of a test."""

    count: int = flag(3, "how many")
    share: float = flag(0.5, "of what")
    mode: Literal["slow", "fast"] = flag("slow", "how")
    names: tuple[str, ...] = flag(("a", "b"), "of whom")
    sizes: tuple[int, ...] = flag((1,), "of what each")
    most: int | None = flag(None, "at most")
    loud: bool = flag(False, "aloud")
    path: str = flag(help="where")


def test_each_type_is_read_from_the_command_line():
    words = "--count=4 --share=1 --mode=fast --names=x,y,z --sizes=5,6 --most=2 --loud --path=p"
    lists = {"names": ("x", "y", "z"), "sizes": (5, 6)}
    read = Settings(count=4, share=1.0, mode="fast", most=2, loud=True, path="p", **lists)
    assert parse(words.split(), "", Settings) == [read]


def test_what_is_not_given_has_its_default_and_presets_take_the_defaults_place():
    assert parse(["--path=p"], "", Settings) == [Settings(path="p")]
    [settings] = parse(["--path=p", "--share=2"], "", Settings, presets={"count": 9, "share": 3.0})
    assert (settings.count, settings.share) == (9, 2.0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--path=p", "--cuont=4"], "there is no flag --cuont; did you mean --count"),
        (["--path=p", "--count=four"], "--count=four: give a whole number$"),
        (["--path=p", "--share=half"], "--share=half: give a number$"),
        (
            ["--path=p", "--sizes=1,two"],
            "--sizes is 1,two; give whole numbers, separated by commas",
        ),
        (["--path=p", "--loud=maybe"], "--loud=maybe: give true or false, or nothing$"),
        (["--path="], "--path must be given: where"),
        (["--path=p", "--mode=loud"], "<slow\\|fast>"),
        (["--path=p", "--most=x"], "--most=x"),
        ([], "--path must be given: where"),
        (["--path=p", "count=4"], "'count=4' is not a flag"),
    ],
)
def test_a_wrong_command_line_is_refused_in_words(words, said):
    with pytest.raises(UsageError, match=said):
        parse(words, "", Settings)


def test_retired_flags_are_accepted_with_one_line(capsys):
    parse(["--path=p", "--old", "--older"], "", Settings, retired={"old": "on", "older": "off"})
    assert capsys.readouterr().err == "note: --old: on; --older: off\n"


def test_help_lists_flags_with_text_and_default(capsys):
    with pytest.raises(SystemExit) as ended:
        parse(["--help"], "Does a thing.", Settings)
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith("Does a thing.")
    assert "--count: how many (default: 3)" in said
    assert "--path: where (must be given)" in said


def test_two_classes_may_not_share_a_flag():
    with pytest.raises(ValueError, match="both have 'count'"):
        parse([], "", Settings, dataclasses.make_dataclass("Other", [("count", int, flag(1, ""))]))


@pytest.mark.parametrize("words", [["--model=b"], ["-model", "b"], ["--model=a", "--model", "b"]])
def test_peek_reads_the_last_value_before_the_parse(words):
    assert peek(words, "model", "none") == "b"
    assert peek([], "model", "none") == "none"


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        (None, 0, ""),
        (UsageError("too small"), 1, "error: too small\n"),
        (OSError("disk is full"), 1, "error: disk is full\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "data/x"),
            1,
            "error: data/x: no space left on device; make room on the disk and call the same "
            "command again; it goes on\n",
        ),
        (OSError(errno.EIO, "Input/output error"), 1, "error: [Errno 5] Input/output error\n"),
        (KeyboardInterrupt(), 130, "stopped by Ctrl-C; what was written so far stays\n"),
    ],
)
def test_a_command_ends_with_one_line_and_a_status(fault, status, said, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["command", "--x"])
    seen = []

    def main(argv):
        seen.extend(argv)
        if fault:
            raise fault

    assert run_command(main) == status
    assert capsys.readouterr().err == said
    assert seen == ["--x"]


def test_output_that_nobody_reads_to_its_end_is_no_error():
    code = (
        "import sys; from pipelines.command_line import run_command\n"
        "def main(argv):\n"
        "    for number in range(100_000): print(number)\n"
        "sys.exit(run_command(main))"
    )
    script = f"{sys.executable} -c '{code}' | head -n 1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("0\n", "")
