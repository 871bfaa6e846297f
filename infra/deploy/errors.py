"""What a command can end with: one sentence for a person each."""


class DeployError(Exception):
    """The text is a whole sentence and holds no secret.

    DeployError
    ├── RunpodRefused      the request does not fit; repeating it changes nothing
    │   ├── RunpodDenied   401, 403
    │   └── RunpodMissing  404
    ├── RunpodDown         no answer, 5xx or an unreadable one: a write may have happened
    └── StoreRefused       what the object store said, with its code
    """


class RunpodRefused(DeployError):
    pass


class RunpodDenied(RunpodRefused):
    pass


class RunpodMissing(RunpodRefused):
    pass


class RunpodDown(DeployError):
    pass


class StoreRefused(DeployError):
    """`code` is S3's own name for it, or the kind of the failure where there was no answer."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code
