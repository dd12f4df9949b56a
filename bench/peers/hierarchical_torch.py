"""Trains the hierarchical CNN of `npm run bench -- hierarchical` in PyTorch, to a training loss.

L layers of windows of s neighbours that do not overlap, width h, ReLU, no bias, weights N(0, 1), each product divided by
the root of its fan-in; readout divided by h; plain SGD with learning rate `rate` times h; whole batches in a new random
order each epoch. Training ends when the mean loss of an epoch is below `stopLoss`. `--form conv` is a Conv1d with stride
s, `--form matmul` the same map as a reshape and a matrix product.

A line of JSON on standard input has the data or asks for a round; a line answers each.
"""

import argparse
import json
import math
import os
import sys
import time


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--form", choices=["conv", "matmul"], required=True)
    form = parser.parse_args().form
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    torch.set_flush_denormal(True)

    class Network(torch.nn.Module):
        def __init__(self, v, s, depth, width, classes):
            super().__init__()
            self.s, self.width = s, width
            sizes = [v] + [width] * depth
            shape = (lambda a: (width, a, s)) if form == "conv" else (lambda a: (s * a, width))
            self.layers = torch.nn.ParameterList([torch.nn.Parameter(torch.randn(shape(a))) for a in sizes[:-1]])
            self.scales = [1 / math.sqrt(s * a) for a in sizes[:-1]]
            self.readout = torch.nn.Parameter(torch.randn(width, classes))

        def forward(self, h):
            for weight, scale in zip(self.layers, self.scales):
                if form == "conv":
                    h = F.relu(F.conv1d(h, weight, stride=self.s) * scale)
                else:
                    batch, positions, channels = h.shape
                    h = F.relu(h.reshape(batch, positions // self.s, self.s * channels) @ weight * scale)
            h = h[:, :, 0] if form == "conv" else h[:, 0]
            return h @ self.readout / self.width

    def train(problem, x, labels, seed):
        torch.manual_seed(seed)
        started = time.perf_counter()
        model = Network(problem["v"], problem["s"], problem["L"], problem["width"], problem["classes"])
        optimizer = torch.optim.SGD(model.parameters(), lr=problem["rate"] * problem["width"], foreach=True)
        first = time.perf_counter()
        count, size, steps, loss = x.shape[0], problem["batchSize"], 0, float("inf")
        while loss >= problem["stopLoss"] and steps < problem["maxSteps"]:
            order = torch.randperm(count)
            total = torch.zeros(())
            for start in range(0, count, size):
                rows = order[start : start + size]
                optimizer.zero_grad(set_to_none=True)
                value = F.cross_entropy(model(x[rows]), labels[rows])
                value.backward()
                optimizer.step()
                total += value.detach()
                steps += 1
            loss = float(total) * size / count
        return {"seconds": time.perf_counter() - first, "setupSeconds": first - started, "steps": steps, "loss": loss}

    for line in sys.stdin:
        order = json.loads(line)
        if "problem" in order:
            problem = order["problem"]
            x = torch.tensor(order["x"]).reshape(problem["P"], problem["s"] ** problem["L"], problem["v"])
            x = x.transpose(1, 2).contiguous() if form == "conv" else x
            labels = torch.tensor(order["labels"])
            answer = {"ready": True, "torch": torch.__version__}
        else:
            answer = train(problem, x, labels, order["seed"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
