"""What the service refuses, with the HTTP status that says so."""


class Refused(Exception):
    """The text goes to the caller as `{"error": text}`; it repeats nothing that was sent."""

    status = 400


class JobNotFound(Refused):
    """Never there, expired, or past its retention: the service does not tell which."""

    status = 404

    def __init__(self) -> None:
        super().__init__("job not found")


class InvalidRequest(Refused):
    """The body or a parameter does not fit."""


class NotRetryable(Refused):
    """Only a job that failed or timed out can be retried."""

    def __init__(self) -> None:
        super().__init__("only a FAILED or TIMED_OUT job can be retried")


class Unauthorized(Refused):
    """The key is missing or not the one of this side."""

    status = 401

    def __init__(self) -> None:
        super().__init__("unauthorized")


class IllegalTransition(Exception):
    """The state machine was asked for a step that it does not have."""
