"""A real nginx before a service, as somebody who operates it would write it."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from support.server import free_port

CONFIGURATION = """
{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_max_body_size 100m;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream slipway {{ server 127.0.0.1:{upstream}; keepalive 16; }}
    server {{
        listen 127.0.0.1:{port};
        {locations}
    }}
}}
"""


@contextmanager
def nginx(folder: Path, upstream: int, locations: str) -> Iterator[httpx.Client]:
    """A client of an nginx that passes on to a port of this machine what some locations say."""
    program = shutil.which("nginx")
    if program is None:
        pytest.skip("no nginx: install it (Debian: apt-get install nginx-light)")
    port = free_port()
    folder.mkdir()
    path = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""  # or else its workers could not write into the test's folder
    values = {"folder": folder, "upstream": upstream, "port": port, "locations": locations, "user": user}
    path.write_text(CONFIGURATION.format(**values))
    process = subprocess.Popen([program, "-c", path, "-p", folder], stderr=(folder / "log").open("w"))
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
            deadline = time.monotonic() + 10
            while True:
                try:
                    client.get("/is-it-there")
                    break
                except httpx.TransportError:
                    assert process.poll() is None, (folder / "log").read_text()
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
            yield client
    finally:
        process.terminate()
        process.wait(10)
