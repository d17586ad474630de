"""The card of a released model: what it reads and answers, how good it is, and what it was made from."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

# element types, as the Open Inference Protocol names them
Datatype = Literal["FP32", "FP64", "INT64", "BOOL", "BYTES"]


class Closed(BaseModel):
    """A part of a card: a field that is not in the schema is an error, not a surprise."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Tensor(Closed):
    """One input or output of the model."""

    name: str
    datatype: Datatype


class Metric(Closed):
    """A figure measured on the test split, with its 95 % confidence interval."""

    value: float
    low: float
    high: float


class Histogram(Closed):
    """How the training split was distributed over bins.

    A number x lies in bin i when edges[i-1] <= x < edges[i]; the first and the last bin are open, so that k edges
    make k+1 bins. All numbers lay between low and high, both included. A word lies in the bin of its category.

    missing: how many were NaN; the counts are without them
    is_padded: whether the values are those of lists that zeros fill up, which are not counted
    """

    edges: list[float] | None = None
    low: float | None = None
    high: float | None = None
    categories: list[str] | None = None
    counts: list[int]
    missing: int = 0
    is_padded: bool = False


class Card(Closed):
    """Written once at the release, beside the model file, and read whenever the model is loaded."""

    case: str
    target: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    classes: list[str] = Field(description="in the order of the probabilities; empty for a regression")
    metrics: dict[str, Metric]
    gate: dict[str, str] = Field(description="what each metric had to reach")
    reference: dict[str, Histogram] = Field(description="of each feature, and of the prediction, on the training split")
    data_sha256: str
    model_sha256: str
    libraries: dict[str, str]
