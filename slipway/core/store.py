"""BentoML's model store as it lies on disk: the newest release of a case, and how one gets in whole or not at all.

BentoML itself writes an entry into its place file by file, and empties `latest` before it writes it. A process that is
killed meanwhile leaves half an entry, or a `latest` that names none, and then most commands fail without saying where.
"""

import os
import shlex
import shutil
import time
from contextlib import suppress
from pathlib import Path

import bentoml
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml.exceptions import NotFound

from slipway.core.model import CARD_FILE, MODEL_FILE, ModelFileError

LATEST = "latest"
INFO_FILE = "model.yaml"  # BentoML's own
STALE_SECONDS = 3600  # what another process still writes is younger


def folder(case: str) -> Path:
    """Where the store has the releases of a case, a folder each, and `latest`; it need not exist."""
    return Path(BentoMLContainer.model_store.get()._path, case)


def versions(case: str) -> dict[str, Path]:
    """The folders of a case's releases, whole or not, by version."""
    place = folder(case)
    return {path.name: path for path in place.iterdir() if path.is_dir()} if place.is_dir() else {}


def latest(case: str) -> str:
    """The version that `latest` names; "" if there is no such file, or nothing in it."""
    try:
        return (folder(case) / LATEST).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def read(entry: Path) -> bentoml.Model:
    """The release in a folder. Raises ValueError, with what is missing, unless it is whole.

    What stands in the model and its card is not looked at.
    """
    files = [entry / name for name in (INFO_FILE, CARD_FILE, MODEL_FILE)]
    missing = [f"no {file.name}" for file in files if not file.is_file() or not file.stat().st_size]
    if missing:
        raise ValueError(" and ".join(missing))
    try:
        return bentoml.Model.from_path(entry)
    except Exception as error:  # BentoML lets through whatever YAML and cattrs raise at half a file
        raise ValueError(f"half a {INFO_FILE}") from error


def read_all(case: str, entries: dict[str, Path]) -> list[bentoml.Model]:
    """The releases in some folders of a case, the oldest first.

    Raises ModelFileError if one is not whole, with the command that removes all such: `bentoml models delete` cannot.
    """
    found, faults = [], {}
    for version, path in sorted(entries.items()):
        try:
            found.append(read(path))
        except ValueError as error:
            faults[version] = str(error)
    if faults:
        said = ", ".join(f"{case}:{version} (it has {fault})" for version, fault in faults.items())
        paths = shlex.join(str(entries[version].absolute()) for version in faults)
        raise ModelFileError(
            f"not whole in the model store: {said}. Whatever wrote or deleted it was interrupted. `rm -r {paths}` "
            "removes it, and `make models` then releases what is missing."
        )
    return sorted(found, key=lambda entry: entry.creation_time)


def releases(case: str) -> list[bentoml.Model]:
    """All releases of a case, the oldest first. Raises ModelFileError if one of them is not whole."""
    return read_all(case, versions(case))


def newest(case: str) -> bentoml.Model:
    """The release that `latest` names, or, where it names none, the one that was made last.

    Raises NotFound if there is none, ModelFileError, with what to do, if it is not whole.
    """
    entries = versions(case)
    version = latest(case)
    found = read_all(case, {version: entries[version]} if version in entries else entries)
    if not found:
        raise NotFound(f"the model store holds no {case}. `make models` releases one.")
    return found[-1]


def named(case: str, version: str) -> bentoml.Model:
    """The release of a version. Raises NotFound if there is none, ModelFileError if it is not whole."""
    entries = versions(case)
    if version not in entries:
        raise NotFound(f"the model store holds no {case}:{version}. `bentoml models list` shows what it holds.")
    return read_all(case, {version: entries[version]})[0]


def repair(case: str) -> bool:
    """Let `latest` name the newest release where it names none; whether that was so.

    Raises ModelFileError if an entry is not whole: it is for a person to remove it.
    """
    found = releases(case)
    if not found or latest(case) in versions(case):
        return False
    point(found[-1])
    return True


def point(entry: bentoml.Model) -> None:
    """Let `latest` name an entry: it names the one before or this one at any moment."""
    place, version = folder(entry.tag.name), str(entry.tag.version)
    beside = place / f"{version}.{LATEST}"
    beside.write_text(version, encoding="utf-8")
    beside.replace(place / LATEST)


def put(entry: bentoml.Model) -> bentoml.Model:
    """Move an entry that BentoML made elsewhere into the store; it is there as a whole, and newest, or not at all.

    It is written beside its place first, on the same file system. BentoML takes that folder for a model without
    versions. One that a killed process left is removed by a later release of the case.
    """
    place, version = folder(entry.tag.name), str(entry.tag.version)
    place.mkdir(parents=True, exist_ok=True)
    for left in place.parent.glob(f"{entry.tag.name}.*.unfinished"):
        with suppress(FileNotFoundError):  # another process has just moved it into its place
            if left.stat().st_mtime < time.time() - STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    beside = place.with_name(f"{entry.tag.name}.{version}.unfinished")
    beside.mkdir()
    try:
        for file in Path(entry.path).iterdir():
            with (beside / file.name).open("wb") as copy:
                copy.write(file.read_bytes())
                copy.flush()
                os.fsync(copy.fileno())  # a power cut may not leave the name without the content
        beside.rename(place / version)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    point(entry)
    return bentoml.models.get(entry.tag)
