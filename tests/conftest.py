"""The service that the tests ask."""

from collections.abc import Iterator

import pytest
from support.server import Server, bentoml_serve


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The service on the tests' model store."""
    with bentoml_serve(tmp_path_factory.mktemp("served") / "log") as server:
        yield server
