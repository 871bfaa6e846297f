"""The console's own photo: answered inline, bounded in size, refused with a reason."""

import asyncio
import base64
import json
from typing import Any

import cv2
import httpx
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from gpu_handler import console
from gpu_handler.console import InlineAnswer
from gpu_handler.fetch import Fetcher
from gpu_handler.imaging.png import encode_png
from gpu_handler.inputs import InlineRequest, InputRefused, read_input
from tests.gpu_handler.conftest import Lab, make_photo

WALL = {"Wall": {"action": "recolor", "value": "navy"}}


def photo(width: int = 64, height: int = 48) -> str:
    return base64.b64encode(encode_png(make_photo(0, width, height))).decode()


def answer(lab: Lab, fetcher: Fetcher | None = None, **request: Any) -> InlineAnswer:
    read = read_input({"concepts": WALL, **request})
    assert isinstance(read, InlineRequest)

    async def go() -> InlineAnswer:
        async with lab.worker() as worker:
            return await console.answer(worker, fetcher or Fetcher(), read)

    return asyncio.run(go())


def refused(lab: Lab, **request: Any) -> str:
    with pytest.raises(InputRefused) as refusal:
        answer(lab, **request)
    return str(refusal.value)


def image(text: str) -> NDArray[np.uint8]:
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert decoded is not None
    return np.asarray(decoded, np.uint8)


def test_photo_comes_back_painted_with_what_was_found(lab: Lab) -> None:
    told = answer(lab, image_base64=photo())

    assert (told.engine, told.width, told.height) == ("half", 64, 48)
    assert [(i.concept, i.number, i.box) for i in told.instances] == [
        ("Wall", 1, (0, 0, 32, 48)),
        ("Grout", 1, (32, 0, 64, 48)),
    ]
    assert told.result_format == "png"
    before, after = make_photo(0), image(told.result_base64)
    assert np.array_equal(before[:, 34:], after[:, 34:])
    assert (before[:, :30] != after[:, :30]).any(2).mean() > 0.99
    assert after[:, :30, 2].mean() > after[:, :30, 0].mean(), "navy is blue"
    assert image(told.preview_base64).shape == (48, 64, 3)
    assert told.protect.concepts == ("Grout",)
    assert told.protect.protected_pixels_changed == 0


def test_values_and_protection_are_resolved_as_execute_does(lab: Lab) -> None:
    told = answer(
        lab,
        image_base64=photo(),
        concepts={"벽": {"action": "Recolor", "value": "Oak A"}, "Floor": {"action": "recolor"}},
    )

    assert told.rules["Wall"].value == "oak_a"
    assert told.rules["Floor"].value
    codes = {w.code for w in told.warnings}
    assert {"PROTECT_DEFAULTS", "DEFAULT_VALUE", "PROTECT_NOT_FOUND"} <= codes


def test_nothing_is_protected_where_that_was_asked_for(lab: Lab) -> None:
    told = answer(lab, image_base64=photo(), protect=[], protect_defaults=False)

    assert told.protect.protected_pixels == 0
    assert {i.concept for i in told.instances} == {"Wall"}


@pytest.mark.parametrize("prefix", ["data:image/png;base64,", "DATA:image/png;name=a.png;base64,"])
def test_data_url_and_line_breaks_are_taken(lab: Lab, prefix: str) -> None:
    text = photo()
    wrapped = "\n".join(text[i : i + 76] for i in range(0, len(text), 76))

    assert answer(lab, image_base64=prefix + wrapped).width == 64


def test_photo_behind_a_url_is_fetched(lab: Lab) -> None:
    class Body(httpx.AsyncByteStream):
        async def __aiter__(self):
            yield base64.b64decode(photo())

    async def resolver(host: str, port: int) -> list[str]:
        return ["93.184.215.14"]

    transport = httpx.MockTransport(lambda request: httpx.Response(200, stream=Body()))
    fetcher = Fetcher(resolver=resolver, transport=transport)

    assert answer(lab, fetcher, image_url="https://photos.test/a.png").width == 64


def test_large_result_becomes_a_jpeg(lab: Lab) -> None:
    told = answer(lab, image_base64=photo(1600, 1200))

    assert told.result_format == "jpeg"
    assert image(told.result_base64).shape == (1200, 1600, 3)
    assert max(image(told.preview_base64).shape) == 1024


def test_answer_stays_below_eight_megabytes_and_says_what_it_left_out(lab: Lab) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2000, 2600, 3), np.uint8)
    lab.engine.sees = {}

    told = answer(lab, image_base64=base64.b64encode(encode_png(noise)).decode())

    assert len(msgspec.json.encode(told)) < 8_000_000
    (warning,) = [w for w in told.warnings if w.code == "RESULT_REDUCED"]
    shown = image(told.result_base64)
    assert str(max(shown.shape)) in warning.message
    assert (told.width, told.height) == (2600, 2000)


def test_answer_is_json(lab: Lab) -> None:
    told = msgspec.to_builtins(answer(lab, image_base64=photo()))

    assert json.loads(json.dumps(told))["rules"] == {
        "Wall": {"action": "recolor", "value": told["rules"]["Wall"]["value"]}
    }


@pytest.mark.parametrize(
    ("request_", "start"),
    [
        ({"image_base64": "!!!"}, "INVALID_INPUT: field image_base64: is not base64"),
        ({"image_base64": ""}, "EMPTY_FILE: "),
        ({"image_base64": base64.b64encode(b"hello there").decode()}, "UNSUPPORTED_IMAGE: "),
        ({"image_base64": "A" * 63_000_000}, "IMAGE_TOO_LARGE: "),
        ({"image_base64": None}, "INVALID_INPUT: field image_url: give this or"),
        ({"image_base64": "AAAA", "image_url": "http://x.test/"}, "INVALID_INPUT: field image_url"),
        ({"image_url": "http://169.254.169.254/"}, "URL_REFUSED: "),
        ({"image_base64": "AAAA", "preset": "garden"}, "INVALID_INPUT: field preset: "),
        ({"image_base64": "AAAA", "concepts": {}}, "INVALID_INPUT: field concepts: "),
        (
            {"image_base64": "AAAA", "concepts": {"Wall": {"action": "recolor", "value": "nawy"}}},
            "INVALID_INPUT: field concepts.Wall.value: ",
        ),
        (
            {"image_base64": "AAAA", "concepts": {"Wall": {"action": "explode"}}},
            "INVALID_INPUT: field concepts.Wall.action: ",
        ),
    ],
)
def test_request_that_cannot_be_done_says_why(
    lab: Lab, request_: dict[str, Any], start: str
) -> None:
    assert refused(lab, **request_).startswith(start)
    assert lab.engine.calls == 0


def test_near_miss_gets_suggestions(lab: Lab) -> None:
    concepts = {"Wall": {"action": "recolor", "value": "oak_aa"}}

    assert "(try oak_a" in refused(lab, image_base64="AAAA", concepts=concepts)
