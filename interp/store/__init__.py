"""Activations on disk, when there are more than memory holds.

A store is a folder in zarr 3, so that any language of the field reads it::

    zarr.json             what it was made from, the clips' ids, the seconds of the steps (attributes)
    resid.3/              one array [clip, row, step, width] per site
    resid.3/c.12.0.0.0    one chunk: all steps of clip 12 in row 0, with its CRC-32C at the end
    complete/12.json      clip 12 is whole: SHA-256 of its chunks, by site and row

A chunk is one row of one clip, so nothing that is written is ever read and changed again, and workers that
hold different clips need no locks.  zarr puts a chunk into place by renaming a finished file; the record of a
clip follows when its chunks are on the disk.  Whatever a killed writer leaves behind has no record, and is
written again, to the same bytes (:mod:`interp.store.writer`).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import zarr
from tqdm import tqdm

from ..errors import InterpError, check_list, unknown

FORMAT = 1
ROWS = {"cond": ("cond",), "null": ("null",), "both": ("cond", "null")}


class Store:
    """Activations of clips at some sites, on disk.

    Parameters
    ----------
    path : str or path
        A folder that :func:`interp.capture` made.

    Attributes
    ----------
    sites : list of str
    clips : list of str
        Ids of all clips, complete or not; elsewhere a clip is its index in this list.
    seconds : np.ndarray
        [step], float64, as in :class:`interp.Activations`.
    rows : str
        "cond", "null" or "both".
    dtype : np.dtype
        float16 or float32.
    made_from : dict
        Model, corpus, settings and versions behind the numbers.

    Raises
    ------
    InterpError
        If there is no store at this path, or it is damaged or of another format.
    """

    _mode = "r"

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / "zarr.json").is_file():
            raise InterpError(f"There is no store of activations in {path}.")
        try:
            group = zarr.open_group(self.path, mode=self._mode)
            self.attributes = dict(group.attrs)
            found = self.attributes.get("format")
            if found == FORMAT:
                self._take(group)
        except (OSError, LookupError, ValueError, TypeError, AttributeError) as error:
            raise InterpError(
                f"The store in {path} is damaged, its zarr.json or that of a site; put back a copy of that "
                "file, or delete the store and run the same capture again."
            ) from error
        if found is None:
            raise InterpError(f"There is no store of activations in {path}, but something else of zarr's.")
        if found != FORMAT:
            raise InterpError(f"The store in {path} has format {found}, and this library reads {FORMAT}.")

    def _take(self, group: zarr.Group) -> None:
        """Take over what the attributes of a store say."""
        self.sites: list[str] = check_list(self.attributes["sites"], "sites")
        self.clips: list[str] = check_list(self.attributes["clips"], "clips")
        self.seconds = np.array(self.attributes["seconds"], dtype=np.float64)
        self.rows: str = self.attributes["rows"]
        self.made_from: dict[str, Any] = self.attributes["made_from"]
        self._arrays = {site: group[site] for site in self.sites}
        self.dtype: np.dtype = self._arrays[self.sites[0]].dtype
        shape = (len(self.clips), len(ROWS[self.rows]), len(self.seconds))
        if any(array.shape[:3] != shape for array in self._arrays.values()):
            raise ValueError(f"Not all arrays are {shape}.")

    # --- what is there ---

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def complete(self) -> list[int]:
        """Indices of the clips that are whole; raises :class:`InterpError` for a file that is no record."""
        records = (self.path / "complete").glob("*.json")
        records = [file for file in records if not file.name.startswith("._")]  # macOS's, beside copies
        for file in records:
            if not file.stem.isdecimal():
                raise InterpError(f"{file} is not the record of a clip; move it out of the store.")
        return sorted(int(file.stem) for file in records)

    def has(self, clips: Sequence[int]) -> bool:
        """Whether all of these clips are whole."""
        return all(self._record(clip).is_file() for clip in clips)

    def width(self, site: str) -> int:
        """Numbers in a vector of this site."""
        return self._array(site).shape[-1]

    def choose(self, clips: Sequence[int] | None = None) -> list[int]:
        """Check a choice of clips; None means all.

        Raises
        ------
        InterpError
            For an index that is not there or chosen twice, and for clips that are not complete.
        """
        chosen = list(range(len(self))) if clips is None else [int(clip) for clip in clips]
        if not chosen:
            raise InterpError(f"clips is an empty list; the store in {self.path} has {len(self)} clips.")
        for clip in chosen:
            if not 0 <= clip < len(self):
                raise InterpError(f"No clip {clip} in {self.path}; it has clips 0 to {len(self) - 1}.")
        if len(set(chosen)) < len(chosen):
            raise InterpError("clips names a clip twice.")
        missing = set(chosen) - set(self.complete)
        if missing:
            raise InterpError(
                f"{len(missing)} of {len(chosen)} clips are not in {self.path} yet, clip {min(missing)} the "
                "first; run the same capture again, which goes on where it stopped, or choose among "
                "store.complete."
            )
        return chosen

    def row(self, row: str | None = None) -> int:
        """Position of a row ("cond" or "null") on the second axis; None takes the first."""
        if row not in (None, *ROWS[self.rows]):
            raise unknown("row of this store", row, ROWS[self.rows])
        return 0 if row is None else ROWS[self.rows].index(row)

    # --- reading ---

    def chunk(self, site: str, clip: int, row: int = 0) -> np.ndarray:
        """All steps of one clip, [step, width], in the store's precision.

        Raises
        ------
        InterpError
            If the chunk is missing, or its checksum is wrong.
        """
        try:
            values = self._array(site)[clip, row]
        except (ValueError, IsADirectoryError):  # for a checksum; a missing chunk zarr fills with NaN
            values = None
        if values is None or np.isnan(values[0, 0]):
            self._damaged([self._file(site, clip, row)])
        return values

    def read(
        self,
        site: str,
        clips: Sequence[int] | None = None,
        row: str | None = None,
        steps: slice = slice(None),
    ) -> np.ndarray:
        """Activations [clip, step, width] of one row, in the store's precision."""
        chosen, which = self.choose(clips), self.row(row)
        out = np.empty((len(chosen), len(self.seconds[steps]), self.width(site)), self.dtype)
        for i, clip in enumerate(chosen):
            out[i] = self.chunk(site, clip, which)[steps]
        return out

    def pooled(self, site: str, clips: Sequence[int] | None = None, row: str | None = None) -> np.ndarray:
        """Mean over steps, [clip, width] float32, one clip in memory at a time."""
        which = self.row(row)
        return np.stack(
            [self.chunk(site, clip, which).mean(0, dtype=np.float32) for clip in self.choose(clips)]
        )

    def batches(self, site: str, batch_size: int, seed: int = 0, **options) -> Iterator[np.ndarray]:
        """Shuffled batches of vectors; see :func:`interp.store.shuffle.shuffled`."""
        from .shuffle import shuffled

        return shuffled(self, site, batch_size, seed, **options)

    def verify(self, progress: bool = False) -> None:
        """Compare every chunk of every complete clip with its record.

        Raises
        ------
        InterpError
            Naming the chunks that are missing, cut short or changed, and the records to delete so that the
            same capture writes those clips again.
        """
        bad: list[Path] = []
        for clip in tqdm(self.complete, desc="verify", disable=not progress, leave=False):
            try:
                record = json.loads(self._record(clip).read_text())
                expected = {(site, row): record["sha256"][site][row] for site, row in self._parts()}
            except (ValueError, KeyError, IndexError, TypeError):
                bad.append(self._record(clip))
                continue
            files = {part: self._file(part[0], clip, part[1]) for part in self._parts()}
            bad += [file for part, file in files.items() if sha256(file) != expected[part]]
        if bad:
            self._damaged(bad)

    # --- where it lies ---

    def _array(self, site: str) -> zarr.Array:
        if site not in self._arrays:
            raise unknown("site of this store", site, self.sites)
        return self._arrays[site]

    def _parts(self) -> Iterator[tuple[str, int]]:
        return ((site, row) for site in self.sites for row in range(len(ROWS[self.rows])))

    def _file(self, site: str, clip: int, row: int) -> Path:
        return self.path / site / f"c.{clip}.{row}.0.0"

    def _record(self, clip: int) -> Path:
        return self.path / "complete" / f"{clip}.json"

    def _damaged(self, files: list[Path]) -> NoReturn:
        """Raise the error that names damaged files and the records whose deletion has them written again."""
        clips = sorted({int(f.stem if f.parent.name == "complete" else f.name.split(".")[1]) for f in files})
        names = [str(file.relative_to(self.path)) for file in files[:3]] + ["…"] * (len(files) > 3)
        records = [f"complete/{clip}.json" for clip in clips[:3]] + ["…"] * (len(clips) > 3)
        raise InterpError(
            f"{len(files)} damaged or missing in {self.path}: {', '.join(names)}; "
            f"delete {', '.join(records)} there and run the same capture again."
        )

    def __repr__(self) -> str:
        return f"Store({self.path}: {len(self.complete)} of {len(self)} clips, {', '.join(self.sites)})"


def sha256(file: Path, flush: bool = False) -> str | None:
    """SHA-256 of a file, None if there is none; ``flush`` first brings it to the disk."""
    try:
        with file.open("rb") as stream:
            if flush:
                os.fsync(stream.fileno())
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (FileNotFoundError, IsADirectoryError):
        return None
