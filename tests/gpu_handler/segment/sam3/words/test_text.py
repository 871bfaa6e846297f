"""Text features: those of the stock model, each computed once, and none where a file knows them."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import msgspec
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import CLIPTokenizer
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.sam3.modeling_sam3 import Sam3Model

from gpu_handler.segment.sam3.weights.checkpoint import Checkpoint, open_folder
from gpu_handler.segment.sam3.weights.loading import TextEncoder, load_text_encoder
from gpu_handler.segment.sam3.words.phrases import Phrases
from gpu_handler.segment.sam3.words.precomputed import (
    FEATURES_FILE,
    TextFeatures,
    preset_phrases,
    read_features,
    write_features,
)
from gpu_handler.segment.sam3.words.text import PhraseBook
from shared.presets import PRESETS
from tests.checkpoints import tiny_model, write_checkpoint

CPU = torch.device("cpu")


class CountedEncoder(TextEncoder):
    """The real one, which keeps how many phrases each call brought."""

    def __init__(self, loaded: TextEncoder) -> None:
        torch.nn.Module.__init__(self)
        self.loaded = loaded
        self.calls: list[int] = []

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        self.calls.append(len(ids))
        return self.loaded(ids, mask)


@pytest.fixture(scope="module")
def stock() -> Sam3Model:
    return tiny_model(seed=3)


@pytest.fixture(scope="module")
def checkpoint(stock: Sam3Model, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return open_folder(write_checkpoint(tmp_path_factory.mktemp("tiny"), stock))


@pytest.fixture(scope="module")
def loaded(checkpoint: Checkpoint) -> TextEncoder:
    return load_text_encoder(checkpoint, CPU, torch.float32)


@pytest.fixture
def encoder(loaded: TextEncoder) -> CountedEncoder:
    return CountedEncoder(loaded)


@pytest.fixture
def book(checkpoint: Checkpoint, encoder: CountedEncoder) -> PhraseBook:
    return PhraseBook(checkpoint, CPU, torch.float32, encoder=encoder, open_phrases=4)


def stock_features(stock: Sam3Model, path: Path, phrases: Sequence[str]) -> Tensor:
    """One by one, as the documentation of transformers shows it."""
    tokenizer = CLIPTokenizer.from_pretrained(path)
    rows: list[Tensor | None] = []
    for phrase in phrases:
        asked = tokenizer(
            [phrase], padding="max_length", truncation=True, max_length=32, return_tensors="pt"
        )
        with torch.no_grad():
            told = stock.get_text_features(asked["input_ids"], asked["attention_mask"])
        rows.append(cast("BaseModelOutputWithPooling", told).pooler_output)
    return torch.cat([row for row in rows if row is not None])


def close(one: Tensor, other: Tensor) -> bool:
    """Within 1e-6 of the features' scale, which is about 5 in the tiny model."""
    return float((one - other).abs().max()) <= 1e-6 * max(1.0, float(other.abs().max()))


def test_features_are_those_of_the_stock_model(
    book: PhraseBook, stock: Sam3Model, checkpoint: Checkpoint
) -> None:
    phrases = ["wall", "a red Sofa", "벽", "", "x" * 99, "wall"]
    features, mask = book.features(phrases)
    assert (features.shape, features.dtype) == ((6, 32, 32), torch.float32)
    assert (mask.shape, mask.dtype) == ((6, 32), torch.bool)
    assert mask.sum(1).tolist() == [6, 10, 5, 2, 32, 6]
    assert close(features, stock_features(stock, checkpoint.path, phrases))
    assert not torch.equal(features[0], features[1])


@settings(max_examples=15)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=9), st.data())
def test_features_do_not_depend_on_the_batch(
    checkpoint: Checkpoint, loaded: TextEncoder, phrases: list[str], data: st.DataObject
) -> None:
    one = data.draw(st.sampled_from(phrases))
    together, mask = PhraseBook(checkpoint, CPU, torch.float32, encoder=loaded).features(phrases)
    alone, mask_alone = PhraseBook(checkpoint, CPU, torch.float32, encoder=loaded).features([one])
    row = phrases.index(one)
    assert torch.equal(mask[row], mask_alone[0])
    assert close(together[row][mask[row]], alone[0][mask[row]])


def test_all_unknown_phrases_go_through_the_encoder_in_one_batch(
    book: PhraseBook, encoder: CountedEncoder
) -> None:
    book.features(["sofa", "wall", "sofa", "lamp", "SOFA", " sofa  "])
    assert encoder.calls == [3]
    book.features(["wall", "sofa"])
    assert encoder.calls == [3]
    book.features(["wall", "rug", "sofa"])
    assert encoder.calls == [3, 1]


def test_phrases_with_the_same_tokens_share_an_entry(book: PhraseBook) -> None:
    features, _ = book.features(["Café  au lait", "cafe\u0301 au lait", "CAFÉ AU LAIT"])
    assert torch.equal(features[0], features[1])
    assert torch.equal(features[0], features[2])


def test_answers_come_in_the_order_asked(book: PhraseBook) -> None:
    first, _ = book.features(["rug", "wall", "sofa"])
    again, _ = book.features(["sofa", "rug", "rug", "wall"])
    assert torch.equal(again, first[[2, 0, 0, 1]])


def test_the_longest_unused_open_phrase_is_forgotten_and_presets_never(
    book: PhraseBook, encoder: CountedEncoder
) -> None:
    book.features(["wall", "a", "b", "c", "d"])
    book.features(["a"])
    book.features(["e"])  # b goes
    encoder.calls.clear()
    book.features(["wall", "a", "c", "d", "e"])
    assert encoder.calls == []
    book.features(["b"])
    assert encoder.calls == [1]


def test_more_phrases_than_are_remembered_are_all_answered(
    book: PhraseBook, encoder: CountedEncoder
) -> None:
    phrases = [f"thing {n}" for n in range(9)]
    features, _ = book.features(phrases)
    assert encoder.calls == [9]
    assert len({row.numpy().tobytes() for row in features}) == 9


def test_no_phrase_is_an_error(book: PhraseBook) -> None:
    with pytest.raises(ValueError, match="no phrase"):
        book.features([])


def test_the_encoder_is_loaded_when_it_is_needed(checkpoint: Checkpoint, stock: Sam3Model) -> None:
    book = PhraseBook(checkpoint, CPU, torch.float32)
    assert not book.encoder_loaded
    first, _ = book.features(["sofa"])
    assert book.encoder_loaded
    again, _ = book.features(["sofa"])
    assert torch.equal(first, again)
    other, _ = book.features(["rug"])
    assert close(other, stock_features(stock, checkpoint.path, ["rug"]))


def test_half_precision_is_near(checkpoint: Checkpoint, book: PhraseBook) -> None:
    full, _ = book.features(["sofa", "벽"])
    half, mask = PhraseBook(checkpoint, CPU, torch.bfloat16).features(["sofa", "벽"])
    assert half.dtype == torch.bfloat16
    apart = (half.float() - full)[mask].square().mean().sqrt()
    assert 0 < apart < 0.03 * full[mask].square().mean().sqrt()


def known_beforehand(path: Path, phrases: Sequence[str]) -> TextFeatures:
    """Features that no encoder would give, so that one can tell where they came from."""
    ids, mask = Phrases.from_checkpoint(path).encode(phrases)
    features = torch.arange(len(phrases) * 32 * 32).reshape(-1, 32, 32).float()
    return TextFeatures(tuple(phrases), torch.from_numpy(ids), torch.from_numpy(mask), features)


@pytest.fixture
def copied(checkpoint: Checkpoint, stock: Sam3Model, tmp_path: Path) -> Checkpoint:
    return open_folder(write_checkpoint(tmp_path / "copy", stock))


HOSTILE = ["features", "__metadata__", '"], "x', "\0", "../wall", "벽\n😀", "wall"]


def test_what_the_file_knows_needs_no_encoder(copied: Checkpoint) -> None:
    beforehand = known_beforehand(copied.path, HOSTILE)
    write_features(copied, beforehand)
    book = PhraseBook(copied, CPU, torch.float32)
    features, mask = book.features(["wall", *HOSTILE])
    assert not book.encoder_loaded
    assert torch.equal(features[1:], beforehand.features)
    assert torch.equal(features[0], beforehand.features[-1])
    assert torch.equal(mask[1:], beforehand.mask)
    read = read_features(copied)
    assert read is not None
    assert read.phrases == tuple(HOSTILE)


def test_a_file_beside_the_weights_does_not_change_their_fingerprint(copied: Checkpoint) -> None:
    write_features(copied, known_beforehand(copied.path, ["wall"]))
    assert open_folder(copied.path).fingerprint == copied.fingerprint


def spoil(copied: Checkpoint, how: str) -> None:
    file = copied.path / FEATURES_FILE
    known = known_beforehand(copied.path, ["wall", "floor"])
    match how:
        case "another checkpoint":
            other = msgspec.structs.replace(copied, fingerprint="0123456789abcdef")
            write_features(other, known)
        case "cut short":
            write_features(copied, known)
            file.write_bytes(file.read_bytes()[:-100])
        case "no safetensors":
            file.write_bytes(b"\xff" * 400)
        case "fewer phrases than rows":
            write_features(copied, known._replace(phrases=("wall",)))
        case "not a number":
            write_features(copied, known._replace(features=known.features * torch.nan))
        case "another width":
            write_features(copied, known._replace(features=torch.zeros(2, 32, 48)))
        case "another length":
            short = TextFeatures(known.phrases, *(part[:, :16] for part in known[1:]))
            write_features(copied, short)
        case _:
            raise AssertionError(how)


@pytest.mark.parametrize(
    "how",
    [
        "another checkpoint",
        "cut short",
        "no safetensors",
        "fewer phrases than rows",
        "not a number",
        "another width",
        "another length",
    ],
)
def test_a_file_of_no_use_is_ignored_with_a_line_in_the_log(
    copied: Checkpoint,
    encoder: CountedEncoder,
    caplog: pytest.LogCaptureFixture,
    how: str,
) -> None:
    spoil(copied, how)
    with caplog.at_level(logging.WARNING):
        book = PhraseBook(copied, CPU, torch.float32, encoder=encoder)
    (line,) = [r.getMessage() for r in caplog.records if "text_features" in r.getMessage()]
    assert "is ignored" in line
    book.features(["wall"])
    assert encoder.calls == [1]


def test_preset_phrases_are_every_prompt_once() -> None:
    phrases = preset_phrases()
    assert len(set(phrases)) == len(phrases)
    for preset in PRESETS.values():
        for concept in (*preset.concepts, *preset.protect_only):
            assert set(concept.prompts) <= set(phrases)
    assert "glass reflection" in phrases  # of a concept that is protected and never listed


def test_phrases_of_the_file_are_plain_json(copied: Checkpoint) -> None:
    write_features(copied, known_beforehand(copied.path, HOSTILE))
    start = (copied.path / FEATURES_FILE).read_bytes()
    length = int.from_bytes(start[:8], "little")
    header = msgspec.json.decode(start[8 : 8 + length], type=dict[str, msgspec.Raw])
    assert set(header) == {"__metadata__", "ids", "mask", "features"}
