"""What is uploaded: a form with one recording is answered, and anything else is refused, without a wait for others."""

import io
import wave
from pathlib import Path

import numpy as np
import pytest
from support.wire import BLOCKED, Wire, ask, check_error, least_block, post, watching

from slipway.cases import CASES
from slipway.cases.speech import LONGEST, RATE
from slipway.serving.http.limits import MAX_BODY_BYTES

SPEECH = CASES["speech"].route
EXAMPLE = (Path(__file__).parents[2] / "data" / "speech_example.wav").read_bytes()
FORM = "Content-Type: multipart/form-data; boundary=edge"
PART = b'Content-Disposition: form-data; name="file"; filename="a.wav"'


def form(content, *headers):
    """A body with one part."""
    return b"\r\n".join([b"--edge", PART, *headers, b"", content, b"--edge--", b""])


def upload(body, kind=FORM):
    return post(SPEECH, body, kind)


def wav(samples, channels=1):
    with io.BytesIO() as buffer, wave.open(buffer, "wb") as file:
        file.setparams((channels, 2, RATE, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())
        return buffer.getvalue()


NOISE = np.random.default_rng(0).normal(0, 3000, int(LONGEST * RATE))


def test_a_recording_is_answered(served):
    (digit,) = ask(served, upload(form(EXAMPLE))).json()["results"]
    assert digit["word"] == "seven"


def test_the_longest_recording_blocks_nobody(served):
    answer, block = least_block(served, upload(form(wav(NOISE))))
    assert answer.status == 200
    assert block < BLOCKED


FLOODS = {
    "nothing but a boundary": b"--edge\r\n" * 110_000,
    "boundaries that are none": b"\r\n--edg" * 140_000,
    "line ends": form(b"\r\n" * 500_000),
    "a header without end": form(b"a", b"X: " + b"x" * 1_000_000),
    "a hundred thousand headers": form(b"a", *[b"X: y"] * 150_000),
    "ten thousand files": b"".join([b"--edge\r\n" + PART + b"\r\n\r\na\r\n"] * 10_000) + b"--edge--\r\n",
    "a megabyte that is no recording": form(bytes(1_000_000)),
    "a megabyte that begins like one": form(EXAMPLE[:44] + b"\x55" * 1_000_000),
    "a recording far too long": form(wav(np.tile(NOISE, 20))),
    "as many channels as can be said": form(wav(np.zeros(32_767), channels=32_767)),
    "a chunk that says it is larger than all": form(EXAMPLE[:40] + b"\xff\xff\xff\x3f" + EXAMPLE[44:]),
    "chunks in a row": form(b"RIFF\xff\xff\xff\x7fWAVE" + b"LIST\x00\x00\x00\x00" * 120_000),
    "silence": form(wav(np.zeros(RATE))),
    "an empty file": form(b""),
    "no end": form(EXAMPLE)[:-20],
}


@pytest.mark.parametrize("body", FLOODS.values(), ids=FLOODS)
def test_what_is_no_recording_gets_400_and_blocks_nobody(served, body):
    assert len(body) <= MAX_BODY_BYTES
    answer, block = least_block(served, upload(body))
    check_error(served, answer, 400)
    assert block < BLOCKED


KINDS = {
    "multipart without a boundary": "Content-Type: multipart/form-data",
    "the recording itself": "Content-Type: audio/wav",
    "JSON": "Content-Type: application/json",
    "BentoML's pickle": "Content-Type: application/vnd.bentoml+pickle",
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_is_not_declared_to_be_a_form_gets_415(served, kind):
    check_error(served, ask(served, upload(form(EXAMPLE), kind)), 415)


def test_a_form_may_be_no_larger_than_any_body(served):
    check_error(served, ask(served, upload(form(bytes(MAX_BODY_BYTES)))), 413)


def test_others_are_answered_while_many_upload(served):
    with watching(served) as longest:
        wires = [Wire(served) for _ in range(50)]
        for wire in wires:
            wire.send(upload(form(wav(NOISE))))
        assert {wire.answer().status for wire in wires} == {200}
        for wire in wires:
            wire.socket.close()
    assert longest() < 1
