"""The concepts of the seller preset, 쇼핑/셀러: a product, and what on it must stay as it is."""

from shared.concepts import Concept, Kind

SELLER_CONCEPTS: tuple[Concept, ...] = (
    Concept(
        id="Body",
        name_en="Body",
        name_ko="본체",
        prompts=("product", "packaged product", "bottle", "box", "bag", "shoe", "garment"),
        kind=Kind.SURFACE,
        host=True,
        defaults={"recolor": "sage", "tone": "vivid", "texture": "linen"},
    ),
    Concept(
        id="Label_Text",
        name_en="Label Text",
        name_ko="라벨 텍스트",
        prompts=("text", "product label", "printed text", "label", "sticker"),
        defaults={"recolor": "charcoal", "tone": "contrast", "texture": "paper_white"},
        threshold=0.4,
    ),
    Concept(
        id="Logo",
        name_en="Logo",
        name_ko="로고",
        prompts=("logo", "brand logo", "emblem", "brand mark"),
        defaults={"recolor": "black", "tone": "contrast", "texture": "brass"},
        threshold=0.4,
    ),
    Concept(
        id="Gloss",
        name_en="Gloss",
        name_ko="광택",
        prompts=("reflection", "specular highlight", "glare", "shine"),
        defaults={"recolor": "pure_white", "tone": "bright", "texture": "frosted_glass"},
        threshold=0.3,
    ),
    Concept(
        id="Parts",
        name_en="Parts",
        name_ko="부품",
        prompts=("cap", "lid", "button", "zipper", "buckle", "strap", "handle"),
        defaults={"recolor": "brushed_steel", "tone": "muted", "texture": "brushed_steel"},
        threshold=0.4,
    ),
    Concept(
        id="Accessories",
        name_en="Accessories",
        name_ko="액세서리",
        prompts=("accessory", "jewelry", "prop", "ribbon", "stand", "tray"),
        defaults={"recolor": "beige", "tone": "muted", "texture": "linen"},
    ),
)
