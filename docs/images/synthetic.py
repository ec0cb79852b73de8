"""Draw synthetic.png beside this file: a row for each difficulty, four scenes of each of four classes in every row.

python docs/images/synthetic.py
"""

from pathlib import Path

import torch
from PIL import Image

from kd_core.data.synthetic import synthetic
from kd_core.data.table import DataConfig

CLASSES, EACH, GAP, ZOOM = 4, 4, 4, 2

rows = []
for difficulty in (0.0, 0.25, 0.5, 0.75, 1.0):
    config = DataConfig("synthetic", train_images=100 * EACH, test_images=1, difficulty=difficulty).resolved()
    images_NCHW = synthetic(config, Path(), False).train.images_NCHW
    wide = [torch.cat(list(images_NCHW[label::100]), 2) for label in range(CLASSES)]
    gap = wide[0].new_full((3, 32, GAP), 255)
    row = torch.cat([part for block in wide for part in (gap, block)][1:], 2)
    rows += [row.new_full((3, GAP, row.shape[2]), 255), row]
image = Image.fromarray(torch.cat(rows[1:], 1).permute(1, 2, 0).numpy())
image.resize((ZOOM * image.width, ZOOM * image.height), Image.Resampling.NEAREST).save(Path(__file__).with_suffix(".png"))
