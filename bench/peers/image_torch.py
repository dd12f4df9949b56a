"""The image model of imageModel.mjs in diffusers and PyTorch; the line protocol of lib/protocol.mjs.

    python image_torch.py --model FOLDER --batch N --threads N [--output FILE]

`run K` predicts the noise in a batch K times. With --output, one prediction is written as f32 and nothing is served.
"""

import argparse
import json
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--batch", type=int, required=True)
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--output")
chosen = parser.parse_args()

started = time.perf_counter()
import torch  # noqa: E402
from diffusers import UNet2DModel  # noqa: E402

torch.set_num_threads(chosen.threads)
model = UNet2DModel.from_pretrained(f"{chosen.model}/unet", local_files_only=True).eval()
size = [chosen.batch, 3, 32, 32]
x = torch.sin(0.7 * torch.arange(chosen.batch * 3 * 32 * 32, dtype=torch.float64)).float().reshape(size)


def run(count):
    begun = time.perf_counter()
    with torch.inference_mode():
        for _ in range(count):
            y = model(x, 400).sample
    return {"seconds": time.perf_counter() - begun, "steps": count, "loss": 0}, y


def resident_megabytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


_, first = run(1)
if chosen.output:
    first.numpy().tofile(chosen.output)
    sys.exit(0)
run(3)
ready = {"ready": True, "version": torch.__version__, "setupSeconds": round(time.perf_counter() - started, 2)}
print(json.dumps({**ready, "megabytes": resident_megabytes()}), flush=True)
for line in sys.stdin:
    words = line.split()
    if words[:1] == ["quit"]:
        break
    if len(words) != 2 or words[0] != "run" or not words[1].isdigit() or int(words[1]) < 1:
        print(json.dumps({"error": f"{line.strip()!r}: expected 'run K' with K at least 1, or 'quit'"}), flush=True)
        continue
    print(json.dumps(run(int(words[1]))[0]), flush=True)
