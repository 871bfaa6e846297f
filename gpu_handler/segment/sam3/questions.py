"""A concept in a photo as a question: asked in one wording after the other until it is found."""

from collections.abc import Sequence

from msgspec import structs

from gpu_handler.segment.base import Segmentation
from shared.concepts import Concept


class Question:
    """One concept in one photo. `photo` is its place in the call."""

    def __init__(self, photo: int, concept: Concept) -> None:
        self.photo, self.concept = photo, concept
        self._phrases: Sequence[str] = concept.prompts or (concept.name_en,)
        self._asked = 0
        self._answer: Segmentation | None = None

    @property
    def open(self) -> bool:
        """Whether it is to be asked again: nothing was found, and a wording is left."""
        found = self._answer is not None and self._answer.found
        return not found and self._asked < len(self._phrases)

    @property
    def phrase(self) -> str:
        """The wording whose turn it is, while the question is open."""
        return self._phrases[self._asked]

    @property
    def answer(self) -> Segmentation:
        """What was found, else that nothing was, with the best presence of all wordings."""
        if self._answer is None:
            raise RuntimeError(f"{self.concept.id} was never asked for")
        return self._answer

    def hear(self, said: Segmentation) -> None:
        """Take the answer to `phrase`."""
        if self._answer is not None and not said.found:
            best = max(self._answer.presence, said.presence)
            said = structs.replace(said, presence=best)
        self._answer = said
        self._asked += 1
