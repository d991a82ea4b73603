"""The figures that a summary leads with: recall and precision, and what belongs beside them."""

from __future__ import annotations

from crnn_gan.evaluation.evaluation import Evaluation, Figure, figure_named
from crnn_gan.report.numbers import count, number

# By their names without conventions, in order: what each says, in plain words.
LEADING = {
    "recall": "share of the real windows that have a piece near them. Low: most kinds of real "
    "music are missing",
    "precision": "share of the pieces that are near a real window. Low: many pieces "
    "are unlike any real music",
    "coverage": "share of the real windows with a piece among their nearest: recall by a stricter "
    "measure",
    "mean overlap area, the paper's statistics": "whether pieces differ from each other as they "
    "do from real music; 1 is equal",
}
LIKELIHOOD = "nats per step of held-out music"
LIKELIHOOD_SAYS = (
    "negative log-likelihood on the validation split, after the epoch that was sampled: how well "
    "the model predicts music that it was not trained on. Comparable for the same data and codec "
    "only"
)
NEAR = (
    "A piece is near another if it lies within the distance of that one's fifth nearest neighbour "
    "in its own set, in statistics standardised by real music. A model's recall falls as its "
    "pieces become more: compare it at equal numbers only."
)


def leading_figures(evaluation: Evaluation) -> list[Figure]:
    """Gives those of `LEADING` that were computed, in its order."""
    found = [figure_named(evaluation.figures, name) for name in LEADING]
    return [figure for figure in found if figure is not None]


def held_out_nats(evaluation: Evaluation) -> float | None:
    """Gives the held-out likelihood of the run that was sampled; None where it was not measured."""
    return None if evaluation.training is None else evaluation.training.held_out_nats


def leading_sentences(evaluation: Evaluation) -> list[str]:
    """Gives recall and precision, what they say, and what belongs beside them; [] without them."""
    found = {figure.name.partition(" (")[0]: figure for figure in leading_figures(evaluation)}
    recall, precision = found.pop("recall", None), found.pop("precision", None)
    sentences = []
    if recall is not None and precision is not None:
        sentences += [
            f"Recall is {_beside_held_out(recall)} and precision {_beside_held_out(precision)}: "
            f"{_sizes(evaluation)}, {conventions(recall)}.",
            "Recall is the share of the real windows that have a piece near them, precision the "
            "share of the pieces near a real window: where recall is low most kinds of real music "
            "are missing, where precision is low many pieces are unlike any.",
        ]
    others = [f"{name}: {_beside_held_out(figure)}" for name, figure in found.items()]
    nats = held_out_nats(evaluation)
    others += [] if nats is None else [f"{LIKELIHOOD}: {number(nats)}"]
    text = "; ".join(others)
    return [*sentences, *([f"{text[0].upper()}{text[1:]}."] if text else [])]


def in_short(evaluation: Evaluation) -> str:
    """Gives "recall 0.07, precision 0.87"; "" where neither has a value."""
    return ", ".join(
        f"{figure.name.partition(' (')[0]} {number(figure.value)}"
        for figure in leading_figures(evaluation)[:2]
        if figure.value is not None
    )


def sizes_and_conventions(evaluation: Evaluation) -> str:
    """Gives "100 pieces against 400 windows, k = 5, 24 features standardised by the real set"."""
    figures = leading_figures(evaluation)
    return ", ".join([_sizes(evaluation), *([conventions(figures[0])] if figures else [])])


def conventions(figure: Figure) -> str:
    """Gives what stands in parentheses in a figure's name."""
    return figure.name.partition(" (")[2].removesuffix(")")


def _sizes(evaluation: Evaluation) -> str:
    pieces = count(evaluation.generated.pieces, "piece")
    return f"{pieces} against {count(evaluation.reference.pieces, 'window')}"


def _beside_held_out(figure: Figure) -> str:
    """Gives "0.07 (held-out music 0.91)"; where a value is missing, why."""
    values = ["undefined" if v is None else number(v) for v in (figure.value, figure.real)]
    reason = f", {figure.reason}" if figure.reason else ""
    return f"{values[0]} (held-out music {values[1]}{reason})"
