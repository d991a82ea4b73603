"""MusicXML -> engraved sheet music (SVG), by verovio (the extra `score`).

The SVG embeds its glyphs. Pages are as high as their content; a long piece has several.
"""

from __future__ import annotations

PAGE_WIDTH = 2100  # Tenths of a millimetre, before `SCALE`.
PAGE_HEIGHT = 29_700  # Ten sheets of A4; the last page is cropped.
SCALE = 40  # Percent.


def require_verovio() -> None:
    """Raises ValueError with instructions where verovio is not installed."""
    try:
        import verovio  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"--render=score needs verovio, which cannot be imported ({error}): install the extra "
            "'score' of this package (run/setup.sh score, or pip install verovio)"
        ) from None


def engraved(musicxml: bytes) -> list[bytes]:
    """Engraves a piece; gives its pages as SVG files.

    Raises:
      ValueError: verovio is not installed, or cannot read the notation.
    """
    require_verovio()
    import verovio

    verovio.enableLog(verovio.LOG_OFF)  # It logs to standard error.
    toolkit = verovio.toolkit()
    toolkit.setOptions(
        {
            "pageWidth": PAGE_WIDTH,
            "pageHeight": PAGE_HEIGHT,
            "adjustPageHeight": True,
            "scale": SCALE,
            "footer": "none",
            "breaks": "auto",
            "svgViewBox": True,  # It scales with the page that shows it.
            "xmlIdSeed": 1,  # Equal pieces give equal files.
        }
    )
    if not toolkit.loadData(musicxml.decode()) or toolkit.getPageCount() == 0:
        raise ValueError("verovio cannot read the notation of this piece")
    pages = range(1, toolkit.getPageCount() + 1)
    return [toolkit.renderToSVG(page).encode() for page in pages]
