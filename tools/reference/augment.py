"""What OpenCV and Pillow make of an image when training data are prepared.

    python tools/reference/augment.py tests/goldens

writes tests/goldens/augment.json: SHA-256 of the RGB bytes of each result. OpenCV
must be a package for x86, where it resizes with Intel's IPP. Sizes are such that
Pillow resizes along rows first, as it always did before version 13; since then it
begins with columns where the height shrinks, and more than the width.
"""

import hashlib
import json
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from face_photos import load

INPUTS = ["resize/input_131x117.png", "face/astronaut_crop.png", "face/two_faces.png"]
# Sides of powers of two: there the weights are exact in f32, however IPP computes them.
SIZES = [(128, 128), (512, 512), (256, 256), (64, 32), (16, 512), (1024, 8), (1, 1)]
ANGLES = [(-45, True), (-44.99, False), (-12.3456789, True), (0, True), (1e-3, False),
          (7.25, True), (30, False), (45, True), (90, True), (90, False), (180, False), (270, True)]


def digest(pixels):
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def augmented(image, flip, angle, expand, side, crop):
    """A reference as torchvision's transforms make it, the random choices given."""
    if flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if angle is not None:
        image = image.rotate(angle, Image.Resampling.BILINEAR, expand)
    if crop is None:
        return image.resize((side, side), Image.Resampling.BILINEAR)
    # Resize(int): the shorter side gets that length.
    short = crop["side"]
    width, height = image.size
    if width <= height:
        size = (short, int(short * height / width))
    else:
        size = (int(short * width / height), short)
    image = image.resize(size, Image.Resampling.BILINEAR)
    left = int(crop["x"] * (size[0] - side + 1))
    top = int(crop["y"] * (size[1] - side + 1))
    return image.crop((left, top, left + side, top + side))


def box_map(faces, width, height, side):
    """The formulas of the reference's dataset, on a map of the image's size: rows are x."""
    boxes = np.zeros((height, width), np.uint8)
    for points in faces:
        x0, x1 = int(np.min(points[:, 1])), int(np.max(points[:, 1]))
        y0, y1 = int(np.min(points[:, 0])), int(np.max(points[:, 0]))
        xc, yc, xr, yr = int((x0 + x1) / 2), int((y0 + y1) / 2), int((x1 - x0) / 2), int((y1 - y0) / 2)
        boxes[max(0, int(xc - xr * 2.2)):int(xc + xr * 1.5), max(0, int(yc - yr * 1.5)):int(yc + yr * 1.5)] = 1
    return np.array(Image.fromarray(boxes).resize((side, side), Image.Resampling.NEAREST))


def masked(image, classes, black):
    """A face times its mask, which is resized to the face's size."""
    mask = np.array(Image.fromarray(classes).resize(image.size, Image.Resampling.NEAREST))
    return np.array(image) * np.where(np.isin(mask, black), 0, 1).astype(np.uint8)[:, :, None]


MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)


def sample(image, face, flip, side, face_side, vision_side):
    """A network's inputs, (H, W, 3) f32, of an image and its face, whose class at row y, column x is (x + 2 y) mod 19."""
    pixels = cv2.resize(np.array(image), (side, side), interpolation=cv2.INTER_CUBIC).astype(np.float32) / 127.5 - 1.0
    y, x = np.mgrid[:face.height, :face.width]
    classes = ((x + 2 * y) % 19).astype(np.uint8)
    face = face.resize((face_side, face_side), Image.Resampling.BICUBIC)
    face = Image.fromarray(masked(face, classes, [0, 14, 15, 16, 18]))
    if flip:
        face = face.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    face = face.resize((vision_side, vision_side), Image.Resampling.BILINEAR)
    reference = (np.array(face).astype(np.float32) / np.float32(255) - MEAN) / STD
    return {"image": digest(pixels), "reference": digest(reference)}


def more_cases(folder):
    for flip in [False, True]:
        for name, face in [("face/two_faces.png", "resize/input_131x117.png"), ("face/astronaut.png", "face/astronaut_small.png")]:
            images = [load(folder, file) for file in [name, face]]
            for sides in [(128, 128, 112), (512, 512, 224)]:
                yield {"op": "sample", "input": name, "face": face, "flip": flip, "sides": sides,
                       **sample(*images, flip, *sides)}
    random = np.random.default_rng(7)
    for width, height, side, count in [(512, 512, 512, 1), (640, 330, 128, 2), (131, 117, 128, 1), (700, 901, 512, 3)]:
        faces = []
        for _ in range(count):
            spread = random.uniform(20, 90, 2)
            centre = random.uniform(0, 1, 2) * (width, height)
            faces.append(np.round(centre + spread * random.uniform(-1, 1, (68, 2)), 2))
        result = box_map(faces, width, height, side)
        yield {"op": "box", "width": width, "height": height, "side": side,
               "faces": [face.flatten().tolist() for face in faces], "sha256": digest(result)}
    for name in INPUTS:
        image = load(folder, name)
        # Row y, column x of the classes: (3 x + 7 y) mod 19, at another size than the face.
        y, x = np.mgrid[:90, :70]
        classes = ((3 * x + 7 * y) % 19).astype(np.uint8)
        for kind, black in [("background", [0, 14, 15, 16, 18]), ("appearance", [0, 14, 15, 16, 18, 17, 11, 12, 13])]:
            yield {"op": "mask", "input": name, "kind": kind, "sha256": digest(masked(image, classes, black))}


def main(folder):
    cases = list(more_cases(folder))
    for name in INPUTS:
        image = load(folder, name)
        for width, height in [image.size, *SIZES]:
            pixels = cv2.resize(np.array(image), (width, height), interpolation=cv2.INTER_CUBIC)
            cases.append({"op": "cubic", "input": name, "width": width, "height": height, "sha256": digest(pixels)})
        for degrees, expand in ANGLES:
            result = image.rotate(degrees, Image.Resampling.BILINEAR, expand)
            cases.append({"op": "rotate", "input": name, "degrees": degrees, "expand": expand,
                          "width": result.width, "height": result.height, "sha256": digest(np.array(result))})
        for flip, angle, expand, crop in [
            (False, None, False, None), (True, None, False, None), (True, 33.3, False, None),
            (False, -20.5, True, None), (True, None, False, {"side": 166, "x": 0.999, "y": 0.25}),
            (False, 44.1, True, {"side": 166, "x": 0, "y": 0.7}),
        ]:
            result = augmented(image, flip, angle, expand, 112, crop)
            cases.append({"op": "augment", "input": name, "flip": flip, "degrees": angle, "expand": expand,
                          "crop": crop, "side": 112, "sha256": digest(np.array(result))})
    path = folder / "augment.json"
    made_with = {"opencv": cv2.__version__, "pillow": Image.__version__}
    path.write_text(json.dumps({"madeWith": made_with, "cases": cases}).replace('{"op"', '\n{"op"') + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
