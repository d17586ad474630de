"""Hypothesis strategies made from the cases' own schemas."""

import math

from hypothesis import strategies as st

from slipway.core.case import Case
from slipway.core.feature import Feature, features


def value(feature: Feature):
    """Any value that a feature may have, the ends of its range among them."""
    rule = feature.rule
    if "enum" in rule:
        return st.sampled_from(rule["enum"])
    low, high = rule["minimum"], rule.get("maximum", rule.get("exclusiveMaximum"))
    if feature.datatype == "INT64":
        return st.integers(low, high)
    known = st.floats(low, math.nextafter(high, low) if "maximum" not in rule else high)
    return st.none() | known if feature.is_nullable else known


@st.composite
def record(draw, case: Case):
    """A valid record. Its lists of several lengths have the same one."""
    share = draw(st.floats(0, 1))
    found = {}
    for name, feature in features(case.record).items():
        if feature.is_list:
            size = feature.least + round(share * (feature.most - feature.least))
            found[name] = draw(st.lists(value(feature), min_size=size, max_size=size))
        else:
            found[name] = draw(value(feature))
    return found


def records(case: Case):
    """Lists of 1 to 20 valid records."""
    return st.lists(record(case), min_size=1, max_size=20)
