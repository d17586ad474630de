"""Will this applicant repay, and why is that in doubt? Credit for a purchase, in Spain: see `data/credit_risk.md`."""

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field

from slipway.core.card import Card
from slipway.core.case import Bound, Case, Outputs
from slipway.core.record import Record
from slipway.core.rows import Columns

Home = Literal["owner", "private_contract", "rent", "parents", "other", "unknown"]
Job = Literal["permanent", "temporary", "self_employed", "other", "unknown"]
Marital = Literal["single", "married", "separated", "divorced", "widowed", "unknown"]


class Applicant(Record):
    """One application for credit: what the applicant has and owes, and the loan.

    Money is in thousands of pesetas (6.01 euros); income and expenses are those of a month. Age and marital status are
    not asked: the decision may not depend on them.
    """

    job_years: int = Field(ge=0, le=50, description="Years in the present job", examples=[2])
    home: Home = Field(
        description="Home: owned by public deed, owned by private contract, rented, the parents', other, or not known",
        examples=["rent"],
    )
    term_months: int = Field(ge=6, le=72, description="Term of the loan, in months", examples=[60])
    records: Literal["no", "yes"] = Field(description="Whether there are entries on earlier credit", examples=["no"])
    job: Job = Field(description="Kind of job", examples=["temporary"])
    expenses: float = Field(ge=30, le=200, description="Expenses, in thousands of pesetas a month", examples=[60])
    income: float | None = Field(
        ge=1,
        le=1000,
        description="Income, in thousands of pesetas a month; null if not known. The data hold no income of 0",
        examples=[110],
    )
    assets: float | None = Field(
        ge=0, le=300_000, description="Assets, in thousands of pesetas; null if not known", examples=[3000]
    )
    debt: float | None = Field(
        ge=0, le=30_000, description="Debt on those assets, in thousands of pesetas; null if not known", examples=[0]
    )
    amount: float = Field(ge=100, le=5000, description="Amount asked for, in thousands of pesetas", examples=[1100])
    price: float = Field(
        ge=100, le=12_000, description="Price of what it is to pay for, in thousands of pesetas", examples=[1400]
    )


MAY_BE_UNKNOWN = ("income", "assets", "debt")
# what a contribution comes from: a feature's value or, behind these, that it is not known
FACTORS = [*Applicant.model_fields, *MAY_BE_UNKNOWN]


class Application(Applicant):
    """An application whose end is known: a line of the data set, with what the model must not read."""

    age: Annotated[int, Field(ge=18, le=70, description="Age, in years")]
    marital: Annotated[Marital, Field(description="Marital status")]
    status: Annotated[Literal["good", "bad"], Field(description="How it ended for the lender")]


class Reason(BaseModel):
    """What speaks against an applicant."""

    feature: str = Field(description="The field of the record", examples=["job"])
    contribution: float = Field(
        description="What it adds to the log-odds of default, against the average applicant", examples=[0.88]
    )
    text: str = Field(description="The same in words, for the applicant", examples=["kind of job"])


class Risk(BaseModel):
    """How likely the applicant is to default, what follows from that, and why."""

    probability: float = Field(description="Probability of default", examples=[0.478])
    decision: Literal["accept", "decline"] = Field(
        description="decline from the probability on at which a loan costs more than it earns", examples=["decline"]
    )
    reasons: list[Reason] = Field(
        description="Up to four contributions towards default, the largest first",
        examples=[[{"feature": "job", "contribution": 0.88, "text": "kind of job"}]],
    )


def results(outputs: Outputs, card: Card) -> Columns:
    """Risks, rounded to three places; reasons as long as there are any."""
    largest = np.take_along_axis(outputs["contributions"], outputs["factors"], axis=1).round(2)
    parts = (outputs["factors"].tolist(), largest.tolist(), outputs["reasons"].tolist())
    return {
        "probability": outputs["probability"].ravel().round(3).tolist(),
        "decision": outputs["prediction"].ravel().tolist(),
        "reasons": [
            [
                {"feature": FACTORS[factor], "contribution": contribution, "text": text}
                for factor, contribution, text in zip(*reasons, strict=True)
                if text
            ]
            for reasons in zip(*parts, strict=True)
        ],
    }


CASE = Case(
    name="credit_risk",
    record=Applicant,
    row=Application,
    target="status",
    answer=Risk,
    results=results,
    gate={
        "auc": Bound(at_least=0.80),  # the amount as a multiple of the income alone reaches about 0.7
        "calibration_gap": Bound(at_least=-0.05, at_most=0.05),  # mean probability minus share of bad loans
        "profit": Bound(at_least=25),  # thousand pesetas an applicant; lending to all loses about 55
    },
)
