"""A model store of a test's own, in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.models import ModelStore


@contextmanager
def model_store(folder: Path) -> Iterator[None]:
    """BentoML, and we, read and write this folder instead of the store of all tests."""
    folder.mkdir(exist_ok=True)
    BentoMLContainer.model_store.set(ModelStore(folder))
    try:
        yield
    finally:
        BentoMLContainer.model_store.reset()
