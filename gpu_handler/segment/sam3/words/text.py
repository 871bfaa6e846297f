"""Text features of phrases, each computed once for a checkpoint."""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gpu_handler.segment.sam3.weights.checkpoint import Checkpoint
from gpu_handler.segment.sam3.weights.loading import TextEncoder, load_text_encoder
from gpu_handler.segment.sam3.words.phrases import Ids, Mask, Phrases
from gpu_handler.segment.sam3.words.precomputed import preset_phrases, read_features

OPEN_PHRASES = 1024
"""How many phrases outside the presets are remembered; at 32 × 256 in bfloat16 they take 16 MiB."""

AT_ONCE = 256
"""Most phrases that go through the encoder together: at full size it then takes half a gigabyte."""

log = logging.getLogger(__name__)


class _Entry(NamedTuple):
    features: Tensor  # (32, d)
    mask: Tensor  # (32,) bool


class PhraseBook:
    """Phrases to text features on a device. Called from one thread, the one that owns the device.

    Phrases that the tokenizer takes for the same share an entry. Those of the presets stay for
    good, of others the 1024 last used. What is known beforehand comes from the file beside the
    checkpoint; the encoder, 40 % of all parameters, is loaded with the first phrase that is not.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: torch.device,
        dtype: torch.dtype,
        *,
        encoder: TextEncoder | None = None,
        open_phrases: int = OPEN_PHRASES,
    ) -> None:
        """`encoder` is one that is loaded already, on `device`. Raises CheckpointError."""
        self._checkpoint = checkpoint
        self._device = device
        self._dtype = dtype
        self._encoder = encoder
        self._open_phrases = open_phrases
        self._phrases = Phrases.from_checkpoint(checkpoint.path)
        self._known: dict[bytes, _Entry] = {}
        self._recent: OrderedDict[bytes, _Entry] = OrderedDict()
        ids, mask = self._phrases.encode(preset_phrases())
        self._kept = {_key(*row) for row in zip(ids, mask, strict=True)}
        self._read_precomputed()

    def features(self, phrases: Sequence[str]) -> tuple[Tensor, Tensor]:
        """(T, 32, d) features and the (T, 32) bool mask of their tokens, in the order asked.

        What the mask leaves out of the features means nothing. Raises ValueError for no phrase,
        and CheckpointError where the encoder is needed and cannot be loaded.
        """
        if not phrases:
            raise ValueError("there is no phrase to look up")
        distinct = list(dict.fromkeys(phrases))  # few: pairs of many photos ask for the same
        ids, mask = self._phrases.encode(distinct)
        keys = [_key(*row) for row in zip(ids, mask, strict=True)]
        entries = self._look_up(keys, ids, mask)
        entry_of = {phrase: entries[key] for phrase, key in zip(distinct, keys, strict=True)}
        return (
            torch.stack([entry_of[phrase].features for phrase in phrases]),
            torch.stack([entry_of[phrase].mask for phrase in phrases]),
        )

    @property
    def encoder_loaded(self) -> bool:
        return self._encoder is not None

    def _look_up(self, keys: Sequence[bytes], ids: Ids, mask: Mask) -> dict[bytes, _Entry]:
        found: dict[bytes, _Entry] = {}
        unknown: dict[bytes, int] = {}
        for row, key in enumerate(keys):
            if entry := self._known.get(key) or self._recent.get(key):
                found[key] = entry
            else:
                unknown.setdefault(key, row)
        if unknown:
            rows = list(unknown.values())
            found |= zip(unknown, self._encode(ids[rows], mask[rows]), strict=True)
        for key in keys:
            self._remember(key, found[key])
        return found

    def _remember(self, key: bytes, entry: _Entry) -> None:
        if key in self._kept:
            self._known[key] = entry
            return
        self._recent[key] = entry
        self._recent.move_to_end(key)
        if len(self._recent) > self._open_phrases:
            self._recent.popitem(last=False)

    def _encode(self, ids: Ids, mask: Mask) -> list[_Entry]:
        """One entry for each of (T, 32) `ids`."""
        if self._encoder is None:
            log.info("the text encoder is loaded: %d phrases are new", len(ids))
            self._encoder = load_text_encoder(self._checkpoint, self._device, self._dtype)
        entries: list[_Entry] = []
        for start in range(0, len(ids), AT_ONCE):
            some_ids = torch.from_numpy(ids[start : start + AT_ONCE]).to(self._device)
            some_mask = torch.from_numpy(mask[start : start + AT_ONCE]).to(self._device)
            with torch.no_grad():
                features: Tensor = self._encoder(some_ids, some_mask)
            entries += self._entries(features, some_mask)
        return entries

    def _entries(self, features: Tensor, mask: Tensor) -> list[_Entry]:
        # Clones, or one row that is remembered would keep the whole batch.
        rows = zip(features.to(self._dtype), mask, strict=True)
        return [_Entry(f.clone(), m.clone()) for f, m in rows]

    def _read_precomputed(self) -> None:
        known = read_features(self._checkpoint)
        if known is None:
            return
        entries = self._entries(known.features.to(self._device), known.mask.to(self._device))
        keys = [_key(*row) for row in zip(known.ids.numpy(), known.mask.numpy(), strict=True)]
        self._known = dict(zip(keys, entries, strict=True))


def _key(ids: Ids, mask: Mask) -> bytes:
    return ids.tobytes() + mask.tobytes()
