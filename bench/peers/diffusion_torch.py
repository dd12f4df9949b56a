"""Training and sampling of the tree U-Net of `npm run bench -- diffusion` in PyTorch.

    python bench/peers/diffusion_torch.py --problem FILE --task train --width 64 --form conv --mode eager --threads 1

The network of Favero et al. (2025) for strings of a hierarchical grammar, from its definition: the input is
(abar_t x_t + (1 - abar_t)/v - 1/v) / deviation; a 1x1 map and GELU; L blocks down, each a convolution with kernel and stride
s, LayerNorm over channels and GELU; L blocks up with transposed convolutions, of all but the first on the concatenation with
the block of the same length on the way down; a 1x1 readout of the concatenation with the first map. Weights N(0, 1), no bias;
each product over the root of its fan-in, the readout over its fan-in. The noise is uniform (D3PM), the loss the KL of one step
back, with uniform t, the optimizer Adam. Sampling is ancestral: torch.multinomial at every step.

`--form conv` has channels in the middle, [B, C, T], and Conv1d and ConvTranspose1d, as the authors have them. `--form matmul`
has channels last, and each convolution as a reshape and a matrix product. Both take the same weights.

A server on standard input and output, like torch_steps.py: `run K` makes K training steps, or samples K times. With `--check
FILE` it answers logits and loss of given weights and strings, once, in float64.
"""

import argparse
import json
import math
import os
import time

from served import serve


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--problem", required=True, help="JSON: sizes, schedule, strings")
    parser.add_argument("--task", choices=["train", "sample"], default="train")
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--form", choices=["conv", "matmul"], required=True)
    parser.add_argument("--mode", choices=["eager", "compile"], default="eager")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--check", help="JSON: weights and strings")
    return parser.parse_args()


def make_network(torch, form, v, s, depth, width):
    import torch.nn.functional as F

    is_conv = form == "conv"
    ups = [width] + [2 * width] * (depth - 1)

    class Norm(torch.nn.LayerNorm):
        """Over channels."""

        def forward(self, h):
            return super().forward(h.transpose(1, 2)).transpose(1, 2) if is_conv else super().forward(h)

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            weight = lambda *shape: torch.nn.Parameter(torch.randn(*shape))  # noqa: E731
            self.embed = weight(width, v, 1) if is_conv else weight(width, v)
            self.readout = weight(v, 2 * width, 1) if is_conv else weight(v, 2 * width)
            down = lambda: weight(width, width, s) if is_conv else weight(width, s * width)  # noqa: E731
            up = lambda c: weight(c, width, s) if is_conv else weight(s * width, c)  # noqa: E731
            self.down = torch.nn.ParameterList([down() for _ in range(depth)])
            self.up = torch.nn.ParameterList([up(c) for c in ups])
            self.norms = torch.nn.ModuleList([Norm(width) for _ in range(2 * depth)])

        def load(self, weights):
            """Weights as ours has them, outputs first, position before channel."""
            with torch.no_grad():
                for own, given in zip(
                    [self.embed, *self.down, *self.up, self.readout],
                    [weights["embed"], *weights["down"], *weights["up"], weights["readout"]],
                ):
                    given = torch.tensor(given)
                    if not is_conv:
                        own.copy_(given.reshape(own.shape))
                    elif any(own is w for w in self.down):
                        own.copy_(given.reshape(width, s, width).permute(0, 2, 1))
                    elif any(own is w for w in self.up):
                        own.copy_(given.reshape(s, width, own.shape[0]).permute(2, 1, 0))
                    else:
                        own.copy_(given.reshape(own.shape))
                for norm, given in zip(self.norms, weights["norms"]):
                    norm.weight.copy_(torch.tensor(given["weight"]))
                    norm.bias.copy_(torch.tensor(given["bias"]))

        def conv(self, h, weight):
            scale = 1 / math.sqrt(s * width)
            if is_conv:
                return F.conv1d(h, weight, stride=s) * scale
            batch, positions, channels = h.shape
            return h.reshape(batch, positions // s, s * channels) @ weight.T * scale

        def conv_transpose(self, h, weight):
            if is_conv:
                return F.conv_transpose1d(h, weight, stride=s) * (1 / math.sqrt(weight.shape[0]))
            batch, positions, channels = h.shape
            return (h @ weight.T * (1 / math.sqrt(channels))).reshape(batch, positions * s, width)

        def forward(self, x):
            axis = 1 if is_conv else 2
            point = F.conv1d if is_conv else F.linear
            first = F.gelu(point(x, self.embed) * (1 / math.sqrt(v)))
            h, climbed = first, []
            for weight, norm in zip(self.down, self.norms[:depth]):
                h = F.gelu(norm(self.conv(h, weight)))
                climbed.append(h)
            climbed.pop()
            for i, (weight, norm) in enumerate(zip(self.up, self.norms[depth:])):
                h = h if i == 0 else torch.cat([h, climbed.pop()], axis)
                h = F.gelu(norm(self.conv_transpose(h, weight)))
            return point(torch.cat([h, first], axis), self.readout) * (1 / (2 * width))

    return Network()


class Diffusion:
    """D3PM with uniform noise. Distributions have symbols on axis 1 for `conv`, last for `matmul`."""

    def __init__(self, torch, problem, form, model):
        self.torch, self.model, self.form = torch, model, form
        self.v, self.deviation, self.steps = problem["v"], problem["deviation"], problem["T"]
        self.abar = torch.tensor(problem["alphaBar"])
        self.alpha = torch.tensor([1.0] + [b / a for a, b in zip(problem["alphaBar"], problem["alphaBar"][1:])])
        self.axis = 1 if form == "conv" else 2

    def one_hot(self, tokens):
        vectors = self.torch.nn.functional.one_hot(tokens.long(), self.v).to(self.abar.dtype)
        return vectors.transpose(1, 2) if self.form == "conv" else vectors

    def flat(self, p, share):
        """share p + (1 - share)/v, share [B]."""
        share = share[:, None, None]
        return share * p + (1 - share) / self.v

    def logits(self, noisy, abar):
        return self.model((self.flat(noisy, abar) - 1 / self.v) / self.deviation)

    def back(self, noisy, alpha, before, clean):
        """q(x_{t-1} | x_t, x_0), each token's sum 1."""
        p = self.flat(noisy, alpha) * self.flat(clean, before)
        return p / p.sum(self.axis, keepdim=True)

    def guess(self, noisy, abar, alpha, before):
        """q(x_{t-1} | x_t, the network's x_0), [B T, v]."""
        p = self.back(noisy, alpha, before, self.torch.softmax(self.logits(noisy, abar), self.axis))
        return (p.transpose(1, 2) if self.form == "conv" else p).reshape(-1, self.v)

    def loss(self, clean, noisy, abar, alpha, before):
        torch = self.torch
        truth = self.back(noisy, alpha, before, clean)
        guess = self.back(noisy, alpha, before, torch.softmax(self.logits(noisy, abar), self.axis))
        terms = truth * (torch.log(truth + 1e-8) - torch.log(guess + 1e-8))
        return terms.sum() * self.v / terms.numel()

    def at(self, t):
        return self.abar[t], self.alpha[t], self.abar[t - 1]

    def noisy(self, tokens, t):
        """x_t of tokens [B, T]."""
        p = self.flat(self.one_hot(tokens), self.abar[t])
        p = (p.transpose(1, 2) if self.form == "conv" else p).reshape(-1, self.v)
        return self.torch.multinomial(p, 1).reshape(tokens.shape)


def check(torch, diffusion, path):
    with open(path) as file:
        given = json.load(file)
    diffusion.model.load(given["weights"])
    clean, noisy = torch.tensor(given["clean"]), torch.tensor(given["noisy"])
    t = torch.tensor(given["times"])
    with torch.no_grad():
        logits = diffusion.logits(diffusion.one_hot(noisy), diffusion.abar[t])
        loss = diffusion.loss(diffusion.one_hot(clean), diffusion.one_hot(noisy), *diffusion.at(t))
    rows = logits.transpose(1, 2) if diffusion.form == "conv" else logits
    print(json.dumps({"logits": rows.flatten().tolist(), "loss": float(loss)}))


def make_train(torch, chosen, problem, diffusion):
    """A function of a number of steps. Rows in a new order each epoch, noise made anew each step."""
    leaves = torch.tensor(problem["leaves"])
    size = problem["batchSize"]
    optimizer = torch.optim.Adam(diffusion.model.parameters(), lr=problem["learningRate"], fused=True)
    loss = torch.compile(diffusion.loss) if chosen.mode == "compile" else diffusion.loss

    def batches():
        while True:
            order = torch.randperm(leaves.shape[0])
            for start in range(0, leaves.shape[0] - size + 1, size):
                yield leaves[order[start : start + size]]

    turns = batches()

    def run(steps):
        for _ in range(steps):
            clean = next(turns)
            t = torch.randint(1, diffusion.steps + 1, (size,))
            noisy = diffusion.noisy(clean, t)
            optimizer.zero_grad(set_to_none=True)
            value = loss(diffusion.one_hot(clean), diffusion.one_hot(noisy), *diffusion.at(t))
            value.backward()
            optimizer.step()
        return float(value.detach())

    return run


def make_sample(torch, chosen, problem, diffusion):
    """A function of a number of samplings, each of `samples` strings through all T steps."""
    d, count = len(problem["leaves"][0]), problem["samples"]
    guess = torch.compile(diffusion.guess) if chosen.mode == "compile" else diffusion.guess

    def run(samplings):
        with torch.no_grad():
            for _ in range(samplings):
                tokens = torch.randint(diffusion.v, (count, d))
                for t in range(diffusion.steps, 0, -1):
                    parts = [row.expand(count) for row in diffusion.at(t)]
                    tokens = torch.multinomial(guess(diffusion.one_hot(tokens), *parts), 1).reshape(count, d)
        return 0.0

    return run


def main():
    chosen = options()
    os.environ.setdefault("OMP_NUM_THREADS", str(chosen.threads))
    os.environ.setdefault("MKL_NUM_THREADS", str(chosen.threads))
    began = time.perf_counter()
    import torch

    torch.set_num_threads(chosen.threads)
    torch.set_num_interop_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(1)
    if chosen.check:
        torch.set_default_dtype(torch.float64)
    with open(chosen.problem) as file:
        problem = json.load(file)
    model = make_network(torch, chosen.form, problem["v"], problem["s"], problem["L"], chosen.width)
    diffusion = Diffusion(torch, problem, chosen.form, model)
    if chosen.check:
        check(torch, diffusion, chosen.check)
        return
    work = (make_train if chosen.task == "train" else make_sample)(torch, chosen, problem, diffusion)

    work(4 if chosen.task == "train" else 1)
    serve(work, began, version=torch.__version__)


if __name__ == "__main__":
    main()
