"""The rules and alerts of `deploy/monitoring/`, as promtool judges them on made-up hours and days."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
UNIT_TESTS = sorted(path.name for path in (MONITORING / "tests").glob("*.yml"))

needs_prometheus = pytest.mark.skipif(
    not (shutil.which("promtool") and shutil.which("amtool")),
    reason="promtool or amtool is not installed: apt-get install prometheus prometheus-alertmanager",
)


def said(*command, folder=MONITORING):
    """A program's exit code, and what it printed."""
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return answer.returncode, answer.stdout + answer.stderr


@pytest.fixture(scope="module")
def alerts():
    (group,) = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


@needs_prometheus
def test_prometheus_takes_the_configuration():
    code, text = said("promtool", "check", "config", "--lint=all", "--lint-fatal", "prometheus.yml")
    assert code == 0, text


@needs_prometheus
def test_alertmanager_takes_its_configuration():
    code, text = said("amtool", "check-config", "alertmanager.yml")
    assert code == 0, text


@needs_prometheus
@pytest.mark.parametrize(("severity", "receiver"), [("critical", "now"), ("warning", "today"), ("info", "this-week")])
def test_an_alert_goes_to_the_receiver_of_its_severity(severity, receiver):
    route = ("amtool", "config", "routes", "test", "--config.file=alertmanager.yml", f"severity={severity}")
    code, text = said(*route)
    assert code == 0, text
    assert text.splitlines()[0] == receiver


@needs_prometheus
@pytest.mark.parametrize("name", UNIT_TESTS)
def test_the_unit_tests_of_the_rules_pass(name):
    code, text = said("promtool", "test", "rules", name, folder=MONITORING / "tests")
    assert code == 0, text


def test_every_alert_waits_has_a_severity_and_says_what_to_do(alerts):
    for name, rule in alerts.items():
        assert rule["for"], name
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}, name
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}, name
        assert (ROOT / rule["annotations"]["runbook"]).exists(), name


def test_every_alert_is_seen_to_fire_in_a_unit_test(alerts):
    expected = set()
    for name in UNIT_TESTS:
        for test in yaml.safe_load((MONITORING / "tests" / name).read_text())["tests"]:
            samples = [sample for check in test["promql_expr_test"] for sample in check["exp_samples"]]
            expected |= set(re.findall(r'alertname="(\w+)"', str(samples)))
    assert expected == set(alerts)


BROKEN = {
    # the alerts: each can be made deaf, and most can be made to cry wolf
    "down: deaf to replicas that fail": ("alerts.yml", 'max by (job) (up{job="slipway"}) == 0 or', "", "traffic"),
    "down: deaf to no replica at all": ("alerts.yml", 'or absent(up{job="slipway"})', "", "traffic"),
    "down: fires for a single replica": (
        "alerts.yml",
        'max by (job) (up{job="slipway"})',
        "min by (job) (up)",
        "traffic",
    ),
    "replica down: deaf": ("alerts.yml", 'expr: up{job="slipway"} == 0', 'expr: up{job="slipway"} < 0', "traffic"),
    "replica down: does not wait": ("alerts.yml", "for: 5m", "for: 0m", "traffic"),
    "errors: deaf": ("alerts.yml", "error_ratio > 0.01", "error_ratio > 0.03", "traffic"),
    "errors: forgives 500": ("rules.yml", 'http_response_code=~"5.."', 'http_response_code="503"', "traffic"),
    "errors: counts probes": ("rules.yml", "/readyz|", "", "traffic"),
    "errors: counts the probes of the other api": ("rules.yml", "/v2/health/.*|", "", "traffic"),
    "refusals: deaf": ("alerts.yml", "refused_ratio > 0.2", "refused_ratio > 0.3", "traffic"),
    "refusals: takes overload for refusals": ("rules.yml", ', http_response_code!="429"', "", "traffic"),
    "overloaded: deaf": ("rules.yml", '{http_response_code="429"}', '{http_response_code="503"}', "traffic"),
    "slow: deaf": ("alerts.yml", "p99 > 0.5", "p99 > 1", "traffic"),
    "slow: measures the median": ("rules.yml", "histogram_quantile(0.99", "histogram_quantile(0.5", "traffic"),
    "slow: counts clients that are slow to send": ("rules.yml", 'http_response_code=~"2..",', "", "traffic"),
    "log: deaf": ("alerts.yml", "lost_rows > 0", "lost_rows < 0", "traffic"),
    "log: never forgets": (
        "rules.yml",
        "increase(slipway_prediction_log_lost_rows_total[10m])",
        "slipway_prediction_log_lost_rows_total",
        "traffic",
    ),
    "drift: deaf": ("alerts.yml", 'psi{window="1h"} > 0.2', 'psi{window="1h"} > 0.6', "drift"),
    "drift: fires on a handful of rows": ("alerts.yml", 'and slipway:feature:rows{window="1h"} >= 100', "", "drift"),
    "drift: without smoothing": ("rules.yml", "100", "0.0001", "drift"),
    "drift: live and reference changed places": (
        "rules.yml",
        "ln(slipway:feature_bin:share /",
        "-ln(slipway:feature_bin:share /",
        "drift",
    ),
    "drift: each replica by itself": (
        "rules.yml",
        "(job, case, version, feature, bin)",
        "(job, case, version, feature, bin, instance)",
        "drift",
    ),
    "drift: versions mixed": (
        "rules.yml",
        "sum by (job, case, version, feature, bin)",
        "sum by (job, case, feature, bin)",
        "drift",
    ),
    "drift: a restart counts backwards": (
        "rules.yml",
        "increase(slipway_feature_bin_total",
        "delta(slipway_feature_bin_total",
        "drift",
    ),
    "drift: since the start, not in the window": (
        "rules.yml",
        "increase(slipway_feature_bin_total[1h])",
        "slipway_feature_bin_total",
        "drift",
    ),
    "slow drift: deaf": ("alerts.yml", 'psi{window="1d"} > 0.1', 'psi{window="1d"} > 0.2', "slow_drift"),
    "slow drift: fires on a few rows": (
        "alerts.yml",
        'and slipway:feature:rows{window="1d"} >= 1000',
        "",
        "slow_drift",
    ),
    "slow drift: of one hour": ("rules.yml", "[1d:1h]", "[1h:1h]", "slow_drift"),
}


@needs_prometheus
@pytest.mark.parametrize(("file", "old", "new", "unit_test"), BROKEN.values(), ids=BROKEN)
def test_a_broken_rule_is_noticed(tmp_path, file, old, new, unit_test):
    """The control: what the unit tests would say of rules that are wrong."""
    copy = tmp_path / "monitoring"
    shutil.copytree(MONITORING, copy)
    whole = (copy / file).read_text()
    assert old in whole
    (copy / file).write_text(whole.replace(old, new))
    assert said("promtool", "check", "rules", file, folder=copy)[0] == 0, "broken in its syntax: that proves nothing"
    code, text = said("promtool", "test", "rules", f"{unit_test}.yml", folder=copy / "tests")
    assert code != 0
    assert "FAILED" in text


def test_every_alert_has_a_broken_copy(alerts):
    tried = {name.partition(":")[0] for name in BROKEN}
    assert len(tried) == len(alerts)
