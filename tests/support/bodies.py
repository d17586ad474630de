"""What is wrong with one field of a fruit: by a name, the field and the JSON text of its value."""

BAD_FIELDS = {
    "a string for a number": ("weight", '"152"'),
    "the word nan": ("weight", '"nan"'),
    "true for a number": ("weight", "true"),
    "null": ("weight", "null"),
    "a list": ("weight", "[152]"),
    "NaN": ("weight", "NaN"),
    "Infinity": ("weight", "Infinity"),
    "minus Infinity": ("weight", "-Infinity"),
    "1e400": ("weight", "1e400"),
    "1e300": ("weight", "1e300"),
    "out of range": ("weight", "5"),
    "an unknown category": ("colour", '"blue"'),
    "a number for a word": ("colour", "3"),
    "an unknown field": ("ripeness", "1"),
}
