"""WAV files: what `wave` reads is read alike, what it refuses without need is read as well, and nothing else is."""

import io
import shutil
import struct
import subprocess
import wave

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.core.wav import read
from slipway.training.data import DATA

EXAMPLE = (DATA / "speech_example.wav").read_bytes()
PCM_GUID = bytes.fromhex("0100000000001000800000aa00389b71")


def chunk(name, data):
    """A chunk, with the byte after it that makes its length even."""
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def riff(*chunks):
    return b"RIFF" + struct.pack("<I", 4 + sum(map(len, chunks))) + b"WAVE" + b"".join(chunks)


def kind(number=1, channels=1, bits=16, rate=8000, rest=b""):
    """The chunk that says what the samples are."""
    block = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", number, channels, rate, rate * block, block, bits) + rest)


@settings(max_examples=200, deadline=None)
@given(
    channels=st.integers(1, 3),
    width=st.integers(1, 4),
    rate=st.integers(1, 200_000),
    frames=st.integers(0, 50),
    before=st.lists(st.binary(max_size=40), max_size=3),
    after=st.binary(max_size=40),
)
def test_it_reads_what_the_standard_library_reads(channels, width, rate, frames, before, after):
    content = bytes(range(200))[: frames * channels * width].ljust(frames * channels * width, b"x")
    lists = [chunk(b"LIST", data) for data in before]
    head = kind(channels=channels, bits=8 * width, rate=rate)
    file = riff(*lists, head, *lists, chunk(b"data", content), chunk(b"LIST", after))
    recording = read(file)
    with wave.open(io.BytesIO(file)) as other:
        assert (channels, width, rate, frames) == other.getparams()[:4]
        assert recording.content == other.readframes(frames) == content
    assert (recording.channels, recording.bits, recording.rate) == (channels, 8 * width, rate)
    assert recording.count == frames


@pytest.mark.parametrize("length", [0, 0x7FFF0000, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_of_a_stream_of_unknown_length_it_reads_all_that_is_there(length):
    streamed = b"RIFF" + struct.pack("<I", length) + b"WAVE" + kind() + b"data" + struct.pack("<I", length) + b"1234567"
    recording = read(streamed)
    assert (recording.count, recording.content[:6]) == (3, b"123456")
    assert read(streamed[:44]).count == 0


def test_a_head_that_was_never_completed_is_one_of_a_stream():
    streamed = riff(kind(), chunk(b"data", b"")) + b"123456"
    assert (read(streamed).count, read(streamed).content) == (3, b"123456")


def test_what_follows_an_empty_recording_is_not_taken_for_samples():
    assert read(riff(kind(), chunk(b"data", b""), chunk(b"LIST", b"a" * 100))).content == b""


def test_a_file_that_was_cut_off_says_how_much_it_should_have():
    recording = read(riff(kind(), chunk(b"data", b"a" * 100))[:-40])
    assert (recording.count, len(recording.content)) == (50, 60)


def test_the_extensible_form_is_read_where_it_holds_pcm():
    rest = struct.pack("<HHI", 22, 16, 4)
    recording = read(riff(kind(0xFFFE, rest=rest + PCM_GUID), chunk(b"data", b"1234")))
    assert (recording.bits, recording.count, recording.content) == (16, 2, b"1234")
    for guid, said in (
        (b"\3" + PCM_GUID[1:], "3, floating-point$"),
        (PCM_GUID[:-1] + b"\0", "65534$"),
        (b"", "65534$"),
    ):
        with pytest.raises(ValueError, match=said):
            read(riff(kind(0xFFFE, rest=rest + guid), chunk(b"data", b"1234")))


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (b"", "ends too early"),
        (b"RIFF", "ends too early"),
        (b"seven, please, and quickly", "does not begin with RIFF and WAVE"),
        (b"RIFX" + EXAMPLE[4:], "does not begin with RIFF and WAVE"),
        (EXAMPLE[:36], "ends before its samples"),
        (riff(chunk(b"data", b"1234"), kind()), "its samples come before their format"),
        (riff(chunk(b"fmt ", b"\1\0\1\0"), chunk(b"data", b"1234")), "its format is cut off"),
        (riff(kind(7, bits=8), chunk(b"data", b"1234")), "the format of its samples is 7, µ-law"),
        (riff(kind(999), chunk(b"data", b"1234")), "the format of its samples is 999$"),
    ],
)
def test_what_is_no_pcm_recording_is_refused_with_the_reason(file, message):
    with pytest.raises(ValueError, match=message):
        read(file)


HEADS = [
    EXAMPLE[:60],
    riff(kind(0xFFFE, rest=struct.pack("<HHI", 22, 16, 4) + PCM_GUID), chunk(b"LIST", b"abc"), chunk(b"data", b"1234")),
]


@settings(max_examples=1000, deadline=None)
@given(data=st.data(), head=st.sampled_from(HEADS))
def test_whatever_is_changed_it_reads_or_raises_value_error(data, head):
    spoilt = bytearray(head)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(spoilt)))
        spoilt[place : place + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    try:
        recording = read(bytes(spoilt))
    except ValueError:
        return
    assert len(recording.content) <= len(spoilt)


def test_what_a_program_writes_to_a_pipe_is_read():
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    said = subprocess.run(["espeak-ng", "--stdout", "seven"], stdout=subprocess.PIPE, check=True).stdout
    recording = read(said)
    assert (recording.channels, recording.bits) == (1, 16)
    assert recording.content == said[44:]
    assert recording.count / recording.rate > 0.3  # seconds
