"""The servers that are compared: how each is started, and how it is asked.

Each has one worker and one thread for a model's arithmetic. A server of scikit-learn models is used as its
documentation shows; where that leaves a choice, the faster one is taken, and said here. Access logs are off, except
BentoML's, which is on unless one knows how to turn it off, as ours does.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from requirements.environments import python_of

HERE = Path(__file__).parent
APPS = HERE / "apps"

Houses = list[dict[str, Any]]
Kind = Literal["scikit-learn", "onnx", "limit", "ours"]


def records(houses: Houses) -> dict[str, Any]:
    """A body of one object a house."""
    return {"records": houses}


def tensors(houses: Houses) -> dict[str, Any]:
    """A body of one tensor a feature, as the Open Inference Protocol has it."""
    datatypes = {float: "FP64", int: "INT64", str: "BYTES"}
    inputs = [
        {
            "name": name,
            "shape": [len(houses), 1],
            "datatype": datatypes[type(value)],
            "data": [house[name] for house in houses],
        }
        for name, value in houses[0].items()
    ]
    return {"inputs": inputs}


def prediction(answer: dict[str, Any]) -> list[float]:
    """The first tensor of an answer in the Open Inference Protocol."""
    return answer["outputs"][0]["data"]


@dataclass(frozen=True)
class Server:
    """A server: how it is started, and how it is asked.

    command and variables: what is run, and the environment variables it reads. `{port}` is replaced by the port to
        listen on, `{port2}` and `{port3}` by other free ones, `{workers}` by the number of its workers, `{pool}` by
        the same, but 0 for one, `{model}` by the folder of the model
    place: the folder that the command is run in
    kind: what answers in it
    packages: those whose versions tell what was measured
    environment: the lock of the environment that it runs in, if not the course's
    prepare: a command to run once for a model, before
    body: the request about some houses
    prices: those of an answer
    """

    name: str
    title: str
    kind: Kind
    packages: tuple[str, ...]
    command: str
    variables: Mapping[str, str] = field(default_factory=dict)
    place: Path = APPS
    environment: str = ""
    prepare: str = ""
    path: str = "/predict"
    body: Callable[[Houses], dict[str, Any]] = records
    prices: Callable[[dict[str, Any]], list[float]] = lambda answer: answer["prices"]

    @property
    def python(self) -> Path:
        """The interpreter of its environment, which is made first if need be. Raises InstallError."""
        return python_of(self.environment) if self.environment else Path(sys.executable)

    def request(self, houses: Houses) -> bytes:
        """The body of a request about some houses, without a space too many."""
        return json.dumps(self.body(houses), separators=(",", ":")).encode()

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
            ("bentoml", "scikit-learn", "pandas"),
            "bentoml serve --host 127.0.0.1 --port {port} bentoml_app:HousePrice",
            JOBLIB | {"BENTOML_CONFIG_OPTIONS": "services.HousePrice.workers={workers}"},
        ),
        Server(
            "flask",
            "Flask, scikit-learn",
            "scikit-learn",
            ("flask", "gunicorn", "scikit-learn", "pandas"),
            f"{GUNICORN} flask_app:app",
            JOBLIB,
        ),
        Server(
            "django",
            "Django, scikit-learn",
            "scikit-learn",
            ("django", "gunicorn", "scikit-learn", "pandas"),
            f"{GUNICORN} django_app:app",
            JOBLIB,
        ),
        Server(
            "fastapi",
            "FastAPI, scikit-learn",
            "scikit-learn",
            ("fastapi", "uvicorn", "scikit-learn", "pandas"),
            f"{UVICORN} fastapi_app:app",
            JOBLIB,
        ),
        Server(
            "litserve",
            "LitServe, scikit-learn",
            "scikit-learn",
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
            ("mlflow", "uvicorn", "scikit-learn", "pandas"),
            "mlflow models serve --env-manager local -h 127.0.0.1 -p {port} --workers {workers} -m {model}/mlflow",
            JOBLIB | {"HOUSES": "{model}/houses.json", "MLFLOW_MODEL": "{model}/mlflow", "UVICORN_ACCESS_LOG": "False"},
            environment="mlflow",
            prepare="python mlflow_save.py",
            path="/invocations",
            body=lambda houses: {"dataframe_records": houses},
            prices=lambda answer: answer["predictions"],
        ),
        Server(
            "flask-onnx",
            "Flask, ONNX",
            "onnx",
            ("flask", "gunicorn", "onnxruntime"),
            f"{GUNICORN} flask_onnx_app:app",
            ONNX,
        ),
        Server(
            "fastapi-onnx",
            "FastAPI, ONNX",
            "onnx",
            ("fastapi", "uvicorn", "pydantic", "onnxruntime"),
            f"{UVICORN} fastapi_onnx_app:app",
            ONNX,
        ),
        # It is sent what our second door is sent, and answers the same.
        Server(
            "limit",
            "limit: bare uvicorn, ONNX",
            "limit",
            ("uvicorn", "msgspec", "onnxruntime"),
            f"{UVICORN} --lifespan off limit_app:app",
            ONNX,
            body=tensors,
            prices=prediction,
        ),
        Server(
            "slipway-v1",
            "Slipway, typed door",
            "ours",
            ("bentoml", "pydantic", "onnxruntime"),
            "bentoml serve --port {port}",
            OURS,
            place=HERE.parent,
            path="/v1/house-price",
            prices=lambda answer: [result["price"] for result in answer["results"]],
        ),
        Server(
            "slipway-v2",
            "Slipway, Open Inference Protocol",
            "ours",
            ("bentoml", "msgspec", "onnxruntime"),
            "bentoml serve --port {port}",
            OURS,
            place=HERE.parent,
            path="/v2/models/house_price/infer",
            body=tensors,
            prices=prediction,
        ),
    ]
}
