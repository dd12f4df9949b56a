"""The image model of imageModel.mjs in diffusers and PyTorch; the line protocol of lib/protocol.mjs.

    python image_torch.py --model FOLDER --batch N --threads N [--output FILE]

`run K` predicts the noise in a batch K times. With --output, one prediction is written as f32 and nothing is served.
"""

import argparse
import sys
import time

from served import serve

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--batch", type=int, required=True)
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--output")
chosen = parser.parse_args()

began = time.perf_counter()
import torch  # noqa: E402
from diffusers import UNet2DModel  # noqa: E402

torch.set_num_threads(chosen.threads)
model = UNet2DModel.from_pretrained(f"{chosen.model}/unet", local_files_only=True).eval()
size = [chosen.batch, 3, 32, 32]
x = torch.sin(0.7 * torch.arange(chosen.batch * 3 * 32 * 32, dtype=torch.float64)).float().reshape(size)


def predict():
    with torch.inference_mode():
        return model(x, 400).sample


def run(count):
    for _ in range(count):
        predict()
    return 0


if chosen.output:
    predict().numpy().tofile(chosen.output)
    sys.exit(0)
run(4)
serve(run, began, version=torch.__version__)
