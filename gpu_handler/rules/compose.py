"""All rules of one photo put together, and what they left alone counted.

The order: what is removed goes first, and the surfaces behind it go on over the hole, so that a
floor is repainted where a sofa stood as well. Then the others as they were asked for, each from the
photo without what was removed. Where covers meet, each keeps its share of a pixel, and where they
overlap a later one lies over an earlier one.
"""

from collections.abc import Mapping, Sequence
from typing import assert_never

from msgspec import Struct

from gpu_handler.backends.base import Canvas, Cover, Proof
from gpu_handler.imaging.pixels import Pixels
from gpu_handler.inpainting.base import Inpainter
from gpu_handler.rules.recolor import RecolorReport, plan_recolor, report_recolor
from gpu_handler.rules.remove.plan import Removal, RemovalReport, plan_removal
from gpu_handler.rules.texture.materials import make_tile
from gpu_handler.rules.texture.plan import Geometry, TextureReport, plan_texture
from gpu_handler.rules.tone import plan_tone
from shared.materials import MATERIALS
from shared.messages import ItemWarning
from shared.rules import PixelRule, Recolor, Remove, Texture, Tone

Covers = Mapping[str, Cover]


class Layer(Struct, frozen=True, eq=False):
    """One rule and where it applies; `cover` is that of the concept, before protection."""

    concept: str
    rule: PixelRule
    cover: Cover


class Surroundings(Struct, frozen=True, eq=False):
    """What else was found: what may fill a hole, and what must not.

    `hosts` are surfaces that go on behind things, by concept, protected ones among them; `others`
    stay, and are never copied from.
    """

    hosts: Covers = {}
    others: tuple[Cover, ...] = ()


class Composed(Struct, frozen=True, eq=False):
    """What was applied and its proof.

    `covers`: what was applied of each layer, by concept; concepts that were removed share theirs,
    grown over edge and shadow. `proof`: the result compared with the photo over all protected
    pixels. The reports hold those rules that changed anything, by concept.
    """

    covers: dict[str, Cover] = {}
    proof: Proof = Proof(0, 0, 0)
    warnings: list[ItemWarning] = []
    recolored: dict[str, RecolorReport] = {}
    textured: dict[str, TextureReport] = {}
    removed: tuple[RemovalReport, ...] = ()


class _Composition:
    """A photo on its way through the rules."""

    def __init__(self, canvas: Canvas, shield: Cover | None) -> None:
        self.canvas = canvas
        self.shield = shield
        self.covers: dict[str, Cover] = {}
        self.warnings: list[ItemWarning] = []
        self.recolored: dict[str, RecolorReport] = {}
        self.textured: dict[str, TextureReport] = {}
        self.removed: list[RemovalReport] = []

    def spared(self, cover: Cover) -> Cover:
        return cover if self.shield is None else self.canvas.spared(cover, self.shield)

    def warn(self, code: str, message: str, concept: str) -> None:
        self.warnings.append(ItemWarning(code, message, concept))

    def remove(
        self, layers: Sequence[Layer], removals: Sequence[Removal], behind: Covers
    ) -> dict[str, Cover]:
        """Fill the holes; `behind` comes back with each cover continued over them."""
        names = ", ".join(layer.concept for layer in layers)
        continued, holes = dict(behind), list[Cover]()
        for removal in removals:
            hole = self.spared(self.canvas.stretch(removal.hole))
            self.canvas.paint(hole, removal.brush)
            for concept, cover in continued.items():
                continued[concept] = self.canvas.carried(cover, hole, removal.brush)
            holes.append(hole)
            self.removed.append(removal.report)
            if removal.report.basic_fill:
                message = f"What was behind {names} is a guess: {removal.report.reason}."
                self.warn("BASIC_FILL", message, layers[0].concept)
        if holes:
            self.canvas.settle()
            hole = self.canvas.union(holes)
            self.covers |= {layer.concept: hole for layer in layers}
        else:
            self.warn("NOT_REMOVED", f"Nothing to fill the place of {names} with.", names)
        return continued

    def apply(self, layer: Layer) -> None:
        """Lay one rule, other than a removal, over the picture."""
        cover, rule = layer.cover, layer.rule
        match rule:
            case Recolor():
                self._recolor(layer.concept, cover, rule)
            case Tone(parameters):
                if brush := plan_tone(parameters):
                    self.canvas.paint(cover, brush)
            case Texture(material):
                self._texture(layer.concept, cover, material)
            case Remove():
                raise ValueError("removals come first")
            case _:
                assert_never(rule)

    def _recolor(self, concept: str, cover: Cover, rule: Recolor) -> None:
        brush = plan_recolor(self.canvas, cover, rule)
        if brush is None:
            return
        self.canvas.paint(cover, brush)
        report = report_recolor(self.canvas, cover, rule)
        self.recolored[concept] = report
        if report.out_of_reach:
            message = (
                f"{concept} could not become {_hex(report.asked)} in this photo's light without "
                f"looking false: most of it is {_hex(report.reached)}."
            )
            self.warn("OUT_OF_REACH", message, concept)

    def _texture(self, concept: str, cover: Cover, material: str) -> None:
        if not len(self.canvas.samples(cover)):
            return
        tile = make_tile(MATERIALS[material])
        brush, report = plan_texture(self.canvas, cover, concept, tile.levels, tile.metres)
        self.canvas.paint(cover, brush)
        self.textured[concept] = report
        if report.geometry is Geometry.ASSUMED:
            message = f"No straight lines tell how {concept} lies: its perspective is a guess."
            self.warn("PERSPECTIVE_ASSUMED", message, concept)


def compose(
    canvas: Canvas,
    photo: Pixels,
    layers: Sequence[Layer],
    protect: Sequence[Cover],
    around: Surroundings | None = None,
    inpainter: Inpainter | None = None,
) -> Composed:
    """Carry out `layers` on the canvas of `photo`, but for what `protect` covers.

    A protected pixel (protect cover 128 or more) is never touched, and a soft edge of protection
    fades a rule in. Where no cover reaches, the photo's pixel stays, bit for bit.
    """
    shield = canvas.union(protect) if protect else None
    work = _Composition(canvas, shield)
    around = around or Surroundings()
    gone = [layer for layer in layers if isinstance(layer.rule, Remove)]
    stay = [layer for layer in layers if not isinstance(layer.rule, Remove)]
    behind = {layer.concept: layer.cover for layer in stay}
    if gone:
        removed = canvas.union([work.spared(layer.cover) for layer in gone])
        removals = plan_removal(canvas, removed, around.hosts, around.others, photo, inpainter)
        behind = work.remove(gone, removals, behind)
    kept = [work.spared(behind[layer.concept]) for layer in stay]
    work.covers |= {layer.concept: cover for layer, cover in zip(stay, kept, strict=True)}
    shares = canvas.divided(kept) if len(kept) > 1 else kept
    for layer, share in zip(stay, shares, strict=True):
        work.apply(Layer(layer.concept, layer.rule, share))
    proof = Proof(0, 0, 0) if shield is None else canvas.proof(shield)
    return Composed(
        work.covers, proof, work.warnings, work.recolored, work.textured, tuple(work.removed)
    )


def _hex(rgb: tuple[int, int, int]) -> str:
    return "#" + bytes(rgb).hex().upper()
