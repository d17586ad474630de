"""The house model behind LitServe, which runs it in a process beside the server's: `python litserve_app.py`.

One worker, no batching, and the faster of its two queues, as its documentation advises above 100 requests a second.
"""

import os
from pathlib import Path
from typing import Any

import joblib
import litserve
import pandas as pd

MODEL = os.environ.get("MODEL", Path(__file__).parents[2] / "build/benchmarks/house_price.joblib")


class HousePrice(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = joblib.load(MODEL)

    def decode_request(self, request: dict[str, Any]) -> pd.DataFrame:
        return pd.DataFrame(request["records"])

    def predict(self, houses: pd.DataFrame) -> list[float]:
        return self.model.predict(houses).tolist()

    def encode_response(self, prices: list[float]) -> dict[str, list[float]]:
        return {"prices": prices}


if __name__ == "__main__":
    workers = int(os.environ.get("WORKERS", "1"))
    server = litserve.LitServer(HousePrice(), accelerator="cpu", workers_per_device=workers, fast_queue=True)
    port = int(os.environ.get("PORT", "8000"))
    server.run(host="127.0.0.1", port=port, generate_client_file=False, log_level="warning")
