"""Phrases to tokens: CLIP's tokenizer through the tokenizers library alone."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from tokenizers import AddedToken, Encoding, Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.normalizers import NFC, Lowercase, Replace
from tokenizers.normalizers import Sequence as Normalizers
from tokenizers.pre_tokenizers import ByteLevel, Split
from tokenizers.pre_tokenizers import Sequence as PreTokenizers
from tokenizers.processors import RobertaProcessing

from gpu_handler.segment.sam3.weights.refusals import CheckpointError

LENGTH = 32
"""Tokens of a phrase as SAM3's text encoder takes them, the two at its ends included."""

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
)

Ids: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]

_ALONE = re.compile("[\ud800-\udfff]")
# CLIP's own pattern (openai/CLIP, simple_tokenizer.py), as transformers spells it.
_ENDS = r"<\|startoftext\|>|<\|endoftext\|>"
_WORDS = rf"{_ENDS}|'s|'t|'re|'ve|'m|'ll|'d|[\p{{L}}]+|[\p{{N}}]|[^\s\p{{L}}\p{{N}}]+"

_T = TypeVar("_T")


class _Token(Struct, frozen=True):
    content: str


class _Specials(Struct, frozen=True):
    """The tokens at the ends, of tokenizer_config.json or special_tokens_map.json."""

    bos_token: str | _Token = "<|startoftext|>"  # noqa: S105 - not that kind of token
    eos_token: str | _Token = "<|endoftext|>"  # noqa: S105
    pad_token: str | _Token = "<|endoftext|>"  # noqa: S105


class _TextConfig(Struct, frozen=True):
    vocab_size: int = 49408
    max_position_embeddings: int = LENGTH


class _Config(Struct, frozen=True):
    text_config: _TextConfig = _TextConfig()
    detector_config: "_Config | None" = None


class Phrases:
    """A checkpoint's tokenizer; the same ids and mask as transformers' CLIPTokenizer.

    Case and runs of white space make no difference, nor do the ways to spell an accent (NFC).
    """

    def __init__(self, tokenizer: Tokenizer, pad: str) -> None:
        """`tokenizer` puts the two special tokens around a text; `pad` is a token it knows."""
        number = tokenizer.token_to_id(pad)
        if number is None:
            raise CheckpointError(f"the tokenizer does not know its padding token {pad!r}")
        self._tokenizer = tokenizer
        self._tokenizer.enable_truncation(LENGTH)
        self._tokenizer.enable_padding(length=LENGTH, pad_id=number, pad_token=pad)

    @classmethod
    def from_checkpoint(cls, path: Path) -> "Phrases":
        """Read tokenizer.json, or vocab.json and merges.txt, of a checkpoint's folder.

        Raises CheckpointError where they are missing or damaged, or do not fit config.json.
        """
        specials = _specials(path)
        if (file := path / "tokenizer.json").is_file():
            tokenizer = _from_json(file)
        elif (path / "vocab.json").is_file() and (path / "merges.txt").is_file():
            tokenizer = _from_vocabulary(path, specials)
        else:
            raise CheckpointError(f"{path} has no tokenizer.json, nor vocab.json and merges.txt")
        _check(tokenizer, specials, path)
        return cls(tokenizer, _text(specials.pad_token))

    def encode(self, phrases: Sequence[str]) -> tuple[Ids, Mask]:
        """(T, 32) token ids, and True for those that are not padding.

        A phrase too long is cut so that the end token stays. Total over `str`: a surrogate
        alone, which no text has, counts as U+FFFD, so that one odd phrase stops no batch.
        """
        encodings = [self._encode(phrase) for phrase in phrases]
        ids = np.array([e.ids for e in encodings], np.int64).reshape(-1, LENGTH)
        mask = np.array([e.attention_mask for e in encodings], np.bool_).reshape(-1, LENGTH)
        return ids, mask

    def _encode(self, phrase: str) -> Encoding:
        # One by one: encode_batch starts threads, and then complains in a process that forks.
        return self._tokenizer.encode(_ALONE.sub("\ufffd", phrase))


def _from_json(file: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises no narrower class
        raise _damaged(file, error) from error


def _from_vocabulary(path: Path, specials: _Specials) -> Tokenizer:
    """CLIP's tokenizer around a vocabulary and its merges, which is what tokenizer.json holds."""
    start, end = _text(specials.bos_token), _text(specials.eos_token)
    files = str(path / "vocab.json"), str(path / "merges.txt")
    try:
        bpe = BPE.from_file(*files, unk_token=end, end_of_word_suffix="</w>")
        tokenizer = Tokenizer(bpe)
    except Exception as error:
        raise _damaged(path / "vocab.json", error) from error
    edges = [(token, _number(tokenizer, token, path)) for token in (end, start)]
    tokenizer.normalizer = Normalizers([NFC(), Replace(Regex(r"\s+"), " "), Lowercase()])
    tokenizer.pre_tokenizer = PreTokenizers(
        [Split(Regex(_WORDS), "removed", invert=True), ByteLevel(add_prefix_space=False)]
    )
    tokenizer.post_processor = RobertaProcessing(*edges, trim_offsets=False, add_prefix_space=False)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in (start, end)])
    return tokenizer


def _specials(path: Path) -> _Specials:
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (path / name).is_file():
            return _read(path / name, _Specials)
    return _Specials()


def _check(tokenizer: Tokenizer, specials: _Specials, path: Path) -> None:
    """Refuse a tokenizer whose ids the text encoder would misunderstand.

    The special ids of config.json are not asked: CLIP configurations are known to carry wrong
    ones, and padding is masked whatever its id is.
    """
    config = _read(path / "config.json", _Config)
    text = (config.detector_config or config).text_config
    if text.max_position_embeddings < LENGTH:
        told = f"{text.max_position_embeddings} tokens, not {LENGTH}"
        raise CheckpointError(f"{path / 'config.json'}: its text encoder takes {told}")
    if (size := tokenizer.get_vocab_size()) > text.vocab_size:
        known = f"the text encoder knows {text.vocab_size}"
        raise CheckpointError(f"{path}: the tokenizer has {size} tokens, {known}")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ends = [_number(tokenizer, _text(t), path) for t in (specials.bos_token, specials.eos_token)]
    if tokenizer.encode("").ids != ends:
        raise CheckpointError(f"{path}: its tokenizer does not put the end tokens around a phrase")


def _number(tokenizer: Tokenizer, token: str, path: Path) -> int:
    number = tokenizer.token_to_id(token)
    if number is None:
        raise CheckpointError(f"{path}: its tokenizer does not know the token {token!r}")
    return number


def _text(token: str | _Token) -> str:
    return token.content if isinstance(token, _Token) else token


def _read(file: Path, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _damaged(file, error) from error


def _damaged(file: Path, error: Exception) -> CheckpointError:
    reason = str(error) or type(error).__name__
    return CheckpointError(f"{file} is damaged, fetch it again: {reason[:200]}")
