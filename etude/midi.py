"""A MIDI file to audio, with the composer's synthesiser and sound font (entry point `interp.renderers`)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from etude.render import SAMPLE_RATE, sound_font
from interp.errors import InterpError

LONGEST = 900.0  # seconds; a longer file is taken to be damaged
TAIL = 1.0  # seconds after the last event, in which notes die away


def render(path: str | Path) -> tuple[np.ndarray, int]:
    """Play a Standard MIDI file: instruments, pedals, pitch bends and loudness as it says.

    Returns
    -------
    (float32 array [1, sample], sample rate in Hz)
        At the synthesiser's own level; a peak above full scale is scaled to it.

    Raises
    ------
    InterpError
        If the file is missing, is no MIDI, holds no note, or lasts more than 15 minutes.
    """
    import tinysoundfont
    from tinysoundfont.midi import NoteOn, load_memory

    try:
        events = load_memory(Path(path).read_bytes(), persistent=False)
    except OSError as error:
        raise InterpError(f"Cannot read {path}: {error.strerror}.") from error
    except Exception as error:  # bytes of any content can make the parser fail in any way
        raise InterpError(f"{path} is not a MIDI file: {type(error).__name__} {error}.") from error
    notes = [event.t for event in events if isinstance(event.action, NoteOn) and event.action.velocity]
    if not notes:
        raise InterpError(f"{path} holds no note.")
    seconds = max(event.t for event in events) + TAIL
    if seconds > LONGEST:
        raise InterpError(f"{path} lasts {seconds:.0f} s; the longest that is played is {LONGEST:.0f} s.")
    synth = tinysoundfont.Synth(samplerate=SAMPLE_RATE, gain=-12)
    font = synth.sfload(sound_font())
    for channel in range(16):  # a channel that never names its instrument is a piano, and the tenth drums
        drums = channel == 9
        synth.program_select(channel, font, 128 if drums else 0, 0, drums)
    sequencer = tinysoundfont.Sequencer(synth)
    sequencer.add(_sustained(sorted(events, key=lambda event: event.t)))
    stereo = np.frombuffer(synth.generate(int(seconds * SAMPLE_RATE)), np.float32).reshape(-1, 2)
    mono = stereo.mean(axis=1)
    return (mono / max(1.0, float(np.abs(mono).max())))[None].astype(np.float32), SAMPLE_RATE


def _sustained(events: list) -> list:
    """The events with the end of a note put off while the pedal of its channel is down.

    The synthesiser takes no notice of the pedal (controller 64); a key struck again ends its old note.
    """
    from tinysoundfont.midi import ControlChange, NoteOff, NoteOn

    played, down, held = [], set(), {}
    for event in events:
        action, channel = event.action, event.channel
        if isinstance(action, ControlChange) and action.control == 64:
            if action.control_value >= 64:
                down.add(channel)
            else:
                down.discard(channel)
                ended = [key for key in held if key[0] == channel]
                played += [replace(held.pop(key), t=event.t) for key in ended]
            continue
        ends = isinstance(action, NoteOff) or (isinstance(action, NoteOn) and not action.velocity)
        if ends and channel in down:
            held[channel, action.key] = event
            continue
        if isinstance(action, NoteOn) and (channel, action.key) in held:
            played.append(replace(held.pop((channel, action.key)), t=event.t))
        played.append(event)
    return played
