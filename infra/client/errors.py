"""What a call can raise.

ClientError
├── ApiError         the API refused, in its envelope
├── AnswerMalformed  something answered, but not this API
├── Unreachable      nothing answered in time
├── TransferFailed   the object store refused an upload or a download
└── JobStillOpen     waiting for a job took longer than allowed
"""


class ClientError(Exception):
    """Anything that this client raises for reasons outside the program that uses it."""


class ApiError(ClientError):
    """An error envelope. `details` is what its code defines, a list of {path, message} for one."""

    def __init__(
        self, status: int, code: str, message: str, details: object, request_id: str | None
    ) -> None:
        super().__init__(f"{code} ({status}): {message}")
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.request_id = request_id


class AnswerMalformed(ClientError):
    """The answer is not an envelope, or its data is not of the form that the call promises."""

    def __init__(self, call: str, status: int, reason: str, excerpt: str) -> None:
        shown = f": {excerpt!r}" if excerpt else ""
        super().__init__(f"{call} answered {status}, not as this API does ({reason}){shown}")
        self.call = call
        self.status = status
        self.excerpt = excerpt


class Unreachable(ClientError):
    """No answer: refused, broken off or out of time, after all repeats that are safe."""

    def __init__(self, call: str, reason: str) -> None:
        super().__init__(f"{call}: no answer ({reason})")
        self.call = call


class TransferFailed(ClientError):
    """The object store answered an upload or a download with something else than success."""

    def __init__(self, call: str, status: int, excerpt: str) -> None:
        super().__init__(f"{call} answered {status}: {excerpt!r}")
        self.call = call
        self.status = status


class JobStillOpen(ClientError):
    """The job had not ended when the time to wait was over."""

    def __init__(self, job_id: str, status: str, seconds: float) -> None:
        super().__init__(f"job {job_id} is still {status} after {seconds:.0f} s")
        self.job_id = job_id
        self.status = status
