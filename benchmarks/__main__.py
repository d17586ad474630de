"""`make bench`: start the servers, hold their answers together, load them in turns, and write what was measured.

`build/bench.json` is a list, with an entry for each server, model, number of rows and number of clients.
`build/bench_servers.json` has what is measured otherwise: start, memory, a second worker, the image. `build/bench.md`
shows both as tables, with ratios. The bar (`bar.py`) is printed as well. Whether it holds is not in the exit code,
which says whether everything was measured.
"""

import argparse
import json
import math
import shutil
import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

from bentoml.exceptions import NotFound
from tqdm import tqdm

from benchmarks.bar import CLIENTS, JUDGED, MODEL, SERVICE
from benchmarks.load import WARM_SECONDS
from benchmarks.machine import image_size, machine
from benchmarks.measure import Loader, Measured, footprint, loader, measure_slice, middle, requests, rotations
from benchmarks.models import MODELS, MOST_ROWS, Trained
from benchmarks.report import bar as bar_table
from benchmarks.report import report
from benchmarks.running import ServerError, running
from benchmarks.servers import SERVERS
from requirements.environments import InstallError

ROOT = Path(__file__).parents[1]
PARTS = ("load", "start", "workers")
UNLESS_NAMED = [name for name, server in SERVERS.items() if not server.is_exposed]
SCALED, SCALED_CLIENTS = SERVERS["slipway-v2"], 64
# What is enough to judge the bar, in 15 minutes on two cores.
QUICK = {
    "servers": JUDGED,
    "models": [MODEL],
    "rows": [1, 1000],
    "clients": [CLIENTS],
    "rounds": 13,
    "parts": ["load", "start"],
    "footprints": [SERVICE],
}
SMOKE = {"models": ["ridge"], "rows": [1], "clients": [4], "rounds": 1, "seconds": 0.3, "parts": ["load"]}
# How long a step takes, in seconds, for the time that is left: a slice beside its measured time, and a start.
SLICE_BESIDE, START = WARM_SECONDS + 0.5, 8.0
STARTS = 3  # of each server whose start is measured


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options. `--quick` and `--smoke` change their defaults."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Compare servers of the same models.")
    parser.add_argument("servers", nargs="*", metavar="SERVER", help=f"unless named, {', '.join(UNLESS_NAMED)}")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--rows", nargs="+", type=int, choices=range(1, MOST_ROWS + 1), metavar="N", default=[1, 1000])
    parser.add_argument("--clients", nargs="+", type=int, metavar="N", default=[1, 16, 64])
    parser.add_argument("--rounds", type=int, default=5, help="in each, every server gets a slice of every load")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a slice")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--output", type=Path, default=ROOT / "build", help="the folder to write to")
    parser.add_argument("--footprints", nargs="+", choices=SERVERS, metavar="SERVER", help="those of the part `start`")
    parser.add_argument("--quick", action="store_true", help="what is enough to judge the bar, in 15 minutes")
    parser.add_argument("--smoke", action="store_true", help="one short slice of one load: does everything work?")
    chosen = SMOKE if "--smoke" in arguments else QUICK if "--quick" in arguments else {}
    parser.set_defaults(**{name: value for name, value in chosen.items() if name != "servers"})
    options = parser.parse_args(arguments)
    options.servers = list(dict.fromkeys(options.servers)) or chosen.get("servers", UNLESS_NAMED)
    options.footprints = [name for name in options.servers if name in (options.footprints or SERVERS)]
    return options


def under_load(trained: Trained, options: argparse.Namespace, load: Loader, bar: "tqdm[Any]") -> list[dict[str, Any]]:
    """The entries of one model in `bench.json`. Each server runs all the time, and rests while others are loaded."""
    slices: dict[tuple[str, int, int], list[Measured]] = defaultdict(list)
    with ExitStack() as stack:
        started = {}
        for name in options.servers:
            bar.set_description(f"{trained.name}, starting {name}")
            started[name] = stack.enter_context(running(SERVERS[name], trained))
            started[name].check(trained)
            bar.update(START)
        for each in started.values():
            each.rest()
        for names in rotations(options.servers, options.rounds):
            for rows, clients, name in product(options.rows, options.clients, names):
                bar.set_description(f"{trained.name}, rows: {rows}, clients: {clients}, {name}")
                asked = requests(SERVERS[name], trained, rows)
                seen = measure_slice(started[name], load, asked, clients, options.seconds)
                slices[name, rows, clients].append(seen)
                bar.update(options.seconds + SLICE_BESIDE)
    return [
        {"server": name, "model": trained.name, "rows": rows, "clients": clients}
        | figures(middle(slices[name, rows, clients]))
        | {"cpu_us_slices": [round(each.cpu_us_per_request, 1) for each in slices[name, rows, clients]]}
        for name, rows, clients in product(options.servers, options.rows, options.clients)
    ]


def figures(measured: Measured) -> dict[str, float | None]:
    """The figures of an entry, without digits that mean nothing; null stands for what does not exist."""
    rounded = {
        "rps": round(measured.rps, 1),
        "cpu_us_per_request": round(measured.cpu_us_per_request, 1),
        "p50_ms": round(measured.p50_ms, 3),
        "p99_ms": round(measured.p99_ms, 3),
        "errors": measured.errors,
    }
    return {name: None if math.isnan(value) else value for name, value in rounded.items()}


def second_worker(trained: Trained, options: argparse.Namespace, load: Loader, bar: "tqdm[Any]") -> dict[str, Any]:
    """One worker of our v2 API, and two, in turn."""
    asked = requests(SCALED, trained, 1)
    slices: dict[int, list[Measured]] = defaultdict(list)
    with ExitStack() as stack:
        started = {workers: stack.enter_context(running(SCALED, trained, workers)) for workers in (1, 2)}
        for each in started.values():
            each.check(trained)
            each.rest()
            bar.update(START)
        for order in rotations((1, 2), options.rounds):
            for workers in order:
                bar.set_description(f"{trained.name}, clients: {SCALED_CLIENTS}, {SCALED.name}, workers: {workers}")
                seen = measure_slice(started[workers], load, asked, SCALED_CLIENTS, options.seconds)
                slices[workers].append(seen)
                bar.update(options.seconds + SLICE_BESIDE)
    one, two = (asdict(middle(slices[workers])) for workers in (1, 2))
    return {
        "server": SCALED.name,
        "model": trained.name,
        "clients": SCALED_CLIENTS,
        "one_worker": one,
        "two_workers": two,
    }


def reckoned(options: argparse.Namespace) -> float:
    """About how many seconds the bench takes once the environments are there."""
    loads = len(options.models) * len(options.rows) * len(options.clients)
    slice_seconds = options.seconds + SLICE_BESIDE
    seconds = {
        "load": len(options.servers) * (len(options.models) * START + loads * options.rounds * slice_seconds),
        "start": len(options.footprints) * START * (STARTS + 1),
        "workers": 2 * (START + options.rounds * slice_seconds),
    }
    return sum(seconds[part] for part in options.parts)


def bench(options: argparse.Namespace) -> str:
    """Measure what the options ask for, and write it. The bar, as far as it was measured.

    Writes nothing if it raises ServerError or InstallError.
    """
    servers = [SERVERS[name] for name in options.servers]
    rows: list[dict[str, Any]] = []
    beside: dict[str, Any] = {"machine": machine(), "servers": [], "workers": None, "image": image_size()}
    versions = {}
    for server in (making := tqdm(servers, bar_format="{desc}: {n_fmt} of {total_fmt}, {elapsed} gone")):
        making.set_description(f"environment of {server.name}")
        versions[server.name] = server.versions()
    form = "{l_bar}{bar:20}| {elapsed} gone, {remaining} left"
    with loader() as load, tqdm(total=reckoned(options), bar_format=form, smoothing=0) as bar:
        for model in options.models:
            bar.set_description(f"training the {model}")
            folder = options.output.resolve() / "benchmarks" / model
            shutil.rmtree(folder, ignore_errors=True)
            trained = Trained.anew(model, folder)
            if "start" in options.parts and model == options.models[0]:
                for name in options.footprints:
                    bar.set_description(f"start and memory of {name}")
                    found = footprint(SERVERS[name], trained, STARTS, is_scaled="workers" in options.parts)
                    beside["servers"].append(asdict(found))
                    bar.update(START * (STARTS + 1))
            if "workers" in options.parts and model == options.models[0]:
                beside["workers"] = second_worker(trained, options, load, bar)
            if "load" in options.parts:
                rows += under_load(trained, options, load, bar)
        bar.set_description("done")
    for row in rows:
        row |= {"versions": versions[row["server"]], "machine": beside["machine"]}
    (options.output / "bench.json").write_text(json.dumps(rows, indent=1) + "\n")
    (options.output / "bench_servers.json").write_text(json.dumps(beside, indent=1) + "\n")
    (options.output / "bench.md").write_text(report(rows, beside))
    return bar_table(rows, beside["servers"])


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    unknown = [name for name in options.servers if name not in SERVERS]
    try:
        if unknown:
            raise ServerError(f"no server is named {', '.join(unknown)}. There are {', '.join(SERVERS)}")
        judged = bench(options)
    except (ServerError, InstallError, NotFound) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: stopped; nothing is written", file=sys.stderr)
        return 130
    if judged:
        print(judged, end="\n\n")
    print(f"wrote bench.md, bench.json and bench_servers.json to {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
