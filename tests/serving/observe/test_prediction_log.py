"""The prediction log: what was asked and answered, to be joined with the truth."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from prometheus_client import CollectorRegistry, Counter
from support.server import bentoml_serve, free_port, tensors, workers

from slipway.cases import CASES
from slipway.core.record import example
from slipway.serving.observe import prediction_log
from slipway.training.data import load
from slipway.training.prediction_log import read

ROOT = Path(__file__).parents[3]
HOUSE, APPLE = example(CASES["house_price"].record), example(CASES["fruit"].record)
LOST = "slipway_prediction_log_lost_rows_total"


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """A service that logs, and where."""
    home = tmp_path_factory.mktemp("logged")
    with bentoml_serve(home / "log", SLIPWAY_PREDICTION_LOG=str(home / "predictions")) as server:
        yield server, home / "predictions"


def test_both_apis_write_a_row_for_each_record_with_the_request_s_id(logged):
    server, folder = logged
    houses = [HOUSE | {"living_area": area} for area in (900.0, 1800.0)]
    answer = server.client.post("/v1/house-price", json={"records": houses}, headers={"X-Request-ID": "typed-1"}).json()
    server.client.post(
        "/v2/models/house_price/infer",
        json={"inputs": tensors(CASES["house_price"], houses)},
        headers={"X-Request-ID": "columns-1"},
    )
    rows = read(folder, "house_price")
    for request in ("typed-1", "columns-1"):
        mine = rows[rows["request_id"] == request]
        assert mine["row"].tolist() == [0, 1]
        assert mine[list(HOUSE)].to_dict("records") == houses
        assert mine["prediction"].round().tolist() == [result["price"] for result in answer["results"]]
        assert set(mine["version"]) == {answer["model"].partition(":")[2]}
    assert (pd.Timestamp.now("UTC") - rows["time"]).between(pd.Timedelta(0), pd.Timedelta("10min")).all()


def test_it_is_joined_with_prices_that_become_known_later(logged):
    server, folder = logged
    sales = load("house_price").head(40)
    features = CASES["house_price"].features
    server.client.post(
        "/v1/house-price",
        json={"records": sales[features].to_dict("records")},
        headers={"X-Request-ID": "sold-later"},
    )
    truth = pd.DataFrame({"request_id": "sold-later", "row": range(40), "price": sales["price"].to_numpy()})
    joined = read(folder, "house_price").merge(truth, on=["request_id", "row"], validate="one_to_one")
    assert len(joined) == 40
    assert (joined["prediction"] - joined["price"]).abs().mean() < 30_000


def test_probabilities_are_kept_as_a_list(logged):
    server, folder = logged
    server.client.post("/v1/fruit", json={"records": [APPLE]})
    row = read(folder, "fruit").iloc[-1]
    assert row["prediction"] == "apple"
    assert sum(row["probabilities"]) == pytest.approx(1, abs=1e-6)


def test_the_columns_are_described_beside_the_rows(logged):
    server, folder = logged
    server.client.post("/v1/fruit", json={"records": [APPLE]})
    schema = {column["name"]: column for column in json.loads((folder / "fruit" / "schema.json").read_text())}
    assert schema["weight"] == {"name": "weight", "role": "feature", "type": "numerical"}
    assert schema["prediction"] == {"name": "prediction", "role": "prediction", "type": "categorical"}


def test_refused_requests_are_not_logged(logged):
    server, folder = logged
    server.client.post("/v1/fruit", json={"records": [APPLE]})
    before = len(read(folder, "fruit"))
    assert server.client.post("/v1/fruit", json={"records": [APPLE, {}]}).status_code == 400
    assert len(read(folder, "fruit")) == before


def lost_rows(server):
    (line,) = (line for line in server.client.get("/metrics").text.splitlines() if line.startswith(LOST))
    return float(line.rpartition(" ")[2])


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="the limits of another process are set on Linux alone")
def test_on_a_full_disk_requests_are_answered_and_the_rows_lost_are_counted(tmp_path):
    """A limit to the size of a file stands for the disk: writing beyond it fails in the same call."""
    folder = tmp_path / "predictions"
    with bentoml_serve(tmp_path / "log", SLIPWAY_PREDICTION_LOG=str(folder)) as server:
        (worker,) = workers(server)
        hundred = {"records": [APPLE] * 100}
        assert server.client.post("/v1/fruit", json=hundred).status_code == 200
        assert lost_rows(server) == 0
        (file,) = (folder / "fruit").glob("*.jsonl")
        size = file.stat().st_size
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
        for _ in range(3):
            assert server.client.post("/v1/fruit", json=hundred).status_code == 200
        assert lost_rows(server) == 300
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert server.client.post("/v1/fruit", json=hundred).status_code == 200
        assert len(read(folder, "fruit")) == 200, "half a row was left, or none was written again"
        assert lost_rows(server) == 300
        assert server.log.read_text().count("rows of the prediction log are lost") == 1


def test_a_folder_that_cannot_be_written_ends_the_start_with_one_line(tmp_path):
    (tmp_path / "file").touch()
    environment = os.environ | {"SLIPWAY_PREDICTION_LOG": str(tmp_path / "file" / "below")}
    command = [sys.executable, "-m", "bentoml", "serve", "-p", str(free_port())]
    answer = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert answer.returncode != 0
    (said,) = [line for line in (answer.stdout + answer.stderr).splitlines() if "[INFO]" not in line]
    assert "SLIPWAY_PREDICTION_LOG=" in said
    assert "cannot write there" in said


def test_files_are_rotated_and_the_oldest_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr(prediction_log, "MAX_FILE_BYTES", 100)
    monkeypatch.setattr(prediction_log, "MAX_FILES", 3)
    path = tmp_path / "0.jsonl"
    for number in range(60):
        if prediction_log.append(path, b'{"number": %d}\n' % number) > prediction_log.MAX_FILE_BYTES:
            prediction_log.rotate(path)
    kept = [json.loads(line)["number"] for file in tmp_path.iterdir() for line in file.read_text().splitlines()]
    assert sorted(kept) == list(range(min(kept), 60)), "rows in the middle are missing"
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 4 * 120
    assert {file.name for file in tmp_path.iterdir()} <= {"0.jsonl", "0.1.jsonl", "0.2.jsonl", "0.3.jsonl"}


def test_nobody_else_may_read_what_may_be_about_people(logged):
    server, folder = logged
    server.client.post("/v1/fruit", json={"records": [APPLE]})
    found = [folder, *folder.rglob("*")]
    assert len(found) >= 4
    assert [path for path in found if path.stat().st_mode & 0o077] == []


def test_a_rotation_that_fails_is_said_and_the_rows_that_were_written_are_not_lost(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(prediction_log, "MAX_FILE_BYTES", 10)
    lost = Counter("lost_rows", "", registry=CollectorRegistry())
    monitor = prediction_log.RowMonitor("fruit", str(tmp_path), lost)

    def fails(path):
        raise OSError(13, "Permission denied")

    monkeypatch.setattr(prediction_log, "rotate", fails)
    for _ in range(3):
        monitor.start_record()
        monitor.log_batch([1, 2], "weight", "feature", "numerical")
        monitor.stop_record()
    assert len((tmp_path / "fruit" / "0.jsonl").read_text().splitlines()) == 6
    assert lost._value.get() == 0
    assert caplog.text.count("grows beyond its limit") == 1


def test_a_half_line_is_left_out_with_a_warning(tmp_path):
    (tmp_path / "fruit").mkdir()
    row = {"time": "2026-01-01T00:00:00.000+00:00", "request_id": "a", "version": "v", "row": 0}
    (tmp_path / "fruit" / "0.jsonl").write_text(json.dumps(row) + '\n{"time": "2026-')
    with pytest.warns(UserWarning, match="line 2 cannot be read"):
        assert len(read(tmp_path, "fruit")) == 1


def test_reading_what_was_never_logged_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no predictions of fruit .* SLIPWAY_PREDICTION_LOG"):
        read(tmp_path, "fruit")
