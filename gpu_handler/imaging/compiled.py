"""Loops compiled by numba, kept between processes where there is a place to keep them."""

import os
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar, cast

import numba

P = ParamSpec("P")
T = TypeVar("T")


class _Config(Protocol):
    CACHE_DIR: str


_config = cast(_Config, import_module("numba.core.config"))

# numba keeps machine code beside the source, and refuses to compile where it cannot write there.
if not _config.CACHE_DIR and not os.access(Path(__file__).parent, os.W_OK):
    _config.CACHE_DIR = str(Path(tempfile.gettempdir()) / "domain-palette-loops")


def compiled(loop: Callable[P, T]) -> Callable[P, T]:
    """`loop` as machine code, compiled when it is first called.

    It runs without the interpreter's lock. Several threads may call it first: one compiles and the
    others wait.
    """
    jit = cast(Callable[..., Any], numba.njit)
    return cast(Callable[P, T], jit(nogil=True, cache=True, boundscheck=False)(loop))
