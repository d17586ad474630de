"""What we use of our dependencies that they do not promise to keep. One that changes says here what depends on it.

Each of these is a risk at an upgrade, and the fewer there are, the better. A test of the service might fail as well, at
a place that does not tell why.
"""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import onnxruntime
import prometheus_client.values
import uvicorn
import uvicorn.config
from _bentoml_impl.server.app import ServiceAppFactory
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml.models import BentoModel
from circus.watcher import Watcher
from support.server import bentoml_serve
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

import service
from slipway.serving.api.v1 import Batch, Results

ROOT = Path(__file__).parents[2]


def source(thing):
    return inspect.getsource(thing)


def test_uvicorn_finds_its_protocol_under_auto():
    said = "slipway.serving.http.connection.install replaces what `auto` names"
    assert uvicorn.config.HTTP_PROTOCOLS["auto"] == "uvicorn.protocols.http.auto:AutoHTTPProtocol", said
    assert uvicorn.Config(None).http == "auto", f"BentoML leaves `http` at its default, and {said}"


def test_uvicorn_s_connection_has_the_parts_that_ours_overrides():
    said = "slipway.serving.http.connection.Connection overrides or reads it"
    for name in (
        *("data_received", "on_message_begin", "on_headers_complete", "on_body", "on_message_complete"),
        *("on_response_complete", "_should_upgrade", "_unsupported_upgrade_warning", "send_400_response"),
        *("pause_writing", "resume_writing", "connection_made", "connection_lost"),
    ):
        assert callable(getattr(HttpToolsProtocol, name, None)), f"{name}: {said}"
    made = source(HttpToolsProtocol.__init__)
    for name in (
        "app",
        "app_state",
        "timeout_keep_alive",
        "access_log",
        "flow",
        "pipeline",
        "headers",
        "cycle",
        "loop",
    ):
        assert f"self.{name}" in made, f"{name}: {said}"
    assert "self.transport.close()" in source(RequestResponseCycle.send), f"it closes by the transport: {said}"
    cycle = source(RequestResponseCycle.__init__)
    for name in ("keep_alive", "disconnected", "message_event", "response_started", "response_complete", "scope"):
        assert f"self.{name}" in cycle, f"{name} of a cycle: {said}"


def test_bentoml_names_a_worker_before_it_imports_the_service():
    import _bentoml_impl.worker.service as worker

    text = source(worker.main.callback)
    named, imported, made = (text.index(part) for part in ("worker_index =", "service = load(", "service.to_asgi("))
    assert named < imported < made, "slipway.serving.process.is_worker asks while the service is imported"


def test_bentoml_s_workers_inherit_what_the_hook_before_them_puts_into_the_environment():
    from _bentoml_impl.server.serving import serve_http

    text = source(serve_http)
    assert text.index("server_on_deployment(svc)") < text.index("create_watcher("), "slipway.serving.process.supervise"
    assert "copy_env" in inspect.signature(Watcher.__init__).parameters


def test_bentoml_s_application_is_a_starlette_with_our_guard_among_its_middlewares():
    app = service.Slipway.to_asgi()
    said = "slipway.serving.application.front switches its redirects off"
    assert hasattr(app.router, "redirect_slashes"), said
    guards = [each for each in ServiceAppFactory(service.Slipway, is_main=True).middlewares if "Guard" in str(each.cls)]
    assert len(guards) == 1


def test_bentoml_s_configuration_has_the_settings_that_are_checked():
    service.Slipway.inject_config()
    config = BentoMLContainer.config.services.get()["slipway"]
    said = "slipway.serving.settings.check_bentoml"
    assert config["metrics"]["enabled"] is False, said
    assert config["http"]["cors"]["enabled"] is False, said
    assert "access_control_allow_origins" in config["http"]["cors"], said
    assert isinstance(BentoMLContainer.access_control_options.get(), dict), "slipway.serving.application.front"


def test_bentoml_s_reference_to_a_model_asks_stored():
    said = "slipway.serving.models.NewestRelease overrides `stored`"
    assert isinstance(inspect.getattr_static(BentoModel, "stored"), property), said
    assert "self.stored" in source(BentoModel.resolve), said
    assert "self.stored" in source(BentoModel.to_info), f"{said}, which `bentoml build` asks through `to_info`"


def test_bentoml_s_model_store_is_a_folder():
    said = "slipway.core.store reads and writes it"
    assert Path(BentoMLContainer.model_store.get()._path).name == "models", said


def test_bentoml_asks_our_bodies_to_read_and_write_themselves():
    for body, method in ((Batch, "from_http_request"), (Results, "to_http_response")):
        said = f"slipway.serving.api.v1.{body.__name__} overrides {method}"
        assert hasattr(body.__mro__[1], method), said
    assert "input_spec.from_http_request(" in source(ServiceAppFactory.api_endpoint)
    assert "output_spec.to_http_response(" in source(ServiceAppFactory.api_endpoint)


def test_prometheus_client_makes_its_values_by_a_class_that_can_be_replaced():
    said = "slipway.serving.observe.metrics.share replaces it"
    assert hasattr(prometheus_client.values, "ValueClass"), said
    assert "process_identifier" in inspect.signature(prometheus_client.values.MultiProcessValue).parameters, said


def test_onnx_runtime_can_be_told_to_keep_to_itself_that_it_is_used():
    said = "slipway.core.model, the Makefile and the image set ORT_DISABLE_TELEMETRY: it sends events otherwise"
    (library,) = Path(onnxruntime.__file__).parent.glob("capi/onnxruntime_pybind11_state*")
    assert b"ORT_DISABLE_TELEMETRY" in library.read_bytes(), said
    script = "import os, bentoml\nfrom slipway.core.model import Model\n"
    script += "Model.load(bentoml.models.get('fruit:latest'))\nprint(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    command = [sys.executable, "-c", script]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert printed == "1\n", said


def test_bentoml_s_errors_and_static_files_are_as_we_read_them(tmp_path):
    """A plain BentoML service: its error bodies are what `error_body` reads, and it serves the Swagger UI."""
    script = tmp_path / "plain.py"
    script.write_text(
        "import bentoml\n\n@bentoml.service(metrics={'enabled': False})\nclass Plain:\n"
        "    @bentoml.api(route='/ask')\n    async def ask(self, x: int) -> int:\n"
        "        raise bentoml.exceptions.InvalidArgument('no')\n"
    )
    with bentoml_serve(tmp_path / "log", "plain:Plain", PYTHONPATH=str(tmp_path), BENTOML_HOST="127.0.0.1") as server:
        said = "slipway.serving.http.errors.error_body reads it"
        invalid = server.client.post("/ask", json={"x": "a"})
        assert invalid.status_code == 400, said
        assert set(invalid.json()) == {"error", "detail"}, said
        assert {"loc", "msg"} <= set(invalid.json()["detail"][0]), said
        assert server.client.post("/ask", json={"x": 1}).json() == [{"error": "no"}], said
        assert server.client.get("/nothing").text == "Not Found", said
        for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
            answer = server.client.get(f"/static_content/{name}")
            assert answer.status_code == 200, "slipway.serving.api.page loads it"
