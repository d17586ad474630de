"""A setting that cannot be read ends the start with one line; BentoML's own settings work beside ours, or say so."""

import json
import os
import ssl
import subprocess

import pytest
from support.server import bentoml_serve, start

from slipway.cases import CASES
from slipway.core.record import example
from slipway.serving.settings import SettingError, Settings

APPLE = {"records": [example(CASES["fruit"].record)]}
V1, V2 = "/v1/fruit", "/v2/models/fruit/infer"


def test_without_a_variable_the_service_is_open_and_logs_nothing():
    assert Settings.read({}) == Settings(tokens=(), drain_seconds=5.0, prediction_log=None, releases={})


def test_each_variable_is_read(tmp_path):
    found = Settings.read(
        {
            "SLIPWAY_TOKENS": " a, b ,",
            "SLIPWAY_DRAIN_SECONDS": "0.5",
            "SLIPWAY_PREDICTION_LOG": str(tmp_path / "log"),
            "SLIPWAY_RELEASES": "fruit:x1, house_price:x2",
        }
    )
    assert found.tokens == (b"a", b"b")
    assert found.drain_seconds == 0.5
    assert found.releases == {"fruit": "x1", "house_price": "x2"}
    assert found.prediction_log == tmp_path / "log"
    assert (tmp_path / "log").stat().st_mode & 0o077 == 0, "others may look into the prediction log"


UNREADABLE = [
    *((name, "") for name in ("SLIPWAY_TOKENS", "SLIPWAY_DRAIN_SECONDS", "SLIPWAY_PREDICTION_LOG", "SLIPWAY_RELEASES")),
    *(("SLIPWAY_TOKENS", value) for value in (" ", ",", " , ", "grün", "a\x00b", "\udcff")),
    *(("SLIPWAY_DRAIN_SECONDS", value) for value in ("5s", "nan", "inf", "-1", "1e9", "five")),
    *(("SLIPWAY_RELEASES", value) for value in ("fruit", "fruit:", ":x", "fruit:x,fruit:y", "fruit:x:y", "fruit:x,,")),
    ("SLIPWAY_PREDICTION_LOG", "/dev/null/folder"),
]


@pytest.mark.parametrize(("name", "value"), UNREADABLE)
def test_what_cannot_be_read_is_an_error_that_names_the_variable(name, value):
    with pytest.raises(SettingError, match=name) as caught:
        Settings.read({name: value})
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["SLIPWAY_TOKEN", "SLIPWAY_DRAIN_SECOND", "SLIPWAY_RELEASE"])
def test_a_name_with_a_slip_is_not_passed_over(name):
    with pytest.raises(SettingError, match="did you mean SLIPWAY_"):
        Settings.read({name: "secret"})


def test_names_that_kubernetes_sets_for_a_service_called_slipway_are_not_ours():
    names = ("SLIPWAY_SERVICE_HOST", "SLIPWAY_SERVICE_PORT", "SLIPWAY_PORT", "SLIPWAY_PORT_3000_TCP_ADDR")
    assert Settings.read(dict.fromkeys(names, "x")) == Settings()


def config(**options):
    return {"BENTOML_CONFIG_OVERRIDES": json.dumps({"services": {"slipway": options}})}


REFUSED = {
    "SLIPWAY_DRAIN_SECONDS": {"SLIPWAY_DRAIN_SECONDS": ""},
    "SLIPWAY_TOKENS": {"SLIPWAY_TOKENS": " , "},
    "there is no unicorn": {"SLIPWAY_RELEASES": "unicorn:x"},
    "fruit:nosuchversion": {"SLIPWAY_RELEASES": "fruit:nosuchversion"},
    "metrics.enabled": config(metrics={"enabled": True}),
    "access_control_allow_origins": config(http={"cors": {"enabled": True}}),
}


@pytest.mark.parametrize(("said", "environment"), REFUSED.items(), ids=REFUSED)
def test_the_start_ends_with_one_line(said, environment):
    code, lines = start(os.environ["BENTOML_HOME"], **environment)
    assert code != 0
    assert len(lines) == 1, lines
    assert said in lines[0]


def test_other_settings_of_bentoml_work_beside_ours(tmp_path):
    options = {
        "workers": 2,
        "threads": 4,
        "traffic": {"max_concurrency": 8, "timeout": 10},
        "logging": {"access": {"enabled": True}},
        "http": {"response": {"trace_id": True}},
        "endpoints": {"livez": "/livez"},
    }
    with bentoml_serve(tmp_path / "log", **config(**options)) as server:
        for path in ("/livez", "/readyz", "/metrics", "/", "/docs.json", "/v2"):
            assert server.client.get(path).status_code == 200
        assert server.client.post(V1, json=APPLE).status_code == 200
        assert "path=/v1/fruit" in server.log.read_text()
        assert "Traceback" not in server.log.read_text()


def test_a_page_of_another_site_may_ask_where_bentoml_s_setting_allows_it(tmp_path):
    cors = {
        "enabled": True,
        "access_control_allow_origins": ["http://a.example"],
        "access_control_allow_methods": ["GET", "POST"],
        "access_control_allow_headers": ["authorization", "content-type"],
    }
    with bentoml_serve(tmp_path / "log", SLIPWAY_TOKENS="secret", **config(http={"cors": cors})) as server:
        for path in (V1, V2):
            asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
            allowed = server.client.options(path, headers={"Origin": "http://a.example"} | asked)
            assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, "http://a.example")
            refused = server.client.options(path, headers={"Origin": "http://b.example"} | asked)
            assert refused.status_code == 400
            assert "access-control-allow-origin" not in refused.headers
        for token, status in (("secret", 200), ("other", 401)):
            headers = {"Origin": "http://a.example", "Authorization": f"Bearer {token}"}
            answer = server.client.post(V1, json=APPLE, headers=headers)
            assert answer.status_code == status
            assert answer.headers.get_list("access-control-allow-origin") == ["http://a.example"]


def test_it_serves_https_where_bentoml_s_setting_says_so(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    options = config(ssl={"enabled": True, "certfile": str(certificate), "keyfile": str(key), "ciphers": "DEFAULT"})
    trust = ssl.create_default_context(cafile=certificate)
    with bentoml_serve(tmp_path / "log", verify=trust, **options) as server:
        assert server.client.base_url.scheme == "https"
        assert server.client.post(V1, json=APPLE).status_code == 200
        # refused by its head, while its body is still being sent
        large = server.client.post(V1, content=bytes(5_000_000), headers={"Connection": "close"})
        assert large.status_code == 413
