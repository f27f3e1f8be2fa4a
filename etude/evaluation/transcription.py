"""How well the notes that are heard in two waveforms agree."""

from __future__ import annotations

from interp.transcription import Notes

ONSET_TOLERANCE = 0.05  # seconds


def note_f1(reference: Notes, estimate: Notes) -> float:
    """F1 of notes that agree in pitch and, within 50 ms, in onset; NaN if the reference has no note.

    Source: ``mir_eval.transcription``, offsets ignored.
    """
    import mir_eval

    if not len(reference.pitches):
        return float("nan")
    if not len(estimate.pitches):
        return 0.0
    hertz = [440.0 * 2 ** ((notes.pitches - 69) / 12) for notes in (reference, estimate)]
    return mir_eval.transcription.precision_recall_f1_overlap(
        reference.intervals,
        hertz[0],
        estimate.intervals,
        hertz[1],
        onset_tolerance=ONSET_TOLERANCE,
        offset_ratio=None,
    )[2]
