"""Hypothesis strategies made from the cases' own schemas."""

from typing import Literal, get_args, get_origin

import annotated_types as limits
from hypothesis import strategies as st

from slipway.serving.case import Case


def value(field):
    """Any value that a field of a record allows, the ends of its range among them."""
    if get_origin(field.annotation) is Literal:
        return st.sampled_from(get_args(field.annotation))
    low = next(m.ge for m in field.metadata if isinstance(m, limits.Ge))
    below = next((m.lt for m in field.metadata if isinstance(m, limits.Lt)), None)
    high = below if below is not None else next(m.le for m in field.metadata if isinstance(m, limits.Le))
    if field.annotation is int:
        return st.integers(low, high)
    return st.floats(low, high, exclude_max=below is not None)


def records(case: Case):
    """Lists of 1 to 20 valid records."""
    fields = {name: value(field) for name, field in case.record.model_fields.items()}
    return st.lists(st.fixed_dictionaries(fields), min_size=1, max_size=20)
