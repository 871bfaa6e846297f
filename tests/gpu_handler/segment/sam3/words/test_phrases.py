"""Tokenising phrases: what transformers' own tokenizer says, without transformers."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import CLIPTokenizer

from gpu_handler.segment.sam3.weights.refusals import CheckpointError
from gpu_handler.segment.sam3.words.phrases import Phrases
from tests.checkpoints import tiny_config, tiny_tokenizer

# What a phrase may be: no surrogates, which transformers refuses.
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=80)
WORDS = st.lists(
    st.sampled_from(["wall", "the", "Wall's", "벽", "타일", "é", "e\u0301", "😀", "12", "", "\0"]),
    max_size=12,
).map(" ".join)
SPECIAL = st.lists(
    st.sampled_from(["<|startoftext|>", "<|endoftext|>", "<|ENDOFTEXT|>", "a", " ", "\n", "'ll"]),
    max_size=8,
).map("".join)


def write_folder(folder: Path, tokenizer: CLIPTokenizer) -> Path:
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(tiny_config().to_dict(), default=str))
    return folder


def merging_tokenizer() -> CLIPTokenizer:
    """With merges, learned of nothing but listed, so that words are more than their letters."""
    vocabulary = dict(tiny_tokenizer().get_vocab())
    pairs = [("w", "a"), ("l", "l</w>"), ("wa", "ll</w>"), ("t", "h"), ("th", "e</w>"), ("ì", "Ĺ")]
    ends = ["<|startoftext|>", "<|endoftext|>"]
    tokens = sorted(set(vocabulary) - set(ends), key=lambda token: vocabulary[token])
    tokens = tokens[: 512 - len(pairs)] + ["".join(pair) for pair in pairs] + ends
    return CLIPTokenizer(
        vocab={token: number for number, token in enumerate(tokens)},
        merges=cast("list[str]", pairs),  # pairs are what it takes
        model_max_length=32,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("tiny"), tiny_tokenizer())


@pytest.fixture(scope="module")
def merging(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("merging"), merging_tokenizer())


@pytest.fixture(scope="module")
def parted(merging: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The merging tokenizer as vocab.json and merges.txt, the older way."""
    folder = tmp_path_factory.mktemp("parted")
    model = json.loads((merging / "tokenizer.json").read_text())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"])]
    (folder / "merges.txt").write_text("\n".join(lines))
    for name in ("config.json", "tokenizer_config.json"):
        shutil.copy(merging / name, folder / name)
    return folder


def agree(phrases: Phrases, stock: CLIPTokenizer, text: str) -> None:
    ids, mask = phrases.encode([text])
    told = stock([text], padding="max_length", truncation=True, max_length=32)
    assert ids.tolist() == told["input_ids"]
    assert mask.astype(int).tolist() == told["attention_mask"]


@pytest.fixture(scope="module", params=["folder", "merging", "parted"])
def pair(request: pytest.FixtureRequest) -> tuple[Phrases, CLIPTokenizer]:
    path: Path = request.getfixturevalue(request.param)
    return Phrases.from_checkpoint(path), CLIPTokenizer.from_pretrained(path)


@given(TEXT | WORDS | SPECIAL)
@example("")
@example("   \t\n ")
@example("a\0b")
@example("벽 타일")
@example("👩‍👩‍👧 sofa")
@example("wall " * 2000)
@example("x" * 10_000)
@example("İstanbul ß ﬁ")
def test_ids_and_mask_are_those_of_transformers(
    pair: tuple[Phrases, CLIPTokenizer], text: str
) -> None:
    agree(*pair, text)


def test_merges_join_letters(merging: Path) -> None:
    _, mask = Phrases.from_checkpoint(merging).encode(["the wall"])
    assert mask.sum() == 4  # two words between the two ends


@given(st.lists(st.text(max_size=60), max_size=5))
def test_any_str_has_32_tokens_of_which_the_last_real_one_is_the_end(
    folder: Path, texts: list[str]
) -> None:
    phrases = Phrases.from_checkpoint(folder)
    ids, mask = phrases.encode(texts)
    assert ids.shape == mask.shape == (len(texts), 32)
    assert (ids.dtype, mask.dtype) == (np.int64, np.bool_)
    for row, real in zip(ids, mask, strict=True):
        assert real.sum() >= 2
        assert real[: real.sum()].all()
        assert (row[0], row[real.sum() - 1]) == (512, 513)


def test_a_surrogate_alone_counts_as_the_replacement_character(folder: Path) -> None:
    phrases = Phrases.from_checkpoint(folder)
    ids, _ = phrases.encode(["a\ud800b", "a\ufffdb"])
    assert (ids[0] == ids[1]).all()


def test_a_phrase_is_encoded_alike_in_any_company(folder: Path) -> None:
    phrases = Phrases.from_checkpoint(folder)
    together, mask = phrases.encode(["wall", "a much longer phrase than that", "wall"])
    alone, _ = phrases.encode(["wall"])
    assert (together[0] == alone[0]).all()
    assert (together[2] == alone[0]).all()
    assert mask.sum(1).tolist() == [6, 27, 6]


def test_padding_is_the_token_that_the_files_name(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "tokenizer_config.json"
    told = json.loads(file.read_text())
    token = {"__type": "AddedToken", "content": "!", "lstrip": False, "special": True}
    file.write_text(json.dumps({**told, "pad_token": token}))
    ids, mask = Phrases.from_checkpoint(tmp_path).encode(["wall"])
    assert set(ids[~mask]) == {tiny_tokenizer().get_vocab()["!"]}
    agree(Phrases.from_checkpoint(tmp_path), CLIPTokenizer.from_pretrained(tmp_path), "wall")


def test_padding_and_truncation_baked_into_the_file_do_not_count(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    baked = Tokenizer.from_file(str(folder / "tokenizer.json"))
    baked.enable_truncation(8)
    baked.enable_padding(length=77, pad_id=1, pad_token='"')
    baked.save(str(tmp_path / "tokenizer.json"))
    theirs, ours = (
        Phrases.from_checkpoint(p).encode(["a long phrase"]) for p in (tmp_path, folder)
    )
    assert (theirs[0] == ours[0]).all()
    assert (theirs[1] == ours[1]).all()


def damage(folder: Path, name: str, text: str | None) -> None:
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("tokenizer.json", None, "has no tokenizer.json"),
        ("tokenizer.json", "", "tokenizer.json is damaged"),
        ("tokenizer.json", "{}", "tokenizer.json is damaged"),
        ("tokenizer.json", '{"version": "1.0", "model": {"type": "BPE"}}', "is damaged"),
        ("tokenizer.json", "version https://git-lfs", "tokenizer.json is damaged"),
        ("tokenizer_config.json", "[1]", "tokenizer_config.json is damaged"),
        ("tokenizer_config.json", '{"pad_token": 3}', "tokenizer_config.json is damaged"),
        ("tokenizer_config.json", '{"pad_token": "<pad>"}', "padding token '<pad>'"),
        ("tokenizer_config.json", '{"eos_token": "</s>"}', "does not know the token '</s>'"),
        ("tokenizer_config.json", '{"eos_token": "!"}', "does not put the end tokens"),
        ("config.json", None, "config.json is damaged"),
        ("config.json", '{"text_config": {"vocab_size": 100}}', "the text encoder knows 100"),
        ("config.json", '{"text_config": {"max_position_embeddings": 16}}', "takes 16 tokens"),
    ],
)
def test_files_that_do_not_fit_are_refused_in_one_line(
    folder: Path, tmp_path: Path, name: str, text: str | None, told: str
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    damage(tmp_path, name, text)
    with pytest.raises(CheckpointError) as refused:
        Phrases.from_checkpoint(tmp_path)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_damaged_vocabulary_is_refused(parted: Path, tmp_path: Path) -> None:
    shutil.copytree(parted, tmp_path, dirs_exist_ok=True)
    (tmp_path / "merges.txt").write_text("not a merge of anything known\n")
    with pytest.raises(CheckpointError, match=r"vocab\.json is damaged"):
        Phrases.from_checkpoint(tmp_path)


def test_the_video_layout_tells_its_vocabulary_too(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    config = {"model_type": "sam3_video", "detector_config": {"text_config": {"vocab_size": 9}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="the text encoder knows 9"):
        Phrases.from_checkpoint(tmp_path)


def test_tokenising_needs_neither_torch_nor_transformers() -> None:
    script = (
        "import sys; import gpu_handler.segment.sam3.words.phrases;"
        "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
