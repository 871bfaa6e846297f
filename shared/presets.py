"""The presets: their concepts, what they protect by default and what they can put out."""

from collections.abc import Mapping
from itertools import chain
from types import MappingProxyType

from msgspec import Struct

from shared.concepts import Concept, InvalidConcept, Kind, open_concept
from shared.interior import INTERIOR_CONCEPTS, INTERIOR_PROTECT_ONLY
from shared.seller import SELLER_CONCEPTS
from shared.spelling import LONGEST_NAME, fold, nearest, quoted

__all__ = [
    "PRESETS",
    "Concept",
    "InvalidConcept",
    "Kind",
    "OutputTemplate",
    "Preset",
    "UnknownPreset",
    "UnknownTemplate",
    "find_preset",
]


class OutputTemplate(Struct, frozen=True):
    """Pictures made of a job's results. `id` is Korean and fixed, `alias` its ASCII name."""

    id: str
    alias: str
    name: str
    description: str
    name_en: str
    description_en: str


class UnknownTemplate(ValueError):
    """An output template that the preset does not have; `suggestions` holds those it has."""

    def __init__(self, value: str, suggestions: tuple[str, ...]) -> None:
        super().__init__(f"{quoted(value)} is not an output template of this preset")
        self.value = value
        self.suggestions = suggestions


class UnknownPreset(ValueError):
    """A preset that does not exist; `suggestions` holds those that do."""

    def __init__(self, value: str, suggestions: tuple[str, ...]) -> None:
        super().__init__(f"{quoted(value)} is not a preset")
        self.value = value
        self.suggestions = suggestions


class Preset(Struct, frozen=True):
    """A domain: what is looked for, what is kept. `name` is Korean.

    `protect_only` are concepts outside the list that people see, protected by default all the same.
    """

    id: str
    name: str
    name_en: str
    concepts: tuple[Concept, ...]
    protect_only: tuple[Concept, ...]
    protect_defaults: tuple[str, ...]
    output_templates: tuple[OutputTemplate, ...]

    @property
    def concept_ids(self) -> list[str]:
        """Of every known concept, `protect_only` included."""
        return [c.id for c in chain(self.concepts, self.protect_only)]

    def _known(self, name: str) -> Concept | None:
        if len(name) > LONGEST_NAME:
            return None
        known = chain(self.concepts, self.protect_only)
        return next((c for c in known if c.answers_to(name)), None)

    def knows(self, name: str) -> bool:
        """Whether `name` is a concept of this preset by id or label, `protect_only` included."""
        return self._known(name) is not None

    def concept(self, name: str) -> Concept:
        """The preset's concept of that id or label, else open vocabulary.

        Raises InvalidConcept for a name that cannot be a noun phrase.
        """
        return self._known(name) or open_concept(name)

    def template(self, id_or_alias: str) -> OutputTemplate:
        """The output template of that id or alias; raises UnknownTemplate."""
        if len(id_or_alias) <= LONGEST_NAME:
            wanted = fold(id_or_alias)
            for template in self.output_templates:
                if wanted in {fold(template.id), fold(template.alias), fold(template.name_en)}:
                    return template
        known = [name for t in self.output_templates for name in (t.id, t.alias)]
        raise UnknownTemplate(id_or_alias, nearest(id_or_alias, known) or tuple(known))


INTERIOR = Preset(
    id="interior",
    name="건축/인테리어",
    name_en="Architecture & Interior",
    concepts=INTERIOR_CONCEPTS,
    protect_only=INTERIOR_PROTECT_ONLY,
    protect_defaults=("Grout", "Frame_Molding", "Glass_highlight"),
    output_templates=(
        OutputTemplate(
            id="시안3안팩",
            alias="three_proposals",
            name="시안 3안 팩",
            description="모던, 내추럴, 호텔 스타일의 시안 3가지",
            name_en="Three proposals",
            description_en="Three proposals of the same room: modern, natural, hotel",
        ),
        OutputTemplate(
            id="전후비교",
            alias="before_after",
            name="전후 비교",
            description="시공 전과 후를 나란히 보여 주는 비교 이미지",
            name_en="Before and after",
            description_en="Pairs of each photo before and after",
        ),
        OutputTemplate(
            id="고객공유카드",
            alias="share_card",
            name="고객 공유 카드",
            description="전후 사진과 컬러 팔레트를 담은 고객 공유용 카드",
            name_en="Share card",
            description_en="A card for the client: before, after and the palette",
        ),
    ),
)

SELLER = Preset(
    id="seller",
    name="쇼핑/셀러",
    name_en="Shopping & Seller",
    concepts=SELLER_CONCEPTS,
    protect_only=(),
    protect_defaults=("Label_Text", "Logo", "Gloss"),
    output_templates=(
        OutputTemplate(
            id="상품팩",
            alias="product_pack",
            name="상품 팩",
            description="대표 1장, 상세 4장, 착용 1장, 패키지 1장",
            name_en="Product pack",
            description_en="Main 1, detail 4, worn 1, package 1",
        ),
        OutputTemplate(
            id="옵션보드",
            alias="option_board",
            name="옵션 보드",
            description="컬러 옵션을 한눈에 보여 주는 보드",
            name_en="Option board",
            description_en="A board of the colour options",
        ),
        OutputTemplate(
            id="썸네일8종",
            alias="thumbnails_8",
            name="썸네일 8종",
            description="플랫폼별 8가지 크기의 썸네일",
            name_en="Eight thumbnails",
            description_en="Thumbnails in eight platform sizes",
        ),
    ),
)

PRESETS: Mapping[str, Preset] = MappingProxyType({p.id: p for p in (INTERIOR, SELLER)})


def find_preset(preset_id: str) -> Preset:
    """The preset of exactly that id; raises UnknownPreset."""
    if preset := PRESETS.get(preset_id):
        return preset
    raise UnknownPreset(preset_id, nearest(preset_id, PRESETS) or tuple(PRESETS))
