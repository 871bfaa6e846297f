"""The concepts of the interior preset, 건축/인테리어: a calm, natural room by default.

Prompts start with the plain noun, the closest to what SAM3 learned; adjectives narrow what is
found, and positions ("left wall") are ignored by it.
"""

from shared.concepts import Concept, Kind

INTERIOR_CONCEPTS: tuple[Concept, ...] = (
    Concept(
        id="Wall",
        name_en="Wall",
        name_ko="벽",
        prompts=("wall", "interior wall", "painted wall", "wallpaper"),
        kind=Kind.SURFACE,
        host=True,
        defaults={"recolor": "offwhite_b", "tone": "bright", "texture": "limewash"},
    ),
    Concept(
        id="Floor",
        name_en="Floor",
        name_ko="바닥",
        prompts=("floor", "flooring", "wooden floor", "tiled floor", "carpet"),
        kind=Kind.SURFACE,
        host=True,
        defaults={"recolor": "oak_a", "tone": "warm", "texture": "oak_a"},
    ),
    Concept(
        id="Ceiling",
        name_en="Ceiling",
        name_ko="천장",
        prompts=("ceiling", "white ceiling", "ceiling panel"),
        kind=Kind.SURFACE,
        host=True,
        defaults={"recolor": "offwhite_a", "tone": "bright", "texture": "venetian_plaster"},
    ),
    Concept(
        id="Window",
        name_en="Window",
        name_ko="창문",
        prompts=("window", "window frame", "glass window"),
        # White keeps a lit pane lit; a dark frame colour would turn the view outside into night.
        defaults={"recolor": "pure_white", "tone": "bright", "texture": "frosted_glass"},
    ),
    Concept(
        id="Door",
        name_en="Door",
        name_ko="문",
        prompts=("door", "interior door", "wooden door", "closet door"),
        defaults={"recolor": "greige", "tone": "warm", "texture": "white_oak"},
    ),
    Concept(
        id="Frame_Molding",
        name_en="Frame & Molding",
        name_ko="몰딩",
        prompts=("molding", "baseboard", "crown molding", "door frame", "window frame", "trim"),
        defaults={"recolor": "pure_white", "tone": "bright", "texture": "ash"},
        threshold=0.4,
    ),
    Concept(
        id="Tile",
        name_en="Tile",
        name_ko="타일",
        prompts=("tile", "tiled wall", "ceramic tile", "backsplash"),
        kind=Kind.SURFACE,
        defaults={"recolor": "zellige_white", "tone": "bright", "texture": "subway_white"},
    ),
    Concept(
        id="Grout",
        name_en="Grout",
        name_ko="줄눈",
        prompts=("grout", "grout line", "tile joint"),
        kind=Kind.SURFACE,
        defaults={"recolor": "grout_light", "tone": "bright", "texture": "concrete_a"},
        threshold=0.35,
    ),
    Concept(
        id="Cabinet",
        name_en="Cabinet",
        name_ko="수납장",
        prompts=("cabinet", "kitchen cabinet", "cupboard", "wardrobe"),
        defaults={"recolor": "sage", "tone": "muted", "texture": "oak_a"},
    ),
    Concept(
        id="Countertop",
        name_en="Countertop",
        name_ko="상판",
        prompts=("countertop", "kitchen counter", "worktop", "vanity top"),
        kind=Kind.SURFACE,
        host=True,
        defaults={"recolor": "marble_white", "tone": "bright", "texture": "marble_white"},
    ),
    Concept(
        id="Light",
        name_en="Light",
        name_ko="조명",
        prompts=("light fixture", "lamp", "ceiling light", "pendant light", "chandelier"),
        defaults={"recolor": "brass", "tone": "warm", "texture": "brass"},
    ),
    Concept(
        id="Handle",
        name_en="Handle",
        name_ko="손잡이",
        prompts=("handle", "cabinet handle", "door handle", "drawer knob"),
        defaults={"recolor": "black_metal", "tone": "dark", "texture": "brushed_steel"},
        threshold=0.4,
    ),
)

INTERIOR_PROTECT_ONLY: tuple[Concept, ...] = (
    Concept(
        id="Glass_highlight",
        name_en="Glass Highlight",
        name_ko="유리 하이라이트",
        prompts=("glass reflection", "window reflection", "reflection", "glare"),
        defaults={"recolor": "clear_glass", "tone": "bright", "texture": "frosted_glass"},
        threshold=0.3,
    ),
)
