"""What differs between two versions of the results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..key import differences
from ..project import digest, file_digest
from .record import Phase, Version

ABSENT = "absent"


@dataclass(frozen=True)
class Number:
    """One number of one phase; None where a side does not have it."""

    phase: str
    name: str
    old: float | None
    new: float | None
    unit: str
    old_interval: tuple[float, float] | None
    new_interval: tuple[float, float] | None

    @property
    def change(self) -> float | None:
        return None if self.old is None or self.new is None else self.new - self.old

    @property
    def overlap(self) -> bool | None:
        """Whether the intervals have a point in common; None where a side has no interval."""
        if self.old_interval is None or self.new_interval is None:
            return None
        return self.old_interval[0] <= self.new_interval[1] and self.new_interval[0] <= self.old_interval[1]


@dataclass(frozen=True)
class Seen:
    """One figure, sound or table that differs: what is known of it on both sides, in words."""

    phase: str
    name: str
    what: str


@dataclass
class Difference:
    """Everything that differs; empty lists where nothing does."""

    old: str
    new: str
    numbers: list[Number] = field(default_factory=list)
    verdicts: dict[str, tuple[str, str]] = field(default_factory=dict)
    figures: list[Seen] = field(default_factory=list)
    tables: list[Seen] = field(default_factory=list)
    audio: list[Seen] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    environment: list[str] = field(default_factory=list)
    same_numbers: int = 0

    def __bool__(self) -> bool:
        return any([self.numbers, self.verdicts, self.figures, self.tables, self.audio, self.parameters,
                    self.code, self.environment])  # fmt: skip

    def as_plain(self) -> dict[str, Any]:
        plain = asdict(self)
        for row, number in zip(plain["numbers"], self.numbers, strict=True):
            row |= {"change": number.change, "intervals_overlap": number.overlap}
        return plain


def compare(old: Version, new: Version) -> Difference:
    """Compare two versions."""
    found = Difference(old.name, new.name)
    for phase in dict.fromkeys([*old.phases, *new.phases]):
        before, after = old.phases.get(phase), new.phases.get(phase)
        if before is None or after is None:
            side = new.name if before is None else old.name
            found.code.append(f"{phase}: only in {side}")
        numbers = list(_numbers(phase, before, after))
        found.numbers += [number for number in numbers if _differs(number)]
        found.same_numbers += sum(not _differs(number) for number in numbers)
        found.figures += _figures(phase, before, after)
        found.tables += _tables(phase, before, after)
        found.audio += _audio(phase, before, after)
        if before and after:
            _parts(found, phase, before.manifest, after.manifest)
    for name in sorted({*old.verdicts, *new.verdicts}):
        words = old.verdicts.get(name, ABSENT), new.verdicts.get(name, ABSENT)
        if words[0] != words[1]:
            found.verdicts[name] = words
    return found


def _of(phase: Phase | None, kind: str) -> dict[str, Any]:
    return phase.results.get(kind, {}) if phase else {}


def _pairs(before: Phase | None, after: Phase | None, kind: str) -> Iterator[tuple[str, Any, Any]]:
    one, other = _of(before, kind), _of(after, kind)
    for name in dict.fromkeys([*one, *other]):
        yield name, one.get(name), other.get(name)


def _numbers(phase: str, before: Phase | None, after: Phase | None) -> Iterator[Number]:
    for name, old, new in _pairs(before, after, "numbers"):
        interval = [tuple(side["interval"]) if side and side["interval"] else None for side in (old, new)]
        values = [side["value"] if side else None for side in (old, new)]
        yield Number(phase, name, *values, (new or old)["unit"], *interval)


def _differs(number: Number) -> bool:
    return number.old != number.new or number.old_interval != number.new_interval


def _one_sided(phase: str, name: str, old: Any, new: Any) -> Seen | None:
    if old is None or new is None:
        return Seen(phase, name, "new" if old is None else "no longer there")
    return None


def _figures(phase: str, before: Phase | None, after: Phase | None) -> Iterator[Seen]:
    for name, old, new in _pairs(before, after, "figures"):
        if one := _one_sided(phase, name, old, new):
            yield one
            continue
        paths = before.figures / old["file"], after.figures / new["file"]
        if file_digest(paths[0]) != file_digest(paths[1]):
            yield Seen(phase, name, image_difference(*paths))


def image_difference(old: Path, new: Path) -> str:
    """In words: how many pixels differ, and by how much of the range from black to white on average."""
    import numpy as np
    from PIL import Image

    for path, side in ((old, "old"), (new, "new")):
        if not path.is_file():
            return f"the {side} picture is missing"
    one, other = (Image.open(path).convert("RGB") for path in (old, new))
    if one.size != other.size:
        return f"{one.size[0]}×{one.size[1]} → {other.size[0]}×{other.size[1]} pixels"
    apart = np.abs(np.asarray(one, dtype=float) - np.asarray(other, dtype=float)).max(axis=2) / 255
    if not apart.any():
        return "the same picture in another file"
    return f"{np.mean(apart > 0):.1%} of the pixels differ, by {apart[apart > 0].mean():.0%} on average"


def _tables(phase: str, before: Phase | None, after: Phase | None) -> Iterator[Seen]:
    for name, old, new in _pairs(before, after, "tables"):
        if one := _one_sided(phase, name, old, new):
            yield one
            continue
        rows = [[table["heads"], *table["rows"]] for table in (old, new)]
        if digest(rows[0]) == digest(rows[1]):
            continue
        shapes = [f"{len(side) - 1}×{len(side[0])}" for side in rows]
        if shapes[0] != shapes[1]:
            yield Seen(phase, name, f"{shapes[0]} → {shapes[1]} cells")
        else:
            cells = [cell for side in rows for row in side for cell in row]
            half = len(cells) // 2
            changed = sum(a != b for a, b in zip(cells[:half], cells[half:], strict=True))
            yield Seen(phase, name, f"{changed} of {half} cells differ")


def _audio(phase: str, before: Phase | None, after: Phase | None) -> Iterator[Seen]:
    for name, old, new in _pairs(before, after, "audio"):
        if one := _one_sided(phase, name, old, new):
            yield one
        elif old["sha256"] != new["sha256"]:
            one, other = features(before.sounds / old["file"]), features(after.sounds / new["file"])
            said = [
                f"{feature} {one[feature]:.4g} → {other[feature]:.4g}"
                for feature in one
                if f"{one[feature]:.4g}" != f"{other[feature]:.4g}"
            ]
            yield Seen(phase, name, "; ".join(said) or "other samples, the same features")


def features(path: Path) -> dict[str, float]:
    """Length in s, level in dB (full scale 0), centroid of the power spectrum in Hz."""
    import numpy as np
    import soundfile

    wave, rate = soundfile.read(path, always_2d=True)
    mono = wave.mean(axis=1)
    power = np.abs(np.fft.rfft(mono)) ** 2
    hertz = np.fft.rfftfreq(len(mono), 1 / rate)
    return {
        "seconds": len(mono) / rate,
        "level dB": float(10 * np.log10(np.mean(mono**2) + 1e-12)),
        "centroid Hz": float((power * hertz).sum() / (power.sum() + 1e-12)),
    }


def _parts(found: Difference, phase: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Parameters, code and environment, from what the runs' keys were made of."""
    before, after = old["parts"], new["parts"]
    for part in dict.fromkeys([*before, *after]):
        lines = [
            f"{phase}: {line}" for line in differences({part: before.get(part)}, {part: after.get(part)})
        ]
        kind = found.parameters if part == "parameters" else found.code
        if part in ("lock", "kernel"):
            kind = found.environment
        kind += lines
    packages = differences({"packages": old["packages"]}, {"packages": new["packages"]})
    machine = differences(
        {"threads": old["threads"], "devices": old["devices"]},
        {"threads": new["threads"], "devices": new["devices"]},
    )
    found.environment += [line for line in packages if line not in found.environment]
    found.environment += [f"{phase}: {line}" for line in machine]
