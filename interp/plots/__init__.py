"""Figures: one function each, which returns a matplotlib figure with its alternative text as ``figure.alt``.

Colours are Okabe & Ito's (2008), which colour-blind readers can tell apart; lines also differ by marker.
Figures are made without pyplot, so that none stays in memory after its last use and no display is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from ..errors import InterpError, check_list
from ..stats import Interval

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]


def _style(i: int) -> dict[str, str]:
    """Colour and marker of the i-th of many: no two of the first 49 share both."""
    return {"color": COLOURS[i % 7], "marker": MARKERS[(i + i // 7) % 7]}


def _figure(alt: str, rows: int = 1, columns: int = 1, size: tuple[float, float] = (7, 4), **options: Any):
    """A figure with its axes as an array [row, column]."""
    if not alt or not alt.strip():
        raise InterpError("A figure needs alternative text: say in a sentence what it shows.")
    figure = Figure(figsize=size, layout="constrained")
    figure.alt = alt
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _as_numpy(x: Any) -> np.ndarray:
    """An array from a numpy array or a torch tensor, half precision included."""
    return np.asarray(x.float().cpu() if hasattr(x, "cpu") else x, dtype=float)


def architecture(facts: Mapping[str, Any], alt: str | None = None) -> Figure:
    """Draw a model from ``Model.describe()``: text encoder, blocks and their sites, delay pattern, codec."""
    f = facts
    alt = alt or (
        f"Diagram of {f['name']}: text goes through a text encoder of width {f['d_text']} into the "
        f"cross-attention of {f['n_layers']} transformer blocks of width {f['d_model']} with {f['n_heads']} "
        f"heads each; they read and predict {f['n_codebooks']} codebooks of {f['cardinality']} entries with "
        f"delays {f['delays']}, {f['frame_rate']:g} frames per second, which a codec turns into sound at "
        f"{f['sample_rate']:,} Hz."
    )
    figure, axes = _figure(alt, size=(8.4, 5.4))
    ax = axes[0, 0]
    ax.set(xlim=(0, 10.4), ylim=(0, 8.4))
    ax.axis("off")

    def box(
        x: float, y: float, width: float, height: float, text: str, colour: str, face: float = 0.15
    ) -> None:
        patch = FancyBboxPatch(
            (x, y), width, height, boxstyle="round,pad=0.05", linewidth=1.5, edgecolor=colour
        )
        patch.set_facecolor((*_rgb(colour), face))
        ax.add_patch(patch)
        ax.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=9)

    def arrow(start: tuple[float, float], end: tuple[float, float], label: str = "", dx: float = 0.1) -> None:
        ax.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, color="#444444"))
        if label:
            middle = ((start[0] + end[0]) / 2 + dx, (start[1] + end[1]) / 2)
            ax.text(*middle, label, fontsize=8, color="#444444", va="center", family="monospace")

    text, block, part, sound = COLOURS[0], "#666666", COLOURS[2], COLOURS[1]
    last = f["n_layers"] - 1
    box(0.1, 3.7, 2.5, 1.1, f"text encoder (T5)\nwidth {f['d_text']}, then\nlinear to {f['d_model']}", text)
    ax.text(1.35, 2.75, '"calm piano music"', ha="center", fontsize=9, style="italic")
    arrow((1.35, 2.95), (1.35, 3.6))
    box(3.4, 2.2, 3.6, 4.0, "", block, face=0.05)
    ax.text(3.5, 5.95, f"block i, one of {f['n_layers']} (0 to {last})", fontsize=9, va="center")
    for y, name, site in (
        (5.0, "MLP", "mlp.i"),
        (3.8, "cross-attention", "cross.i"),
        (2.6, "self-attention", "attn.i"),
    ):
        heads = (
            f"{f['n_heads']} heads of {f['d_model'] // f['n_heads']}"
            if "attention" in name
            else f"width {f['d_mlp']}"
        )
        box(3.7, y, 2.4, 0.65, f"{name}\n{heads}", part)
        arrow((6.1, y + 0.32), (6.65, y + 0.32))
        ax.text(7.1, y + 0.32, site, fontsize=8, color="#444444", va="center", family="monospace")
    arrow((2.65, 4.2), (3.62, 4.1))
    ax.plot([6.7, 6.7], [1.75, 6.6], color="#444444", linewidth=2.5)  # the residual stream
    ax.text(6.85, 1.86, "resid.pre", fontsize=8, color="#444444", family="monospace")
    ax.text(7.15, 6.35, f"resid.0 ... resid.{last}", fontsize=8, color="#444444", family="monospace")
    ax.text(7.15, 6.1, f"[2 x clips, step, {f['d_model']}]", fontsize=8, color="#444444", va="center")
    delays = ", ".join(map(str, f["delays"]))
    box(
        3.4,
        0.5,
        3.6,
        1.2,
        f"sum of {f['n_codebooks']} embeddings\n{f['cardinality']} entries + 1 special token\n"
        f"delays {delays} frames",
        sound,
    )
    box(
        3.4,
        6.7,
        3.6,
        0.9,
        f"{f['n_codebooks']} output layers, {f['cardinality']} tokens\n{f['frame_rate']:g} steps a second",
        sound,
    )
    box(8.1, 6.7, 2.1, 0.9, f"codec\n{f['sample_rate'] / 1000:g} kHz sound", sound)
    arrow((7.05, 7.15), (8.02, 7.15))
    total = f"{f['n_parameters'] / 1e6:,.1f} M parameters, without text encoder and codec"
    ax.set_title(f"{f['name']}: {total}", fontsize=10)
    return figure


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))


def waveforms(audio: Any, sample_rate: int, titles: Sequence[str], alt: str, n_mels: int = 64) -> Figure:
    """Waveform over mel spectrogram for each clip, on common scales so that level differences show.

    Parameters
    ----------
    audio : array or tensor
        [clip, channel, sample] or [clip, sample]; full scale is 1.
    titles : list of str
        One per clip.
    """
    import librosa

    titles = check_list(titles, "titles")
    clips = np.stack([x.mean(0) if x.ndim == 2 else x for x in _as_numpy(audio)])
    if len(clips) != len(titles):
        raise InterpError(f"{len(titles)} titles for {len(clips)} clips; give one each.")
    figure, axes = _figure(alt, 2, len(clips), size=(2.1 * len(clips) + 0.8, 4.2), sharex=True, sharey="row")
    seconds, highest = clips.shape[1] / sample_rate, sample_rate / 2
    mels = [
        librosa.feature.melspectrogram(y=y, sr=sample_rate, n_mels=n_mels, n_fft=1024, hop_length=256)
        for y in clips
    ]
    top = 10 * np.log10(max(mel.max() for mel in mels) + 1e-10)
    for column, (y, mel, title) in enumerate(zip(clips, mels, titles, strict=True)):
        shown = y[:: max(1, len(y) // 20_000)]
        axes[0, column].plot(np.linspace(0, seconds, len(shown)), shown, color=COLOURS[0], linewidth=0.4)
        axes[0, column].set_title(title, fontsize=9)
        image = axes[1, column].imshow(
            10 * np.log10(mel + 1e-10),
            origin="lower",
            aspect="auto",
            extent=(0, seconds, 0, n_mels),
            vmin=top - 70,
            vmax=top,
            cmap="cividis",
        )
        axes[1, column].set_xlabel("time (s)")
        axes[1, column].locator_params(
            axis="x", nbins=4, prune="upper"
        )  # or labels of neighbours run together
    edges = librosa.mel_frequencies(n_mels, fmax=highest)
    marks = [f for f in (250, 500, 1000, 2000, 4000, 8000) if f < highest]
    axes[1, 0].set_yticks(
        [float(np.interp(f, edges, np.arange(n_mels))) for f in marks], [str(f) for f in marks]
    )
    axes[0, 0].set_ylabel("amplitude (of 1)")
    axes[1, 0].set_ylabel("frequency (Hz)")
    figure.colorbar(image, ax=axes[1, :].tolist(), label="power (dB)")
    return figure


def norms_by_layer(
    series: Mapping[str, Sequence[Any]], alt: str, layers: Sequence[int] | None = None
) -> Figure:
    """Norm of activations against depth: median over clips and steps, band from the 5th to 95th percentile.

    Parameters
    ----------
    series : dict
        From a label (a model, an emotion) to one tensor [clip, step, width] per layer.
    """
    figure, axes = _figure(alt)
    ax = axes[0, 0]
    for i, (label, tensors) in enumerate(series.items()):
        norms = [np.linalg.norm(_as_numpy(x), axis=-1).ravel() for x in tensors]
        x = list(range(len(norms))) if layers is None else list(layers)
        low, middle, high = np.array([np.percentile(n, [5, 50, 95]) for n in norms]).T
        ax.plot(x, middle, markersize=4, label=label, **_style(i))
        ax.fill_between(x, low, high, color=COLOURS[i % 7], alpha=0.15, linewidth=0)
    ax.set(xlabel="layer", ylabel="norm of an activation (model units)", ylim=(0, None))
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(frameon=False, fontsize=9)
    return figure


def norms_over_time(series: Mapping[str, Any], seconds: Any, alt: str) -> Figure:
    """Norm of activations against time: mean over clips.

    Parameters
    ----------
    series : dict
        From a label to a tensor [clip, step, width].
    seconds : array
        [step], as in ``Activations.seconds``.
    """
    figure, axes = _figure(alt)
    ax = axes[0, 0]
    for i, (label, x) in enumerate(series.items()):
        mean = np.linalg.norm(_as_numpy(x), axis=-1).mean(0)
        ax.plot(np.asarray(seconds), mean, color=COLOURS[i % 7], linewidth=1, label=label)
    ax.set(xlabel="time in the clip (s)", ylabel="norm of an activation (model units)")
    ax.legend(frameon=False, fontsize=9)
    return figure


def cosine_heatmap(cosines: Any, labels: Sequence[str], alt: str, title: str = "") -> Figure:
    """A square table of cosines with their values written in, on a scale from -1 to 1."""
    table, labels = _as_numpy(cosines), check_list(labels, "labels")
    if table.shape != (len(labels), len(labels)):
        raise InterpError(f"A table of {list(table.shape)} does not go with {len(labels)} labels.")
    side = 1.6 + 0.62 * len(labels)
    figure, axes = _figure(alt, size=(side + 1.2, side))
    ax = axes[0, 0]
    image = ax.imshow(table, vmin=-1, vmax=1, cmap="PuOr")
    ax.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    ax.set_yticks(range(len(labels)), labels)
    for (i, j), value in np.ndenumerate(table):
        ax.text(
            j, i, f"{value:.2f}", ha="center", va="center", fontsize=8, color="w" if abs(value) > 0.6 else "k"
        )
    ax.set_title(title, fontsize=10)
    figure.colorbar(image, ax=ax, label="cosine")
    return figure


def within_between(
    series: Mapping[str, Mapping[str, Sequence]], layers: Sequence[int | str], alt: str
) -> Figure:
    """Difference of centred cosines within and between conditions against depth, one panel per model.

    Parameters
    ----------
    series : dict
        From a model's name to ``{"estimates": [Interval, ...], "nulls": [array, ...]}``, one per layer:
        :func:`interp.stats.contrast.difference_interval`, and the null of its ``permutation_test``, which
        is drawn as the band between its 2.5th and 97.5th percentile.
    layers : list
        What the layers are called on the axis.
    """
    figure, axes = _figure(alt, 1, len(series), size=(2.6 * len(series) + 1, 3.4), sharey=True)
    x = np.arange(len(layers))
    for i, (ax, (name, found)) in enumerate(zip(axes[0], series.items(), strict=True)):
        estimates: list[Interval] = list(found["estimates"])
        if not len(estimates) == len(found["nulls"]) == len(layers):
            raise InterpError(f"{name} has {len(estimates)} estimates for {len(layers)} layers.")
        low, high = np.array([np.quantile(null, [0.025, 0.975]) for null in found["nulls"]]).T
        ax.fill_between(x, low, high, color="#999999", alpha=0.35, linewidth=0, label="chance (95 %)")
        middle = np.array([e.estimate for e in estimates])
        spread = [middle - [e.low for e in estimates], [e.high for e in estimates] - middle]
        ax.errorbar(
            x,
            middle,
            np.maximum(spread, 0),
            **_style(i),
            markersize=4,
            capsize=2,
            linewidth=1,
            label="estimate, 95 % interval",
        )
        ax.axhline(0, color="k", linewidth=0.6)
        ax.set_xticks(x, [str(layer) for layer in layers], rotation=90 if len(layers) > 8 else 0)
        ax.set_title(name, fontsize=10)
        ax.set_xlabel("layer")
    axes[0, 0].set_ylabel("cosine within minus between")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def cosines_by_layer(
    panels: Mapping[str, Mapping[str, Sequence[float]]], layers: Sequence[int | str], alt: str
) -> Figure:
    """Cosines as they are against depth: a panel for each model, a line for each kind of pair.

    Parameters
    ----------
    panels : dict
        From a model's name to ``{kind of pair: [cosine of each layer]}``.
    """
    figure, axes = _figure(alt, 1, len(panels), size=(2.6 * len(panels) + 1, 3.4), sharey=True)
    x = np.arange(len(layers))
    for ax, (name, lines) in zip(axes[0], panels.items(), strict=True):
        for i, (kind, cosines) in enumerate(lines.items()):
            ax.plot(x, cosines, markersize=4, linewidth=1, label=kind, **_style(i))
        ax.axhline(1, color="k", linewidth=0.6)
        ax.set_xticks(x, [str(layer) for layer in layers], rotation=90 if len(layers) > 8 else 0)
        ax.set_title(name, fontsize=10)
        ax.set_xlabel("layer")
    lowest = min(np.nanmin(c) for lines in panels.values() for c in lines.values())  # NaN: no such pair
    room = 0.08 * (1 - lowest) + 1e-4
    axes[0, 0].set(ylabel="cosine, not centred", ylim=(lowest - room, 1 + room))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9)
    return figure


def cues_by_condition(
    series: Mapping[str, Mapping[str, Mapping[str, Interval]]], units: Mapping[str, str], alt: str
) -> Figure:
    """Measured cues under each condition, a panel for each cue, models side by side with intervals.

    Parameters
    ----------
    series : dict
        ``series[model][condition][cue]``; a cue that could not be measured there is left out.
    units : dict
        From each cue to its unit: the panels, in order.
    """
    columns = min(3, len(units))  # wider, and a page would make the letters too small to read
    rows = -(-len(units) // columns)
    figure, axes = _figure(alt, rows, columns, size=(2.7 * columns, 2.3 * rows + 0.4))
    conditions = list(next(iter(series.values())))
    for ax, (cue, unit) in zip(axes.flat, units.items(), strict=False):
        for i, (name, by_condition) in enumerate(series.items()):
            found = [(k, by_condition[c][cue]) for k, c in enumerate(conditions) if cue in by_condition[c]]
            x = [k + 0.22 * (i - (len(series) - 1) / 2) for k, _ in found]
            middle = np.array([v.estimate for _, v in found])
            spread = np.array([[v.estimate - v.low, v.high - v.estimate] for _, v in found]).reshape(-1, 2).T
            style = _style(i) | {"markersize": 4, "capsize": 2}
            ax.errorbar(x, middle, np.maximum(spread, 0), linestyle="none", label=name, **style)
        ax.set_xticks(range(len(conditions)), conditions, fontsize=8)
        ax.set_xlim(-0.5, len(conditions) - 0.5)
        ax.set_title(cue.replace("_", " "), fontsize=10)
        ax.set_ylabel(unit, fontsize=8)
    for ax in axes.flat[len(units) :]:
        ax.axis("off")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9)
    return figure


def rates(found: Sequence[Any], alt: str) -> Figure:
    """Measured rates with their intervals, a panel for each kind, nominal rate dashed.

    Parameters
    ----------
    found : list of interp.validate.Rate
    """
    kinds = list(dict.fromkeys(rate.kind for rate in found))
    counts = sorted({rate.clusters for rate in found})
    names = {kind: list(dict.fromkeys(r.name for r in found if r.kind == kind)) for kind in kinds}
    figure, axes = _figure(
        alt,
        len(kinds),
        size=(7, 1.2 * len(kinds) + 0.42 * sum(map(len, names.values()))),
        height_ratios=[len(names[kind]) + 1 for kind in kinds],
    )
    for ax, kind in zip(axes[:, 0], kinds, strict=True):
        for i, count in enumerate(counts):
            shown = [rate for rate in found if rate.kind == kind and rate.clusters == count]
            y = [names[kind].index(r.name) + 0.24 * (i - (len(counts) - 1) / 2) for r in shown]
            middle = np.array([rate.rate for rate in shown])
            spread = [middle - [rate.low for rate in shown], [rate.high for rate in shown] - middle]
            style = _style(i) | {"markersize": 4, "capsize": 2}
            ax.errorbar(middle, y, xerr=np.maximum(spread, 0), linestyle="none", label=str(count), **style)
        nominal = next(rate.nominal for rate in found if rate.kind == kind)
        ax.axvline(nominal, color="k", linewidth=0.6, linestyle="--")
        ax.set_yticks(range(len(names[kind])), names[kind], fontsize=9)
        ax.set_ylim(len(names[kind]) - 0.5, -0.5)
        ax.set_title(kind, fontsize=10)
    axes[-1, 0].set_xlabel("share of data sets, 95 % interval")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, title="clusters", loc="outside right upper", frameon=False, fontsize=9)
    return figure
