"""What S3 answers, as `status code`, and every place where a server deliberately differs.

S3's own answers: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

import re
from collections.abc import Mapping

import httpx
from msgspec import Struct

REFUSALS: Mapping[str, str] = {
    "another signature": "403 SignatureDoesNotMatch",
    "another key": "403 SignatureDoesNotMatch",
    "another method": "403 SignatureDoesNotMatch",
    "another host": "403 SignatureDoesNotMatch",
    "an added parameter": "403 SignatureDoesNotMatch",
    "a prolonged life": "403 SignatureDoesNotMatch",
    "a life of eight days": "400 AuthorizationQueryParametersError",
    "a life that has ended": "403 AccessDenied",
    "a life that has not begun": "403 AccessDenied",
    "the wrong secret": "403 SignatureDoesNotMatch",
    "an unknown access key": "403 InvalidAccessKeyId",
    "the wrong region": "400 AuthorizationQueryParametersError",
    "no signature": "403 AccessDenied",
    "an unsigned x-amz header": "403 AccessDenied",
}
"""By what is wrong with the request."""

ANSWERS: Mapping[str, str] = {
    **REFUSALS,
    "another bucket": "404 NoSuchBucket",
    "a write in a race": "200",
    "a body of unknown length": "411 MissingContentLength",
    "a range of all bytes": "206",
}


class Difference(Struct, frozen=True):
    """`answer` is a pattern for the whole of `status code`."""

    answer: str
    reason: str


_TEMPAUTH = "its accounts are not S3's: a key that nobody has cannot have signed"
_UNVERIFIED = "no account has run this yet; its codes vary, so that it refuses is all we ask"

DIFFERENCES: Mapping[tuple[str, str], Difference] = {
    ("embedded", "a range of all bytes"): Difference(
        "200", "a range that leaves nothing out is answered with the whole, as HTTP allows"
    ),
    ("swift", "a life that has not begun"): Difference(
        "200|204", "of a presigned URL it looks at the end alone"
    ),
    ("swift", "an unknown access key"): Difference("403 SignatureDoesNotMatch", _TEMPAUTH),
    ("swift", "no signature"): Difference(
        "400", "taken for a request of its own API, with no account"
    ),
    ("swift", "a body of unknown length"): Difference("200", "its own API takes chunked bodies"),
    ("r2", "a write in a race"): Difference("200|429 .*", "one write a second and key"),
    ("r2", "another bucket"): Difference("(403|404) .*", "a token may be for one bucket alone"),
    ("r2", "a body of unknown length"): Difference("200|(400|411|501) .*", _UNVERIFIED),
    **{("r2", name): Difference("40[013] .*", _UNVERIFIED) for name in REFUSALS},
}


def answers_as_expected(server: str, case: str, response: httpx.Response) -> bool:
    """Whether this is what the server answers to the case; raises KeyError for no case."""
    difference = DIFFERENCES.get((server, case))
    pattern = re.escape(ANSWERS[case]) if difference is None else difference.answer
    return re.fullmatch(pattern, answer_of(response)) is not None


def answer_of(response: httpx.Response) -> str:
    """`status code`, or the status alone where the body names no code."""
    code = re.search(r"<Code>(\w+)</Code>", response.text)
    return f"{response.status_code} {code[1]}" if code else str(response.status_code)
