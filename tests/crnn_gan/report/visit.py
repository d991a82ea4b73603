"""A visit to the report in a browser: what the page does, says and asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 800}
CHORDS, EMPTY, HOUR = 0, 1, 2  # The pieces of the page.
BEGIN_SECONDS = 0.2  # A rendered piece begins so late.


class Visit:
    """An opened page, and what it said and asked for."""

    def __init__(self, browser: Any, report: Path, script: str = "", **settings: Any) -> None:
        self.context = browser.new_context(**{"viewport": WIDE} | settings)
        self.context.set_default_timeout(20_000)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        if script:
            self.page.add_init_script(script)
        self.page.goto(report.as_uri())

    def of(self, name: str) -> Any:
        """What window.player says of itself."""
        return self.page.evaluate(f"player.{name}")

    def wait(self, condition: str) -> None:
        """Returns once it is so. (wait_for_function needs eval, which the page forbids.)"""
        self.page.evaluate(
            f"""async () => {{
                const end = performance.now() + 20_000;
                while (!({condition})) {{
                    if (performance.now() > end) throw new Error("20 s without: {condition}");
                    await new Promise((done) => setTimeout(done, 20));
                }}
            }}"""
        )

    def button(self, piece: int) -> Any:
        return self.page.locator(f'[data-piece="{piece}"] button.play')

    def control(self, name: str) -> Any:
        return self.page.locator(f".player-{name}")

    def playheads(self) -> list[list[float]]:
        """[piece, row, share of its width] of each playhead that is seen."""
        return self.page.evaluate(
            """[...document.querySelectorAll(".playhead")].filter(line => line.checkVisibility())
            .map(line => {
                const roll = line.closest("svg"), piece = roll.closest(".piece");
                const box = roll.viewBox.baseVal;
                return [Number(piece.dataset.piece),
                        [...piece.querySelectorAll(".roll")].indexOf(roll),
                        (line.x1.baseVal.value - box.x) / box.width];
            })"""
        )

    def sideways(self) -> int:
        """Pixels by which the page is wider than its window."""
        return self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
