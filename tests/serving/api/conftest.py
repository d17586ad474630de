"""Models that the tests of the protocol ask without a server."""

from collections.abc import Iterator

import pytest
from support.echo import echoing as echo_loaded
from support.inprocess import load_models

from slipway.serving.models import Models


@pytest.fixture(scope="module")
def loaded() -> Models:
    """The models of all cases."""
    return load_models()


@pytest.fixture
def echoing() -> Iterator[Models]:
    """A model that answers with its inputs, of each datatype."""
    with echo_loaded() as models:
        yield models
