"""The tables of `build/bench.md`, made from what is in the two JSON files beside it."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from statistics import median

from benchmarks.bar import CLIENTS, MODEL, Row, verdicts
from benchmarks.models import TITLES
from benchmarks.servers import SERVERS

OURS = ("slipway-v2", "slipway-v2-binary", "slipway-v1")
FIGURES = ("rps", "cpu_us_per_request")


def table(head: Sequence[str], lines: Sequence[Sequence[str]], align: str = "---:") -> str:
    """A Markdown table; all columns but the first hold numbers."""
    rule = ["---", *[align] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))


def number(value: float | None, places: int = 0) -> str:
    """A figure for a person; a dash if there is none."""
    return "–" if value is None else f"{value:,.{places}f}"


def count(rows: int) -> str:
    """So many rows."""
    return "1 row" if rows == 1 else f"{rows:,} rows"


def ratio(ours: Row, other: Row, figure: str) -> float | None:
    """How many times better ours is. None if one of them answered nothing."""
    mine, theirs = ours[figure], other[figure]
    better, worse = (mine, theirs) if figure == "rps" else (theirs, mine)
    return better / worse if better and worse else None


class Results:
    """The rows of `bench.json`, found by what they are of."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = {(row["server"], row["model"], row["rows"], row["clients"]): row for row in rows}
        self.servers = list(dict.fromkeys(row["server"] for row in rows))
        self.models = list(dict.fromkeys(row["model"] for row in rows))
        self.rows = list(dict.fromkeys(row["rows"] for row in rows))
        self.clients = list(dict.fromkeys(row["clients"] for row in rows))

    def of(self, server: str, model: str, rows: int) -> Iterator[Row]:
        """Those of a server, a model and a number of rows: one for each number of clients."""
        return (self._rows[server, model, rows, clients] for clients in self.clients)

    def pairs(self, ours: str, other: str, model: str, rows: int) -> Iterator[tuple[Row, Row]]:
        """Those of two servers, side by side."""
        return zip(self.of(ours, model, rows), self.of(other, model, rows), strict=True)


def bar(rows: Sequence[Row], footprints: Sequence[Row]) -> str:
    """The bar as a table; nothing if none of it was measured."""
    lines = list(verdicts(rows, footprints))
    if not lines:
        return ""
    explained = (
        f"CPU time of a request, {TITLES[MODEL]}, {CLIENTS} clients: the median over the rounds of the ratio of two "
        "slices of the same round, from the least to the most. Of several servers the closest is shown."
    )
    head = ["what is compared", "asked", "measured", "verdict"]
    return f"## The bar\n\n{explained}\n\n{table(head, lines, align='---')}"


def measured(results: Results, model: str, rows: int) -> str:
    """What was measured of one model with so many rows."""
    columns: list[tuple[str, Callable[[Row], str]]] = [
        ("rps", lambda row: number(row["rps"], 0 if row["rps"] >= 100 else 1)),
        ("CPU µs", lambda row: number(row["cpu_us_per_request"])),
        ("p50 / p99 ms", lambda row: f"{number(row['p50_ms'], 1)} / {number(row['p99_ms'], 1)}"),
        ("errors", lambda row: number(row["errors"])),
    ]
    head = ["server", "checks"] + [f"{name}, {clients}" for name, _ in columns for clients in results.clients]
    lines = [
        [SERVERS[name].title, SERVERS[name].checks_input]
        + [show(row) for _, show in columns for row in results.of(name, model, rows)]
        for name in results.servers
    ]
    return table(head, lines)


def compared(results: Results, ours: str, model: str, rows: int) -> str:
    """How many times better one of our APIs is than each server."""
    head = [f"{ours} against", *(f"{name}, {c}" for name in ("rps", "CPU") for c in results.clients)]
    lines = []
    for name in results.servers:
        if name != ours:
            pairs = product(FIGURES, results.pairs(ours, name, model, rows))
            factors = [ratio(mine, theirs, figure) for figure, (mine, theirs) in pairs]
            lines.append([SERVERS[name].title, *(f"{number(factor, 2)}×" for factor in factors)])
    return table(head, lines)


def loads(results: Results) -> Iterator[str]:
    """The tables of each model and number of rows."""
    for model in results.models:
        for rows in results.rows:
            yield f"## {TITLES[model].capitalize()}, {count(rows)} a request"
            yield (
                "The number beside a figure's name is that of the clients; CPU time is a request's, of all processes. "
                "`checks` is what a server checks of its input."
            )
            yield measured(results, model, rows)
            for ours in OURS:
                if ours in results.servers and len(results.servers) > 1:
                    yield compared(results, ours, model, rows)


def footprints(servers: Sequence[Row]) -> str:
    """Start-up and memory."""
    lines = [
        [
            SERVERS[row["server"]].title,
            number(median(row["ready_s"]), 1),
            number(median(row["memory_mib"])),
            number(row["second_worker_mib"]),
        ]
        for row in servers
    ]
    head = ["server", "ready after s", "memory at rest, MiB", "a second worker adds, MiB"]
    return "## Before the first request\n\n" + table(head, lines)


def scaling(workers: Row, cores: int) -> str:
    """One worker and two, and what limits the second."""
    one, two = workers["one_worker"], workers["two_workers"]
    lines = [
        [
            name,
            number(each["rps"]),
            number(each["cpu_us_per_request"]),
            number(each["rps"] * each["cpu_us_per_request"] / 1e6, 2),
            number(each["rps"] * each["load_us_per_request"] / 1e6, 2),
            number(each["busy_cores"], 2),
        ]
        for name, each in (("one", one), ("two", two))
    ]
    limit = "no core was idle" if two["busy_cores"] > 0.9 * cores else "cores were idle"
    return "\n\n".join(
        [
            f"## A second worker of {workers['server']}, 1 row, {workers['clients']} clients",
            table(
                [
                    "workers",
                    "rps",
                    "CPU µs a request",
                    "cores used",
                    "cores used by the load",
                    "busy cores of the machine",
                ],
                lines,
            ),
            f"Two workers answer {two['rps'] / one['rps']:.2f}× as much as one. With two, {limit}. By the CPU time of "
            f"a request, two cores of their own would allow {2 * ratio(two, one, 'cpu_us_per_request'):.2f}×.",
        ]
    )


def versions(rows: Sequence[Row]) -> str:
    """What ran in each server."""
    of = {row["server"]: row["versions"] for row in rows}
    lines = [[SERVERS[name].title, ", ".join(f"{p} {v}" for p, v in found.items())] for name, found in of.items()]
    return "## Versions\n\n" + table(["server", "packages"], lines, align="---")


def report(rows: Sequence[Row], beside: Row) -> str:
    """The whole page."""
    machine = beside["machine"]
    parts = [
        "# Servers of the same model, side by side",
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}. "
        "Servers and load share the cores. A figure is the median over slices of load that every server got in turn.",
    ]
    parts.append(bar(rows, beside["servers"]))
    if rows:
        parts += loads(Results(rows))
    if beside["servers"]:
        parts.append(footprints(beside["servers"]))
    if beside["workers"]:
        parts.append(scaling(beside["workers"], machine["cores"]))
    if beside["image"]:
        parts.append(f"## The image\n\n{beside['image']}")
    if rows:
        parts.append(versions(rows))
    return "\n\n".join(part for part in parts if part) + "\n"
