"""The player of the page: its style and its scripts, as text for the end of the page.

It plays by Web Audio with a piano of its own, without network or library. What it expects of
the page is said in player.js; what it plays is made in music.py.
"""

from __future__ import annotations

from pathlib import Path

# In the order of their uses.
SCRIPTS = "piano.js", "notes.js", "rendering.js", "transport.js", "player.js"


def player_html() -> str:
    """Gives a style and a script element. They stand after everything that they play."""
    folder = Path(__file__).parent
    style = (folder / "player.css").read_text(encoding="utf-8")
    script = "\n".join((folder / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return f'<style>\n{style}</style>\n<script type="module">\n{script}</script>\n'
