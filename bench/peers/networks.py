"""The networks of `npm run bench -- engine` and of the oracle fixtures, in PyTorch.

This docstring is their definition; src/nn builds the same ones. Both sides may initialise as they
like: the fixtures carry parameters by the names below. Layouts are PyTorch's: a dense weight is
[out, in] and computes x W^T + b, a convolution weight is [out, in / groups, ...kernel], images are
[batch, channels, height, width]. Normalisations use eps 1e-5 and the biased variance, and have
weight and bias for each channel. GELU is the exact one, x Phi(x). Cross-entropy and mean squared
error are means over every prediction.

MLP (width w, classes 10), input x [batch, w], label [batch]
    h = relu(layers.0 x), h = relu(layers.1 h), logits = layers.2 h
    layers.0, layers.1: dense w -> w; layers.2: dense w -> 10; all with bias.

Hierarchical CNN (v symbols, patch s, depth L, width h, n_c classes), input x [batch, v, s^L] one-hot
    L times: h = relu(layers.l h), a Conv1d with kernel s and stride s (no overlap, no padding), with bias:
    layers.0: v -> h, the others h -> h. Weight [h, in, s]. After L layers one position is left:
    logits = readout h[:, :, 0], dense h -> n_c with bias.
    (The bench also has the same network as reshape + matmul, see HierarchicalMatmul.)

Transformer (d, heads H, layers n, context T, vocabulary V), input tokens [batch, T]
    h = embedding[tokens] + positions[0..T-1]           embedding [V, d], positions [T, d]
    n blocks:
        h = h + attention(norm1 h);  h = h + mlp(norm2 h)
        attention: q, k, v = split of (qkv x) in three thirds of the features, in this order; head i
        takes features [i d/H, (i+1) d/H); causal softmax(q k^T / sqrt(d/H)) v; heads joined; then `out`.
        mlp: fc2 gelu(fc1 x), d -> 4d -> d.
    logits = head norm(h)                               head: dense d -> V, no bias, not tied
    blocks.i.norm1, .attention.qkv (d -> 3d), .attention.out (d -> d), .norm2, .mlp.fc1, .mlp.fc2:
    weight and bias each. norm: weight, bias. head: weight.
    loss = cross-entropy of logits at position t against the token at t + 1 (data are [batch, T + 1]).

U-Net (channels c, groups g), input image x [batch, 1, n, n] (n divisible by 4), time t [batch]
    e = [sin(t f_0) .. sin(t f_{c/2-1}), cos(t f_0) .. cos(t f_{c/2-1})], f_i = 10000^(-i / (c/2))   [batch, c]
    e = time.fc2 silu(time.fc1 e), dense c -> 4c -> 4c
    Residual block R(i, o), with e:
        h = conv1 silu(norm1 x)            norm1: GroupNorm(g, i); conv1: 3x3, padding 1, i -> o
        h = h + (time silu(e))[:, :, None, None]          time: dense 4c -> o
        h = conv2 silu(norm2 h)            norm2: GroupNorm(g, o); conv2: 3x3, padding 1, o -> o
        return h + skip x                  skip: 1x1 convolution i -> o; absent (identity) when i = o
    h  = stem x                            3x3, padding 1, 1 -> c
    s0 = down0.block h                     R(c, c), at n
    h  = down0.pool s0                     3x3, stride 2, padding 1, c -> c, to n/2
    s1 = down1.block h                     R(c, 2c), at n/2
    h  = down1.pool s1                     3x3, stride 2, padding 1, 2c -> 2c, to n/4
    h  = middle h                          R(2c, 2c), at n/4
    h  = up1.conv nearest2(h)              each pixel repeated 2x2, then 3x3, padding 1, 2c -> 2c, at n/2
    h  = up1.block concat(h, s1)           along channels, h first; R(4c, 2c)
    h  = up0.conv nearest2(h)              3x3, padding 1, 2c -> c, at n
    h  = up0.block concat(h, s0)           R(2c, c)
    y  = head silu(norm h)                 norm: GroupNorm(g, c); head: 3x3, padding 1, c -> 1
    Every convolution and dense map has a bias. loss = mean (y - noise)^2.
    Names: time.fc1, time.fc2, stem, down0.block.{norm1,conv1,time,norm2,conv2}, down0.pool,
    down1.block.{...,skip}, down1.pool, middle.{...}, up1.conv, up1.block.{...,skip}, up0.conv,
    up0.block.{...,skip}, norm, head; each .weight and .bias.

DDPM (side n = 4 mod 8, channels c, time features d, steps T), input x [batch, 1, n, n], time t [batch] below T:
the small U-Net of the DDPM of BrianPulfer/PapersReimplementations, whose checkpoints are for n 28, c 10, d 100, T 1000
    e = time_embed[t]                                   time_embed.weight [T, d]
    te (one for each group): dense d -> k, SiLU, dense k -> k (0, 2), one value for each channel, added to the group's input
    a block i -> o: silu(conv2 silu(conv1 ln(x)))       ln: LayerNorm over (i, side, side); 3x3, padding 1, i -> o, o -> o
    a group has three blocks, here with their channels:
    a = b1(x + te1 e)                                   1 c c c, at n
    b = b2(down1 a + te2 e)                             c 2c 2c 2c; down1, down2: 4x4, stride 2, padding 1
    u = b3(down2 b + te3 e)                             2c 4c 4c 4c
    m = b_mid(down3 u + te_mid e)                       4c 2c 2c 4c; down3: 2x2, SiLU, 4x4 with stride 2 and padding 1 (0, 2)
    h = b4(concat(u, up1 m) + te4 e)                    8c 4c 2c 2c; up1: transposed 4x4 stride 2 padding 1, SiLU, 2x2 (0, 2)
    h = b5(concat(b, up2 h) + te5 e)                    4c 2c c c; up2, up3: transposed 4x4, stride 2, padding 1
    h = b_out(concat(a, up3 h) + te_out e)              2c c c c; its last block has an ln that is not used
    y = conv_out h                                      3x3, padding 1, c -> 1
    Names: network.time_embed, network.te1.0, network.b1.0.{ln,conv1,conv2}, network.down1, ...; .weight and .bias.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn


class Mlp(nn.Module):
    def __init__(self, width, classes=10):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, classes)])

    def forward(self, x):
        h = F.relu(self.layers[0](x))
        h = F.relu(self.layers[1](h))
        return self.layers[2](h)


class HierarchicalCnn(nn.Module):
    def __init__(self, v, s, depth, width, classes):
        super().__init__()
        sizes = [v] + [width] * depth
        self.layers = nn.ModuleList([nn.Conv1d(a, b, s, s) for a, b in zip(sizes[:-1], sizes[1:])])
        self.readout = nn.Linear(width, classes)

    def forward(self, x):
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.readout(x[:, :, 0])


class HierarchicalMatmul(nn.Module):
    """The hierarchical CNN as reshapes and dense maps: input [batch, s^L, v], weights [h, s * in]."""

    def __init__(self, v, s, depth, width, classes):
        super().__init__()
        self.s = s
        sizes = [v] + [width] * depth
        self.layers = nn.ModuleList([nn.Linear(s * a, b) for a, b in zip(sizes[:-1], sizes[1:])])
        self.readout = nn.Linear(width, classes)

    def forward(self, x):
        batch = x.shape[0]
        h = x.reshape(-1, self.s * x.shape[2])
        for i, layer in enumerate(self.layers):
            h = F.relu(layer(h if i == 0 else h.view(-1, self.s * h.shape[1])))
        return self.readout(h.view(batch, -1))


class Attention(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(d, 3 * d)
        self.out = nn.Linear(d, d)

    def forward(self, x):
        batch, length, d = x.shape
        q, k, v = (
            y.view(batch, length, self.heads, d // self.heads).transpose(1, 2) for y in self.qkv(x).split(d, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(batch, length, d))


class FeedForward(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.fc1 = nn.Linear(d, 4 * d)
        self.fc2 = nn.Linear(4 * d, d)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(d)
        self.attention = Attention(d, heads)
        self.norm2 = nn.LayerNorm(d)
        self.mlp = FeedForward(d)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    def __init__(self, d, heads, layers, context, vocabulary):
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(vocabulary, d) * 0.02)
        self.positions = nn.Parameter(torch.randn(context, d) * 0.02)
        self.blocks = nn.ModuleList([Block(d, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(d)
        self.head = nn.Linear(d, vocabulary, bias=False)

    def forward(self, tokens):
        h = F.embedding(tokens, self.embedding) + self.positions
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h))


class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs, time, groups):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time = nn.Linear(time, outputs)
        self.norm2 = nn.GroupNorm(groups, outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x, e):
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.time(F.silu(e))[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (x if self.skip is None else self.skip(x))


class Unet(nn.Module):
    def __init__(self, channels, groups):
        super().__init__()
        c, e = channels, 4 * channels
        self.channels = c
        self.time = nn.ModuleDict({"fc1": nn.Linear(c, e), "fc2": nn.Linear(e, e)})
        self.stem = nn.Conv2d(1, c, 3, padding=1)
        self.down0 = nn.ModuleDict(
            {"block": ResidualBlock(c, c, e, groups), "pool": nn.Conv2d(c, c, 3, stride=2, padding=1)}
        )
        self.down1 = nn.ModuleDict(
            {"block": ResidualBlock(c, 2 * c, e, groups), "pool": nn.Conv2d(2 * c, 2 * c, 3, stride=2, padding=1)}
        )
        self.middle = ResidualBlock(2 * c, 2 * c, e, groups)
        self.up1 = nn.ModuleDict(
            {"conv": nn.Conv2d(2 * c, 2 * c, 3, padding=1), "block": ResidualBlock(4 * c, 2 * c, e, groups)}
        )
        self.up0 = nn.ModuleDict(
            {"conv": nn.Conv2d(2 * c, c, 3, padding=1), "block": ResidualBlock(2 * c, c, e, groups)}
        )
        self.norm = nn.GroupNorm(groups, c)
        self.head = nn.Conv2d(c, 1, 3, padding=1)

    def forward(self, x, t):
        half = self.channels // 2
        frequencies = torch.exp(torch.arange(half, device=t.device, dtype=x.dtype) * (-math.log(10000.0) / half))
        angles = t.to(x.dtype)[:, None] * frequencies[None, :]
        e = torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)
        e = self.time["fc2"](F.silu(self.time["fc1"](e)))
        h = self.stem(x)
        s0 = self.down0["block"](h, e)
        s1 = self.down1["block"](self.down0["pool"](s0), e)
        h = self.middle(self.down1["pool"](s1), e)
        h = self.up1["conv"](F.interpolate(h, scale_factor=2, mode="nearest"))
        h = self.up1["block"](torch.cat([h, s1], dim=1), e)
        h = self.up0["conv"](F.interpolate(h, scale_factor=2, mode="nearest"))
        h = self.up0["block"](torch.cat([h, s0], dim=1), e)
        return self.head(F.silu(self.norm(h)))


class DdpmBlock(nn.Module):
    def __init__(self, inputs, outputs, side, normalize):
        super().__init__()
        self.ln = nn.LayerNorm((inputs, side, side))
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.normalize = normalize

    def forward(self, x):
        h = self.ln(x) if self.normalize else x
        return F.silu(self.conv2(F.silu(self.conv1(h))))


class DdpmUnet(nn.Module):
    def __init__(self, side=28, channels=10, time=100, steps=1000):
        super().__init__()
        c, half, quarter = channels, side // 2, side // 4
        eighth = (quarter - 1) // 2
        te = lambda k: nn.Sequential(nn.Linear(time, k), nn.SiLU(), nn.Linear(k, k))  # noqa: E731

        def group(side, *widths, last=True):
            pairs = list(zip(widths[:-1], widths[1:]))
            return nn.Sequential(*(DdpmBlock(i, o, side, last or k < len(pairs) - 1) for k, (i, o) in enumerate(pairs)))

        down = lambda k: nn.Conv2d(k, k, 4, 2, 1)  # noqa: E731
        up = lambda k: nn.ConvTranspose2d(k, k, 4, 2, 1)  # noqa: E731
        n = self.network = nn.Module()
        n.time_embed = nn.Embedding(steps, time)
        n.te1, n.b1, n.down1 = te(1), group(side, 1, c, c, c), down(c)
        n.te2, n.b2, n.down2 = te(c), group(half, c, 2 * c, 2 * c, 2 * c), down(2 * c)
        n.te3, n.b3 = te(2 * c), group(quarter, 2 * c, 4 * c, 4 * c, 4 * c)
        n.down3 = nn.Sequential(nn.Conv2d(4 * c, 4 * c, 2), nn.SiLU(), down(4 * c))
        n.te_mid, n.b_mid = te(4 * c), group(eighth, 4 * c, 2 * c, 2 * c, 4 * c)
        n.up1 = nn.Sequential(up(4 * c), nn.SiLU(), nn.ConvTranspose2d(4 * c, 4 * c, 2))
        n.te4, n.b4, n.up2 = te(8 * c), group(quarter, 8 * c, 4 * c, 2 * c, 2 * c), up(2 * c)
        n.te5, n.b5, n.up3 = te(4 * c), group(half, 4 * c, 2 * c, c, c), up(c)
        n.te_out, n.b_out = te(2 * c), group(side, 2 * c, c, c, c, last=False)
        n.conv_out = nn.Conv2d(c, 1, 3, padding=1)

    def forward(self, x, t):
        n = self.network
        e = n.time_embed(t)
        add = lambda h, te: h + te(e)[:, :, None, None]  # noqa: E731
        a = n.b1(add(x, n.te1))
        b = n.b2(add(n.down1(a), n.te2))
        u = n.b3(add(n.down2(b), n.te3))
        m = n.b_mid(add(n.down3(u), n.te_mid))
        h = n.b4(add(torch.cat((u, n.up1(m)), 1), n.te4))
        h = n.b5(add(torch.cat((b, n.up2(h)), 1), n.te5))
        h = n.b_out(add(torch.cat((a, n.up3(h)), 1), n.te_out))
        return n.conv_out(h)
