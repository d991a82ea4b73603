"""Flags from dataclasses: what is read, what is refused and in which words."""

import dataclasses
import errno
import json
import subprocess
import sys
from typing import Literal

import pytest

from pipelines.command_line import parse, peek, run_command
from pipelines.settings import Bounds, Settings, UsageError, flag


@dataclasses.dataclass(frozen=True)
class Flags:
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
    read = Flags(count=4, share=1.0, mode="fast", most=2, loud=True, path="p", **lists)
    assert parse(words.split(), "", Flags) == [read]


def test_what_is_not_given_has_its_default():
    assert parse(["--path=p"], "", Flags) == [Flags(path="p")]


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
        parse(words, "", Flags)


def test_retired_flags_are_accepted_with_one_line(capsys):
    parse(["--path=p", "--old", "--older"], "", Flags, retired={"old": "on", "older": "off"})
    assert capsys.readouterr().err == "note: --old: on; --older: off\n"


def test_help_lists_flags_with_text_and_default(capsys):
    with pytest.raises(SystemExit) as ended:
        parse(["--help"], "Does a thing.", Flags)
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith("Does a thing.")
    assert "--count: how many (default: 3)" in said
    assert "--path: where (must be given)" in said
    assert "--mode [slow|fast]: how (default: slow)\n" in said
    assert "--most: at most\n" in said


def test_two_classes_may_not_share_a_flag():
    with pytest.raises(ValueError, match="--count is a setting of both"):
        parse([], "", Flags, dataclasses.make_dataclass("Other", [("count", int, flag(1, ""))]))


@dataclasses.dataclass(frozen=True)
class Bounded(Settings):
    """Settings with bounds."""

    window_steps: int = flag(32, "steps in a window", at_least=1)
    learning_rate: float = flag(1e-3, "of Adam", above=0)
    dropout: float = flag(0.0, "share dropped", at_least=0, below=1)
    pitches: int = flag(88, "rows", at_least=1, at_most=88)
    share: float = flag(0.5, "of what", at_least=0, at_most=1)
    truncation: float | None = flag(None, "where to cut", above=0, at_most=0.5)
    sizes: tuple[int, ...] = flag((3, 2), "units of each layer", at_least=1)
    mode: Literal["slow", "fast"] = flag("slow", "how")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("--window_steps=0", "--window_steps is 0; give 1 or more"),
        ("--learning_rate=0", "--learning_rate is 0.0; give a number above 0"),
        ("--dropout=1", "--dropout is 1.0; give 0 or more, below 1"),
        ("--dropout=-0.1", "--dropout is -0.1; give 0 or more, below 1"),
        ("--pitches=89", "--pitches is 89; give 1 to 88"),
        ("--pitches=0", "--pitches is 0; give 1 to 88"),
        ("--share=1.5", "--share is 1.5; give 0 to 1"),
        ("--truncation=0.6", "--truncation is 0.6; give a number above 0, at most 0.5"),
        ("--sizes=4,0", "--sizes is 4,0; give 1 or more for each"),
        ("--learning_rate=nan", "--learning_rate is nan; give a number above 0"),
        ("--learning_rate=inf", "--learning_rate is inf; give a number above 0"),
        ("--dropout=-inf", "--dropout is -inf; give 0 or more, below 1"),
    ],
)
def test_a_number_out_of_its_bounds_is_refused_with_what_to_give(word, said):
    with pytest.raises(UsageError) as refusal:
        parse([word], "", Bounded)
    assert str(refusal.value) == said


def test_numbers_at_their_bounds_and_an_absent_one_are_taken():
    words = "--window_steps=1 --learning_rate=1e-9 --dropout=0 --pitches=88 --share=1 --sizes=1"
    [settings] = parse(words.split(), "", Bounded)
    assert (settings.pitches, settings.share, settings.truncation) == (88, 1.0, None)


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        (Bounds(at_most=3), "3 or less"),
        (Bounds(below=0.5), "a number below 0.5"),
        (Bounds(above=0, below=1), "a number above 0, below 1"),
        (Bounds(at_least=0.05, at_most=10_000), "0.05 to 10000"),
        (Bounds(), ""),
    ],
)
def test_bounds_are_written_as_one_would_by_hand(bounds, said):
    assert str(bounds) == said


def test_an_instance_made_in_any_way_is_checked():
    with pytest.raises(UsageError, match="--pitches is 0; give 1 to 88"):
        Bounded(pitches=0)
    with pytest.raises(UsageError, match="--pitches is 99; give 1 to 88"):
        dataclasses.replace(Bounded(), pitches=99)
    with pytest.raises(UsageError, match=r"--mode is 'loud'; give one of slow\|fast"):
        Bounded(mode="loud")  # type: ignore[arg-type]


def test_lists_from_json_become_tuples():
    values = json.loads(json.dumps(dataclasses.asdict(Bounded())))
    assert values["sizes"] == [3, 2]
    assert Bounded(**values) == Bounded()


def test_help_says_the_bounds(capsys):
    with pytest.raises(SystemExit):
        parse(["--help"], "Does a thing.", Bounded)
    said = capsys.readouterr().out
    assert "--window_steps: steps in a window (1 or more; default: 32)" in said
    assert "--truncation: where to cut (a number above 0, at most 0.5)\n" in said
    assert "--sizes: units of each layer (1 or more for each; default: 3,2)" in said


def test_an_alias_sets_its_flag_and_the_last_of_both_counts(capsys):
    def steps(*words):
        return parse(words, "", Bounded, aliases={"songlength": "window_steps"})[0].window_steps

    assert steps("--songlength=8") == steps("-songlength", "8") == 8
    assert steps("--songlength=8", "--window_steps=9") == 9
    assert steps("--window_steps=9", "--songlength=8") == 8
    with pytest.raises(UsageError, match="--window_steps is 0; give 1 or more"):
        steps("--songlength=0")
    with pytest.raises(UsageError, match="did you mean --songlength"):
        steps("--songlenght=8")
    with pytest.raises(SystemExit):
        steps("--help")
    assert "(1 or more; default: 32; also --songlength)" in capsys.readouterr().out


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
