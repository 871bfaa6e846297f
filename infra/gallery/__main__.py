"""`make gallery`: render every action on the sample photos, and on any photos given."""

import argparse
import io
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from gpu_handler.backends.cpu import CpuBackend
from gpu_handler.imaging.decode import ImageError
from gpu_handler.pipeline.brushwork import Brushwork
from gpu_handler.pipeline.photo import PaintedPhoto, SeenPhoto, apply
from gpu_handler.pipeline.plan import make_plan
from gpu_handler.segment.choice import choose_engine
from gpu_handler.settings import Settings
from infra.demo.sheet.saving import save_sheet
from infra.gallery.crops import edge_place
from infra.gallery.figures import described
from infra.gallery.scenes import Scene, photo_scene, sample_scene
from infra.gallery.sheet import EDGE_SIDE, Card, Strip, draw
from infra.gallery.shots import SHOTS, Shot, photo_shots, tone_shots
from shared.environment import SettingsError
from shared.presets import PRESETS

_LARGEST = 12_000_000
_SMALL_WIDTH = 1320
_SMALL_BYTES = 400_000

# The engine is chosen by the handler's own settings; the others of them are not used here.
_UNUSED = {
    "STORAGE_S3_ENDPOINT": "http://127.0.0.1",
    "STORAGE_ACCESS_KEY": "unused",
    "STORAGE_SECRET_KEY": "unused",
    "STORAGE_BUCKET": "unused",
    "GPU_CALLBACK_SECRET": "unused-unused-unused-unused-unused",
}


def main() -> int:
    options = _options()
    started = time.perf_counter()
    try:
        rows = list(_rows(options))
    except (OSError, ImageError, SettingsError) as error:
        print(f"gallery: {error}", file=sys.stderr)
        return 1
    output = Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    sheet = draw([row for row, _ in rows], "Every action")
    save_sheet(sheet, output / "gallery.png", _LARGEST)
    print(f"{output / 'gallery.png'}: {len(rows)} rows in {time.perf_counter() - started:.0f} s")
    if options.small:
        small = draw([row for row, telling in rows if telling], "Some of the actions")
        size = _save_small(small, Path(options.small))
        print(f"{options.small}: {size >> 10} kB")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.gallery", description=__doc__)
    parser.add_argument("--photos", nargs="*", type=Path, default=[], help="photos of your own")
    parser.add_argument("--preset", choices=list(PRESETS), default="interior", help="of them")
    parser.add_argument("--output", default="gallery-output", help="folder for gallery.png")
    parser.add_argument("--small", help="also write the most telling rows as a small JPEG")
    parser.add_argument("--scale", type=float, default=1.0, help="of the sample photos, 1 is 3 MP")
    return parser.parse_args()


def _rows(options: argparse.Namespace) -> Iterator[tuple[Card | Strip, bool]]:
    """Each row of the sheet, and whether it is in the small one."""
    brushwork = Brushwork([CpuBackend()])
    if options.photos:
        settings = Settings.from_env(_UNUSED | dict(os.environ))
        engine = choose_engine(settings)
        for path in options.photos:
            scene = photo_scene(path, engine)
            for shot in photo_shots(path.stem, options.preset):
                yield _card(brushwork, scene, shot), shot.telling
        return
    for shot in SHOTS:
        yield _card(brushwork, sample_scene(shot.scene, options.scale), shot), shot.telling
    yield _tones(brushwork, tone_shots(), options.scale), True


def _card(brushwork: Brushwork, scene: Scene, shot: Shot) -> Card:
    painted, seconds = _painted(brushwork, scene, shot)
    alpha = painted.masks.get(shot.shown)
    place = (0, 0) if alpha is None else edge_place(scene.pixels, alpha, EDGE_SIDE)
    reports = [c.recolored for c in painted.findings.concepts.values() if c.recolored]
    print(f"{shot.title} ({scene.name}): {seconds:.2f} s", flush=True)
    return Card(
        shot.title,
        described(scene.pixels, painted, shot.shown, seconds),
        scene.pixels,
        painted.pixels,
        place,
        [report.asked for report in reports],
        [report.reached for report in reports],
    )


def _tones(brushwork: Brushwork, shots: Sequence[Shot], scale: float) -> Strip:
    scene = sample_scene(shots[0].scene, scale)
    toned = [(shot.title, _painted(brushwork, scene, shot)[0].pixels) for shot in shots]
    return Strip("Tones of the same wall", [("before", scene.pixels), *toned])


def _painted(brushwork: Brushwork, scene: Scene, shot: Shot) -> tuple[PaintedPhoto, float]:
    """The result, and the seconds from logits to it."""
    plan = make_plan(shot.preset, dict(shot.rules), list(shot.protect))
    seen = SeenPhoto(scene.pixels, scene.find(plan.concepts), [])
    started = time.perf_counter()
    painted = apply(brushwork, scene.engine, seen, plan)
    return painted, time.perf_counter() - started


def _save_small(sheet: Image.Image, path: Path) -> int:
    """A JPEG small enough for a README; gives back its bytes."""
    height = round(sheet.height * _SMALL_WIDTH / sheet.width)
    small = sheet.resize((_SMALL_WIDTH, height), Image.Resampling.LANCZOS)
    for quality in (86, 80, 74, 68, 60, 50):
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= _SMALL_BYTES:
            break
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())
    return buffer.tell()


if __name__ == "__main__":
    sys.exit(main())
