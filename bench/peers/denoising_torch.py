"""Training steps of the denoising perceptron of `npm run bench -- denoising` in PyTorch; its network is the oracle of a fixture.

    python bench/peers/denoising_torch.py --problem FILE --mode eager --threads 1

Written from the definition: h = embed(x), h <- h + W silu(LN(h) + e(t)) in every layer, readout(h); e(t) = W1 silu(W0 s(t)) of
sines and cosines s. A step draws images, times and noise anew and minimizes the mean squared error of the clean image by Adam.

A server on standard input and output, like torch_steps.py: `run K` makes K training steps.
"""

import argparse
import json
import os
import time

from served import serve


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--problem", required=True, help="JSON: sizes, images [P][size]")
    parser.add_argument("--mode", choices=["eager", "fused", "compile"], default="eager")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def make_network(torch, size, width, layers, time_features):
    import torch.nn.functional as F

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.dense = torch.nn.LayerNorm(width), torch.nn.Linear(width, width)

        def forward(self, h, e):
            return h + self.dense(F.silu(self.norm(h) + e))

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.readout = torch.nn.Linear(size, width), torch.nn.Linear(width, size)
            self.time = torch.nn.ModuleList([torch.nn.Linear(time_features, width), torch.nn.Linear(width, width)])
            self.blocks = torch.nn.ModuleList([Block() for _ in range(layers)])
            half = time_features // 2
            frequencies = 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
            self.register_buffer("frequencies", frequencies.to(torch.get_default_dtype()), persistent=False)

        def forward(self, x, t):
            angles = t[:, None].to(x.dtype) * self.frequencies.to(x.dtype)
            e = self.time[1](F.silu(self.time[0](torch.cat([angles.sin(), angles.cos()], 1))))
            h = self.embed(x.flatten(1))
            for block in self.blocks:
                h = block(h, e)
            return self.readout(h).reshape(x.shape)

    return Network()


def main():
    chosen = options()
    os.environ.setdefault("OMP_NUM_THREADS", str(chosen.threads))
    began = time.perf_counter()
    import torch

    torch.set_num_threads(chosen.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(1)
    with open(chosen.problem) as file:
        problem = json.load(file)
    images = torch.tensor(problem["images"])
    batch = problem["batchSize"]
    model = make_network(torch, images.shape[1], problem["width"], problem["layers"], problem["time"])
    alpha_bar = torch.tensor(problem["alphaBar"])
    optimizer = torch.optim.Adam(model.parameters(), lr=problem["learningRate"], fused=chosen.mode != "eager")

    def loss_of(clean, noise, t):
        level = alpha_bar[t][:, None]
        return ((model(level.sqrt() * clean + (1 - level).sqrt() * noise, t) - clean) ** 2).mean()

    objective = torch.compile(loss_of) if chosen.mode == "compile" else loss_of

    def batches():
        while True:
            order = torch.randperm(len(images))
            for start in range(0, len(images) - batch + 1, batch):
                yield images[order[start : start + batch]]

    turns = batches()

    def run(steps):
        for _ in range(steps):
            clean = next(turns)
            t = torch.randint(len(alpha_bar), (batch,))
            optimizer.zero_grad(set_to_none=True)
            value = objective(clean, torch.randn_like(clean), t)
            value.backward()
            optimizer.step()
        return float(value.detach())

    run(8)
    serve(run, began, version=torch.__version__)


if __name__ == "__main__":
    main()
