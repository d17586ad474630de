"""A recording becomes what the model was trained on, or is refused with what to send; and the model hears digits."""

import io
import re
import runpy
import shutil
import struct
import wave
from functools import cache
from pathlib import Path

import bentoml
import captcha
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from support.strategies import records

from slipway.cases import CASES
from slipway.cases.speech import COEFFICIENTS, DCT, FFT, HOP, MEL, RATE, SEGMENTS, WORDS, sound, trim
from slipway.core.model import MODEL_FILE, Model
from slipway.core.record import example
from slipway.training.data import DATA, load

CASE = CASES["speech"]
EXAMPLE = (DATA / "speech_example.wav").read_bytes()
SECOND = np.sin(np.arange(RATE) * 0.3) * np.hanning(RATE) / 2  # a hum that swells and fades


@cache
def released():
    """The release of the test store: its model, and what its graph holds."""
    stored = bentoml.models.get("speech:latest")
    graph = onnx.load(stored.path_of(MODEL_FILE)).graph
    return Model.load(stored), {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def predict(rows):
    return released()[0].predict([CASE.record.model_validate(row) for row in rows])


def heard(*wavs):
    """What the model hears in recordings."""
    return CASE.answers(released()[0].predict([sound(wav) for wav in wavs]), released()[0].card)


def as_wav(samples, channels=1, width=2, rate=RATE):
    with io.BytesIO() as buffer, wave.open(buffer, "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        dtype, middle, top = {1: ("u1", 128, 127), 2: ("<i2", 0, 32767), 4: ("<i4", 0, 2**31 - 1)}[width]
        file.writeframes((np.asarray(samples) * top + middle).round().astype(dtype).tobytes())
        return buffer.getvalue()


def samples_of(wav):
    with wave.open(io.BytesIO(wav)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768


def recorded(word):
    """A digit of the package captcha, spoken by a person."""
    path = Path(captcha.__file__).parent / "data" / str(WORDS.index(word)) / "default.wav"
    with wave.open(str(path)) as file:
        return (np.frombuffer(file.readframes(file.getnframes()), "u1") - 128.0) / 128


def raw(kind, data, says=None):
    """A WAV file written by hand. kind: 1 is PCM, 3 float, 7 µ-law; says: how many bytes it claims to have"""
    width = {1: 2, 3: 4, 7: 1}[kind]
    head = struct.pack("<HHIIHH", kind, 1, RATE, RATE * width, width, 8 * width)
    says = len(data) if says is None else says
    return (
        b"RIFF"
        + struct.pack("<I", min(36 + says, 0xFFFFFFFF))
        + b"WAVEfmt \x10\0\0\0"
        + head
        + b"data"
        + struct.pack("<I", says)
        + data
    )


def said_of(wav):
    """What `sound` says of a file that it does not take."""
    try:
        sound(wav)
    except ValueError as error:
        return str(error)
    return "taken"


CLICK = np.r_[np.zeros(4000), np.ones(40), np.zeros(4000)]
REFUSED = {
    "nothing": (b"", "not a PCM WAV file .*ends too early"),
    "words": (b"seven, please, and quickly", "not a PCM WAV file"),
    "half a head": (EXAMPLE[:30], "not a PCM WAV file"),
    "a head alone": (EXAMPLE[:44], "says 4,840 samples and holds 0"),
    "cut off": (EXAMPLE[:5000], "says 4,840 samples and holds 2,478: send all of it"),
    "a stream that ended at once": (raw(1, b"", says=0xFFFFFFFF), r"lasts 0 s: send 0\.1 s at least"),
    "a stream that is too long": (raw(1, bytes(48_002), says=0xFFFFFFFF), r"lasts 3\.00013 s: send one digit"),
    "more than it holds": (raw(1, EXAMPLE[44:], says=1 << 30), "says 536,870,912 samples and holds 4,840"),
    "float": (raw(3, b"\0" * 16000), "not a PCM WAV file .*3, floating-point"),
    "mu-law": (raw(7, b"\0" * 8000), "not a PCM WAV file .*7, µ-law"),
    "stereo": (as_wav(np.repeat(SECOND, 2), channels=2), "2 channels: send one, mono"),
    "8 bits": (as_wav(SECOND, width=1), "8 bits: send 16"),
    "32 bits": (as_wav(SECOND, width=4), "32 bits: send 16"),
    "16 kHz": (as_wav(SECOND, rate=16000), "16,000 samples a second: send 8,000"),
    "too long": (as_wav(np.tile(SECOND, 4)[: 3 * RATE + 1]), r"lasts 3\.00013 s: send one digit, 3 s at most"),
    "ten seconds": (as_wav(np.zeros(10 * RATE)), "lasts 10 s"),
    "a minute": (as_wav(np.zeros(60 * RATE)), "the file has 960,044 bytes: send one digit, 3 s at most"),
    "too short": (as_wav(SECOND[4000:4799]), r"lasts 0\.099875 s: send 0\.1 s at least"),
    "no samples": (as_wav([]), "lasts 0 s"),
    "silence": (as_wav(0 * SECOND), "silent .*speak up"),
    "a constant": (as_wav(0 * SECOND + 0.5), "silent .*speak up"),
    "a whisper from afar": (as_wav(SECOND / 300), "silent .*speak up"),
    "a click": (as_wav(CLICK), r"what is not silent lasts 0\.0\d s: send a whole digit"),
}


@pytest.mark.parametrize(("wav", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_recording_of_a_digit_is_refused_with_what_to_send(wav, message):
    with pytest.raises(ValueError, match=message):
        sound(wav)


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, 43), byte=st.integers(0, 255))
def test_any_byte_of_the_head_may_be_wrong(place, byte):
    spoilt = bytearray(EXAMPLE)
    spoilt[place] = byte
    assert re.search("^taken$|send|speak up", said_of(bytes(spoilt)))


@pytest.mark.parametrize("says", [0, 0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_recording_from_a_pipe_is_heard_as_the_same_from_a_file(says):
    """Whoever writes to a pipe cannot go back to the head, once the length is known."""
    streamed = bytearray(EXAMPLE)
    for place in (4, 40):  # the length of the file, and that of the samples
        struct.pack_into("<I", streamed, place, says)
    assert sound(bytes(streamed)) == sound(bytes(streamed) + b"\1") == sound(EXAMPLE)  # half a sample is none


def test_the_extensible_form_is_heard_as_the_plain_one():
    guid = bytes.fromhex("0100000000001000800000aa00389b71")
    extensible = EXAMPLE[:12] + b"fmt " + struct.pack("<I", 40) + b"\xfe\xff" + EXAMPLE[22:36]
    extensible += struct.pack("<HHI", 22, 16, 4) + guid + EXAMPLE[36:]
    assert sound(extensible) == sound(EXAMPLE)


@settings(max_examples=200, deadline=None)
@given(pattern=st.lists(st.integers(-32768, 32767), min_size=1, max_size=50), length=st.integers(800, 24_000))
def test_any_sound_is_a_valid_record_or_refused(pattern, length):
    # a record out of its ranges would be pydantic's ValidationError, in other words than these
    assert re.search("^taken$|send|speak up", said_of(as_wav(np.resize(pattern, length) / 32767.5)))


def test_the_longest_and_the_shortest_are_taken():
    assert sound(as_wav(np.sin(np.arange(3 * RATE) * 0.3))).seconds == 3
    assert sound(as_wav(np.sin(np.arange(RATE // 10) * 0.3))).seconds == pytest.approx(0.1, abs=0.01)


def test_a_tone_is_loudest_in_the_filters_around_it():
    for hertz in (300, 1000, 2500, 3500):
        power = np.abs(np.fft.rfft(np.sin(np.arange(FFT) * 2 * np.pi * hertz / RATE) * np.hanning(FFT))) ** 2
        centre = np.fft.rfftfreq(FFT, 1 / RATE)[MEL[(MEL @ power).argmax()].argmax()]
        assert centre == pytest.approx(hertz, rel=0.12)


def test_the_transform_loses_nothing_of_what_it_keeps():
    assert np.allclose(DCT @ DCT.T, np.eye(COEFFICIENTS))


def test_loudness_is_in_decibels_of_full_scale():
    square = np.tile([1.0, 1.0, -1.0, -1.0], 2000)
    assert sound(as_wav(square)).loudness == pytest.approx(0, abs=0.1)
    assert sound(as_wav(square / 10)).loudness == pytest.approx(-20, abs=0.1)


@pytest.mark.parametrize("word", WORDS)
def test_the_volume_and_a_constant_change_nothing_but_the_loudness(word):
    spoken = recorded(word)
    plain = sound(as_wav(spoken))
    for changed in (spoken * 0.5, spoken * 0.5 + 0.2):
        found = sound(as_wav(changed))
        assert found.seconds == plain.seconds
        assert np.abs(np.subtract(found.mfcc, plain.mfcc)).max() < 0.2  # 16 bits round a softer voice more coarsely


@pytest.mark.parametrize("margins", [(10, 10), (50, 10), (10, 50), (90, 90)])
def test_it_hears_the_same_word_wherever_it_stands(margins):
    before, after = (np.zeros(HOP * margin) for margin in margins)
    for answer in heard(as_wav(np.r_[before, samples_of(EXAMPLE), after])):
        assert answer.probabilities["seven"] > 0.9


def test_the_example_of_the_page_is_the_example_file():
    assert example(CASE.record) == sound(EXAMPLE).model_dump()


def test_the_script_makes_the_example_file():
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    assert runpy.run_path(str(DATA / "speech.py"))["example"]() == EXAMPLE


def test_without_the_synthesisers_the_script_says_what_to_install(monkeypatch):
    script = runpy.run_path(str(DATA / "speech.py"))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match="apt-get install espeak-ng flite"):
        script["build"]()


def test_the_recordings_in_the_data_are_read_as_the_service_reads_them():
    rows = load("speech").query("engine == 'recorded'").set_index("digit")
    for word in WORDS:
        samples = (recorded(word) * 32767).round() / 32767
        assert sound(as_wav(samples)).mfcc == rows.loc[word, "mfcc"]


@settings(max_examples=40, deadline=None)
@given(rows=records(CASE))
def test_the_graph_computes_the_regression_that_its_weights_describe(rows):
    known = released()[1]
    features = np.array([[row["seconds"], *row["mfcc"]] for row in rows])
    scores = features @ known["weights"].T + known["bias"]
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    outputs = predict(rows)
    assert np.allclose(outputs["probabilities"], odds / odds.sum(axis=1, keepdims=True), atol=1e-9)
    assert outputs["prediction"].tolist() == [known["words"][place] for place in scores.argmax(axis=1)]


@settings(max_examples=20, deadline=None)
@given(rows=records(CASE), loudness=st.floats(-75, 0))
def test_the_model_does_not_listen_to_the_loudness(rows, loudness):
    before, after = predict(rows), predict([row | {"loudness": loudness} for row in rows])
    assert all((before[name] == after[name]).all() for name in before)


def test_it_hears_the_example():
    (digit,) = heard(EXAMPLE)
    assert (digit.digit, digit.word) == (7, "seven")
    assert digit.probabilities["seven"] > 0.9


def test_it_hears_more_of_a_person_than_a_guess_would():
    answers = heard(*(as_wav(recorded(word)) for word in WORDS))
    assert sum(answer.word == word for answer, word in zip(answers, WORDS, strict=True)) >= 5  # a guess: once in 600


def test_an_answer_agrees_with_itself():
    for answer in heard(*(as_wav(recorded(word)) for word in WORDS)):
        assert answer.word == WORDS[answer.digit] == max(answer.probabilities, key=answer.probabilities.get)
        assert sum(answer.probabilities.values()) == pytest.approx(1, abs=0.001)
        assert set(answer.probabilities) == set(WORDS)


def test_noise_takes_its_confidence_away():
    rng = np.random.default_rng(0)
    word = samples_of(EXAMPLE)
    spoken = np.pad(word, 1000)
    noises = [rng.normal(0, level, len(spoken)) for level in (0.0, 0.01, 0.1)]
    sure = [answer.probabilities["seven"] for answer in heard(*(as_wav((spoken + noise) / 2) for noise in noises))]
    assert sure[0] > sure[2] < 0.9


def test_a_word_is_found_where_it_is():
    quiet = np.zeros(4000)
    word = trim(np.r_[quiet, SECOND, quiet])
    assert 0.5 * RATE < len(word) < 1.1 * RATE


def test_its_card_holds_a_histogram_of_every_coefficient():
    reference = released()[0].card.reference
    assert set(reference) == {"seconds", "loudness", "mfcc", "prediction"}
    assert sum(reference["mfcc"].counts) == SEGMENTS * COEFFICIENTS * sum(reference["seconds"].counts)
    assert reference["prediction"].categories == sorted(WORDS)
