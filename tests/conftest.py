"""What tests of several packages share."""

from pathlib import Path

import pytest

SOUNDFONTS = sorted(Path("/usr/share/sounds/sf2").glob("*.sf2"), key=lambda f: f.stat().st_size)


@pytest.fixture
def soundfont() -> str:
    """A soundfont of this machine; without it or fluidsynth the test is skipped."""
    # Its import fails too where the library of the system is missing.
    pytest.importorskip(
        "fluidsynth", reason="the extra 'audio' is not installed", exc_type=ImportError
    )
    if not SOUNDFONTS:
        pytest.skip("no soundfont in /usr/share/sounds/sf2")
    return str(SOUNDFONTS[0])
