"""Serves edits in PyTorch to edit.mjs, by the protocol of lib/protocol.mjs: a step is one edit of 30 steps of MEMOIR's rule.

As one would write it: the stream below the edited block is computed once for all sequences of an edit, padded on the right; each
step goes through the blocks from it on, the head on the target's positions, torch.optim.SGD and clip_grad_norm_.
"""
import argparse
import json
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from gguf import GGUFReader, dequantize

ap = argparse.ArgumentParser()
ap.add_argument('--model')
ap.add_argument('--lessons')
ap.add_argument('--threads', type=int)
A = ap.parse_args()
started = time.perf_counter()
torch.manual_seed(0)
torch.set_num_threads(A.threads)
L, H, G, D, E, HIDDEN, LAYER, ONES, STEPS = 30, 9, 3, 64, 576, 1536, 25, 439, 30
W = {t.name: torch.from_numpy(dequantize(t.data, t.tensor_type).astype(np.float32)) for t in GGUFReader(A.model).tensors}
for layer in range(L):
    for name, heads in (('attn_q', H), ('attn_k', G)):
        w = W[f'blk.{layer}.{name}.weight']
        W[f'blk.{layer}.{name}.weight'] = w.reshape(heads, D // 2, 2, -1).swapaxes(1, 2).reshape(w.shape).contiguous()
inverse = 1 / (100000 ** (torch.arange(0, D, 2) / D))


def turn(x):
    angles = torch.outer(torch.arange(x.shape[-2]), inverse)
    c, s = angles.cos(), angles.sin()
    a, b = x[..., :D // 2], x[..., D // 2:]
    return torch.cat([a * c - b * s, b * c + a * s], -1)


def norm(x, w):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * w


def block(x, layer, memory=None, mask=None):
    b, t, _ = x.shape
    p = f'blk.{layer}.'
    y = norm(x, W[p + 'attn_norm.weight'])
    heads = lambda name, n: (y @ W[p + name + '.weight'].T).view(b, t, n, D).transpose(1, 2)
    q, k, v = turn(heads('attn_q', H)), turn(heads('attn_k', G)), heads('attn_v', G)
    o = F.scaled_dot_product_attention(q, k.repeat_interleave(H // G, 1), v.repeat_interleave(H // G, 1), is_causal=True)
    x = x + o.transpose(1, 2).reshape(b, t, E) @ W[p + 'attn_output.weight'].T
    y = norm(x, W[p + 'ffn_norm.weight'])
    a = F.silu(y @ W[p + 'ffn_gate.weight'].T) * (y @ W[p + 'ffn_up.weight'].T)
    o = a @ W[p + 'ffn_down.weight'].T
    if memory is not None:
        o = o + (a * mask) @ memory.T
    return x + o, a


with open(A.lessons) as f:
    edits = json.load(f)
memory = torch.zeros(E, HIDDEN)
permutation = torch.randperm(HIDDEN)
setup = time.perf_counter() - started


def edit(i):
    global memory
    lessons = edits[i % len(edits)]
    longest = max(len(s['ids']) for s in lessons)
    ids = torch.tensor([s['ids'] + [0] * (longest - len(s['ids'])) for s in lessons])
    with torch.no_grad():
        x = W['token_embd.weight'][ids]
        for layer in range(LAYER):
            x, _ = block(x, layer)
        _, a = block(x, LAYER)
        feature = a[0, :lessons[0]['prompt']].mean(0)
    mask = torch.zeros(HIDDEN)
    mask[permutation[feature.abs().topk(ONES).indices]] = 1
    rows, targets, weights = [], [], []
    for b, s in enumerate(lessons):
        for j, token in enumerate(s['target']):
            rows.append((b, s['prompt'] - 1 + j))
            targets.append(token)
            weights.append(1 / (len(s['target']) + 1) / len(lessons))
    rows, targets, weights = torch.tensor(rows), torch.tensor(targets), torch.tensor(weights)
    p = memory.clone().requires_grad_(True)
    optimizer = torch.optim.SGD([p], lr=1.0)
    for _ in range(STEPS):
        y = x
        for layer in range(LAYER, L):
            y, _ = block(y, layer, *((p, mask) if layer == LAYER else ()))
        z = norm(y[rows[:, 0], rows[:, 1]], W['output_norm.weight'])
        each = F.cross_entropy(z @ W['token_embd.weight'].T, targets, reduction='none')
        optimizer.zero_grad()
        (each * weights).sum().backward()
        torch.nn.utils.clip_grad_norm_([p], 1.0)
        optimizer.step()
    memory = p.detach()
    return each.mean().item()


def megabytes():
    with open('/proc/self/status') as f:
        return next(int(line.split()[1]) / 1000 for line in f if line.startswith('VmRSS'))


edit(0)
count = 1
print(json.dumps({'ready': True, 'version': torch.__version__, 'setupSeconds': setup, 'megabytes': megabytes()}), flush=True)
for line in sys.stdin:
    word, *rest = line.split()
    if word == 'quit':
        break
    start = time.perf_counter()
    for _ in range(int(rest[0])):
        loss = edit(count)
        count += 1
    print(json.dumps({'seconds': time.perf_counter() - start, 'steps': int(rest[0]), 'loss': loss}), flush=True)
