"""What is wrong at the moment, and what was: which faults strike, and when nothing could work."""

import random
import time

from tests.chaos.plan import CALM, Odds

AFTERMATH_S = 12.0
"""Seconds after a repair in which an error may still be its consequence."""


class Weather:
    """One for the campaign. `luck` makes its decisions; with one seed they come in one order."""

    def __init__(self, odds: Odds, luck: random.Random) -> None:
        self.odds = odds
        self.luck = luck
        self._since: dict[str, float] = {}
        self._windows: list[tuple[float, float]] = []

    @property
    def is_calm(self) -> bool:
        return self.odds is CALM

    def calm_down(self) -> None:
        self.odds = CALM

    def strikes(self, chance: float) -> bool:
        return chance > 0 and self.luck.random() < chance

    def begins(self, trouble: str) -> None:
        self._since.setdefault(trouble, time.monotonic())

    def ends(self, trouble: str) -> None:
        began = self._since.pop(trouble, None)
        if began is not None:
            self._windows.append((began, time.monotonic()))

    def is_down(self, name: str) -> bool:
        """Whether that trouble lasts, so that somebody sees to it already."""
        return name in self._since

    def explains(self, moment: float) -> bool:
        """Whether something was broken then, or shortly before."""
        windows = [*self._windows, *((began, moment) for began in self._since.values())]
        return any(began <= moment <= ended + AFTERMATH_S for began, ended in windows)
