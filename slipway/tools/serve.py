"""Serve where there is room, say how to ask, and end with the terminal: `make serve`.

`bentoml serve` takes an IP address only, and shows a traceback where it cannot listen. It also outlives its terminal:
the signal of a terminal that is closed, SIGHUP, makes it restart its workers.
"""

import argparse
import errno
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType

from slipway.tools.together import end_together, end_with_terminal

REQUEST = Path(__file__).parents[2] / "docs" / "request.sh"


class AddressError(Exception):
    """An address on which this machine cannot listen now."""


def resolve(host: str) -> str:
    """The IP address of a host's name, IPv4 rather than IPv6. Raises AddressError if the name is not known."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressError(f"HOST={host} is neither an IP address nor a name that this machine knows") from error
    families = {family: str(address[0]) for family, _, _, _, address in reversed(found)}
    return families.get(socket.AF_INET) or families[socket.AF_INET6]


def joined(address: str, port: int) -> str:
    """An IP address and a port as URLs have them: an IPv6 address stands in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def check(address: str, port: int) -> None:
    """Raises AddressError, with the reason, if nobody can listen there now."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as BentoML does
            probe.bind((address, port))
            probe.listen()
    except OSError as error:
        where = f"cannot listen on {joined(address, port)}"
        if error.errno == errno.EADDRINUSE:
            raise AddressError(f"{where}: the port is taken. Try make serve PORT={port % 65535 + 1}") from error
        if error.errno == errno.EADDRNOTAVAIL:
            raise AddressError(f"{where}: the address is not of this machine. Try make serve HOST=127.0.0.1") from error
        raise AddressError(f"{where}: {error.strerror}") from error


def port_number(text: str) -> int:
    """Raises AddressError if a text is no port."""
    if re.fullmatch(r"[0-9]{1,5}", text) and 1 <= int(text) <= 65535:
        return int(text)
    raise AddressError(f"PORT={text} is no port: it must be a number from 1 to 65535")


def serve(address: str, port: int) -> int:
    """Run `bentoml serve` until it ends, or a signal or a closed terminal ends it; its exit code."""
    command = [sys.executable, "-m", "bentoml", "serve", "--host", address, "--port", str(port)]
    server = subprocess.Popen(command, start_new_session=True)  # the signals of the terminal pass through here
    end_together(server)

    def pass_on(number: int, frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            if number == signal.SIGINT:
                os.killpg(server.pid, number)  # to the workers too, as a terminal does: Ctrl+C does not wait
            else:
                server.terminate()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # `nohup make serve` stays
            signal.signal(number, pass_on)
    end_with_terminal()
    return server.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description="Serve, and say how to ask.")
    parser.add_argument("host", help="an IP address of this machine, or its name")
    parser.add_argument("port")
    options = parser.parse_args()
    try:
        port = port_number(options.port)
        address = resolve(options.host)
        check(address, port)
    except AddressError as error:
        print(f"slipway: {error}", file=sys.stderr)
        return 1
    request = REQUEST.read_text(encoding="utf-8").replace("127.0.0.1:3000", joined(address, port))
    print(f"\nSlipway answers on http://{joined(address, port)}   (stop: Ctrl+C). Ask it, from another terminal:\n")
    print(request, flush=True)
    return serve(address, port)


if __name__ == "__main__":
    sys.exit(main())
