"""``python -m interp download``: fetch a model of Meta's once, so that everything runs offline afterwards.

The files land in the hub's own cache, where audiocraft and transformers look for them.  A download that was
stopped goes on where it was: what has come so far is kept beside the place where it belongs, under the hash
that the finished file must have.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import time
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from tqdm import tqdm

from .errors import InterpError, unknown

SIZES = ("small", "medium", "large")
CODEC, TEXT = "facebook/encodec_32khz", "t5-base"
LICENCES = (
    "Licence of MusicGen's weights: CC BY-NC 4.0 (Meta): credit them, and no commercial use. T5: Apache 2.0. "
    "What you publish that was made with them has to respect that."
)
MARGIN = 2**30  # bytes to be left free on the disk
ATTEMPTS = 5

# What of a repository is needed, for each backend; one of the second kind only if there is none of the first.
_AUDIOCRAFT = (("state_dict.bin", "compression_state_dict.bin"), ())
_TRANSFORMERS = (("*.json", "*.model", "*.txt", "*.safetensors"), ("pytorch_model*.bin",))


@dataclass(frozen=True)
class File:
    """A file of a repository on the hub."""

    repo: str
    name: str
    size: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("model", help="small, medium, large, or an id such as facebook/musicgen-small")
    parser.add_argument(
        "--backend", default="audiocraft", help="what will run it: audiocraft or transformers"
    )
    parser.add_argument("--again", action="store_true", help="fetch files anew that are there already")


def main(options: argparse.Namespace) -> int:
    """Fetch a model and say where it is."""
    download(options.model, options.backend, again=options.again)
    return 0


def download(
    model: str,
    backend: str = "audiocraft",
    again: bool = False,
    cache: str | Path | None = None,
    endpoint: str | None = None,
) -> list[Path]:
    """Fetch all files of a model: its own, the codec's and the text encoder's.

    Parameters
    ----------
    model : str
        "small", "medium", "large", or an id on the hub.
    backend : {"audiocraft", "transformers"}
        transformers keeps everything in one repository.
    again : bool
        Fetch anew what is there already.
    cache, endpoint : optional
        The hub's cache and address, where they are not the usual ones.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    InterpError
        If there is no such model, no network, not enough room on the disk, or a file does not come whole.
    """
    from huggingface_hub import constants

    if backend not in ("audiocraft", "transformers"):
        raise unknown("backend", backend, ("audiocraft", "transformers"))
    repo = f"facebook/musicgen-{model}" if model in SIZES else model
    if "/" not in repo:
        raise unknown("model", model, [*SIZES, "an id such as facebook/musicgen-small"])
    cache = Path(cache or constants.HF_HUB_CACHE)
    repos = {repo: _AUDIOCRAFT, CODEC: _TRANSFORMERS, TEXT: _TRANSFORMERS}
    if backend == "transformers":
        repos = {repo: _TRANSFORMERS}
    wanted = [file for name, kinds in repos.items() for file in _files(name, kinds, endpoint)]
    missing = [file for file in wanted if again or not _is_here(file, cache)]
    print(LICENCES)
    size = sum(file.size for file in missing)
    here = len(wanted) - len(missing)
    print(f"{len(missing)} files to fetch, {size / 2**30:.2f} GiB, into {cache}; {here} are there already.")
    _check_room(cache, size - sum(_begun(file, cache) for file in missing))
    paths = [_fetch(file, cache, endpoint, again and file in missing) for file in wanted]
    print(f"{repo} is ready and will be loaded without a network: interp.load({repo!r}).")
    return paths


def _files(repo: str, kinds: tuple[tuple[str, ...], tuple[str, ...]], endpoint: str | None) -> list[File]:
    """The files of a repository that are needed, with their sizes."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        listed = HfApi(endpoint=endpoint).model_info(repo, files_metadata=True).siblings
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, OSError) as error:
        raise InterpError(_no_answer(repo, error)) from error
    except Exception as error:
        if not is_connection(error):
            raise
        raise InterpError(_no_answer(repo, error)) from error
    for kind in kinds:
        found = [file for file in listed if any(fnmatch(file.rfilename, pattern) for pattern in kind)]
        if any(file.rfilename.endswith((".bin", ".safetensors")) for file in found):
            break
    else:
        raise InterpError(
            f"{repo} has no weights of this kind ({', '.join(file.rfilename for file in listed[:5])}...); "
            "is it a MusicGen, and is the backend the right one?"
        )
    weights = [file for file in found if file.rfilename.endswith((".bin", ".safetensors"))]
    if kind is kinds[1]:
        plain = [file for file in listed if file.rfilename.endswith((".json", ".model", ".txt"))]
        found = [*plain, *weights]
    return [File(repo, file.rfilename, int(file.size or 0)) for file in found]


def is_connection(error: Exception) -> bool:
    """Whether an error comes from the library through which the hub's library speaks HTTP."""
    return type(error).__module__.startswith("httpx")


def _no_answer(repo: str, error: Exception) -> str:
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return f"The hub did not tell the files of {repo} ({line}); check the name and the network."


def _is_here(file: File, cache: Path) -> bool:
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(file.repo, file.name, cache_dir=cache)
    return isinstance(path, str) and (not file.size or Path(path).stat().st_size == file.size)


def _begun(file: File, cache: Path) -> int:
    """Bytes that an earlier attempt left; which file they are of is told by the largest that can be it."""
    parts = [part.stat().st_size for part in _blobs(file.repo, cache).glob("*.begun")]
    return max((size for size in parts if size <= file.size), default=0)


def _blobs(repo: str, cache: Path) -> Path:
    from huggingface_hub.file_download import repo_folder_name

    return cache / repo_folder_name(repo_id=repo, repo_type="model") / "blobs"


def _check_room(cache: Path, needed: int) -> None:
    existing = cache
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if needed and needed + MARGIN > free:
        raise InterpError(
            f"{needed / 2**30:.1f} GiB are to come and {free / 2**30:.1f} GiB are free in {existing} (1 GiB "
            "is left alone): make room, or set HF_HOME to a folder on another disk."
        )


def _fetch(file: File, cache: Path, endpoint: str | None, again: bool) -> Path:
    """One file into the cache: the hub's library lays the links, once the content is there."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    if not again and _is_here(file, cache):
        return Path(
            hf_hub_download(file.repo, file.name, cache_dir=cache, endpoint=endpoint, local_files_only=True)
        )
    try:
        about = get_hf_file_metadata(hf_hub_url(file.repo, file.name, endpoint=endpoint), endpoint=endpoint)
        blob = _blobs(file.repo, cache) / about.etag
        if again:
            blob.unlink(missing_ok=True)
        if not blob.exists():
            _content(file, about, blob)
        return Path(hf_hub_download(file.repo, file.name, cache_dir=cache, endpoint=endpoint))
    except (HfHubHTTPError, OSError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InterpError(
            f"{file.name} of {file.repo} did not come ({line}); run the command again."
        ) from error


def _content(file: File, about, blob: Path) -> None:
    """The content of a file, in as many attempts as it takes, each going on where the last one stopped."""
    from huggingface_hub.utils import get_session

    blob.parent.mkdir(parents=True, exist_ok=True)
    begun = blob.with_name(f"{blob.name}.begun")
    size, reason = about.size or file.size, "cut short"
    with tqdm(total=size, unit="B", unit_scale=True, desc=f"{file.repo}/{file.name}") as bar:
        for attempt in range(ATTEMPTS):
            time.sleep(0.2 * attempt**3)  # 0, 0.2, 1.6, 5.4, 12.8 s
            have = begun.stat().st_size if begun.exists() else 0
            bar.n = have
            bar.refresh()
            if have < size:
                headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
                try:
                    with get_session().stream(
                        "GET", about.location, headers=headers, follow_redirects=True, timeout=60
                    ) as answer:
                        answer.raise_for_status()
                        with begun.open("ab" if answer.status_code == 206 else "wb") as out:
                            for block in answer.iter_bytes():
                                out.write(block)
                                bar.update(len(block))
                except Exception as error:
                    if not is_connection(error):
                        raise
                    reason = str(error) or type(error).__name__
                have = begun.stat().st_size if begun.exists() else 0
            if have == size:
                break
            if have > size:
                begun.unlink()
                reason = "more came than the file has"
        else:
            raise InterpError(
                f"{file.name} of {file.repo} did not come whole in {ATTEMPTS} attempts ({reason}); "
                "what came is kept: run the command again."
            )
    if _digest(begun, len(about.etag)) != about.etag:
        begun.unlink()
        raise InterpError(
            f"{file.name} of {file.repo} came damaged (checksum) and was deleted; run the command again."
        )
    begun.replace(blob)


def _digest(path: Path, length: int) -> str:
    """SHA-256 for large files, git's own hash for small ones: what the hub names them by."""
    with path.open("rb") as file:
        if length == 64:
            return hashlib.file_digest(file, "sha256").hexdigest()
        return hashlib.sha1(f"blob {path.stat().st_size}\0".encode() + file.read()).hexdigest()
