"""What OpenCV makes of images for ControlNets: Canny's edges, and points of a face.

    python tools/reference/control_images.py tests/goldens/controlnet

Writes canny-NAME.png, the edges of tests/goldens/NAME at a size, as diffusers' docs
find them (thresholds 100 and 200), and points.png, circles as OpenPose's annotator
draws the points of a face.

Run with opencv 4.13.0, Pillow 12.1.0.
"""

import argparse
from pathlib import Path

import cv2
import numpy
from PIL import Image

GOLDENS = Path(__file__).parents[2] / "tests/goldens"
IMAGES = [
    ("face/astronaut.png", "astronaut", (120, 96)),
    ("resize/input_131x117.png", "input", (131, 117)),
    ("portraits/portrait-4.png", "portrait", (65, 43)),
]
POINTS = [(0, 0), (10, 8), (11, 9), (30, 23), (-2, 15), (20, -3), (34, 5), (36, 12)]


def save(pixels, path):
    Image.fromarray(pixels).convert("1").save(path, optimize=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output
    for path, name, size in IMAGES:
        image = Image.open(GOLDENS / path).resize(size, Image.Resampling.LANCZOS)
        edges = cv2.Canny(numpy.array(image.convert("RGB")), 100, 200)
        save(edges, output / f"canny-{name}.png")
    points = numpy.zeros((24, 32, 3), numpy.uint8)
    for point in POINTS:
        cv2.circle(points, point, 3, (255, 255, 255), thickness=-1)
    save(points, output / "points.png")


main()
