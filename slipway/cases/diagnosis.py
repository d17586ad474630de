"""Is this breast lump malignant, by the nuclei of its cells? Not a medical device: see `data/diagnosis.md`."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from slipway.core.card import Card
from slipway.core.case import Bound, Case, Outputs
from slipway.core.record import Record
from slipway.core.rows import Columns

NOTICE = "For teaching only: not a medical device, and no basis for any decision about a person's health."


class Aspirate(Record):
    """What a program measured in one picture of cells that a fine needle drew from a lump in the breast.

    Lengths are in the units of those pictures, and the data set does not give their scale: numbers from another
    microscope, camera or program mean something else, and the answer to them means nothing. "Worst" is the mean of the
    three largest values among the nuclei. The model was made for teaching and is not a medical device.
    """

    worst_radius: float = Field(
        ge=5,
        le=45,
        description="Radius of the three largest nuclei, in the picture's units of length",
        examples=[16.2],
    )
    worst_texture: float = Field(
        ge=10,
        le=60,
        description="Standard deviation of the grey values in a nucleus, worst three, in grey levels",
        examples=[25.7],
    )
    worst_smoothness: float = Field(
        ge=0.05,
        le=0.3,
        description="How much the radius varies from one point of the outline to the next, worst three, relative",
        examples=[0.131],
    )
    worst_concave_points: float = Field(
        ge=0,
        le=0.4,
        description="Dents of the outline, worst three, as the program counts them: no unit, 0 for none",
        examples=[0.115],
    )
    worst_symmetry: float = Field(
        ge=0.1,
        le=0.9,
        description="How much the two sides of the longest axis differ, worst three, relative; 0 would be symmetric",
        examples=[0.29],
    )
    radius_error: float = Field(
        ge=0.05,
        le=4,
        description="Standard error of the mean radius over the nuclei, same units: large if nuclei differ in size",
        examples=[0.41],
    )


Measured = Annotated[float, Field(ge=0)]


class Diagnosed(Aspirate):
    """A woman whose diagnosis is known: a line of the data set, with the 24 measurements nobody is asked for."""

    mean_radius: Measured
    mean_texture: Measured
    mean_perimeter: Measured
    mean_area: Measured
    mean_smoothness: Measured
    mean_compactness: Measured
    mean_concavity: Measured
    mean_concave_points: Measured
    mean_symmetry: Measured
    mean_fractal_dimension: Measured
    texture_error: Measured
    perimeter_error: Measured
    area_error: Measured
    smoothness_error: Measured
    compactness_error: Measured
    concavity_error: Measured
    concave_points_error: Measured
    symmetry_error: Measured
    fractal_dimension_error: Measured
    worst_perimeter: Measured
    worst_area: Measured
    worst_compactness: Measured
    worst_concavity: Measured
    worst_fractal_dimension: Measured
    diagnosis: Literal["benign", "malignant"] = Field(description="What the lump turned out to be")


class Opinion(BaseModel):
    """What the model makes of one aspirate. It is not a medical device."""

    decision: Literal["benign", "refer to a specialist", "malignant"] = Field(
        description="By two thresholds on the probability; between them the model leaves it to a specialist",
        examples=["refer to a specialist"],
    )
    probability: float = Field(
        description="Of malignancy, for a clinic where 37 % of the aspirated lumps are malignant, as in the data",
        examples=[0.494],
    )
    notice: str = Field(default=NOTICE, description="What this answer may not be used for", examples=[NOTICE])


def results(outputs: Outputs, card: Card) -> Columns:
    """Decisions with their probability. A few hundred women allow three places, and neither a 0 nor a 1."""
    decisions = outputs["prediction"].ravel().tolist()
    probabilities = outputs["probability"].ravel().astype(float).clip(0.001, 0.999).round(3).tolist()
    return {"decision": decisions, "probability": probabilities, "notice": [NOTICE] * len(decisions)}


CASE = Case(
    name="diagnosis",
    record=Aspirate,
    row=Diagnosed,
    target="diagnosis",
    answer=Opinion,
    results=results,
    gate={
        # of the malignant, the share that is not called benign; calling every lump benign reaches 0
        "sensitivity": Bound(at_least=0.92),
        "auc": Bound(at_least=0.97),
        # of all women; sending everyone to the specialist has a sensitivity of 1 and reaches 1
        "referred": Bound(at_most=0.35),
    },
)
