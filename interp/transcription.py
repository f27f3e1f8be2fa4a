"""Notes heard in a waveform by basic-pitch, a transcriber that others trained on recorded music.

Its own note finding is used with its default thresholds; only the framing of the audio is done here, since
its inference code reads files alone.

Source: Bittner et al. (2022), *A lightweight instrument-agnostic model for polyphonic note transcription*.
"""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .errors import InterpError

RATE, HOP = 22_050, 256  # of its input, and of its frames
WINDOW, OVERLAP = 43_844, 30  # samples, frames
FRAMES_PER_SECOND = RATE // HOP
ONSET_THRESHOLD, FRAME_THRESHOLD, SHORTEST = 0.5, 0.3, 11  # its defaults; the last in frames (128 ms)


class Notes(NamedTuple):
    """`intervals` [note, 2] in seconds, `pitches` [note] as MIDI note numbers.

    `strengths` [note], between 0 and 1, is how strongly each note was heard; None where notes were written.
    """

    intervals: np.ndarray
    pitches: np.ndarray
    strengths: np.ndarray | None = None


@functools.cache
def _basic_pitch():
    """The ONNX session, and the package's module that finds notes in its output."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # on import it lists the other runtimes that it could have used
    try:
        import basic_pitch
        import onnxruntime
        from basic_pitch import note_creation
    except ImportError as error:
        raise InterpError(
            f"Transcription needs basic-pitch and onnxruntime ({error}); install the locked packages with "
            "`make setup`."
        ) from error
    finally:
        logging.disable(before)
    path = Path(basic_pitch.__file__).parent / "saved_models" / "icassp_2022" / "nmp.onnx"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # clips are transcribed in parallel
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]), note_creation


def transcribe(audio: np.ndarray, sample_rate: int) -> Notes:
    """Transcribe a mono waveform [sample]."""
    import librosa

    session, note_creation = _basic_pitch()
    x = librosa.resample(np.asarray(audio, np.float32), orig_sr=sample_rate, target_sr=RATE)
    step = WINDOW - OVERLAP * HOP
    padded = np.pad(x, (OVERLAP * HOP // 2, WINDOW))
    windows = np.stack([padded[i : i + WINDOW] for i in range(0, len(x) + OVERLAP * HOP // 2, step)])
    names = ("StatefulPartitionedCall:1", "StatefulPartitionedCall:2")  # notes, onsets
    wanted = int(len(x) * FRAMES_PER_SECOND / RATE)
    frames, onsets = (
        np.concatenate(out[:, OVERLAP // 2 : -OVERLAP // 2])[:wanted]
        for out in session.run(names, {"serving_default_input_2:0": windows[..., None]})
    )
    with np.errstate(invalid="ignore"):  # it divides by the largest change, which is 0 in silence
        events = note_creation.output_to_notes_polyphonic(
            frames, onsets, ONSET_THRESHOLD, FRAME_THRESHOLD, SHORTEST, True, None, None
        )
    times = note_creation.model_frames_to_time(wanted + 1)
    intervals = np.array([(times[start], times[end]) for start, end, *_ in events]).reshape(-1, 2)
    return Notes(intervals, *(np.array([event[i] for event in events], float) for i in (2, 3)))
