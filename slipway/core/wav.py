"""WAV files, read from their bytes: what the standard library's `wave` refuses, or refuses in some versions, as well.

That is a recording written to a pipe, whose writer could not know its length, and the extensible form of the format
(Microsoft, *Multiple channel audio data and WAVE files*, 2001), which `wave` reads from Python 3.12 on.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

PCM, EXTENSIBLE = 1, 0xFFFE
FORMATS = {2: "ADPCM", 3: "floating-point", 6: "A-law", 7: "µ-law", 17: "ADPCM", 80: "MPEG", 85: "MP3"}
# A format in the extensible form is a GUID: a number from the list above, and these bytes.
GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
# What stands for a length that is not known yet: ffmpeg writes 0xFFFFFFFF, sox and espeak-ng 0x7FFFF000.
UNKNOWN = 0x7FFF0000


@dataclass(frozen=True)
class Recording:
    """What a WAV file holds.

    bits: of one sample
    rate: samples a second
    count: how many samples a channel the file says it has; of a stream of unknown length, those that are there
    content: the bytes of the samples, channels interleaved; fewer than the file says if it was cut off
    """

    channels: int
    bits: int
    rate: int
    count: int
    content: bytes


def chunks(wav: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The chunks of a RIFF file: the name of each, where it begins, and the length that it says."""
    place = 12
    while place + 8 <= len(wav):
        name, length = struct.unpack_from("<4sI", wav, place)
        yield name, place + 8, length
        place += 8 + length + length % 2  # a chunk begins at an even place


def read(wav: bytes) -> Recording:
    """The recording in a WAV file with PCM samples. Raises ValueError, which says why, if it is none."""
    if len(wav) < 12:
        raise ValueError("it ends too early")
    riff, length, form = struct.unpack_from("<4sI4s", wav)
    if riff != b"RIFF" or form != b"WAVE":
        raise ValueError("it does not begin with RIFF and WAVE")
    end = 8 + length  # of the file, as it says itself
    kind = None
    for name, start, length in chunks(wav):
        if name == b"fmt ":
            kind = sample_format(wav[start : start + length])
        if name == b"data":
            if kind is None:
                raise ValueError("its samples come before their format")
            channels, bits, rate = kind
            # A length of 0 is unknown as well if the file, by its own account, ends there or nowhere: its head was not
            # completed. Otherwise the recording is empty, and other chunks follow it.
            is_stream = length >= UNKNOWN or (length == 0 and (end <= start or end >= UNKNOWN))
            content = wav[start:] if is_stream else wav[start : start + length]
            size = max(1, channels * -(-bits // 8))
            return Recording(channels, bits, rate, (len(content) if is_stream else length) // size, content)
    raise ValueError("it ends before its samples")


def sample_format(chunk: bytes) -> tuple[int, int, int]:
    """Channels, bits a sample and samples a second, of a format chunk. Raises ValueError if that is not PCM."""
    if len(chunk) < 16:
        raise ValueError("its format is cut off")
    number, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if number == EXTENSIBLE and len(chunk) >= 40 and chunk[26:40] == GUID_TAIL:
        (number,) = struct.unpack_from("<H", chunk, 24)
    if number != PCM:
        name = f", {FORMATS[number]}" if number in FORMATS else ""
        raise ValueError(f"the format of its samples is {number}{name}")
    return channels, bits, rate
