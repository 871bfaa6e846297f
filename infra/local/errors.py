"""Why the stack does not run."""


class StackError(Exception):
    """The text is for a person, and its first line says why."""


class StackCancelled(Exception):
    """Somebody asked for the end while the stack was starting."""
