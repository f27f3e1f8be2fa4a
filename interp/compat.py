"""Make audiocraft importable beside today's torch, on every platform.

Call :func:`prepare` once before the first ``import audiocraft``.  It deals with three things, and with
nothing else:

1. **xformers** has no wheel for macOS and few for Linux, and audiocraft imports it unconditionally at the top
   of ``modules/transformer.py``.  With the default attention backend it uses three names only: ``unbind``,
   ``LowerTriangularMask`` as a flag, and ``memory_efficient_attention`` in the backend that is not the
   default.  Where the real package is missing or does not load, a stand-in with these three names takes its
   place.
2. **torchaudio** from PyPI links CUDA libraries on Linux, so beside a CPU build of torch its import ends in
   ``OSError: libc10_cuda.so``.  torchaudio supports running without its compiled extension (its loader
   returns False when the library files are absent), and MusicGen needs only its pure-Python transforms.
   Where the extension cannot be used, torchaudio is told that the files are absent.  Nothing on disk is
   touched.
3. **The attention backend** must be torch's when xformers is a stand-in.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

__all__ = ["prepare", "xformers_is_stand_in"]


def prepare() -> None:
    """Prepare this process for ``import audiocraft``; a second call does nothing.

    Raises
    ------
    ModuleNotFoundError
        If torch or torchaudio is not installed.
    """
    _prepare_torchaudio()
    _prepare_xformers()


def xformers_is_stand_in() -> bool:
    """Whether the loaded ``xformers`` is the stand-in of this module."""
    return getattr(sys.modules.get("xformers"), "is_interp_stand_in", False)


# --- torchaudio ---


def _prepare_torchaudio() -> None:
    if "torchaudio" in sys.modules:
        return
    spec = importlib.util.find_spec("torchaudio")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("torchaudio is not installed; install the project's lock file first.")
    root = Path(spec.submodule_search_locations[0])
    if _torchaudio_extension_works(root / "lib"):
        return
    # torchaudio/_extension/__init__.py asks its sibling utils.py to load "lib/_torchaudio*.so" and carries on
    # without the extension when there is no such file.  utils.py imports nothing from its own package, so it
    # can be loaded ahead of it, with its library folder set to one that has no libraries.
    name = "torchaudio._extension.utils"
    utils_spec = importlib.util.spec_from_file_location(name, root / "_extension" / "utils.py")
    utils = importlib.util.module_from_spec(utils_spec)
    utils_spec.loader.exec_module(utils)
    utils._LIB_DIR = root / "lib" / "left-out-by-interp-compat"
    sys.modules[name] = utils


def _torchaudio_extension_works(lib_dir: Path) -> bool:
    """Whether torchaudio's compiled libraries load beside the installed torch (CPU or the same CUDA)."""
    import torch

    suffix = ".pyd" if sys.platform == "win32" else ".so"
    for stem in ("_torchaudio", "libtorchaudio"):
        for path in lib_dir.glob(f"{stem}*{suffix}"):
            try:
                torch.ops.load_library(path)
            except OSError:  # a library that it links (libc10_cuda.so, libcudart.so) is not there
                return False
    if not hasattr(torch.ops._torchaudio, "cuda_version"):
        return True  # no extension was installed: torchaudio already copes
    built_for = torch.ops._torchaudio.cuda_version()  # 12080 for CUDA 12.8; None for a CPU build
    if built_for is None or torch.version.cuda is None:
        return True
    major, minor = torch.version.cuda.split(".")[:2]
    return built_for // 1000 == int(major) and built_for % 1000 // 10 == int(minor)


# --- xformers ---


def _prepare_xformers() -> None:
    if "xformers" in sys.modules:
        return
    if importlib.util.find_spec("xformers") is not None:
        try:
            importlib.import_module("xformers.ops")
            return
        except (ImportError, OSError, AttributeError):
            # Built for another torch or CUDA.  Drop what a failed import left, then use the stand-in.
            for name in [n for n in sys.modules if n == "xformers" or n.startswith("xformers.")]:
                del sys.modules[name]
    _register_stand_in()


def _register_stand_in() -> None:
    import torch

    package, ops = ModuleType("xformers"), ModuleType("xformers.ops")
    # A spec on each, since libraries probe for packages with importlib.util.find_spec, which refuses None.
    package.__spec__ = ModuleSpec("xformers", loader=None, is_package=True)
    ops.__spec__ = ModuleSpec("xformers.ops", loader=None)
    package.__path__ = []
    package.is_interp_stand_in = True
    package.__version__ = "0.0.0"

    class LowerTriangularMask:
        """Flag for a causal mask; audiocraft's torch backend only checks that it is not None."""

    def memory_efficient_attention(*args, **kwargs):
        raise RuntimeError(
            "The xformers attention backend was asked for, but xformers is not installed: call "
            "audiocraft.modules.transformer.set_efficient_attention_backend('torch') or install xformers."
        )

    ops.unbind = torch.unbind
    ops.LowerTriangularMask = LowerTriangularMask
    ops.memory_efficient_attention = memory_efficient_attention
    package.ops = ops
    sys.modules["xformers"], sys.modules["xformers.ops"] = package, ops
