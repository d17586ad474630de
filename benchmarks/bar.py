"""The bar: what the service must reach beside the other servers, judged from the slices of one run.

It is judged by the CPU time of a request, because other programs on the machine change that less than they change the
time that passes. In each round a server's slice is divided by the other server's slice of the same round; the median
of these ratios is judged, with the ridge and 16 clients. A forest's arithmetic takes so long that it hides the servers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import median
from typing import Any

from benchmarks.servers import SERVERS

Row = dict[str, Any]

MODEL, CLIENTS = "ridge", 16
SERVICE = "slipway-v2"  # the server whose start and memory are judged
READY_SECONDS, MEMORY_MIB = 1.5, 150.0
CHECKING = tuple(name for name, server in SERVERS.items() if server.kind != "ours" and server.checks_input != "nothing")
PEERS = (*CHECKING, "kserve", "mosec")  # Ray Serve is exposed, so it is measured only where it is named
# Of the v1 API it is not asked to be ahead of FastAPI with the same graph, which has lines of its own, nor of mosec,
# which checks nothing.
TYPED_PEERS = tuple(name for name in PEERS if name not in ("fastapi-onnx", "mosec"))


@dataclass(frozen=True)
class Line:
    """A line of the bar: the CPU time of a request of ours, compared with that of one other server or of several.

    at_most: how many times as much as theirs ours may be
    at_least: how many times as much as ours theirs must be
    """

    ours: str
    theirs: tuple[str, ...]
    rows: int
    at_most: float | None = None
    at_least: float | None = None

    def title(self) -> str:
        """What is compared."""
        rows = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        return f"{self.ours} against {', '.join(self.theirs)}, {rows}"

    def asked(self) -> str:
        """The limit, in words."""
        if self.at_most is not None:
            return f"at most {self.at_most:g}× theirs"
        return f"theirs is at least {self.at_least:g}× ours"

    def ratios(self, ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
        """The ratio of each round."""
        pairs = list(zip(ours, theirs, strict=True))
        return [mine / other if self.at_most is not None else other / mine for mine, other in pairs]

    def holds(self, ratio: float) -> bool:
        """Whether a ratio reaches the limit."""
        if self.at_most is not None:
            return ratio <= self.at_most
        return self.at_least is not None and ratio >= self.at_least


# the aim with 1,000 rows is 1.05 times the limit
LINES = [
    Line("slipway-v2", ("limit",), 1, at_most=1.45),
    Line("slipway-v2", ("limit",), 1000, at_most=1.3),
    *(
        Line(ours, ("fastapi-onnx",), rows, at_least=times)
        for ours, (rows, times) in product(("slipway-v2", "slipway-v2-binary"), ((1, 1.25), (1000, 3.5)))
    ),
    Line("slipway-v1", ("fastapi-onnx",), 1, at_least=0.85),
    Line("slipway-v1", ("fastapi-onnx",), 1000, at_least=2.3),
    *(Line("slipway-v2", PEERS, rows, at_least=1) for rows in (1, 1000)),
    *(Line("slipway-v1", TYPED_PEERS, rows, at_least=1) for rows in (1, 1000)),
]
# those that the bar is about, in the order of all
JUDGED = [name for name in SERVERS if any(name in (line.ours, *line.theirs) for line in LINES)]


def verdicts(rows: Sequence[Row], footprints: Sequence[Row]) -> Iterator[list[str]]:
    """What is compared, what is asked, what was measured, and whether it holds; as far as ours was measured.

    A line does not count as held unless every server that it names was measured and answered without an error.
    """
    slices = {(row["server"], row["rows"]): row for row in rows if row["model"] == MODEL and row["clients"] == CLIENTS}
    for line in LINES:
        if (line.ours, line.rows) in slices:
            yield [line.title(), line.asked(), *judged(line, slices)]
    for footprint in footprints:
        if footprint["server"] == SERVICE:
            for title, figures, most, unit in (
                ("ready", footprint["ready_s"], READY_SECONDS, "s"),
                ("memory at rest", footprint["memory_mib"], MEMORY_MIB, "MiB"),
            ):
                verdict = "holds" if median(figures) <= most else "does not hold"
                yield [f"{SERVICE}, {title}", f"at most {most:g} {unit}", f"{spread(figures)} {unit}", verdict]


def judged(line: Line, slices: dict[tuple[str, int], Row]) -> tuple[str, str]:
    """What was measured for a line, and whether it holds. Of several servers the one that comes closest is shown."""
    names = (line.ours, *line.theirs)
    missing = [name for name in names if (name, line.rows) not in slices]
    if missing:
        return "–", f"not judged: {', '.join(missing)} not measured"
    wrong = [name for name in names if slices[name, line.rows]["errors"]]
    if wrong:
        return "–", f"does not hold: errors of {', '.join(wrong)}"
    ours = slices[line.ours, line.rows]["cpu_us_slices"]
    ratios = {name: line.ratios(ours, slices[name, line.rows]["cpu_us_slices"]) for name in line.theirs}
    closest = (max if line.at_most is not None else min)(ratios, key=lambda name: median(ratios[name]))
    found = ratios[closest]
    where = f", {closest}" if len(ratios) > 1 else ""
    rounds = f"{sum(map(line.holds, found))} of {len(found)} rounds"
    verdict = "holds" if line.holds(median(found)) else "does not hold"
    return f"{spread(found)}{where}", f"{verdict} ({rounds})"


def spread(figures: Sequence[float]) -> str:
    """The median of some figures, and from where to where they go."""
    return f"{median(figures):.2f} ({min(figures):.2f} to {max(figures):.2f})"
