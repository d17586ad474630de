"""The PSI of the rules stays quiet on chance and is loud on a shift: drawn from the reference histograms of the cards.

The rules compute it in PromQL, here it is numpy; `test_monitoring.py` shows that the two agree.
"""

import re
from pathlib import Path

import bentoml
import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from slipway.cases import CASES
from slipway.core.model import Model
from slipway.serving.observe.drift import Bins, Reference
from slipway.training.data import load
from slipway.training.release import histogram

MONITORING = Path(__file__).parents[2] / "deploy" / "monitoring"
DRAWS = 5_000


def number(pattern: str, file: str) -> float:
    """The one number that a pattern finds in a file of `deploy/monitoring/`."""
    (found,) = set(re.findall(pattern, (MONITORING / file).read_text()))
    return float(found)


PRIOR_ROWS = number(r"(\d+) \* slipway:reference:share", "rules.yml")
LOUD = number(r'psi\{window="1h"\} > ([\d.]+)', "alerts.yml")
LOUD_ROWS = int(number(r'rows\{window="1h"\} >= (\d+)', "alerts.yml"))
SLOW = number(r'psi\{window="1d"\} > ([\d.]+)', "alerts.yml")
SLOW_ROWS = int(number(r'rows\{window="1d"\} >= (\d+)', "alerts.yml"))


def psi(counts, reference, prior_rows=PRIOR_ROWS):
    """The smoothed PSI of each row of counts."""
    live = (counts + prior_rows * reference) / (counts.sum(axis=-1, keepdims=True) + prior_rows)
    return ((live - reference) * np.log(live / reference)).sum(axis=-1)


def drawn(counts, rows, seed=0):
    """Counts of so many rows, drawn many times from a distribution."""
    return np.random.default_rng(seed).multinomial(rows, counts / counts.sum(), size=DRAWS)


def counted(bins: Bins, values) -> np.ndarray:
    bins.take()
    bins.count(values)
    return np.array(bins.take(), dtype=float)


@pytest.fixture(scope="module")
def references():
    """The bins of every feature of every case, by case and feature, as the newest releases' cards have them."""
    cards = {name: Model.load(bentoml.models.get(f"{name}:latest")).card for name in CASES}
    return {(name, feature): bins for name, card in cards.items() for feature, bins in Reference(card).bins.items()}


@pytest.mark.parametrize("rows", [1, 10, 30, 100, 300, 1_000, 3_000])
def test_equal_distributions_stay_quiet_however_few_the_rows(references, rows):
    """The worst of thousands of hours, for each feature of each case."""
    for name, bins in references.items():
        shares = np.array(bins.shares)
        assert psi(drawn(shares, rows), shares).max() < LOUD, name


@pytest.mark.parametrize("rows", [SLOW_ROWS, 10 * SLOW_ROWS])
def test_they_do_so_for_the_slow_alert(references, rows):
    for name, bins in references.items():
        shares = np.array(bins.shares)
        assert psi(drawn(shares, rows), shares).max() < SLOW, name


@pytest.mark.parametrize("rows", [30, 100, 300, 1_000])
def test_chance_adds_on_average_what_the_rules_say(references, rows):
    """At most (bins - 1) / (4 * 100), which is the case at 100 rows; the rarest bins add less than that."""
    for name, bins in references.items():
        shares = np.array(bins.shares)
        assert psi(drawn(shares, rows), shares).mean() < (len(shares) - 1) / (4 * PRIOR_ROWS), name


def test_without_the_smoothing_chance_alone_would_fire(references):
    """The control: 100 rows, and what is usually done about an empty bin, a small share instead of none."""
    shares = np.array(references["house_price", "neighborhood"].shares)
    live = np.maximum(drawn(shares, LOUD_ROWS) / LOUD_ROWS, 1e-4)
    plain = ((live - shares) * np.log(live / shares)).sum(axis=-1)
    assert np.mean(plain > LOUD) > 0.9


@pytest.mark.parametrize("rows", [LOUD_ROWS, 300, 1_000])
def test_the_test_split_of_ames_is_quiet(references, rows):
    """Houses that the model has not seen, drawn with replacement: chance in the reference is in it, too."""
    case = CASES["house_price"]
    _, test = train_test_split(load("house_price"), test_size=0.2, random_state=0)
    for feature in case.features:
        bins = references["house_price", feature]
        counts = counted(bins, test[feature].to_numpy())
        assert np.quantile(psi(drawn(counts, rows), np.array(bins.shares)), 0.999) < LOUD, feature


@pytest.mark.parametrize("rows", [LOUD_ROWS, 300, 1_000])
def test_newer_houses_are_loud_for_a_model_of_older_ones(rows):
    houses = load("house_price")
    older, newer = houses[houses["year_built"] < 2000], houses[houses["year_built"] >= 2000]
    for feature in ("year_built", "year_remodelled", "neighborhood"):
        bins = Bins(histogram(older[feature]))
        counts = counted(bins, newer[feature].to_numpy())
        assert psi(drawn(counts, rows), np.array(bins.shares)).min() > LOUD, feature


def test_a_tenth_of_the_rows_out_of_reference_is_loud(references):
    """What a client does that sends square metres for square feet, or a new word."""
    for name, bins in references.items():
        shares = np.array(bins.shares)
        broken = 0.9 * shares
        broken[-1] += 0.1
        assert np.quantile(psi(drawn(broken, 1_000), shares), 0.001) > LOUD, name
