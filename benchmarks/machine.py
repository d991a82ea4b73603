"""The machine that a benchmark runs on: a line to print before its figures.

A ratio measured with AVX-512 says little of a processor without it, and one measured beside other
programs little of a quiet machine.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")  # Linux.
# Those that matrix products and vectorised loops depend on, of x86 and of ARM.
INSTRUCTION_SETS = (
    *("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"),
    *("asimd", "sve", "bf16"),
)


def machine() -> str:
    """Gives processor model, instruction sets, threads this process may use, and load average.

    "Intel(R) Xeon(R) Processor; avx2, fma, avx512f; 2 threads; load average 0.31 (1 min)"
    """
    text = CPU_INFO.read_text(encoding="utf-8") if CPU_INFO.is_file() else ""
    model, instruction_sets = processor(text)
    cores = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0)
    threads = f"{len(cores)} thread{'' if len(cores) == 1 else 's'}"
    return (
        f"{model or platform.processor() or platform.machine()}; "
        f"{', '.join(instruction_sets) or 'instruction sets unknown'}; {threads}; "
        f"load average {os.getloadavg()[0]:.2f} (1 min)"
    )


def processor(text: str) -> tuple[str, list[str]]:
    """Gives the model, "" where it is not named, and those of `INSTRUCTION_SETS` that it has.

    Args:
      text: of /proc/cpuinfo, whose fields are "name : value".
    """
    fields = dict[str, str]()
    for line in text.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    known = fields.get("flags", fields.get("Features", "")).split()
    return fields.get("model name", ""), [name for name in INSTRUCTION_SETS if name in known]
