"""How exactly and how much faster figures about two sets are those of well-kept libraries.

On windows of 100 notes of real pieces, split into two halves by a seed, on all statistics. Prints:
overlap of distances against scipy's gaussian_kde integrated by quad, and the figures of MGEval's
own code (area from the smallest to the largest distance; entropy of two densities that are read on
two grids); precision, recall, density and coverage against scikit-learn's NearestNeighbors;
Fréchet distance against scipy's sqrtm; BLEU and Self-BLEU against NLTK; for the first and the
last the ratios of processor time. Then the figures of real music against real music for fewer and
fewer pieces, the Fréchet distance of those with Ledoit-Wolf shrinkage, and the seconds that all
figures of 1,000 against 1,000 pieces take.

    python benchmarks/set_distance_agreement.py --path=../shared/data/scores/piano-midi.de
"""

from __future__ import annotations

import dataclasses
import sys
import time
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine
from scipy import integrate, linalg, stats
from scipy.spatial.distance import cdist, pdist

from crnn_gan.metrics import STATISTICS
from crnn_gan.metrics.bleu import (
    PITCHES,
    bleu,
    pitch_tokens,
    self_bleu,
    sentence_bleu,
    sentence_self_bleu,
)
from crnn_gan.metrics.distances import MARGIN, Overlap, overlap, scott_bandwidth
from crnn_gan.metrics.feature_sets import standardized
from crnn_gan.metrics.frechet import covariance, frechet_distance, gaussian_frechet
from crnn_gan.metrics.neighbours import NEIGHBOURS, neighbour_figures
from pipelines.command_line import parse, run_command
from pipelines.formats.midi import read_score
from pipelines.score import Score
from pipelines.settings import Settings, flag

try:
    from nltk.translate.bleu_score import SmoothingFunction
    from nltk.translate.bleu_score import sentence_bleu as nltk_bleu
    from sklearn.covariance import ledoit_wolf
    from sklearn.neighbors import NearestNeighbors
except ImportError as error:
    sys.exit(f"error: {error}; run/setup.sh compare installs it")

NOTES = 100
MANY = 1000  # Pieces of the timed sets.


COMPARED = [statistic for statistic in STATISTICS if statistic.edition == 1]


@dataclasses.dataclass(frozen=True)
class Flags(Settings):
    """Which files."""

    path: str = flag(
        "../shared/data/scores/piano-midi.de", "folder of MIDI files, searched to any depth"
    )
    pieces: int = flag(200, "pieces, drawn at random", at_least=2 * (NEIGHBOURS + 1))
    seed: int = flag(0, "random seed of the pieces, halves and windows", at_least=0)


def window(score: Score, chance: np.random.Generator) -> Score:
    """Gives a window of about 100 notes of a piece: chords stay whole."""
    onset = np.append(score.notes["onset"], score.length_ticks)
    first = int(chance.integers(max(len(score.notes) - NOTES, 0) + 1))
    last = min(first + NOTES, len(score.notes))
    return score.crop(int(onset[first]), max(int(onset[last]), int(onset[first]) + 1))


def rows(scores: list[Score]) -> np.ndarray:
    """Gives float64 [piece, statistic]."""
    return np.array([[statistic.function(score) for statistic in COMPARED] for score in scores])


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """Gives what a function gives, and the processor time it takes, seconds."""
    begin = time.process_time()
    found = function(*arguments)
    return found, time.process_time() - begin


def overlap_by_quad(intra: np.ndarray, inter: np.ndarray) -> tuple[float, float]:
    """Overlap area and KL divergence of two kernel densities, by quad and by a fine sum."""
    within, between = stats.gaussian_kde(intra), stats.gaussian_kde(inter)
    margin = MARGIN * max(scott_bandwidth(intra, len(intra)), scott_bandwidth(inter, len(inter)))
    low = min(intra.min(), inter.min()) - margin
    high = max(intra.max(), inter.max()) + margin
    area, _ = integrate.quad(
        lambda x: min(within(x)[0], between(x)[0]), low, high, limit=200, epsabs=1e-6
    )
    grid, step = np.linspace(low, high, 4001, retstep=True)
    first, second = within(grid), between(grid)
    is_there = first > 1e-12
    floored = np.maximum(second[is_there], 1e-300)
    return area, float((first[is_there] * np.log(first[is_there] / floored)).sum() * step)


def overlap_of_mgeval(intra: np.ndarray, inter: np.ndarray) -> tuple[float, float]:
    """Overlap area and "KL divergence" as MGEval's code has them."""
    within, between = stats.gaussian_kde(intra), stats.gaussian_kde(inter)
    low, high = min(intra.min(), inter.min()), max(intra.max(), inter.max())
    area, _ = integrate.quad(lambda x: min(within(x)[0], between(x)[0]), low, high, limit=200)
    grids = [np.linspace(some.min(), some.max(), 1000) for some in (intra, inter)]
    return area, float(stats.entropy(within(grids[0]), between(grids[1])))


def compare_overlaps(first: np.ndarray, second: np.ndarray) -> None:
    """Prints a line per statistic: ours, by quad, MGEval's code; and the largest differences."""
    print("\noverlap of distances        area: ours  by quad   MGEval    KL: ours  by sum   MGEval")
    ours_seconds = mgeval_seconds = 0.0
    differences = []
    for column, statistic in enumerate(COMPARED):
        generated, real = first[:, [column]], second[:, [column]]
        found: Overlap
        found, seconds = timed(overlap, generated, real)
        ours_seconds += seconds
        intra, inter = np.repeat(pdist(generated), 2), cdist(generated, real).ravel()
        if found.area is None or found.divergence is None or np.ptp(intra) * np.ptp(inter) == 0:
            print(f"{statistic.name:28} {found.area} {found.divergence} {found.reason}; skipped")
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # quad warns where a density is narrow.
            area, divergence = overlap_by_quad(intra, inter)
            theirs, seconds = timed(overlap_of_mgeval, intra, inter)
        mgeval_seconds += seconds
        differences.append((abs(found.area - area), abs(found.divergence - divergence)))
        print(
            f"{statistic.name:28}  {found.area:9.4f} {area:8.4f} {theirs[0]:8.4f}   "
            f"{found.divergence:9.4f} {divergence:7.4f} {theirs[1]:8.4f}"
        )
    largest = np.max(differences, axis=0)
    print(f"largest difference from quad: area {largest[0]:.1e}, divergence {largest[1]:.1e} nats")
    print(f"{mgeval_seconds / ours_seconds:,.0f} times faster than gaussian_kde, quad and entropy")


def neighbours_by_scikit_learn(generated: np.ndarray, real: np.ndarray) -> list[float]:
    """Precision, recall, density and coverage of standardised features by NearestNeighbors."""
    generated, real = standardized(generated, real)

    def near(pieces: np.ndarray, others: np.ndarray) -> np.ndarray:
        # Without an argument kneighbors leaves each piece itself out.
        search = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(others)
        radii = search.kneighbors()[0][:, -1]
        of_others = NearestNeighbors(n_neighbors=len(others)).fit(others)
        distances, which = of_others.kneighbors(pieces)
        return np.take_along_axis(distances, which.argsort(axis=1), axis=1) <= radii

    of_real, of_generated = near(generated, real), near(real, generated)
    return [
        of_real.any(axis=1).mean(),
        of_generated.any(axis=1).mean(),
        of_real.sum(axis=1).mean() / NEIGHBOURS,
        of_real.any(axis=0).mean(),
    ]


def compare_neighbours(first: np.ndarray, second: np.ndarray) -> None:
    """Prints the four figures twice."""
    figures = neighbour_figures(first, second)
    expected = neighbours_by_scikit_learn(first, second)
    print(f"\n{'neighbours, k = 5':28}      ours  scikit-learn")
    for field, value in zip(dataclasses.fields(figures), expected, strict=True):
        print(f"{field.name:28} {getattr(figures, field.name).value:9.4f} {value:13.4f}")


def compare_frechet(first: np.ndarray, second: np.ndarray, seed: int) -> None:
    """Prints ours and that of sqrtm, and what shrinkage makes of few pieces."""
    generated, real = standardized(first, second)
    roots = linalg.sqrtm(covariance(generated) @ covariance(real))
    traces = np.trace(covariance(generated)) + np.trace(covariance(real))
    offset = generated.mean(axis=0) - real.mean(axis=0)
    by_sqrtm = offset @ offset + traces - 2 * np.trace(roots).real
    ours = frechet_distance(first, second).value
    print(f"\nFréchet distance: ours {ours:.4f}, by sqrtm {by_sqrtm:.4f}")
    print("few pieces, mean of 20 draws    real to real   each feature shuffled among its pieces")
    chance = np.random.default_rng(seed)
    both = np.concatenate([first, second])
    estimators = {
        "maximum likelihood": covariance,
        "Ledoit-Wolf": lambda pieces: ledoit_wolf(pieces)[0],
    }
    for pieces in (20, 30, 50, 100):
        for name, estimate in estimators.items():
            means = []
            for is_shuffled in (False, True):
                draws = np.random.default_rng(seed)
                found = []
                for _ in range(20):
                    chosen = both[draws.choice(len(both), 2 * pieces, replace=False)]
                    some, others = chosen[:pieces], chosen[pieces:]
                    if is_shuffled:
                        some = np.stack([chance.permutation(column) for column in some.T], axis=1)
                    some, others = standardized(some, others)
                    found.append(
                        gaussian_frechet(
                            some.mean(axis=0), estimate(some), others.mean(axis=0), estimate(others)
                        )
                    )
                means.append(np.mean(found))
            print(f"{pieces:4} and {pieces:4}  {name:18} {means[0]:9.2f}      {means[1]:9.2f}")


def compare_bleu(first: list[np.ndarray], second: list[np.ndarray]) -> None:
    """Prints BLEU and Self-BLEU, their largest difference from NLTK's, and the ratios."""
    lists, references = ([piece.tolist() for piece in half] for half in (first, second))
    functions = SmoothingFunction()
    print(f"\nBLEU of {len(first)} pieces ({PITCHES}) against {len(second)}; Self-BLEU among them")
    for smoothing, function in (
        ("none", None),
        ("method1", functions.method1),
        ("method4", functions.method4),
    ):

        def of_nltk(others_of: Callable[[int], list[list[int]]], function: Any = function) -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Of orders without a match.
                return [
                    nltk_bleu(others_of(i), piece, smoothing_function=function)
                    for i, piece in enumerate(lists)
                ]

        ours, ours_seconds = timed(sentence_bleu, first, second, 4, smoothing)
        theirs, seconds = timed(of_nltk, lambda i: references)
        own, own_seconds = timed(sentence_self_bleu, first, 4, smoothing)
        their_own, their_seconds = timed(of_nltk, lambda i: lists[:i] + lists[i + 1 :])
        difference = max(np.abs(ours - theirs).max(), np.abs(own - their_own).max())
        print(
            f"smoothing {smoothing:8} BLEU-4 {ours.mean():.4f}, Self-BLEU-4 {own.mean():.4f}, "
            f"largest difference of a piece {difference:.1e}; {seconds / ours_seconds:,.0f} and "
            f"{their_seconds / own_seconds:,.0f} times faster than NLTK"
        )


def compare_sizes(table: np.ndarray, tokens: list[np.ndarray], seed: int) -> None:
    """Prints the figures of few real pieces against half of all, the mean of ten draws."""
    real = len(table) // 2
    print(f"\nreal music against {real} other real windows, mean of 10 draws (lowest of 10)")
    print(
        "pieces  mean area over statistics  precision recall density coverage  Fréchet   BLEU  Self"
    )
    for pieces in [count for count in (100, 50, 20, 8) if count <= len(table) - real]:
        found = []
        for draw in range(10):
            order = np.random.default_rng((seed, draw)).permutation(len(table))
            some, others = order[:pieces], order[pieces : pieces + real]
            first, second = table[some], table[others]
            columns = range(table.shape[1])
            areas = [overlap(first[:, [i]], second[:, [i]]).area for i in columns]
            near = dataclasses.astuple(neighbour_figures(first, second))
            texts = [tokens[i] for i in some]
            found.append(
                [
                    np.mean(areas),
                    *[value for value, _ in near],
                    frechet_distance(first, second).value,
                    bleu(texts, [tokens[i] for i in others]).value,
                    self_bleu(texts).value,
                ]
            )
        means, lowest = np.mean(found, axis=0), np.min(found, axis=0)
        print(
            f"{pieces:6} {means[0]:18.3f} ({lowest[0]:.3f})  {means[1]:9.2f} {means[2]:6.2f} "
            f"{means[3]:7.2f} {means[4]:8.2f} {means[5]:8.1f} {means[6]:6.3f} {means[7]:5.3f}"
        )


def time_many(table: np.ndarray, seed: int) -> None:
    """Prints the seconds that all figures of 1,000 against 1,000 pieces take."""
    chance = np.random.default_rng(seed)
    # Spread a little, so that equal rows, drawn twice, are no point masses.
    first, second = (
        table[chance.integers(len(table), size=MANY)] * chance.normal(1, 0.01, (MANY, 1))
        for _ in range(2)
    )
    steps = chance.integers(-7, 8, (MANY, 500))
    tokens = list(60 + np.cumsum(steps, axis=1) % 49 - 24)
    columns = range(first.shape[1])
    begin = time.perf_counter()
    for column in columns:
        overlap(first[:, [column]], second[:, [column]])
    overlaps = time.perf_counter()
    neighbour_figures(first, second)
    frechet_distance(first, second)
    sets = time.perf_counter()
    self_bleu(tokens)
    end = time.perf_counter()
    print(
        f"\n{MANY} against {MANY} pieces: {len(columns)} overlaps {overlaps - begin:.2f} s, "
        f"Fréchet distance and neighbours {sets - overlaps:.2f} s, "
        f"Self-BLEU-4 of {MANY} x 500 tokens {end - sets:.2f} s"
    )


def main(argv: list[str]) -> None:
    """Runs the comparison and prints it."""
    (flags,) = parse(argv, __doc__ or "", Flags)
    print(machine())
    chance = np.random.default_rng(flags.seed)
    files = sorted(Path(flags.path).rglob("*.mid"))
    if len(files) < flags.pieces:
        raise ValueError(
            f"{flags.path} has {len(files)} MIDI files; give a folder of {flags.pieces}, or "
            "fewer --pieces"
        )
    chosen = chance.permutation(len(files))[: flags.pieces]
    scores = [window(read_score(files[i]), chance) for i in chosen]
    half = len(scores) // 2
    first, second = rows(scores[:half]), rows(scores[half:])
    packages = ("numpy", "scipy", "scikit-learn", "nltk")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    print(f"{len(scores)} pieces of {flags.path}, a window of {NOTES} notes each, in halves")
    print(f"seed {flags.seed}; {versions}")
    compare_overlaps(first, second)
    compare_neighbours(first, second)
    compare_frechet(first, second, flags.seed)
    tokens = [pitch_tokens(score) for score in scores]
    compare_bleu(tokens[:half], tokens[half:])
    compare_sizes(np.concatenate([first, second]), tokens, flags.seed)
    time_many(np.concatenate([first, second]), flags.seed)


def run() -> int:
    """The command's exit status."""
    return run_command(main)


if __name__ == "__main__":
    sys.exit(run())
