"""Why weights cannot be used, each in one line that names the place and what to do."""


class CheckpointError(Exception):
    """Weights cannot be used. The message is one line, whatever a file or a server put into it."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class WeightsMissing(CheckpointError):
    """There are none where they were looked for."""


class WeightsIncomplete(CheckpointError):
    """A download broke off: fetching again may heal it."""


class WeightsDamaged(CheckpointError):
    """A file contradicts itself, or cannot be read."""


class WrongArchitecture(CheckpointError):
    """Weights of another model, or in another format."""


class RepositoryGated(CheckpointError):
    """The hub asks for a token, or for one with access."""


class RepositoryMissing(CheckpointError):
    """The hub knows no such repository, or shows it to nobody with this token."""


class HubUnreachable(CheckpointError):
    """The hub cannot be asked, or broke off while it answered."""


class MemoryShort(CheckpointError, MemoryError):
    """The device has too little free memory for the parameters."""
