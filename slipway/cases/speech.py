"""Which digit did somebody say? Synthetic voices for training, see `data/speech.md`.

A recording is a sound of its own length; a model takes numbers, always as many. `sound` makes the ones of the other, in
training and in the service alike: a second copy of these steps would be a second definition of the features.
"""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from slipway.core import wav
from slipway.core.card import Card
from slipway.core.case import Bound, Case, Outputs
from slipway.core.record import Record
from slipway.core.rows import Columns

Array = NDArray[np.float64]

RATE = 8000  # samples a second, as on the telephone
FRAME, HOP = 200, 80  # samples: 25 ms, and a new frame every 10 ms
FFT = 256
FILTERS, LOWEST, HIGHEST = 24, 100, 3800  # Hz: a telephone line carries no more
COEFFICIENTS, SEGMENTS = 13, 8
SHORTEST, LONGEST = 0.1, 3.0  # seconds
MAX_FILE_BYTES = 256 << 10  # of a file: several times what the longest takes, and none that takes long to look through
QUIETEST = -50.0  # dBFS of the loudest frame: less is silence
LIFT = 6.0  # dB above the noise: a frame as loud belongs to the word
DROP, LEAST = 30.0, 12.0  # dB below the loudest frame: where that threshold may lie, at most and at least
MARGIN = 3  # frames kept on either side: words begin and end softly
FLOOR = 1e-4  # of the strongest filter output: what lies lower is noise, or digital silence with no logarithm

Word = Literal["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
WORDS: tuple[Word, ...] = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def read(file: bytes) -> Array:
    """The samples of a recording, between -1 and 1.

    Raises ValueError, with what to send instead, for anything but 16-bit mono PCM WAV at 8,000 Hz, 0.1 to 3 s long.
    """
    if len(file) > MAX_FILE_BYTES:
        raise ValueError(f"the file has {len(file):,} bytes: send one digit, {LONGEST:g} s at most")
    try:
        recording = wav.read(file)
    except ValueError as error:
        raise ValueError(f"this is not a PCM WAV file ({error}): send one") from None
    count, held = recording.count, len(recording.content) // 2
    seconds = count / RATE
    if recording.channels != 1:
        raise ValueError(f"the recording has {recording.channels} channels: send one, mono")
    if recording.bits != 16:
        raise ValueError(f"a sample has {recording.bits} bits: send 16")
    if recording.rate != RATE:
        raise ValueError(f"the recording has {recording.rate:,} samples a second: send {RATE:,}")
    if held < count:
        raise ValueError(f"the file says {count:,} samples and holds {held:,}: send all of it")
    if seconds > LONGEST:
        raise ValueError(f"the recording lasts {seconds:g} s: send one digit, {LONGEST:g} s at most")
    if seconds < SHORTEST:
        raise ValueError(f"the recording lasts {seconds:g} s: send {SHORTEST:g} s at least")
    return np.frombuffer(recording.content, "<i2", count) / 32768


def frames(samples: Array) -> Array:
    """Overlapping pieces of FRAME samples, one every HOP: shape (pieces, FRAME)."""
    return np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP]


def decibels(power: Array) -> Array:
    """Power relative to full scale, in dB; of nothing, far below what any microphone gives."""
    return 10 * np.log10(np.maximum(power, 1e-12))


def trim(samples: Array) -> Array:
    """The samples from the first loud frame to the last, and a little more.

    Raises ValueError if none is loud, or next to none.
    """
    level = decibels((frames(samples) ** 2).mean(axis=1))
    if level.max() < QUIETEST:
        raise ValueError(f"the recording is silent (its loudest 25 ms have {level.max():.0f} dBFS): speak up")
    noise = np.quantile(level, 0.1)  # if a tenth of the recording is not speech
    loud = np.flatnonzero(level > np.clip(noise + LIFT, level.max() - DROP, level.max() - LEAST))
    first, last = loud[0], loud[-1]
    if last - first + 1 < SEGMENTS:  # of which each needs a frame
        lasts = ((last - first) * HOP + FRAME) / RATE
        raise ValueError(f"what is not silent lasts {lasts:.2f} s: send a whole digit, {SHORTEST:g} s at least")
    return samples[max(first - MARGIN, 0) * HOP : (last + MARGIN) * HOP + FRAME]


def mel_filters() -> Array:
    """Triangles that are equally wide on the mel scale, shape (FILTERS, FFT // 2 + 1)."""
    lowest, highest = 2595 * np.log10(1 + np.array([LOWEST, HIGHEST]) / 700)
    corners = 700 * (10 ** (np.linspace(lowest, highest, FILTERS + 2) / 2595) - 1)
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    frequency = np.fft.rfftfreq(FFT, 1 / RATE)
    triangles: Array = np.minimum((frequency - low) / (middle - low), (high - frequency) / (high - middle)).clip(0)
    return triangles


def cosines() -> Array:
    """The first rows of the orthonormal discrete cosine transform, type II: shape (COEFFICIENTS, FILTERS)."""
    k, n = np.arange(COEFFICIENTS)[:, None], np.arange(FILTERS)
    rows: Array = np.sqrt(2 / FILTERS) * np.cos(np.pi * k * (n + 0.5) / FILTERS)
    rows[0] /= np.sqrt(2)
    return rows


WINDOW, MEL, DCT = np.hamming(FRAME), mel_filters(), cosines()


def mfcc(samples: Array) -> Array:
    """Mel-frequency cepstral coefficients of each frame (Davis and Mermelstein 1980), shape (frames, COEFFICIENTS).

    Their mean over the recording is taken off: it holds the loudness and the colour of the microphone, and little of
    the word.
    """
    brightened = np.append(samples[0], samples[1:] - 0.97 * samples[:-1])
    power = np.abs(np.fft.rfft(frames(brightened) * WINDOW, FFT)) ** 2
    filtered = power @ MEL.T
    coefficients: Array = np.log(np.maximum(filtered, FLOOR * filtered.max())) @ DCT.T
    coefficients -= coefficients.mean(axis=0)
    return coefficients


# fmt: off
EXAMPLE = [  # data/speech_example.wav, one line for each eighth of the word
    -9.38, -1.62, -1.42, -0.88, 2.83, 2.82, -0.41, -1.06, 0.02, 1.22, -1.34, 1.27, -0.89,
    1.27, -3.15, -0.23, -1.27, -1.48, 0.73, 1.44, -0.68, -0.18, 0.52, -0.6, -0.39, 0.27,
    13.59, -1.69, 1.7, -0.9, -6.35, -0.99, 3.92, 0.46, -2.14, 0.2, 1.0, -2.24, 1.58,
    5.57, 0.58, -0.37, -1.38, -0.53, -1.66, 0.05, 3.0, -0.58, -1.17, 1.28, -1.36, 0.81,
    -8.18, 2.83, -0.74, 0.89, 2.59, 1.26, -0.97, -1.76, 1.02, 0.22, -0.58, 1.62, -0.82,
    8.58, -0.97, -0.09, 0.48, 1.34, -5.0, -3.5, 2.76, 2.83, -2.84, 0.77, 1.44, -2.46,
    -2.55, 2.72, 2.43, 2.92, 0.88, 0.21, -0.91, -1.64, -0.46, 0.86, 0.29, -0.62, 1.08,
    -10.74, 2.28, -1.22, 0.87, 1.65, 2.48, -0.46, -1.35, -0.04, 0.86, -0.88, 0.74, 0.14,
]
# fmt: on


class Sound(Record):
    """One spoken digit as the model hears it. `sound` makes it of a recording; nobody types it."""

    seconds: float = Field(ge=0.09, le=LONGEST, description="Length of the word, in seconds", examples=[0.535])
    loudness: float = Field(ge=-75, le=0, description="Loudness of the word, in dB of full scale", examples=[-23.5])
    mfcc: list[Annotated[float, Field(ge=-60, le=60)]] = Field(
        min_length=SEGMENTS * COEFFICIENTS,
        max_length=SEGMENTS * COEFFICIENTS,
        description="Mel-frequency cepstral coefficients, no unit: the means of 13 over the first eighth of the word, "
        "then over the second, and so on",
        examples=[EXAMPLE],
    )


class Spoken(Sound):
    """A recording of which we know what was said: a line of the data set."""

    speaker: str = Field(description="Whose voice")
    engine: Literal["espeak-ng", "flite", "recorded"] = Field(description="What made the voice: a program, or a person")
    digit: Word = Field(description="What was said")
    snr: float | None = Field(ge=-10, le=60, description="How far the noise lies below the word, in dB, where known")


class Digit(BaseModel):
    """What was most likely said."""

    digit: int = Field(description="The most probable digit", examples=[7])
    word: str = Field(description="The same as a word", examples=["seven"])
    probabilities: dict[str, float] = Field(
        description="The probability of each digit; they add up to 1",
        examples=[dict.fromkeys(sorted(WORDS), 0.0) | {"seven": 0.97, "nine": 0.02, "one": 0.01}],
    )


def sound(file: bytes) -> Sound:
    """A recording of one English digit, zero to nine: a WAV file, PCM, 16 bits, mono, 8,000 Hz, 0.1 to 3 s long.

    Raises ValueError, with what is wrong and what to send instead, for anything else, and for silence.
    """
    samples = read(file)
    word = trim(samples - samples.mean())  # a constant is the microphone's doing, and no sound
    parts = [part.mean(axis=0) for part in np.array_split(mfcc(word), SEGMENTS)]
    loudness = float(decibels((word**2).mean()))
    return Sound(
        mfcc=np.concatenate(parts).round(2).tolist(),  # as many places as the data set has
        seconds=round(len(word) / RATE, 3),
        loudness=round(min(loudness, 0.0), 1),
    )


def results(outputs: Outputs, card: Card) -> Columns:
    """Digits with their probabilities, rounded to four places."""
    words = outputs["prediction"].ravel().tolist()
    rows = outputs["probabilities"].astype(float).round(4).tolist()
    return {
        "digit": [WORDS.index(word) for word in words],
        "word": words,
        "probabilities": [dict(zip(card.classes, row, strict=True)) for row in rows],
    }


CASE = Case(
    name="speech",
    record=Sound,
    row=Spoken,
    target="digit",
    answer=Digit,
    results=results,
    gate={
        "accuracy": Bound(at_least=0.75),  # on unseen voices of espeak-ng; always the same digit: 0.1
        "accuracy_flite": Bound(at_least=0.35),  # on another program's four voices, so it scatters by 0.1
    },
    path="spoken-digit",
    reads=sound,
)
