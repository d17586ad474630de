"""Rebuild `speech.csv`, spoken digits as features, and `speech_example.wav`: `python data/speech.py`.

Needs the Debian packages `espeak-ng` and `flite`, which speak, and the Python package `captcha`, which has recordings.
The features are those of the service: `slipway.cases.speech` computes them, for both.
"""

import io
import shutil
import subprocess
import wave
from pathlib import Path

import captcha
import numpy as np
import pandas as pd
from scipy.signal import lfilter, resample_poly

from slipway.cases.speech import RATE, WORDS, Spoken, sound, trim

CSV = Path(__file__).with_suffix(".csv")
EXAMPLE = CSV.with_name("speech_example.wav")
SEED = 2026
TAKES = ((30, 45), (15, 30), (5, 15))  # of each digit by each voice: how far the noise lies below the word, in dB

ACCENTS = ("en-gb", "en-us", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-gb-x-rp", "en-029", "en-us-nyc")
# Of espeak-ng's variants those meant as people, once each: klatt is caleb and klatt6, iven has three brothers
VARIANTS = """
    adam Alex Alicia Andrea Andy anika Annie antonio aunty belinda benjamin boris croak david Denis Diogo ed edward f1
    f2 f3 f4 f5 Gene grandma grandpa gustave Henrique Hugo iven Jacky john kaukovalta klatt klatt2 klatt3 klatt4 klatt5
    Lee linda m1 m2 m3 m4 m5 m6 m7 m8 marcelo Marco Mario max Michael michel miguel Mike Nguyen norbert pablo paul pedro
    quincy RicishayMax rob robert sandro shelby steph travis victor whisper whisperf zac
"""
FLITE = ("awb", "kal16", "rms", "slt")


def decoded(wav: bytes) -> np.ndarray:
    """The samples of a mono WAV file of 8 or 16 bits, between -1 and 1, at 8,000 Hz."""
    with wave.open(io.BytesIO(wav)) as file:
        content, rate = file.readframes(file.getnframes()), file.getframerate()
        wide = file.getsampwidth() == 2
    samples = np.frombuffer(content, "<i2") / 32768 if wide else (np.frombuffer(content, "u1") - 128.0) / 128
    return resample_poly(samples, RATE, rate)


def encoded(samples: np.ndarray) -> bytes:
    """A WAV file as the service takes it."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((samples * 32767).round().astype("<i2").tobytes())
    return buffer.getvalue()


def spoken(*command: str) -> np.ndarray:
    """What a synthesiser says. Raises FileNotFoundError, with what to install, if it is not there."""
    if shutil.which(command[0]) is None:
        raise FileNotFoundError(f"{command[0]} is missing: `apt-get install espeak-ng flite`, or another way to get it")
    return decoded(subprocess.run(command, check=True, capture_output=True).stdout)


def recorded(clean: np.ndarray, snr: float, rng: np.random.Generator) -> np.ndarray:
    """The word as a microphone in a room would give it: some silence around it, noise over all of it, at some level."""
    margins = rng.integers(RATE // 20, RATE // 3, 2)
    padded = np.pad(clean, tuple(margins))
    noise = lfilter([1], [1, -rng.uniform(0, 0.95)], rng.normal(size=len(padded)))  # from a hiss to a rumble
    noise *= np.sqrt((trim(clean) ** 2).mean() / (noise**2).mean()) * 10 ** (-snr / 20)
    both = padded + noise
    return both / np.abs(both).max() * 10 ** (rng.uniform(-20, -1) / 20)


def clips(rng: np.random.Generator) -> list[tuple[str, str, str, np.ndarray]]:
    """Every voice saying every digit as often as there are takes, each at a speed and a pitch of its own."""
    said = []
    for variant in VARIANTS.split():
        voice = f"{rng.choice(ACCENTS)}+{variant}"
        for word in np.repeat(WORDS, len(TAKES)).tolist():
            speed, pitch = rng.integers((120, 30), (220, 71)).tolist()  # words a minute; 50 is the voice's own pitch
            options = ("-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", word)
            said.append((voice, "espeak-ng", word, spoken("espeak-ng", *options)))
    for voice in FLITE:
        for word in np.repeat(WORDS, len(TAKES)).tolist():
            stretch, shift = rng.uniform((0.7, 0.85), (1.2, 1.2)).round(2).tolist()
            features = ("--setf", f"duration_stretch={stretch}", "--setf", f"f0_shift={shift}")
            said.append(
                (voice, "flite", word, spoken("flite", "-voice", voice, *features, "-t", word, "-o", "/dev/stdout"))
            )
    return said


def build() -> pd.DataFrame:
    """One row a clip, as the file holds them. Takes about a minute."""
    rng = np.random.default_rng(SEED)
    rows = []
    for number, (speaker, engine, word, clean) in enumerate(clips(rng)):
        snr = round(rng.uniform(*TAKES[number % len(TAKES)]), 1)
        features = sound(encoded(recorded(clean, snr, rng)))
        rows.append(Spoken(**features.model_dump(), speaker=speaker, engine=engine, digit=word, snr=snr))
    for number, word in enumerate(WORDS):
        wav = (Path(captcha.__file__).parent / "data" / str(number) / "default.wav").read_bytes()
        features = sound(encoded(decoded(wav)))
        rows.append(Spoken(**features.model_dump(), speaker="captcha", engine="recorded", digit=word, snr=None))
    frame = pd.DataFrame([row.model_dump() for row in rows])
    return frame.assign(mfcc=[" ".join(f"{value:.2f}" for value in cell) for cell in frame["mfcc"]])


def example() -> bytes:
    """One clean clip, for the page of the service and for its tests."""
    word = trim(spoken("espeak-ng", "-v", "en-us", "--stdout", "seven"))  # a voice that is not in the table
    return encoded(np.pad(word / np.abs(word).max() / 2, RATE // 20))


if __name__ == "__main__":
    digits = build()
    digits.to_csv(CSV, index=False, lineterminator="\n")
    EXAMPLE.write_bytes(example())
    print(f"{CSV.name}: {len(digits)} rows, {len(digits.columns)} columns; {EXAMPLE.name}")
