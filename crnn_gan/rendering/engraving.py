"""MusicXML -> a picture of the score, by verovio, where the extra `score` is there.

SVG with its glyphs inside: nothing else is needed to show it. Pages are as high as what is on
them; a long piece has several.
"""

from __future__ import annotations

PAGE_WIDTH = 2100  # Tenths of a millimetre, before `SCALE`.
PAGE_HEIGHT = 29_700  # Ten sheets of A4 under each other; the last page ends where the piece does.
SCALE = 40  # Percent.


def require_verovio() -> None:
    """Raises ValueError where verovio is not installed, and says how to get it."""
    try:
        import verovio  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"a score picture needs verovio, which is not here ({error}): install the extra "
            "'score' of this package (run/setup.sh score, or pip install verovio)"
        ) from None


def engraved(musicxml: bytes) -> list[bytes]:
    """Gives the pages of a piece as SVG files.

    Raises:
      ValueError: verovio is not installed, or takes the notation for none.
    """
    require_verovio()
    import verovio

    verovio.enableLog(verovio.LOG_OFF)  # It writes into the standard error of the process.
    toolkit = verovio.toolkit()
    toolkit.setOptions(
        {
            "pageWidth": PAGE_WIDTH,
            "pageHeight": PAGE_HEIGHT,
            "adjustPageHeight": True,
            "scale": SCALE,
            "footer": "none",
            "breaks": "auto",
            "svgViewBox": True,  # It grows and shrinks with the page that shows it.
            "xmlIdSeed": 1,  # The same piece has the same picture.
        }
    )
    if not toolkit.loadData(musicxml.decode()) or toolkit.getPageCount() == 0:
        raise ValueError("verovio cannot read the notation of this piece")
    pages = range(1, toolkit.getPageCount() + 1)
    return [toolkit.renderToSVG(page).encode() for page in pages]
