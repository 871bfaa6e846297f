"""What the store refuses, under the names that S3 gives it."""

from enum import Enum
from xml.sax.saxutils import escape


class S3Error(Enum):
    """S3 error codes as (HTTP status, code, what S3 says by default)."""

    ACCESS_DENIED = (403, "AccessDenied", "Access Denied")
    ACCESS_FORBIDDEN = (403, "AccessForbidden", "This CORS request is not allowed.")
    BAD_DIGEST = (400, "BadDigest", "The digest you specified did not match what was received.")
    BAD_REQUEST = (400, "BadRequest", "The request cannot be understood.")
    CONTENT_MISMATCH = (
        400,
        "XAmzContentSHA256Mismatch",
        "The provided x-amz-content-sha256 header does not match what was computed.",
    )
    ENTITY_TOO_LARGE = (400, "EntityTooLarge", "The upload exceeds the maximum allowed size.")
    HEADER_MALFORMED = (400, "AuthorizationHeaderMalformed", "The authorization header is bad.")
    INCOMPLETE_BODY = (400, "IncompleteBody", "The body is not as long as Content-Length says.")
    INTERNAL = (500, "InternalError", "The store met an internal error. Please try again.")
    INVALID_ARGUMENT = (400, "InvalidArgument", "Invalid Argument")
    INVALID_DIGEST = (400, "InvalidDigest", "The digest you specified is not valid.")
    INVALID_RANGE = (416, "InvalidRange", "The requested range is not satisfiable.")
    INVALID_URI = (400, "InvalidURI", "The specified URI could not be parsed.")
    KEY_TOO_LONG = (400, "KeyTooLongError", "Your key is too long.")
    LENGTH_MISSING = (411, "MissingContentLength", "You must provide the Content-Length header.")
    MALFORMED_XML = (400, "MalformedXML", "The XML you provided was not well-formed or valid.")
    METADATA_TOO_LARGE = (400, "MetadataTooLarge", "Your metadata headers are too large.")
    METHOD_NOT_ALLOWED = (405, "MethodNotAllowed", "The method is not allowed here.")
    NO_SUCH_BUCKET = (404, "NoSuchBucket", "The specified bucket does not exist.")
    NO_SUCH_KEY = (404, "NoSuchKey", "The specified key does not exist.")
    NOT_IMPLEMENTED = (501, "NotImplemented", "This store does not implement that.")
    PRECONDITION_FAILED = (412, "PreconditionFailed", "A precondition you set did not hold.")
    QUERY_MALFORMED = (
        400,
        "AuthorizationQueryParametersError",
        "The query parameters of the signature are bad.",
    )
    SIGNATURE_MISMATCH = (
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided.",
    )
    TIME_SKEWED = (
        403,
        "RequestTimeTooSkewed",
        "The difference between the request time and the store's time is too large.",
    )
    UNKNOWN_ACCESS_KEY = (
        403,
        "InvalidAccessKeyId",
        "The access key id you provided is not known here.",
    )


class Refusal(Exception):
    """A request that ends in an error. `headers` go out with the answer."""

    def __init__(
        self, error: S3Error, message: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        self.status, self.code, said = error.value
        self.message = message or said
        self.headers = headers or {}
        super().__init__(f"{self.code}: {self.message}")

    def document(self, resource: str, request_id: str) -> bytes:
        """The XML body of the answer."""
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{self.code}</Code><Message>{escape(self.message)}</Message>"
            f"<Resource>{escape(resource)}</Resource><RequestId>{request_id}</RequestId></Error>"
        ).encode()
