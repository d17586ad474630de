"""The servers that are compared: how each is started, and how it is asked.

Each has one worker and one thread for a model's arithmetic. A server of scikit-learn models is used as its
documentation shows; where that leaves a choice, the faster one is taken, and said here. Access logs are off, except
BentoML's, which is on unless one knows how to turn it off, as ours does.

nvidia-pytriton is not among them. Its release 0.7.0 has Triton with Python 3.13 in it, which fails in the standard
library of Python 3.11, so no model starts.
"""

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.tensors import Houses, Message, binary, compact, parsed, prediction, tensors
from requirements.environments import python_of

HERE = Path(__file__).parent
APPS = HERE / "apps"

Kind = Literal["scikit-learn", "onnx", "limit", "ours"]
Checks = Literal["nothing", "types", "types, ranges and words"]


def records(houses: Houses) -> dict[str, Any]:
    """A body of one object a house."""
    return {"records": houses}


@dataclass(frozen=True)
class Server:
    """A server: how it is started, and how it is asked.

    command and variables: what is run, and the environment variables it reads. `{port}` is replaced by the port to
        listen on, `{port2}` and `{port3}` by other free ones, `{workers}` by the number of its workers, `{pool}` by
        the same, but 0 for one, `{model}` by the folder of the model, `{home}` by a folder of its own, emptied after
    place: the folder that the command is run in
    kind: what answers in it
    checks_input: what it checks before the model sees it. What it does not check gets a price, or a 500
    packages: those whose versions tell what was measured
    is_exposed: whether it listens beyond 127.0.0.1 and cannot be told otherwise; it is measured only if it is named
    environment: the lock of the environment that it runs in, if not the course's
    prepare: a command to run once for a model, before
    body: the request about some houses
    is_binary: whether the tensors of that request and of its answer are sent as binary data
    prices: those of an answer
    """

    name: str
    title: str
    kind: Kind
    checks_input: Checks
    packages: tuple[str, ...]
    command: str
    variables: Mapping[str, str] = field(default_factory=dict)
    place: Path = APPS
    is_exposed: bool = False
    environment: str = ""
    prepare: str = ""
    path: str = "/predict"
    body: Callable[[Houses], dict[str, Any]] = records
    is_binary: bool = False
    prices: Callable[[dict[str, Any]], list[float]] = lambda answer: answer["prices"]

    @property
    def python(self) -> Path:
        """The interpreter of its environment, which is made first if need be. Raises InstallError."""
        return python_of(self.environment) if self.environment else Path(sys.executable)

    def request(self, houses: Houses) -> Message:
        """The request about some houses."""
        return binary(self.body(houses)) if self.is_binary else Message(compact(self.body(houses)))

    def answer(self, message: Message) -> list[float]:
        """The prices of an answer."""
        return self.prices(parsed(message))

    def versions(self) -> dict[str, str]:
        """Python's version, and those of the packages in the server's environment."""
        script = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
        script += "; print(sys.version.split()[0])"
        said = subprocess.check_output([self.python, "-c", script, *self.packages], text=True).split()
        return dict(zip([*self.packages, "python"], said, strict=True))


JOBLIB = {"MODEL": "{model}/model.joblib"}
ONNX = {"MODEL": "{model}/model.onnx"}
# threads: a second request is read while the first is answered, and connections are kept open
GUNICORN = "gunicorn --workers {workers} --threads 4 --bind 127.0.0.1:{port}"
UVICORN = "uvicorn --workers {workers} --port {port} --loop uvloop --http httptools --no-access-log"
OURS = {"BENTOML_CONFIG_OPTIONS": "services.slipway.workers={workers}"}
SERVERS = {
    server.name: server
    for server in [
        Server(
            "bentoml",
            "BentoML, scikit-learn",
            "scikit-learn",
            "types",
            ("bentoml", "scikit-learn", "pandas"),
            "bentoml serve --host 127.0.0.1 --port {port} bentoml_app:HousePrice",
            JOBLIB | {"BENTOML_CONFIG_OPTIONS": "services.HousePrice.workers={workers}"},
        ),
        Server(
            "flask",
            "Flask, scikit-learn",
            "scikit-learn",
            "nothing",
            ("flask", "gunicorn", "scikit-learn", "pandas"),
            f"{GUNICORN} flask_app:app",
            JOBLIB,
        ),
        Server(
            "django",
            "Django, scikit-learn",
            "scikit-learn",
            "nothing",
            ("django", "gunicorn", "scikit-learn", "pandas"),
            f"{GUNICORN} django_app:app",
            JOBLIB,
        ),
        Server(
            "fastapi",
            "FastAPI, scikit-learn",
            "scikit-learn",
            "types",
            ("fastapi", "uvicorn", "scikit-learn", "pandas"),
            f"{UVICORN} fastapi_app:app",
            JOBLIB,
        ),
        Server(
            "litserve",
            "LitServe, scikit-learn",
            "scikit-learn",
            "nothing",
            ("litserve", "uvicorn", "scikit-learn", "pandas"),
            "python litserve_app.py",
            JOBLIB | {"PORT": "{port}", "WORKERS": "{workers}"},
            environment="litserve",
        ),
        # With one worker it computes in its own process: handing requests to one beside it takes longer. Its metrics
        # are on, as ours are.
        Server(
            "mlserver",
            "MLServer, scikit-learn",
            "scikit-learn",
            "nothing",
            ("mlserver", "mlserver-sklearn", "scikit-learn", "pandas"),
            "mlserver start mlserver",
            {
                "MLSERVER_MODEL_URI": "{model}/model.joblib",
                "MLSERVER_HTTP_PORT": "{port}",
                "MLSERVER_GRPC_PORT": "{port2}",
                "MLSERVER_METRICS_PORT": "{port3}",
                "MLSERVER_PARALLEL_WORKERS": "{pool}",
            },
            environment="mlserver",
            path="/v2/models/house_price/infer",
            # without this it would make one matrix of the columns, words and numbers alike
            body=lambda houses: {"parameters": {"content_type": "pd"}} | tensors(houses),
            prices=prediction,
        ),
        # `mlflow models serve` starts uvicorn, which reads its options from the environment too.
        Server(
            "mlflow",
            "MLflow, scikit-learn",
            "scikit-learn",
            "types",
            ("mlflow", "uvicorn", "scikit-learn", "pandas"),
            "mlflow models serve --env-manager local -h 127.0.0.1 -p {port} --workers {workers} -m {model}/mlflow",
            JOBLIB | {"HOUSES": "{model}/houses.json", "MLFLOW_MODEL": "{model}/mlflow", "UVICORN_ACCESS_LOG": "False"},
            environment="mlflow",
            prepare="python mlflow_save.py",
            path="/invocations",
            body=lambda houses: {"dataframe_records": houses},
            prices=lambda answer: answer["predictions"],
        ),
        # Its home is a folder of its own because Ray keeps the token that its processes ask for there.
        Server(
            "ray-serve",
            "Ray Serve, scikit-learn",
            "scikit-learn",
            "nothing",
            ("ray", "uvicorn", "scikit-learn", "pandas"),
            "python ray_serve_app.py",
            JOBLIB
            | {
                "PORT": "{port}",
                "WORKERS": "{workers}",
                "HOME": "{home}",
                "RAY_FOLDER": "{home}/ray",
                "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
                "RAY_USAGE_STATS_ENABLED": "0",
            },
            is_exposed=True,
            environment="ray_serve",
        ),
        Server(
            "flask-onnx",
            "Flask, ONNX",
            "onnx",
            "nothing",
            ("flask", "gunicorn", "onnxruntime"),
            f"{GUNICORN} flask_onnx_app:app",
            ONNX,
        ),
        Server(
            "fastapi-onnx",
            "FastAPI, ONNX",
            "onnx",
            "types",
            ("fastapi", "uvicorn", "pydantic", "onnxruntime"),
            f"{UVICORN} fastapi_onnx_app:app",
            ONNX,
        ),
        # It answers a word in the place of a number with 500: it checks the protocol, but not the values.
        Server(
            "kserve",
            "KServe, ONNX",
            "onnx",
            "nothing",
            ("kserve", "fastapi", "uvicorn", "onnxruntime"),
            "python kserve_app.py --http_port {port} --workers {workers} --enable_grpc false"
            " --enable_latency_logging false --log_config_file kserve_log.json",
            ONNX,
            environment="kserve",
            path="/v2/models/house_price/infer",
            body=tensors,
            prices=prediction,
        ),
        Server(
            "mosec",
            "mosec, ONNX",
            "onnx",
            "nothing",
            ("mosec", "msgspec", "onnxruntime"),
            "python mosec_app.py --address 127.0.0.1 --port {port} --path {home}/mosec",
            ONNX | {"WORKERS": "{workers}"},
            environment="mosec",
            path="/inference",
            body=tensors,
            prices=prediction,
        ),
        # It is sent what our v2 API is sent, and answers the same.
        Server(
            "limit",
            "limit: bare uvicorn, ONNX",
            "limit",
            "nothing",
            ("uvicorn", "msgspec", "onnxruntime"),
            f"{UVICORN} --lifespan off limit_app:app",
            ONNX,
            body=tensors,
            prices=prediction,
        ),
        Server(
            "slipway-v1",
            "Slipway, v1 API",
            "ours",
            "types, ranges and words",
            ("bentoml", "pydantic", "onnxruntime"),
            "bentoml serve --port {port}",
            OURS,
            place=HERE.parent,
            path="/v1/house-price",
            prices=lambda answer: [result["price"] for result in answer["results"]],
        ),
        Server(
            "slipway-v2",
            "Slipway, v2 API",
            "ours",
            "types, ranges and words",
            ("bentoml", "msgspec", "onnxruntime"),
            "bentoml serve --port {port}",
            OURS,
            place=HERE.parent,
            path="/v2/models/house_price/infer",
            body=tensors,
            prices=prediction,
        ),
        # The same service, asked as Triton's client asks unless told otherwise.
        Server(
            "slipway-v2-binary",
            "Slipway, v2 API, binary tensors",
            "ours",
            "types, ranges and words",
            ("bentoml", "msgspec", "onnxruntime"),
            "bentoml serve --port {port}",
            OURS,
            place=HERE.parent,
            path="/v2/models/house_price/infer",
            body=tensors,
            is_binary=True,
            prices=prediction,
        ),
    ]
}
