"""The bar: what is judged, from which slices, and when a line does not hold."""

import pytest

from benchmarks.__main__ import parse, reckoned
from benchmarks.bar import CHECKING, CLIENTS, JUDGED, LINES, MODEL, verdicts
from benchmarks.report import bar
from benchmarks.servers import SERVERS

# CPU time of a request with which every line holds
FINE = {"limit": 100, "slipway-v2": 110, "slipway-v2-binary": 105, "slipway-v1": 300, "fastapi-onnx": 700}


def entries(changes=None, **more):
    """One entry for each server and number of rows; `changes` are slices by server, else of `FINE` or slow."""
    slices = {name: [FINE.get(name, 2000)] * 3 for name in JUDGED} | (changes or {})
    return [
        {"server": name, "model": MODEL, "rows": rows, "clients": CLIENTS, "errors": 0, "cpu_us_slices": each} | more
        for name, each in slices.items()
        for rows in (1, 1000)
    ]


def verdict_of(rows, title, footprints=()):
    """The line with this title."""
    (found,) = [line for line in verdicts(rows, footprints) if line[0] == title]
    return found


def test_every_line_holds_where_it_should():
    lines = list(verdicts(entries(), []))
    assert len(lines) == len(LINES)
    assert all(line[-1] == "holds (3 of 3 rounds)" for line in lines)


def test_the_median_of_the_ratios_within_each_round_is_judged():
    """The machine is slower in each round, for both. The ratio of the medians would be 1.5."""
    rows = entries({"limit": [100, 200, 300], "slipway-v2": [140, 300, 360]})
    _, asked, found, verdict = verdict_of(rows, "slipway-v2 against limit, 1 row")
    assert (asked, found) == ("at most 1.45× theirs", "1.40 (1.20 to 1.50)")
    assert verdict == "holds (2 of 3 rounds)"
    assert verdict_of(rows, "slipway-v2 against limit, 1,000 rows")[-1] == "does not hold (1 of 3 rounds)"


def test_of_several_servers_the_closest_decides():
    rows = entries({"mosec": [100, 101, 99]})
    (title,) = [line.title() for line in LINES if "mosec" in line.theirs and line.rows == 1]
    assert title.startswith("slipway-v2 against ")
    _, _, found, verdict = verdict_of(rows, title)
    assert found.endswith(", mosec")
    assert verdict == "does not hold (0 of 3 rounds)"


def test_json_and_binary_tensors_are_judged_each_for_itself():
    rows = entries({"slipway-v2-binary": [600] * 3})
    assert verdict_of(rows, "slipway-v2 against fastapi-onnx, 1 row")[-1].startswith("holds")
    assert verdict_of(rows, "slipway-v2-binary against fastapi-onnx, 1 row")[-1].startswith("does not hold")


@pytest.mark.parametrize("name", ["slipway-v2", "limit"])
def test_a_server_that_answers_with_errors_does_not_hold(name):
    rows = entries()
    for row in rows:
        row["errors"] = 2 if row["server"] == name else 0
    assert verdict_of(rows, "slipway-v2 against limit, 1 row")[2:] == ["–", f"does not hold: errors of {name}"]


def test_a_line_is_not_judged_without_every_server_that_it_names():
    rows = [row for row in entries() if row["server"] not in ("kserve", "fastapi")]
    titles = [line.title() for line in LINES if "kserve" in line.theirs]
    assert len(titles) == 4
    assert {verdict_of(rows, title)[-1] for title in titles} == {"not judged: fastapi, kserve not measured"}


@pytest.mark.parametrize("other", [{"model": "forest"}, {"clients": 64}])
def test_other_loads_are_not_judged(other):
    assert bar(entries(**other), []) == ""


def test_start_and_memory_are_judged_by_their_medians():
    footprint = {"server": "slipway-v2", "ready_s": [9.0, 1.4, 1.3], "memory_mib": [149.0, 151.0, 152.0]}
    ready, memory = verdicts([], [footprint])
    assert ready == ["slipway-v2, ready", "at most 1.5 s", "1.40 (1.30 to 9.00) s", "holds"]
    assert memory[-1] == "does not hold"


def test_peers_are_those_that_check_their_input():
    assert set(CHECKING) == {"bentoml", "fastapi", "mlflow", "fastapi-onnx"}
    assert all(SERVERS[name].checks_input == "types" for name in CHECKING)


def test_the_quick_bench_measures_what_the_bar_judges_in_a_quarter_of_an_hour():
    options = parse(["--quick"])
    assert options.servers == JUDGED
    assert set(options.models) == {MODEL}
    assert {line.rows for line in LINES} == set(options.rows)
    assert CLIENTS in options.clients
    assert options.footprints == ["slipway-v2"]
    assert reckoned(options) < 13 * 60  # beside the training, and what else the machine does
    assert reckoned(parse([])) > 2 * reckoned(options)
