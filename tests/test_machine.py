"""The line that benchmarks print of the machine."""

import re

import machine

X86 = """processor	: 0
model name	: Intel(R) Xeon(R) Processor
flags		: fpu sse4_2 avx2 fma avx512f amx_bf16
processor	: 1
model name	: another
flags		: avx2
"""


def test_the_first_processor_and_the_instruction_sets_that_matter_are_named():
    assert machine.processor(X86) == (
        "Intel(R) Xeon(R) Processor",
        ["avx2", "fma", "avx512f", "amx_bf16"],
    )


def test_arm_has_features_and_no_model_name():
    assert machine.processor("Features\t: fp asimd bf16\n") == ("", ["asimd", "bf16"])


def test_nothing_is_known_where_there_is_no_file():
    assert machine.processor("") == ("", [])


def test_the_line_says_threads_and_load():
    assert re.search(r"; \d+ threads?; load average \d+\.\d\d \(1 min\)$", machine.machine())
