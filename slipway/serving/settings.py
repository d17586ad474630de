"""Every variable of the environment that the service reads, read and checked in one place when it starts."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self

from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml.exceptions import BentoMLException

TOKENS = "SLIPWAY_TOKENS"
DRAIN_SECONDS = "SLIPWAY_DRAIN_SECONDS"
PREDICTION_LOG = "SLIPWAY_PREDICTION_LOG"
RELEASES = "SLIPWAY_RELEASES"
VARIABLES = (TOKENS, DRAIN_SECONDS, PREDICTION_LOG, RELEASES)
MAX_DRAIN_SECONDS = 3600.0


class SettingError(BentoMLException):
    """A variable that cannot be read. The service does not start with it, because a guess could leave it open."""


@dataclass(frozen=True)
class Settings:
    """What the environment asks of the service.

    tokens: one of them must come with each request; none if the variable is not set, and then anyone may ask
    drain_seconds: how long a worker still serves after SIGTERM
    prediction_log: the folder of the prediction log, if there is to be one
    releases: the version that is to answer, by case; the newest one answers for a case that is not named
    """

    tokens: tuple[bytes, ...] = ()
    drain_seconds: float = 5.0
    prediction_log: Path | None = None
    releases: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The settings of an environment. Raises SettingError, in one line, for a value that cannot be read."""
        for name in environment:
            # SLIPWAY_TOKEN, say, would leave the service open. Other names belong to others: Kubernetes sets
            # SLIPWAY_SERVICE_HOST where a Service is called slipway.
            if name not in VARIABLES and (meant := get_close_matches(name, VARIABLES, n=1, cutoff=0.9)):
                raise SettingError(f"{name} is not a setting: did you mean {meant[0]}?")
        given = {name: environment[name].strip() for name in VARIABLES if name in environment}
        for name, value in given.items():
            if not value:
                raise SettingError(f"{name} is set but empty: give it a value, or unset it")
        values: dict[str, object] = {}
        if TOKENS in given:
            values["tokens"] = tokens(given[TOKENS])
        if DRAIN_SECONDS in given:
            values["drain_seconds"] = seconds(given[DRAIN_SECONDS])
        if PREDICTION_LOG in given:
            values["prediction_log"] = folder(given[PREDICTION_LOG])
        if RELEASES in given:
            values["releases"] = releases(given[RELEASES])
        return cls(**values)  # type: ignore[arg-type]


def tokens(value: str) -> tuple[bytes, ...]:
    """The tokens of a list with commas; blanks around them do not count. Raises SettingError if there is none."""
    found = tuple(token.strip().encode(errors="surrogateescape") for token in value.split(",") if token.strip())
    if not all(token.isascii() and token.decode().isprintable() for token in found):
        raise SettingError(f"{TOKENS}: a token may hold letters, digits and signs of ASCII only, as a header may")
    if not found:
        raise SettingError(f"{TOKENS} holds commas and no token: name one, or unset it to let anyone ask")
    return found


def seconds(value: str) -> float:
    """A time to drain, in seconds. Raises SettingError for anything but a number from 0 to an hour."""
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number <= MAX_DRAIN_SECONDS:  # NaN is in no range
        raise SettingError(f"{DRAIN_SECONDS}={value[:50]}: not a number of seconds from 0 to {MAX_DRAIN_SECONDS:g}")
    return number


def folder(value: str) -> Path:
    """A folder that can be written, made if need be for its owner alone. Raises SettingError if it cannot be."""
    path = Path(value)
    probe = path / f".probe-{os.getpid()}"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SettingError(f"{PREDICTION_LOG}={value}: cannot write there: {error.strerror}") from error
    return path


def releases(value: str) -> dict[str, str]:
    """The version of each case in `house_price:TAG,fruit:TAG`. Raises SettingError for anything else."""
    found: dict[str, str] = {}
    for part in value.split(","):
        name, _, version = (piece.strip() for piece in part.partition(":"))
        if not name or not version or ":" in version or name in found:
            raise SettingError(f"{RELEASES}: {part.strip()[:50]!r} is not of the form CASE:VERSION, each case once")
        found[name] = version
    return found


def check_bentoml(service: Any) -> None:
    """Raises SettingError for a setting of BentoML's, from its configuration, that does not work beside ours."""
    service.inject_config()
    config = BentoMLContainer.config.services.get()[service.name]
    if config["metrics"]["enabled"]:
        raise SettingError(
            "metrics.enabled: the service counts its requests itself, under BentoML's names, at /metrics. Take the "
            "setting out of BENTOML_CONFIG_OVERRIDES, BENTOML_CONFIG_OPTIONS or the file that BENTOML_CONFIG names"
        )
    cors = config["http"]["cors"]
    if cors["enabled"] and not cors["access_control_allow_origins"]:
        raise SettingError("http.cors: access_control_allow_origins must say which sites' pages may ask")
