"""Training steps of the masked transformer of `npm run bench -- masked` in PyTorch.

    python bench/peers/masked_torch.py --problem FILE --mode eager --threads 1

Written from the definition: a pre-norm transformer that looks both ways, rotary positions of base 100 (feature i is paired with
i + D/2), GELU, one projection for queries, keys and values, no dropout, a readout without bias; symbol v is the mask. A step
draws windows anywhere in a sequence, masks k of each string with k uniform and stratified, and minimizes the mean over masks of
the cross-entropy (weight 1/k), the gradient clipped to norm 1, by AdamW (0.9, 0.98, decay 0.01).

A server on standard input and output, like torch_steps.py: `run K` makes K training steps. With `--check FILE` it answers the
logits and the gradients of the loss of given weights and strings, once, in float64.
"""

import argparse
import json
import os
import time

from served import serve


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--problem", required=True, help="JSON: sizes and the sequence")
    parser.add_argument("--mode", choices=["eager", "compile"], default="eager")
    parser.add_argument("--attention", choices=["plain", "sdpa"], default="plain")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--check", help="JSON: weights, strings and weights of the loss")
    return parser.parse_args()


def make_network(torch, problem, fused_attention):
    import torch.nn.functional as F

    v, d, width, heads, layers = (problem[name] for name in ("v", "d", "width", "heads", "layers"))
    each = width // heads

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
            self.attention = torch.nn.ModuleDict(
                {"qkv": torch.nn.Linear(width, 3 * width), "out": torch.nn.Linear(width, width)}
            )
            self.mlp = torch.nn.ModuleDict(
                {"fc1": torch.nn.Linear(width, 4 * width), "fc2": torch.nn.Linear(4 * width, width)}
            )

        def forward(self, h, cos, sin):
            batch = h.shape[0]
            qkv = self.attention["qkv"](self.norm1(h)).view(batch, d, 3, heads, each)
            q, k, u = qkv.permute(2, 0, 3, 1, 4).unbind(0)

            def turn(x):
                a, b = x.chunk(2, dim=-1)
                return x * cos + torch.cat([-b, a], dim=-1) * sin

            q, k = turn(q), turn(k)
            if fused_attention:
                looked = F.scaled_dot_product_attention(q, k, u)
            else:
                looked = F.softmax(q @ k.transpose(-2, -1) * each**-0.5, dim=-1) @ u
            h = h + self.attention["out"](looked.transpose(1, 2).reshape(batch, d, width))
            return h + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(h))))

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Parameter(0.02 * torch.randn(v + 1, width))
            self.blocks = torch.nn.ModuleList([Block() for _ in range(layers)])
            self.norm = torch.nn.LayerNorm(width)
            self.head = torch.nn.Linear(width, v, bias=False)
            half = each // 2
            angles = torch.arange(d).to(torch.get_default_dtype())[:, None] * 100.0 ** (
                -torch.arange(half).to(torch.get_default_dtype()) / half
            )
            self.register_buffer("cos", torch.cat([angles, angles], 1).cos(), persistent=False)
            self.register_buffer("sin", torch.cat([angles, angles], 1).sin(), persistent=False)

        def forward(self, tokens):
            h = self.embedding[tokens]
            for block in self.blocks:
                h = block(h, self.cos, self.sin)
            return self.head(self.norm(h))

    return Network()


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
    v, d, size = (problem[name] for name in ("v", "d", "batchSize"))
    torch.manual_seed(1)
    model = make_network(torch, problem, chosen.attention == "sdpa")

    def loss_of(clean, noisy, weight):
        logits = model(noisy)
        losses = F.cross_entropy(logits.reshape(-1, v), clean.reshape(-1), reduction="none")
        return (losses.view(clean.shape) * weight).sum(1).mean()

    if chosen.check:
        with open(chosen.check) as file:
            given = json.load(file)
        with torch.no_grad():
            for name, own in model.named_parameters():
                own.copy_(torch.tensor(given["weights"][name]).reshape(own.shape))
        clean, noisy = torch.tensor(given["clean"]), torch.tensor(given["noisy"])
        loss = loss_of(clean, noisy, torch.tensor(given["weight"]))
        loss.backward()
        gradients = {name: own.grad.flatten().tolist() for name, own in model.named_parameters()}
        with torch.no_grad():
            logits = model(noisy).flatten().tolist()
        print(json.dumps({"logits": logits, "loss": float(loss.detach()), "gradients": gradients}))
        return

    sequence = torch.tensor(problem["sequence"])
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=problem["learningRate"], betas=(0.9, 0.98), weight_decay=0.01, fused=True
    )
    objective = torch.compile(loss_of) if chosen.mode == "compile" else loss_of
    offsets = torch.arange(d)

    def fresh():
        begins = torch.randint(len(sequence) - d + 1, (size, 1))
        clean = sequence[begins + offsets]
        t = (torch.arange(size) + torch.rand(size)) / size
        k = (1 + (t * d).floor()).clamp(max=d).long()[:, None]
        masked = torch.rand(size, d).argsort(1).argsort(1) < k
        return clean, clean.masked_fill(masked, v), masked / k

    def run(steps):
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            value = objective(*fresh())
            value.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        return float(value.detach())

    run(8)
    serve(run, began, version=torch.__version__)


if __name__ == "__main__":
    main()
