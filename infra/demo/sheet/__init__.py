"""The contact sheet: before, after and what was found, one row for each photo."""

from infra.demo.sheet.page import draw_sheet
from infra.demo.sheet.rows import SheetAlbum, SheetPhoto
from infra.demo.sheet.saving import save_sheet

__all__ = ["SheetAlbum", "SheetPhoto", "draw_sheet", "save_sheet"]
