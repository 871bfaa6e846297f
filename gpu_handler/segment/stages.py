"""How the steps of opening an engine are timed, by whoever wants to know."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeAlias

Stage: TypeAlias = Callable[[str], AbstractContextManager[object]]
"""Times what happens inside under a name: look, fetch, libraries, weights, words, budget."""
