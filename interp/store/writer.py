"""Write activations into a store, so that a writer killed at any moment loses nothing but its last clip."""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec

from ..errors import InterpError, check_list, unknown
from . import FORMAT, ROWS, Store, sha256

PRECISIONS = ("float16", "float32")


class Writer(Store):
    """A store that can be written.

    Several writers may fill one store at the same time, as long as they hold different clips.
    """

    _mode = "r+"

    @classmethod
    def create(
        cls,
        path: str | Path,
        sites: Mapping[str, int],
        clips: Sequence[str],
        seconds: Sequence[float],
        rows: str = "cond",
        dtype: str = "float16",
        made_from: Mapping[str, Any] | None = None,
    ) -> Writer:
        """Make a store, or go on with the one at ``path`` if it was made of the same.

        Parameters
        ----------
        sites : dict of str to int
            Width of every site.
        clips : list of str
            Ids.
        seconds : list of float
            Time of every step.
        made_from : dict
            Plain values that say what decides the numbers.

        Raises
        ------
        InterpError
            If the store at ``path`` differs in any of these (the message names them), the path is taken, or
            the disk is full.
        """
        if rows not in ROWS:
            raise unknown("rows", rows, ROWS)
        if dtype not in PRECISIONS:
            raise unknown("dtype of a store", dtype, PRECISIONS)
        attributes = dict(
            format=FORMAT,
            made_from=made_from or {},
            sites=check_list(list(sites), "sites"),
            widths=[int(width) for width in sites.values()],
            rows=rows,
            dtype=dtype,
            clips=check_list(clips, "clips"),
            seconds=[float(time) for time in seconds],
        )
        attributes = json.loads(json.dumps(attributes))  # as it will be read back
        path = Path(path)
        if not path.exists():
            with _disk(path):
                _make(path, attributes)
        elif not (path / "zarr.json").is_file():
            raise InterpError(f"{path} is taken by something that is no store; give another path.")
        store = cls(path)
        differences = list(_differences(_flat(store.attributes), _flat(attributes)))
        if differences:
            raise InterpError(
                f"The store in {path} was made of something else: {'; '.join(differences[:4])}. "
                "Give another path, or delete it."
            )
        return store

    def write(self, clips: Sequence[int], tensors: Mapping[str, Any]) -> None:
        """Write whole clips, and the record of each when its data are on the disk.

        Parameters
        ----------
        clips : list of int
            Indices. Clips that are complete are left as they are.
        tensors : dict of str to array
            For every site, [clip, step, width]; with rows "both", [2, clip, step, width].

        Raises
        ------
        InterpError
            For a missing site or another shape; values that are NaN, infinite or beyond the precision; a full
            disk. Clips that were complete stay so.
        """
        clips = list(clips)
        values = {site: self._fitting(site, tensors, len(clips)) for site in self.sites}
        with _disk(self.path):
            for i, clip in enumerate(clips):
                if self.has([clip]):
                    continue
                digests = {}
                for site, array in values.items():
                    self._array(site)[clip] = array[:, i]
                    files = [self._file(site, clip, row) for row in range(len(array))]
                    digests[site] = [sha256(file, flush=True) for file in files]
                for site in self.sites:  # the chunks' names must be on the disk before the record's is
                    _flush_folder(self.path / site)
                _write_json(self._record(clip), {"clip": self.clips[clip], "sha256": digests})

    def finish(self) -> None:
        """If every clip is complete, remove what killed writers left half written."""
        if self.has(range(len(self))):
            beside = self.path.parent.glob(f"{self.path.name}.{'[0-9a-f]' * 32}.partial")
            for stray in [*self.path.rglob("*.partial"), *beside]:
                if stray.is_dir():
                    shutil.rmtree(stray)
                else:
                    stray.unlink()

    def _fitting(self, site: str, tensors: Mapping[str, Any], n: int) -> np.ndarray:
        """Values of a site as [row, clip, step, width] in the store's precision."""
        if site not in tensors:
            raise InterpError(f"Nothing was given for {site}, which {self.path} holds.")
        values = np.asarray(tensors[site])
        values = values if self.rows == "both" else values[None]
        _, rows, steps, width = self._array(site).shape
        if values.shape != (rows, n, steps, width):
            raise InterpError(
                f"Activations at {site} have the shape {values.shape}, and {self.path} takes "
                f"{(rows, n, steps, width)} [row, clip, step, width]; all clips must be equally long."
            )
        largest, most = float(np.abs(values).max()), float(np.finfo(self.dtype).max)
        if not np.isfinite(largest):
            raise InterpError(f"Activations at {site} are not finite (NaN or infinite).")
        if largest > most:
            raise InterpError(
                f"Activations at {site} reach {largest:g}, and {self.dtype} ends at {most:g}; "
                "use dtype='float32'."
            )
        return values.astype(self.dtype)


def _make(path: Path, attributes: Mapping[str, Any]) -> None:
    """Make a store without clips, and put it into place whole."""
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    n, rows, steps = len(attributes["clips"]), len(ROWS[attributes["rows"]]), len(attributes["seconds"])
    group = zarr.create_group(partial, attributes=dict(attributes))
    for site, width in zip(attributes["sites"], attributes["widths"], strict=True):
        group.create_array(
            site,
            shape=(n, rows, steps, width),
            chunks=(1, 1, steps, width),
            dtype=attributes["dtype"],
            filters=None,
            compressors=[Crc32cCodec()],  # no compression: the mantissas of activations are noise
            fill_value=float("nan"),  # never written, so it tells that a chunk is missing
            chunk_key_encoding={"name": "default", "separator": "."},
            dimension_names=("clip", "row", "step", "width"),
        )
    (partial / "complete").mkdir()
    try:
        os.rename(partial, path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        shutil.rmtree(partial)  # another worker was first


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Say in one line that a write failed, and what is safe."""
    try:
        yield
    except OSError as error:
        raise InterpError(
            f"Cannot write to {path}: {error.strerror or error}. Every complete clip is kept; make room and "
            "run the same capture again, which goes on where it stopped."
        ) from error


def _write_json(path: Path, value: Any) -> None:
    partial = path.with_suffix(f".{uuid.uuid4().hex}.partial")
    try:
        with partial.open("w") as file:
            json.dump(value, file, sort_keys=True, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flat(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes with what the store was made from first, since it explains other differences."""
    rest = {key: value for key, value in attributes.items() if key != "made_from"}
    return {**attributes["made_from"], **rest}


def _differences(there: Any, here: Any, name: str = "") -> Iterator[str]:
    """What differs between two trees of plain values, by dotted name."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in dict.fromkeys([*there, *here]):
            yield from _differences(there.get(key), here.get(key), f"{name}.{key}" if name else key)
    elif there != here:
        short = [str(value) if len(str(value)) <= 40 else f"{str(value)[:36]} …" for value in (there, here)]
        yield f"{name} is {short[0]} there and {short[1]} here"
