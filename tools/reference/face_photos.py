"""The photos of tests/goldens/face that Pillow makes from one of the others.

    python tools/reference/face_photos.py tests/goldens FOLDER

writes them to FOLDER as PNG files, where tests/reduce_goldens.ts takes their
hashes from. tests/support/face_photos.ts makes the same.
"""

import sys
from pathlib import Path

from PIL import Image, ImageOps


def small(photo):
    return photo.resize((301, 297), Image.Resampling.BICUBIC)


def crop(photo):
    return photo.crop((120, 20, 340, 250))


def face(photo):
    return photo.crop((170, 60, 285, 190))


def turned(photo):
    return ImageOps.mirror(photo).rotate(8, resample=Image.Resampling.BICUBIC)


def two_faces(photo):
    canvas = Image.new("RGB", (640, 330), (90, 120, 140))
    canvas.paste(photo.crop((100, 0, 400, 300)), (10, 10))
    canvas.paste(ImageOps.mirror(crop(photo)), (350, 60))
    return canvas


MADE = {
    "astronaut_small": small,
    "astronaut_crop": crop,
    "astronaut_face": face,
    "astronaut_mirror_rot8": turned,
    "two_faces": two_faces,
}


def load(folder, path):
    """An image of tests/goldens, made where it is not kept; RGB."""
    name = Path(path).stem
    if name in MADE:
        return MADE[name](load(folder, "face/astronaut.png"))
    return Image.open(folder / path).convert("RGB")


def main(goldens, folder):
    for name in MADE:
        load(goldens, f"face/{name}.png").save(folder / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
