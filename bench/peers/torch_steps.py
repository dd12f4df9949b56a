"""Training steps of the bench networks in PyTorch, for `npm run bench -- engine`.

    python bench/peers/torch_steps.py --network transformer --width 128 --mode compile --threads 1

Served by served.py, so that a harness can take turns between several of them. The line that says it is ready
also holds "torch", "variant", "parameters" and "firstLoss".

`--once K` runs K steps without a server and prints one line. A step is forward, loss, backward and
optimizer, in f32. The inputs are fixed; the targets are random, sixteen draws for the same inputs in
turn, so that the loss falls to a floor well above 0 and gradients never fade into denormal numbers
(which are flushed to zero all the same). The networks are defined in networks.py. Settings:

    mlp               batch 128, width 64 | 256 | 512, 10 classes, Adam 1e-3
    hierarchical-cnn  v = 8, s = 2, L = 3, 8 classes, batch 128, width 64 | 256, SGD 1.0 (no momentum)
    transformer       4 layers, width 128 (4 heads) | 256 (8 heads), 32 sequences of 32 tokens,
                      64 symbols, Adam 1e-3
    unet              28x28, batch 32, channels = width (32: 32-64 channels), 8 groups, Adam 1e-3

PyTorch is to be at its best. What was tried is chosen with --variant, comma-separated words (../README.md
has the times; `--once K` measures one):

    matmul        hierarchical CNN as reshapes and dense maps instead of Conv1d
    channels-last U-Net in that memory format
    fused         the optimizer's fused kernel          compiled-optimizer   its step compiled
    whole         one compiled function for forward, backward and update (no autograd at run time)
    cpp           inductor's C++ wrapper                autotune             mode="max-autotune"
"""

import argparse
import itertools
import json
import os
import sys
import time

from served import serve, timed

# What a PyTorch user would write, with the fastest of the ordinary settings. `whole` and `matmul` are
# rewritings, asked for by name: the harness times them beside these.
BEST = {"eager": "fused", "compile": "fused"}
TRIED = ["matmul", "channels-last", "fused", "compiled-optimizer", "whole", "cpp", "autotune"]
POOL = 16  # draws of the targets
WIDTHS = {"mlp": [64, 256, 512], "hierarchical-cnn": [64, 256], "transformer": [128, 256], "unet": [32]}


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--network", required=True, choices=list(WIDTHS))
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--mode", choices=["eager", "compile"], default="eager")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--variant", help="comma-separated words instead of the best known")
    parser.add_argument("--once", type=int, metavar="K")
    chosen = parser.parse_args()
    words = BEST[chosen.mode] if chosen.variant is None else chosen.variant
    chosen.words = [w for w in words.split(",") if w]
    for word in chosen.words:
        if word not in TRIED:
            parser.error(f"--variant {word}: expected words out of {', '.join(TRIED)}")
    return chosen


def problem(torch, chosen):
    """Model, loss(model, batch), pool of batches, optimizer name and learning rate."""
    import torch.nn.functional as F

    import networks

    generator = torch.Generator().manual_seed(2)
    normal = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    integers = lambda high, *shape: torch.randint(high, shape, generator=generator)  # noqa: E731
    classify = lambda model, x, label: F.cross_entropy(model(x), label)  # noqa: E731
    width = chosen.width
    if chosen.network == "mlp":
        x = normal(128, width)
        batches = [(x, integers(10, 128)) for _ in range(POOL)]
        return networks.Mlp(width), classify, batches, "adam", 1e-3
    if chosen.network == "hierarchical-cnn":
        matmul = "matmul" in chosen.words
        build = networks.HierarchicalMatmul if matmul else networks.HierarchicalCnn
        x = F.one_hot(integers(8, 128, 8), 8).float()
        x = x if matmul else x.transpose(1, 2).contiguous()
        batches = [(x, integers(8, 128)) for _ in range(POOL)]
        return build(8, 2, 3, width, 8), classify, batches, "sgd", 1.0
    if chosen.network == "transformer":

        def loss(model, tokens, following):
            return F.cross_entropy(model(tokens).flatten(0, 1), following.flatten())

        tokens = integers(64, 32, 32)
        batches = [(tokens, integers(64, 32, 32)) for _ in range(POOL)]
        return networks.Transformer(width, max(1, width // 32), 4, 32, 64), loss, batches, "adam", 1e-3
    model = networks.Unet(width, 8)
    x, t = normal(32, 1, 28, 28), integers(1000, 32)
    batches = [(x, t, normal(32, 1, 28, 28)) for _ in range(POOL)]
    if "channels-last" in chosen.words:
        layout = torch.channels_last
        model = model.to(memory_format=layout)
        batches = [(x.to(memory_format=layout), t, n.to(memory_format=layout)) for x, t, n in batches]
    return model, lambda model, x, t, noise: F.mse_loss(model(x, t), noise), batches, "adam", 1e-3


def compiled(torch, chosen, function):
    return torch.compile(function, mode="max-autotune" if "autotune" in chosen.words else None)


def whole_step(torch, chosen, model, loss, kind, rate):
    """Forward, backward and the optimizer as one function of flat lists, compiled in one piece."""
    names = [n for n, _ in model.named_parameters()]
    parameters = [p.detach() for _, p in model.named_parameters()]
    first = [torch.zeros_like(p) for p in parameters]
    second = [torch.zeros_like(p) for p in parameters]
    count = torch.zeros(())

    def objective(parameters, *batch):
        bound = dict(zip(names, parameters))
        return loss(lambda *inputs: torch.func.functional_call(model, bound, inputs), *batch)

    def step(*batch):
        gradients, value = torch.func.grad_and_value(objective)(tuple(parameters), *batch)
        if kind == "sgd":
            for p, g in zip(parameters, gradients):
                p.sub_(g * rate)
            return value
        count.add_(1)
        correction1 = 1 - 0.9**count
        correction2 = (1 - 0.999**count).sqrt()
        for p, m, v, g in zip(parameters, first, second, gradients):
            m.mul_(0.9).add_(g * 0.1)
            v.mul_(0.999).add_(g * g * 0.001)
            p.sub_(rate / correction1 * m / (v.sqrt() / correction2 + 1e-8))
        return value

    return compiled(torch, chosen, step)


def modular_step(torch, chosen, model, loss, kind, rate):
    fused = "fused" in chosen.words
    build = torch.optim.Adam if kind == "adam" else torch.optim.SGD
    optimizer = build(model.parameters(), lr=rate, fused=True) if fused else build(
        model.parameters(), lr=rate, foreach=True
    )
    objective = lambda *batch: loss(model, *batch)  # noqa: E731
    update = optimizer.step
    if chosen.mode == "compile":
        objective = compiled(torch, chosen, objective)
        if "compiled-optimizer" in chosen.words:
            update = compiled(torch, chosen, lambda: optimizer.step())

    def step(*batch):
        optimizer.zero_grad(set_to_none=True)
        value = objective(*batch)
        value.backward()
        update()
        return value

    return step


def main():
    chosen = options()
    os.environ.setdefault("OMP_NUM_THREADS", str(chosen.threads))
    os.environ.setdefault("MKL_NUM_THREADS", str(chosen.threads))
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    began = time.perf_counter()
    import torch

    torch.set_num_threads(chosen.threads)
    torch.set_num_interop_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(1)
    if chosen.mode == "compile":
        import torch._inductor.config as inductor

        inductor.cpp_wrapper = "cpp" in chosen.words
    model, loss, batches, kind, rate = problem(torch, chosen)
    count = sum(p.numel() for p in model.parameters())
    build = whole_step if "whole" in chosen.words else modular_step
    step = build(torch, chosen, model, loss, kind, rate)
    turns = itertools.cycle(batches)

    def run(steps):
        for _ in range(steps):
            value = step(*next(turns))
        return float(value.detach())

    opening = run(1)
    run(3)
    facts = {
        "torch": torch.__version__, "variant": ",".join(chosen.words), "parameters": count, "firstLoss": opening,
    }
    if chosen.once:
        run(chosen.once)
        rounds = [timed(run, chosen.once) for _ in range(5)]
        best = sorted(1000 * r["seconds"] / r["steps"] for r in rounds)
        print(json.dumps({**facts, "milliseconds": [round(b, 4) for b in best], "loss": rounds[-1]["loss"]}))
        return
    serve(run, began, **facts)


if __name__ == "__main__":
    main()
