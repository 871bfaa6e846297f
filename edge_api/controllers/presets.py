"""What can be chosen: presets with their concepts, and materials."""

from litestar import Controller, get
from litestar.params import FromPath
from msgspec import UNSET

from edge_api.controllers.auth import authenticated
from edge_api.controllers.envelope import Envelope, ok
from edge_api.controllers.openapi import errors
from edge_api.controllers.schemas import (
    ConceptView,
    MaterialView,
    OutputTemplateView,
    PresetDetail,
    PresetSummary,
)
from edge_api.services.rules import known_preset
from shared.concepts import Concept
from shared.materials import MATERIALS, Material
from shared.presets import PRESETS, OutputTemplate, Preset


class PresetController(Controller):
    tags = ("Catalogue",)
    guards = (authenticated,)

    @get("/presets", operation_id="ListPresets", responses=errors("TOKEN"))
    async def list_presets(self) -> Envelope[list[PresetSummary]]:
        """The domains: interior, seller."""
        return ok([_summary(preset) for preset in PRESETS.values()])

    @get(
        "/presets/{preset_id:str}",
        operation_id="GetPreset",
        responses=errors("TOKEN", "INVALID_PRESET"),
    )
    async def get_preset(self, preset_id: FromPath[str]) -> Envelope[PresetDetail]:
        """A domain with its concepts, what is protected by default, and its output templates."""
        preset = known_preset(preset_id)
        summary = _summary(preset)
        return ok(
            PresetDetail(
                id=summary.id,
                name=summary.name,
                concept_count=summary.concept_count,
                name_en=summary.name_en,
                concepts=[concept.id for concept in preset.concepts],
                protect_defaults=list(preset.protect_defaults),
                output_templates=[_template(template) for template in preset.output_templates],
                concept_details=[_concept(concept) for concept in preset.concepts],
            )
        )

    @get("/materials", operation_id="ListMaterials", responses=errors("TOKEN"))
    async def list_materials(self) -> Envelope[list[MaterialView]]:
        """Named colours and materials; hex colours and CSS names are values too."""
        return ok([_material(material) for material in MATERIALS.values()])


def _summary(preset: Preset) -> PresetSummary:
    return PresetSummary(preset.id, preset.name, len(preset.concepts), preset.name_en)


def _template(template: OutputTemplate) -> OutputTemplateView:
    return OutputTemplateView(template.id, template.name, template.description, template.alias)


def _concept(concept: Concept) -> ConceptView:
    return ConceptView(
        concept.id, concept.name_ko, concept.name_en, concept.kind.value, dict(concept.defaults)
    )


def _material(material: Material) -> MaterialView:
    return MaterialView(
        id=material.id,
        name_ko=material.name_ko,
        name_en=material.name_en,
        family=material.family,
        hex=material.hex,
        texture=material.texture or UNSET,
    )
