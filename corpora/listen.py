"""One sound of a data set: is it there to be heard, and what does it measure?"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path

from interp.corpora.prepared import renderer
from interp.descriptors import SILENCE, describe
from interp.errors import InterpError

FROM_START = 60.0  # seconds of a sound that are measured


@dataclass(frozen=True)
class Heard:
    """A sound that can be used, or the reason why it cannot.

    Attributes
    ----------
    path : str
        The file that is to be heard: that of the data set, or the one that was rendered.
    sha256, size, modified :
        Its digest, its bytes, and its time of change in nanoseconds.
    seconds : float
    cues : dict
        Acoustic descriptors of the first minute, see :mod:`interp.descriptors`.
    fault : str
        Why it cannot be used; empty if it can.
    """

    path: str
    sha256: str = ""
    size: int = 0
    modified: int = 0
    seconds: float = 0.0
    cues: dict[str, float] = field(default_factory=dict)
    fault: str = ""

    @property
    def audio(self) -> dict[str, object]:
        """What a record keeps of it."""
        return {key: asdict(self)[key] for key in ("path", "sha256", "size", "modified")}


def listen(path: Path, rendered: Path | None = None, renderer_name: str | None = None) -> Heard:
    """Read a sound and measure it; MIDI is played into the file ``rendered`` first."""
    import numpy as np
    import soundfile

    from interp.audio import read_file

    try:
        if rendered is not None:
            waveform, rate = renderer(renderer_name)(path)
            rendered.parent.mkdir(parents=True, exist_ok=True)
            partial = rendered.with_name(f"{rendered.name}.partial")
            soundfile.write(partial, np.asarray(waveform).T, rate, format="FLAC", subtype="PCM_24")
            partial.replace(rendered)
        heard = rendered or path
        waveform, rate = read_file(heard)
        cues = describe(waveform[:, : int(FROM_START * rate)], rate)
        if cues["level"] < SILENCE:
            raise InterpError(f"it is silent ({cues['level']:.0f} dB full scale).")
    except InterpError as error:
        return Heard(str(path), fault=" ".join(str(error).split()))
    with heard.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    found = heard.stat()
    cues = {name: float(value) for name, value in cues.items()}
    return Heard(str(heard), digest, found.st_size, found.st_mtime_ns, waveform.shape[-1] / rate, cues)
