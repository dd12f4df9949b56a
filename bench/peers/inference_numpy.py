"""Exact posterior of a hierarchical grammar in batched NumPy, for `npm run bench -- inference`.

    python bench/peers/inference_numpy.py --problem problem.json --precision f32 --variant columns

Reads { "shape": { v, m, s, L }, "rules": [level][parent][m][s], "leaves": [B][d], "eps", "samples" } with s = 2. One call is an
upward pass from the likelihoods of the eps-process (1 - eps + eps/v on the true symbol, eps/v on the others) to the root, then
`samples` exact posterior trees for each datum from the top down; every level's symbols are kept. One thread. Two layouts:

    rows      messages [B, nodes, v]: gather both children at every rule, multiply, sum each symbol's rules; samples by a
              cumulative sum over the m weights of the node's symbol. What one would write first.
    columns   messages [v, B nodes], so that gathers copy contiguous rows; cumulative weights [m, v, B nodes] serve both as
              the sums and for the samples, one gather and comparison a rule. The fastest found.

A server on standard input and output: one JSON line when ready, then for each line `run K` one line { "seconds", "cpu", "calls",
"logEvidence" (mean), "kept" (share of sampled leaves equal to the clean ones) }, until `quit`.
"""

import argparse
import json
import os
import sys
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
import numpy as np  # noqa: E402


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--problem", required=True)
    parser.add_argument("--precision", choices=["f32", "f64"], required=True)
    parser.add_argument("--variant", choices=["rows", "columns"], required=True)
    return parser.parse_args()


class Problem:
    def __init__(self, path, precision):
        with open(path) as file:
            data = json.load(file)
        shape = data["shape"]
        self.v, self.m, self.L = shape["v"], shape["m"], shape["L"]
        self.samples = data["samples"]
        self.type = np.float32 if precision == "f32" else np.float64
        # the right-hand sides of rule y m + k of each level, left and right
        tables = [np.array(t).reshape(-1, 2) for t in data["rules"]]
        self.left = [np.ascontiguousarray(t[:, 0]) for t in tables]
        self.right = [np.ascontiguousarray(t[:, 1]) for t in tables]
        self.leaves = np.array(data["leaves"])
        self.batch = len(self.leaves)
        eps = data["eps"]
        self.likelihood = np.full((*self.leaves.shape, self.v), eps / self.v, self.type)
        np.put_along_axis(self.likelihood, self.leaves[..., None], 1 - eps + eps / self.v, 2)
        self.random = np.random.Generator(np.random.SFC64(1))

    def uniform(self, shape):
        return self.random.random(shape, dtype=self.type)

    def children(self, level, rules, nodes):
        """Symbols [B, S, 2 nodes] below nodes that use these rules."""
        below = np.empty((self.batch, self.samples, nodes, 2), np.int64)
        shape = below.shape[:3]
        below[..., 0] = self.left[level].take(rules).reshape(shape)
        below[..., 1] = self.right[level].take(rules).reshape(shape)
        return below.reshape(self.batch, self.samples, 2 * nodes)


def rows_call(p):
    v, m, L, B, S = p.v, p.m, p.L, p.batch, p.samples
    message = p.likelihood
    scale = message.sum(-1, keepdims=True)
    message = message / scale
    log_scale = np.log(scale, dtype=np.float64).sum((1, 2))
    weights = [None] * L
    for level in reversed(range(L)):
        w = np.take(message[:, 0::2], p.left[level], axis=2)
        w *= np.take(message[:, 1::2], p.right[level], axis=2)
        weights[level] = w
        message = np.add.reduceat(w, np.arange(0, w.shape[2], m), axis=2)
        scale = message.sum(-1, keepdims=True)
        message /= scale
        log_scale += np.log(scale, dtype=np.float64).sum((1, 2))
    steps = np.cumsum(message[:, 0], -1)
    pick = p.uniform((B, S, 1)) * steps[:, None, -1:]
    symbols = (steps[:, None, :-1] <= pick).sum(-1)[..., None]
    levels = [symbols]
    for level in range(L):
        nodes = 2**level
        steps = np.cumsum(weights[level].reshape(-1, m), -1)
        place = (np.arange(B)[:, None] * nodes + np.arange(nodes))[:, None, :] * (len(p.left[level]) // m) + symbols
        own = steps.take(place.ravel(), axis=0)
        pick = p.uniform((len(own), 1)) * own[:, -1:]
        rules = (own[:, :-1] <= pick).sum(-1) + symbols.ravel() * m
        symbols = p.children(level, rules, nodes)
        levels.append(symbols)
    return log_scale, levels


def columns_call(p):
    v, m, L, B, S = p.v, p.m, p.L, p.batch, p.samples
    message = np.ascontiguousarray(p.likelihood.transpose(2, 0, 1)).reshape(v, -1)
    scale = message.sum(0)
    message = message / scale
    log_scale = np.log(scale, dtype=np.float64).reshape(B, -1).sum(1)
    steps = [None] * L
    for level in reversed(range(L)):
        left, right = np.ascontiguousarray(message[:, 0::2]), np.ascontiguousarray(message[:, 1::2])
        a, b = p.left[level].reshape(-1, m), p.right[level].reshape(-1, m)
        sums = np.empty((m, len(a), left.shape[1]), p.type)
        for k in range(m):
            w = left[a[:, k]]
            w *= right[b[:, k]]
            if k == 0:
                sums[0] = w
            else:
                np.add(sums[k - 1], w, out=sums[k])
        steps[level] = sums
        scale = sums[-1].sum(0)
        message = sums[-1] / scale
        log_scale += np.log(scale, dtype=np.float64).reshape(B, -1).sum(1)
    root = np.cumsum(message, 0)
    pick = p.uniform((B, S)) * root[-1][:, None]
    symbols = (root[:-1, :, None] <= pick).sum(0).reshape(B, S, 1)
    levels = [symbols]
    for level in range(L):
        nodes = 2**level
        sums = steps[level].reshape(m, -1)
        place = symbols * (B * nodes) + (np.arange(B)[:, None] * nodes + np.arange(nodes))[:, None, :]
        place = place.ravel()
        pick = p.uniform(place.shape)
        pick *= sums[-1].take(place)
        rules = symbols.ravel() * m
        for k in range(m - 1):
            rules += sums[k].take(place) <= pick
        symbols = p.children(level, rules, nodes)
        levels.append(symbols)
    return log_scale, levels


def main():
    chosen = options()
    p = Problem(chosen.problem, chosen.precision)
    call = rows_call if chosen.variant == "rows" else columns_call
    internal = 2**p.L - 1
    constant = np.log(len(p.left[0]) // p.m) + internal * np.log(p.m)

    def run(calls):
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(calls):
            log_scale, levels = call(p)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        kept = float((levels[-1] == p.leaves[:, None, :]).mean())
        evidence = float((log_scale - constant).mean())
        return {"seconds": wall, "cpu": cpu, "calls": calls, "logEvidence": evidence, "kept": kept}

    run(2)
    print(json.dumps({"ready": True, "numpy": np.__version__}), flush=True)
    for line in sys.stdin:
        word, *number = line.split()
        if word == "quit":
            return
        if word == "run" and number and number[0].isdigit() and int(number[0]) > 0:
            print(json.dumps(run(int(number[0]))), flush=True)
        else:
            print(json.dumps({"error": f"{line!r}: expected 'run K' or 'quit'"}), flush=True)


main()
