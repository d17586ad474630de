"""The house model behind Ray Serve, which runs it in a process beside its HTTP proxy's: `python ray_serve_app.py`.

A scikit-learn model and a Starlette request, as the scikit-learn tutorial of its documentation has it. The HTTP proxy
listens on 127.0.0.1. Ray's own processes listen on every address of the machine and cannot be told otherwise, but ask
for a token.
"""

import os
from pathlib import Path

import joblib
import pandas as pd
import ray
from ray import serve
from ray.serve.config import HTTPOptions
from ray.serve.schema import LoggingConfig
from starlette.requests import Request

MODEL = os.environ.get("MODEL", Path(__file__).parents[2] / "build/benchmarks/house_price.joblib")
WORKERS = int(os.environ.get("WORKERS", "1"))
QUIET = LoggingConfig(enable_access_log=False)


@serve.deployment(num_replicas=WORKERS, logging_config=QUIET)
class HousePrice:
    def __init__(self) -> None:
        self.model = joblib.load(MODEL)

    async def __call__(self, request: Request) -> dict[str, list[float]]:
        houses = pd.DataFrame((await request.json())["records"])
        return {"prices": self.model.predict(houses).tolist()}


if __name__ == "__main__":
    # Without these Ray reserves a third of the machine's memory for objects in transit, and writes its logs to a
    # folder that all share.
    ray.init(
        num_cpus=WORKERS,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100 * 2**20,
        _temp_dir=os.environ.get("RAY_FOLDER"),
    )
    serve.start(
        http_options=HTTPOptions(host="127.0.0.1", port=int(os.environ.get("PORT", "8000"))),
        logging_config=QUIET,
    )
    serve.run(HousePrice.bind(), route_prefix="/predict", blocking=True)
