"""Online steps of the last-token networks of `npm run bench -- lasttoken` in PyTorch.

    python bench/peers/lasttoken_torch.py --problem FILE --network cnn --width 256 --mode eager --threads 1

From their definitions (Cagnetta and Wyart 2024): the hierarchical CNN has L convolutions with kernel and stride s, ReLU, no bias,
weights N(0, 1), each product over the root of its fan-in, the readout over the width; plain SGD with rate `width`. `--form
matmul` has each convolution as a reshape and a matrix product. The stack of attention has a token embedding over the root of v,
learned positions, layers of multi-head attention without residual, norm, feed-forward block or mask, every product over the root
of its fan-in, and a readout at the last position; Adam with rate 1e-3.

Every step draws fresh strings: a class, then a rule at every node. The last token is hidden. A server on standard input and
output, like torch_steps.py: `run K` makes K training steps. With `--check FILE` it answers the logits of given weights and
strings, once, in float64.
"""

import argparse
import json
import math
import os
import time

from served import serve


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--problem", required=True, help="JSON: sizes and rules")
    parser.add_argument("--network", choices=["cnn", "attention"], required=True)
    parser.add_argument("--width", type=int, required=True, help="channels, or size of the embedding")
    parser.add_argument("--layers", type=int, default=3, help="of the stack of attention")
    parser.add_argument("--form", choices=["conv", "matmul"], default="conv")
    parser.add_argument("--mode", choices=["eager", "compile"], default="eager")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--check", help="JSON: weights and strings")
    return parser.parse_args()


def make_network(torch, chosen, problem):
    import torch.nn.functional as F

    v, s, depth, width = problem["v"], problem["s"], problem["L"], chosen.width
    length, heads = s**depth, problem["heads"]
    weight = lambda *shape: torch.nn.Parameter(torch.randn(*shape))  # noqa: E731

    class Cnn(torch.nn.Module):
        def __init__(self):
            super().__init__()
            sizes = [v] + [width] * (depth - 1)
            shape = (lambda c: (width, c, s)) if chosen.form == "conv" else (lambda c: (width, s * c))
            self.layers = torch.nn.ParameterList([weight(*shape(c)) for c in sizes])
            self.scales = [1 / math.sqrt(s * c) for c in sizes]
            self.readout = weight(v, width)

        def load(self, given):
            with torch.no_grad():
                for own, values in zip(self.layers, given["layers"]):
                    flat = torch.tensor(values)
                    if chosen.form == "conv":
                        flat = flat.reshape(width, s, -1).permute(0, 2, 1)
                    own.copy_(flat.reshape(own.shape))
                self.readout.copy_(torch.tensor(given["readout"]).reshape(v, width))

        def forward(self, h):
            h = h.transpose(1, 2) if chosen.form == "conv" else h
            for own, scale in zip(self.layers, self.scales):
                if chosen.form == "conv":
                    h = F.relu(F.conv1d(h, own, stride=s) * scale)
                else:
                    batch, positions, channels = h.shape
                    h = F.relu(h.reshape(batch, positions // s, s * channels) @ own.T * scale)
            return h.reshape(h.shape[0], width) @ self.readout.T / width

    class Attention(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.positions = weight(width, v), weight(length, width)
            maps = lambda: torch.nn.ParameterList([weight(width, width) for _ in range(4)])  # noqa: E731
            self.layers = torch.nn.ModuleList([maps() for _ in range(chosen.layers)])
            self.readout = weight(v, width)

        def load(self, given):
            with torch.no_grad():
                self.embedding.copy_(torch.tensor(given["embedding"]).reshape(v, width).T)
                self.positions.copy_(torch.tensor(given["positions"]).reshape(length, width))
                for maps, values in zip(self.layers, given["layers"]):
                    for own, flat in zip(maps, values):
                        own.copy_(torch.tensor(flat).reshape(width, width))
                self.readout.copy_(torch.tensor(given["readout"]).reshape(v, width))

        def forward(self, x):
            h = F.linear(x, self.embedding) * v**-0.5 + self.positions
            batch = h.shape[0]
            for query, key, value, out in self.layers:
                apart = lambda w: (  # noqa: E731
                    F.linear(h, w).view(batch, length, heads, width // heads).transpose(1, 2) * width**-0.5
                )
                q, k, u = apart(query), apart(key), apart(value)
                looks = F.softmax(q @ k.transpose(-2, -1) * (width // heads) ** -0.5, dim=-1)
                h = F.linear((looks @ u).transpose(1, 2).reshape(batch, length, width), out) * width**-0.5
            return F.linear(h[:, -1], self.readout) * width**-0.5

    return Cnn() if chosen.network == "cnn" else Attention()


def main():
    chosen = options()
    os.environ.setdefault("OMP_NUM_THREADS", str(chosen.threads))
    began = time.perf_counter()
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(chosen.threads)
    torch.set_flush_denormal(True)
    with open(chosen.problem) as file:
        problem = json.load(file)
    if chosen.check:
        torch.set_default_dtype(torch.float64)
    v, m, s, depth, size = (problem[name] for name in ("v", "m", "s", "L", "batchSize"))
    rules = [torch.tensor(level).reshape(v, m, s) for level in problem["rules"]]
    model = make_network(torch, chosen, problem)

    def inputs(leaves):
        x = F.one_hot(leaves, v).to(torch.get_default_dtype()) * math.sqrt(v)
        x[:, -1] = 0
        return x, leaves[:, -1]

    if chosen.check:
        with open(chosen.check) as file:
            given = json.load(file)
        model.load(given["weights"])
        with torch.no_grad():
            print(json.dumps(model(inputs(torch.tensor(given["leaves"]))[0]).flatten().tolist()))
        return

    torch.manual_seed(1)
    if chosen.network == "cnn":
        optimizer = torch.optim.SGD(model.parameters(), lr=float(chosen.width), foreach=True)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    loss = lambda x, last: F.cross_entropy(model(x), last)  # noqa: E731
    loss = torch.compile(loss) if chosen.mode == "compile" else loss

    def fresh():
        symbols = torch.randint(v, (size, 1))
        for level in rules:
            symbols = level[symbols, torch.randint(m, symbols.shape)].reshape(size, -1)
        return inputs(symbols)

    def run(steps):
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            value = loss(*fresh())
            value.backward()
            optimizer.step()
        return float(value.detach())

    run(8)
    serve(run, began, version=torch.__version__)


if __name__ == "__main__":
    main()
