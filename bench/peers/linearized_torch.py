"""Training steps of a transformer and of its tangent model in PyTorch, for `npm run bench -- linearized`.

    python bench/peers/linearized_torch.py --problem FILE --mode jvp --threads 1

`plain` trains the transformer of networks.py. `jvp` trains f(theta0) + J (theta - theta0) as the authors of task arithmetic in the
tangent space do: one torch.func.jvp of a functional call, and reverse mode through it. Adam with the fused update.

A server on standard input and output, like torch_steps.py: `run K` makes K training steps.
"""

import argparse
import json
import os
import time

from served import serve


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--problem", required=True, help="JSON: sizes, tokens [batch][context], targets")
    parser.add_argument("--mode", choices=["plain", "jvp"], required=True)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main():
    chosen = options()
    os.environ.setdefault("OMP_NUM_THREADS", str(chosen.threads))
    began = time.perf_counter()
    import torch
    import torch.nn.functional as F
    from torch.func import functional_call, jvp
    from torch.nn.attention import SDPBackend, sdpa_kernel

    import networks

    torch.set_num_threads(chosen.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(1)
    with open(chosen.problem) as file:
        problem = json.load(file)
    sizes = [problem[name] for name in ["width", "heads", "layers", "context", "vocabulary"]]
    model = networks.Transformer(*sizes)
    tokens, targets = torch.tensor(problem["tokens"]), torch.tensor(problem["targets"])
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.Adam(model.parameters(), lr=problem["learningRate"], fused=True)

    def tangent():
        now = dict(model.named_parameters())
        change = {name: now[name] - start[name] for name in start}
        value, moved = jvp(lambda p: functional_call(model, p, (tokens,)), (start,), (change,))
        return value + moved

    def run(steps):
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            if chosen.mode == "plain":
                logits = model(tokens)
            else:
                # the fused attention has no forward derivative
                with sdpa_kernel(SDPBackend.MATH):
                    logits = tangent()
            loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    run(3)
    serve(run, began, version=torch.__version__)


if __name__ == "__main__":
    main()
