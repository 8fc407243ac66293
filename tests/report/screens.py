"""Screenshots of a report for the documentation: `python -m tests.report.screens report.html docs/report`.

Needs chromedriver, and Pillow, which matplotlib brings. Each is at most a few ten kilobytes.
"""

import io
import sys
from pathlib import Path

from PIL import Image

from tests.report.browser import browser

COLOURS = 64
DESK, PHONE = (1120, 900), (390, 844)
SHOTS = {
    "desk-light.png": (DESK, False, "answer"),
    "desk-dark.png": (DESK, True, "robustness"),
    "phone-light.png": (PHONE, False, "subsets"),
    "phone-dark.png": (PHONE, True, "calibration"),
}
"""File -> size of the screen, whether it is dark, and the section at its top."""


def main(page: Path, folder: Path) -> None:
    """Writes every picture."""
    folder.mkdir(parents=True, exist_ok=True)
    with browser() as window:
        for name, ((width, height), dark, section) in SHOTS.items():
            window.open(page, width=width, height=height, dark=dark, phone=width < 500)
            place = window.run(f"return Math.round(document.getElementById('{section}').getBoundingClientRect().top)")
            top = 0 if section == "answer" else place
            image = Image.open(io.BytesIO(window.picture(top, height + 200))).convert("RGB")
            image.quantize(COLOURS).save(folder / name, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
