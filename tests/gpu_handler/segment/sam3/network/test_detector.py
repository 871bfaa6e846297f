"""The detector equals the stock model, for every pairing and every option."""

import copy
import itertools
from collections.abc import Iterator, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import Sam3Config
from transformers.models.sam3.modeling_sam3 import Sam3Model

from gpu_handler.segment.sam3.network.detector import Detector, Features, Found, Options
from tests.checkpoints import box_pooling, tiny_config, tiny_model
from tests.gpu_handler.segment.sam3 import stock

EVERY_OPTION = [
    Options(geometry, share, split, top)
    for geometry, share, split in itertools.product((True, False), repeat=3)
    for top in (5, 128)
]
SIDE = 112


@pytest.fixture(scope="module", autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def model() -> Sam3Model:
    return tiny_model()


@pytest.fixture(scope="module", autouse=True)
def roi_align() -> Iterator[None]:
    with box_pooling():
        yield


def make_photos(count: int, seed: int = 0, side: int = SIDE) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator)


def make_phrases(lengths: Sequence[int], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Token numbers (T, 32) and their mask, ended and padded as the tokenizer does."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.full((len(lengths), 32), 513)
    mask = torch.zeros(len(lengths), 32, dtype=torch.bool)
    for row, length in enumerate(lengths):
        ids[row, 0] = 512
        ids[row, 1 : length - 1] = torch.randint(0, 512, (length - 2,), generator=generator)
        mask[row, :length] = True
    return ids, mask


def detect(
    model: Sam3Model,
    photos: Tensor,
    phrases: tuple[Tensor, Tensor],
    pairs: Sequence[tuple[int, int]],
    options: Options,
) -> Found:
    detector = Detector(copy.deepcopy(model), options)
    text = stock.text_features(model, *phrases)
    photo_of, text_of = (torch.tensor(column) for column in zip(*pairs, strict=True))
    return detector.decode(detector.encode(photos), text, phrases[1], photo_of, text_of)


def worst_difference(found: Found, pair: int, expected: stock.Answer) -> float:
    """The largest difference of one pair, relative to the largest value of each output."""
    scores = expected.logits.sigmoid() * expected.presence.sigmoid()
    best = scores.topk(found.scores.shape[1])
    outputs = (
        (found.scores, best.values),
        (found.logits, expected.logits[best.indices]),
        (found.boxes, expected.boxes[best.indices]),
        (found.presence, expected.presence),
        (found.masks, expected.masks[best.indices]),
        (found.semantic, expected.semantic),
    )
    return max(
        float((ours[pair] - theirs).abs().max() / theirs.abs().max().clamp(min=1))
        for ours, theirs in outputs
    )


@pytest.mark.parametrize("options", EVERY_OPTION, ids=str)
def test_every_option_equals_the_stock_model(model: Sam3Model, options: Options) -> None:
    photos, phrases = make_photos(3), make_phrases([3, 7, 32, 5])
    pairs = list(itertools.product(range(3), range(4)))
    found = detect(model, photos, phrases, pairs, options)
    assert found.scores.shape == (12, min(options.top_queries, 16))
    for number, (photo, phrase) in enumerate(pairs):
        expected = stock.answer(
            model,
            photos[photo],
            phrases[0][phrase],
            phrases[1][phrase],
            geometry_token=options.geometry_token,
        )
        assert worst_difference(found, number, expected) < 1e-5


@settings(max_examples=25)
@given(data=st.data(), count=st.integers(1, 4), seed=st.integers(0, 1000))
def test_any_pairing_equals_the_stock_model(
    model: Sam3Model, data: st.DataObject, count: int, seed: int
) -> None:
    lengths = data.draw(st.lists(st.integers(2, 32), min_size=1, max_size=4))
    photo, phrase = st.integers(0, count - 1), st.integers(0, len(lengths) - 1)
    pairs = data.draw(st.lists(st.tuples(photo, phrase), min_size=1, max_size=6))
    options = data.draw(st.sampled_from(EVERY_OPTION))
    photos, phrases = make_photos(count, seed), make_phrases(lengths, seed)
    found = detect(model, photos, phrases, pairs, options)
    number = data.draw(st.integers(0, len(pairs) - 1))
    photo_number, phrase_number = pairs[number]
    expected = stock.answer(
        model,
        photos[photo_number],
        phrases[0][phrase_number],
        phrases[1][phrase_number],
        geometry_token=options.geometry_token,
    )
    assert worst_difference(found, number, expected) < 1e-5


def test_the_geometry_token_changes_the_answer(model: Sam3Model) -> None:
    photos, phrases = make_photos(1), make_phrases([4])
    arguments = photos[0], phrases[0][0], phrases[1][0]
    without = stock.answer(model, *arguments, geometry_token=False)
    with_it = stock.answer(model, *arguments, geometry_token=True)
    assert (without.logits - with_it.logits).abs().max() > 1e-2


def test_text_may_be_cut_to_its_longest_phrase(model: Sam3Model) -> None:
    detector = Detector(copy.deepcopy(model))
    ids, mask = make_phrases([3, 7])
    text = stock.text_features(model, ids, mask)
    features, pair = detector.encode(make_photos(1)), (torch.tensor([0, 0]), torch.tensor([0, 1]))
    whole = detector.decode(features, text, mask, *pair)
    cut = detector.decode(features, text[:, :8], mask[:, :8], *pair)
    for one, other in zip(whole, cut, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("side", "layers"), [(56, 2), (168, 3)])
def test_other_sizes_equal_the_stock_model(side: int, layers: int) -> None:
    """One window for the whole photo, and nine of them: the order of tokens matters there."""
    model = tiny_model(tiny_config(side, layers))
    photos, phrases = make_photos(2, side=side), make_phrases([5])
    found = detect(model, photos, phrases, [(1, 0)], Options())
    expected = stock.answer(model, photos[1], phrases[0][0], phrases[1][0], geometry_token=True)
    assert worst_difference(found, 0, expected) < 1e-5


@pytest.mark.slow
def test_the_full_size_equals_the_stock_model() -> None:
    """840 million random weights, 1008 × 1008 pixels; two minutes and 8 GB on two cores."""
    model = tiny_model(Sam3Config(), gain=0.7)
    photos, (ids, mask) = make_photos(1, side=1008), make_phrases([4, 11])
    expected = [
        stock.answer(model, photos[0], ids[n], mask[n], geometry_token=True) for n in range(2)
    ]
    text = stock.text_features(model, ids, mask)
    detector = Detector(model)
    zero, pairs = torch.zeros(2, dtype=torch.int64), torch.arange(2)
    found = detector.decode(detector.encode(photos), text, mask, zero, pairs)
    assert found.masks.shape == (2, 128, 288, 288)
    assert max(worst_difference(found, n, one) for n, one in enumerate(expected)) < 1e-5


def test_bfloat16_stays_near_float32(model: Sam3Model) -> None:
    """With parameters alone in bfloat16, as on a GPU; 8 bits of mantissa are 0.4 % per number."""
    rough = copy.deepcopy(model)
    for parameter in rough.parameters():
        parameter.data = parameter.data.bfloat16()
    photos, phrases = make_photos(2), make_phrases([4, 9])
    pairs = [(0, 0), (0, 1), (1, 0), (1, 1)]
    found = detect(rough, photos, phrases, pairs, Options(top_queries=16))
    expected = detect(model, photos, phrases, pairs, Options(top_queries=16))
    assert found.masks.dtype == torch.bfloat16
    assert found.boxes.dtype == found.scores.dtype == found.logits.dtype == torch.float32
    assert float((found.presence - expected.presence).abs().max()) < 0.15
    assert float((found.scores - expected.scores).abs().max()) < 0.05
    spread = float(expected.semantic.std())
    assert float((found.semantic.float() - expected.semantic).abs().mean()) < 0.05 * spread


def test_nothing_is_kept_in_bfloat16_that_should_be_exact() -> None:
    model = tiny_model()
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16()
    detector = Detector(model)
    buffers = {name: value.dtype for name, value in detector.named_buffers()}
    assert buffers["vision.blocks.0.cosine"] == torch.float32
    assert buffers["queries.layers.0.sense.steps"] == torch.float32
    assert detector.places.dtype == torch.bfloat16


@pytest.mark.parametrize("top", [5, 128])
def test_nothing_waits_for_the_device(top: int) -> None:
    """On the meta device tensors have shapes and no values: whoever looks at one fails."""
    detector = Detector(tiny_model(), Options(top_queries=top)).to("meta")
    photos = torch.empty(3, SIDE, SIDE, 3, dtype=torch.uint8, device="meta")
    text = torch.empty(2, 16, 32, device="meta")
    mask = torch.empty(2, 16, dtype=torch.bool, device="meta")
    pairs = torch.empty(5, dtype=torch.int64, device="meta")
    found = detector.decode(detector.encode(photos), text, mask, pairs, pairs)
    assert found.masks.shape == (5, min(top, 16), 32, 32)
    assert found.semantic.shape == (5, 32, 32)


def test_a_decode_reads_only_its_arguments(model: Sam3Model) -> None:
    """The same features serve any number of decodes."""
    detector = Detector(copy.deepcopy(model))
    ids, mask = make_phrases([6])
    text = stock.text_features(model, ids, mask)
    features = detector.encode(make_photos(1))
    before = Features(*(part.clone() for part in features))
    zero = torch.tensor([0])
    first = detector.decode(features, text, mask, zero, zero)
    second = detector.decode(features, text, mask, zero, zero)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(features, before, strict=True))
