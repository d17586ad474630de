"""What has not passed the front is refused, whatever server the service runs in, and importing it changes nothing."""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from support.server import free_port

ROOT = Path(__file__).parents[2]
APPLE = {"records": [{"weight": 152, "length": 71, "width": 73, "colour": "red"}]}
OTHER_SERVER = "import sys, uvicorn\nfrom service import Slipway\n"
OTHER_SERVER += "uvicorn.run(Slipway.to_asgi(), port=int(sys.argv[1]), log_level='error', lifespan=sys.argv[2])\n"


@pytest.fixture(params=["on", "off"])
def other_server(request):
    """The service in a plain uvicorn, with tokens; a client that is connected to it."""
    port = free_port()
    environment = os.environ | {"SLIPWAY_TOKENS": "secret"}
    command = [sys.executable, "-c", OTHER_SERVER, str(port), request.param]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            deadline = time.monotonic() + 60
            while True:
                try:
                    client.get("/livez")
                    break
                except httpx.TransportError:
                    assert process.poll() is None
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            yield client
    finally:
        process.terminate()
        process.wait(30)


def test_another_server_than_ours_answers_nothing(other_server):
    for headers in ({}, {"Authorization": "Bearer secret"}):
        answers = [other_server.get(path, headers=headers) for path in ("/", "/livez", "/readyz", "/v2", "/docs.json")]
        answers.append(other_server.post("/v1/fruit", json=APPLE, headers=headers))
        for answer in answers:
            assert answer.status_code == 503
            assert len(answer.headers["x-request-id"]) == 32
            assert "start it with `bentoml serve`" in answer.text


def test_importing_the_service_changes_nothing_for_others():
    script = (
        "import os, uvicorn.config\n"
        "before = dict(os.environ), dict(uvicorn.config.HTTP_PROTOCOLS)\n"
        "import service\n"
        "assert (dict(os.environ), dict(uvicorn.config.HTTP_PROTOCOLS)) == before\n"
        "print('nothing')\n"
    )
    said = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout == "nothing\n"
