"""The player of the page: its style sheet and scripts, as text for the end of the page.

It plays by Web Audio with a synthesised piano, without network or library. player.js documents
what it expects of the page; music.py makes the data that it plays.
"""

from __future__ import annotations

from pathlib import Path

# In order of dependency.
SCRIPTS = "piano.js", "notes.js", "rendering.js", "transport.js", "player.js"


def player_html() -> str:
    """Gives a style and a script element, for the end of the page."""
    folder = Path(__file__).parent
    style = (folder / "player.css").read_text(encoding="utf-8")
    script = "\n".join((folder / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return f'<style>\n{style}</style>\n<script type="module">\n{script}</script>\n'
