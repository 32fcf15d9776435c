"""A contact sheet: each clip's frames with its questions and gold answers beside them, to look at data as people do."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from harness.errors import DataError
from harness.qa.items import QAItem, by_clip

FRAME, GAP, TEXT_WIDTH = 192, 12, 560
LINE = 17


def write_sheet(items: Sequence[QAItem], path: Path, clips: int = 8) -> Path:
    """Write the first `clips` clips as one PNG, aside and then renamed. DataError when `path` cannot be written."""
    groups = by_clip(items)[:clips]
    font = ImageFont.load_default(14)
    rows = []
    for clip, asked in groups:
        frames = clip.frames()
        lines = [clip.id]
        for item in asked:
            lines += textwrap.wrap(f"[{item.type}] {item.prompt} → {item.gold}".replace("→", "=>"), 78)
        height = max(FRAME, LINE * len(lines)) + GAP
        row = Image.new("RGB", (len(frames) * (FRAME + GAP) + TEXT_WIDTH, height), "white")
        for number, frame in enumerate(frames):
            shown = Image.fromarray(frame).resize((FRAME, FRAME), Image.Resampling.NEAREST)
            row.paste(shown, (number * (FRAME + GAP), 0))
        draw = ImageDraw.Draw(row)
        for number, line in enumerate(lines):
            draw.text((len(frames) * (FRAME + GAP), number * LINE), line, fill="black", font=font)
        rows.append(row)
    sheet = Image.new("RGB", (max(row.width for row in rows) + 2 * GAP, sum(row.height for row in rows) + GAP), "white")
    y = GAP
    for row in rows:
        sheet.paste(row, (GAP, y))
        y += row.height
    aside = path.with_name(f".{path.name}.tmp")
    try:
        sheet.save(aside, "PNG")
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path
