"""A real Prometheus and Alertmanager watch the served models, with the files of `deploy/monitoring/`.

Time runs faster for the rules, so that an hour lasts a minute. Two services are watched, as in a canary: one with the
model of the tests' store, one with a model that was trained on houses built before 2000.
"""

import json
import math
import os
import re
import shutil
import time
from pathlib import Path

import bentoml
import httpx
import numpy as np
import papermill
import pytest
import yaml
from sklearn.model_selection import train_test_split
from support.server import bentoml_serve, free_port

from slipway.cases import CASES
from slipway.core.model import Model
from slipway.core.record import example
from slipway.serving.observe.drift import OUT_OF_REFERENCE, Bins
from slipway.tools.monitor import MonitorError, faster, programs, watching
from slipway.training.__main__ import notebook
from slipway.training.data import load

MONITORING = Path(__file__).parents[2] / "deploy" / "monitoring"
HOUSE = CASES["house_price"]
SPEED = 60
HOUR = faster("1h", SPEED)


@pytest.fixture(scope="module", autouse=True)
def installed():
    try:
        programs()
    except MonitorError as error:
        pytest.skip(str(error))


class Watch:
    """What Prometheus and Alertmanager know."""

    def __init__(self, prometheus, alertmanager):
        self.prometheus = httpx.Client(base_url=f"{prometheus}/api/v1", timeout=10)
        self.alertmanager = httpx.Client(base_url=f"{alertmanager}/api/v2", timeout=10)

    def query(self, promql, path="query", **parameters):
        """The series that a query gives: labels, and samples as text, a list of them from `query_range`."""
        answer = self.prometheus.get(path, params={"query": promql} | parameters)
        assert answer.status_code == 200, f"{promql}: {answer.text}"
        return answer.json()["data"]["result"]

    def number(self, promql):
        """The value of a query that gives one, or nothing."""
        found = self.query(promql)
        return float(found[0]["value"][1]) if found else math.nan

    def alerts(self, name):
        """The alerts of this name that Alertmanager has."""
        return [alert for alert in self.alertmanager.get("alerts").json() if alert["labels"]["alertname"] == name]


def eventually(condition, seconds=60):
    """What a condition gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
    return found


def ask(server, houses):
    """Ask for the prices of houses, a few hundred at a time."""
    records = houses[HOUSE.features].to_dict("records")
    for start in range(0, len(records), 500):
        answer = server.client.post(HOUSE.route, json={"records": records[start : start + 500]})
        assert answer.status_code == 200, answer.text


def address(server):
    return f"127.0.0.1:{server.client.base_url.port}"


@pytest.fixture(scope="module")
def houses():
    return load("house_price")


@pytest.fixture(scope="module")
def outdated(tmp_path_factory):
    """A service whose model of house prices was trained, and judged, on houses built before 2000."""
    folder = tmp_path_factory.mktemp("outdated")
    store = folder / "store"
    others = shutil.ignore_patterns(HOUSE.name)
    shutil.copytree(Path(os.environ["BENTOML_HOME"]) / "models", store / "models", ignore=others)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(store))
        path = notebook(HOUSE)
        parameters = {"built_before": 2000, "fast": True}
        papermill.execute_notebook(path, folder / path.name, parameters, cwd=path.parent, progress_bar=False)
    with bentoml_serve(folder / "log", BENTOML_HOME=str(store), SLIPWAY_DRAIN_SECONDS="0") as server:
        yield server


@pytest.fixture(scope="module")
def watch(served, outdated, tmp_path_factory):
    ports = {"prometheus_port": free_port(), "alertmanager_port": free_port()}
    replicas = [address(served), address(outdated)]
    with watching(replicas, tmp_path_factory.mktemp("monitor"), **ports, speed=SPEED) as monitor:
        watch = Watch(monitor.prometheus, monitor.alertmanager)
        eventually(lambda: watch.number('count(slipway:feature:psi{feature="year_built"})') == 2)
        yield watch


def version(server):
    answer = server.client.post(HOUSE.route, json={"records": [example(HOUSE.record)]})
    return answer.json()["model"].partition(":")[2]


def test_every_metric_and_label_of_the_unit_tests_is_one_that_the_service_has(served):
    """The rules' own tests make up their series; here is what they must look like."""
    served.client.get("/livez")
    exposed = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? ", served.client.get("/metrics").text, re.MULTILINE):
        exposed.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    made_up = {}
    for path in (MONITORING / "tests").glob("*.yml"):
        for test in yaml.safe_load(path.read_text())["tests"]:
            for series in test["input_series"]:
                name, _, labels = series["series"].partition("{")
                made_up.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    made_up.pop("up")  # Prometheus' own
    for name, labels in made_up.items():
        assert labels - {"job", "instance"} <= exposed[name], name


def test_newer_houses_fire_the_drift_alert_of_the_model_that_never_saw_them(watch, served, outdated, houses):
    _, test = train_test_split(houses, test_size=0.2, random_state=0)
    newer, older = houses[houses["year_built"] >= 2000], houses[houses["year_built"] < 2000]
    quiet, loud = version(served), version(outdated)
    ask(served, test)
    ask(outdated, newer)

    fired = eventually(lambda: watch.alerts("SlipwayDrift"))
    assert {alert["labels"]["version"] for alert in fired} == {loud}
    assert {"year_built", "year_remodelled", "neighborhood"} <= {alert["labels"]["feature"] for alert in fired}
    assert {receiver["name"] for alert in fired for receiver in alert["receivers"]} == {"today"}
    (about,) = (alert["annotations"] for alert in fired if alert["labels"]["feature"] == "year_built")
    assert re.match(r"house_price: year_built is not distributed as in training \(PSI \d\.\d\d\)", about["summary"])

    # it never saw them: no house of its training split was built after 1999
    beyond = f'feature="year_built", bin="{OUT_OF_REFERENCE}", version="{loud}", window="{HOUR}"'
    assert watch.number(f"slipway:feature_bin:share{{{beyond}}}") > 0.7

    # in the same time, the test split did not even begin to
    assert watch.number(f'slipway:feature:rows{{feature="year_built", version="{quiet}", window="{HOUR}"}}') > 400
    assert watch.query(f'ALERTS{{alertname=~"Slipway.*Drift", version="{quiet}"}}') == []

    for _ in range(15):
        ask(outdated, older)
    eventually(lambda: not watch.alerts("SlipwayDrift"))


def test_the_rules_compute_what_numpy_does(watch, served, houses):
    _, test = train_test_split(houses, test_size=0.2, random_state=0)
    card = Model.load(bentoml.models.get(f"house_price:{version(served)}")).card
    selector = f'case="house_price", version="{version(served)}"'
    ask(served, test)
    enough = f'slipway:feature:rows{{{selector}, feature="year_built", window="{HOUR}"}} > 400'
    since = eventually(lambda: watch.query(enough))[0]["value"][0]
    # the moment of a round of the rules: what they read and what they wrote in it belong together
    last = f'timestamp(slipway:feature:psi{{{selector}, feature="year_built", window="{HOUR}"}}) > {since}'
    now = eventually(lambda: watch.query(last))[0]["value"][1]

    def by_feature_and_bin(promql):
        return {
            (series["metric"]["feature"], series["metric"].get("bin")): float(series["value"][1])
            for series in watch.query(promql, time=now)
        }

    rows = by_feature_and_bin(f'slipway:feature_bin:rows{{{selector}, window="{HOUR}"}}')
    found = by_feature_and_bin(f'slipway:feature:psi{{{selector}, window="{HOUR}"}}')
    assert {feature for feature, _ in found} == {*HOUSE.features, "prediction"}
    for feature, histogram in card.reference.items():
        bins = Bins(histogram)
        reference = np.array(bins.shares)
        counts = np.array([rows[feature, name] for name in bins.names])
        live = (counts + 100 * reference) / (counts.sum() + 100)
        assert found[feature, None] == pytest.approx(np.sum((live - reference) * np.log(live / reference))), feature
        if feature != "prediction":
            bins.count(test[feature].to_numpy())
            sent = np.array(bins.take()) / len(test)
            assert counts / counts.sum() == pytest.approx(sent, abs=0.02), feature  # rates at the edges of the window
    assert rows["year_built", OUT_OF_REFERENCE] < 0.02 * len(test)


def test_every_query_of_the_dashboard_gives_data(watch, served, houses):
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    ask(served, houses.head(200))
    served.client.post(HOUSE.route, json={"records": []})
    variables = {"window": HOUR, "feature": "year_built", "case": "house_price"}  # what a person chose

    def substituted(text):
        return re.sub(r"\$(\w+)", lambda match: variables[match[1]], text)

    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            selector, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"]).groups()
            path = f"label/{label}/values"
            values = watch.prometheus.get(path, params={"match[]": substituted(selector)}).json()["data"]
            assert variables.setdefault(variable["name"], values[-1]) in values, variable["name"]

    def has_data(target):
        if target["range"]:
            now = time.time()
            promql = substituted(target["expr"])
            found = watch.query(promql, "query_range", start=now - 60, end=now, step="1s")
            return any(math.isfinite(float(value)) for series in found for _, value in series["values"])
        return bool(watch.query(substituted(target["expr"])))

    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            if panel["title"] == "Alerts":  # nothing need fire: that the query is right must do
                watch.query(substituted(target["expr"]))
            else:
                eventually(lambda target=target: has_data(target), seconds=10)
    assert watch.query('ALERTS{alertname="SlipwayDown"}') == []


def test_a_dashboard_panel_shows_no_series_that_nothing_records():
    text = (MONITORING / "dashboard.json").read_text()
    rules = yaml.safe_load((MONITORING / "rules.yml").read_text())
    recorded = {rule["record"] for group in rules["groups"] for rule in group["rules"]}
    used = set(re.findall(r"slipway:[\w:]+", text))
    assert used
    assert used <= recorded


def test_a_service_that_asks_for_a_token_is_scraped_with_it_and_its_end_wakes_somebody(tmp_path):
    ports = {"prometheus_port": free_port(), "alertmanager_port": free_port()}
    (tmp_path / "monitor").mkdir()
    quick = {"SLIPWAY_TOKENS": "one,two", "SLIPWAY_DRAIN_SECONDS": "0"}
    with bentoml_serve(tmp_path / "log", **quick) as server:
        assert server.client.get("/metrics").status_code == 401
        replicas = [address(server)]
        with watching(replicas, tmp_path / "monitor", **ports, speed=SPEED, token="two") as monitor:
            watch = Watch(monitor.prometheus, monitor.alertmanager)
            eventually(lambda: watch.number("up") == 1)
            eventually(lambda: not watch.alerts("SlipwayDown"))
            server.process.terminate()
            (alert,) = eventually(lambda: watch.alerts("SlipwayDown"))
    assert alert["labels"]["severity"] == "critical"
    assert [receiver["name"] for receiver in alert["receivers"]] == ["now"]
    assert "No replica of slipway" in alert["annotations"]["summary"]
