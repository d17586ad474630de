"""How a CSV file differs from the one that it should be, in words for whoever has to mend it."""

import csv
from collections.abc import Sequence
from itertools import takewhile, zip_longest

ENCODINGS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}  # by their byte order marks
LINE_ENDS = {"CR LF": b"\r\n", "CR": b"\r"}


def normalised(content: bytes) -> tuple[bytes, list[str]]:
    """A text file as UTF-8 whose lines all end in LF, without empty ones at the end, and what was otherwise in it.

    Editors and version control change these without being asked, and no editor shows them.
    """
    said = []
    for mark, encoding in ENCODINGS.items():
        if content.startswith(mark):
            is_utf8 = encoding == "utf-8-sig"
            said.append("it begins with a byte order mark" if is_utf8 else "it is encoded in UTF-16 instead of UTF-8")
            content = content.decode(encoding, errors="replace").encode()
    try:
        content.decode()
    except UnicodeDecodeError as error:
        said.append(f"byte {error.start + 1} is not UTF-8 (it may be Windows-1252)")
        content = content.decode("cp1252", errors="replace").encode()
    for name, end in LINE_ENDS.items():
        if end in content:
            said.append(f"its lines end in {name} instead of LF")
            content = content.replace(end, b"\n")
    if content and not content.endswith(b"\n"):
        said.append("its last line has no line end")
        content += b"\n"
    if content.endswith(b"\n\n"):
        said.append("empty lines follow its last line")
        content = content.rstrip(b"\n") + b"\n"
    return content, said


def first_difference(columns: Sequence[str], expected: Sequence[str], found: Sequence[str]) -> str:
    """Where the lines of a file first differ from those expected: the line, the column, and both texts; "" if nowhere.

    columns: the names, for what stands in the lines
    """
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(expected, found, strict=False)))
    more = len(found) - len(expected)
    if more > 0 and found[same + more :] == expected[same:]:
        return f"{span(same, more)} too many: {len(found)} lines instead of {len(expected)}"
    if more < 0 and found[same:] == expected[same - more :]:
        return f"{span(same, -more)} missing: {len(found)} lines instead of {len(expected)}"
    if same == len(expected):
        return ""
    good, bad = expected[same], found[same]
    try:
        for name, right, wrong in zip_longest(columns, next(csv.reader([good])), next(csv.reader([bad]), [])):
            if right != wrong:
                return f"line {same + 1}, column {name or 'after the last'}: {wrong!r} instead of {right!r}"
    except csv.Error:  # a cell that is longer than a CSV file may have, or a byte that it may not
        pass
    return f"line {same + 1}: {bad[:100]!r} instead of {good[:100]!r}"


def span(before: int, count: int) -> str:
    """The `count` lines after the first `before` ones, and their verb."""
    return f"line {before + 1} is" if count == 1 else f"lines {before + 1} to {before + count} are"
