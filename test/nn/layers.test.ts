/** @file Layers: gradients against finite differences, values against PyTorch and against plain definitions, messages. */
import { describe, expect, it } from 'vitest'
import * as nn from '../../src/nn/index.ts'
import {
  compile,
  conv2d,
  entries,
  grad,
  jvp,
  matmul,
  pad,
  printGraph,
  random,
  relu,
  type Tensor,
  type Tree,
  tanh,
  tensor,
  trace,
  triangularMask,
} from '../../src/tensor/index.ts'
import { checkGradients, computed, integers, jittered, normal } from './differences.ts'
import { expectClose, loadCase, relativeError } from './fixture.ts'

const key = random.key(5)

describe('gradients agree with finite differences', () => {
  const attend = (options: nn.AttentionOptions, features = 6) => nn.attention(features, options)
  const withInput = (layer: nn.Layer<never>, ...shape: number[]) => ({
    f: (v: { p: never; x: Tensor }) => layer.apply(v.p, v.x),
    variables: { p: jittered(layer.init(key) as Tree<Tensor>), x: normal(3, ...shape) },
  })
  const cross = attend({ heads: 2, contextFeatures: 4, causal: false })
  const few = attend({ heads: 2, contextFeatures: 4, bias: false, scale: 0.7 })
  const cases: Record<string, { f: (v: never) => Tensor; variables: Tree<Tensor> }> = {
    dense: withInput(nn.dense(4, 3) as never, 2, 5, 4),
    'dense, scaled, no bias': withInput(nn.dense(4, 3, { scale: 0.3, bias: false }) as never, 5, 4),
    conv1d: withInput(nn.conv1d(2, 3, 3, { padding: 1, stride: 2 }) as never, 2, 2, 7),
    conv2d: withInput(nn.conv2d(2, 4, [3, 2], { groups: 2, padding: [1, 0] }) as never, 2, 2, 4, 5),
    convTranspose1d: withInput(nn.convTranspose1d(2, 3, 4, { stride: 2, padding: 1 }) as never, 2, 2, 5),
    convTranspose2d: withInput(
      nn.convTranspose2d(2, 3, 3, { stride: 2, padding: 1, outputPadding: 1 }) as never,
      1,
      2,
      3,
      3,
    ),
    hierarchicalConv: withInput(nn.hierarchicalConv(3, 4, 2) as never, 2, 6, 3),
    hierarchicalConvTranspose: withInput(nn.hierarchicalConvTranspose(3, 2, 2) as never, 2, 3, 3),
    hierarchicalConv2d: withInput(nn.hierarchicalConv2d(2, 3, 2) as never, 2, 4, 6, 2),
    layerNorm: withInput(nn.layerNorm(5) as never, 3, 5),
    'layerNorm over axes': withInput(nn.layerNorm([2, 3]) as never, 4, 2, 3),
    rmsNorm: withInput(nn.rmsNorm(5) as never, 3, 5),
    groupNorm: withInput(nn.groupNorm(6, 3) as never, 2, 6, 2, 3),
    'attention, causal': withInput(attend({ heads: 2, causal: true }) as never, 2, 4, 6),
    'attention, fused, rotary': withInput(attend({ heads: 3, fused: true, rotary: {} }) as never, 2, 4, 6),
    'attention, shared heads': withInput(
      attend({ heads: 4, keyValueHeads: 2, rotary: { pairs: 'interleaved' } }, 8) as never,
      2,
      3,
      8,
    ),
    'attention, shared heads, fused': withInput(
      attend({ heads: 4, keyValueHeads: 1, fused: true }, 8) as never,
      2,
      3,
      8,
    ),
    'attention, cross': {
      f: (v: { p: never; x: Tensor; c: Tensor }) => cross.apply(v.p, v.x, { context: v.c }),
      variables: {
        p: jittered(cross.init(key) as Tree<Tensor>),
        x: normal(3, 2, 3, 6),
        c: normal(4, 2, 5, 4),
      },
    },
    'attention, few queries': {
      f: (v: { p: never; x: Tensor; c: Tensor }) => few.apply(v.p, v.x, { context: v.c }),
      variables: {
        p: jittered(few.init(key) as Tree<Tensor>),
        x: normal(3, 2, 1, 6),
        c: normal(4, 2, 7, 4),
      },
    },
    embedding: {
      f: (v: { table: Tensor }) => nn.embedding(5, 3).apply(v.table, integers(2, 5, 2, 4)),
      variables: { table: normal(6, 5, 3) },
    },
    'residual and sequential': withInput(
      nn.sequential<never>(
        nn.residual(nn.dense(4, 4)) as never,
        nn.fromFunction(tanh) as never,
        nn.dense(4, 2) as never,
      ) as never,
      3,
      4,
    ),
    'residual block': (() => {
      const block = nn.residualBlock(2, 4, { time: 3, groups: 2 })
      return {
        f: (v: { p: nn.ResidualBlockParameters; x: Tensor; e: Tensor }) => block.apply(v.p, v.x, v.e),
        variables: { p: jittered(block.init(key)), x: normal(1, 2, 2, 3, 3), e: normal(2, 2, 3) },
      }
    })(),
  }
  it.each(Object.keys(cases))('%s', async (name) => {
    const { f, variables } = cases[name]!
    await checkGradients(f, variables)
  })
})

describe('values agree with PyTorch', () => {
  const close = async (f: () => Tensor, expected: Tensor) =>
    expect(relativeError(await computed(f), expected)).toBeLessThan(1e-9)

  it.each(['group-norm', 'group-norm-one', 'group-norm-instance'])(
    '%s, with its Hessian–vector product',
    async (name) => {
      const { input, output, attributes, grad: expected, hvp, tangent, cotangent } = loadCase('ops', name)
      const variables = Object.fromEntries(input)
      const layer = nn.groupNorm(input.get('x')!.shape[1]!, attributes['groups'] as number)
      const run = (v: Record<string, Tensor>) =>
        layer.apply({ weight: v['scale']!, bias: v['bias']! }, v['x']!)
      await close(() => run(variables), output.get('y')!)
      const gradient = grad((v: Record<string, Tensor>) => run(v).mul(cotangent.get('y')!).sum())
      const derivatives = () => jvp(gradient, [variables], [Object.fromEntries(tangent)])
      const { value, tangents } = (await computed(derivatives as never)) as ReturnType<typeof derivatives>
      expectClose(value, expected, 1e-9)
      expectClose(tangents, hvp, 1e-9)
    },
  )
  it.each(['attention-full', 'attention-causal', 'attention-scaled', 'attention-cross', 'attention-mask'])(
    '%s',
    async (name) => {
      const { input, output, attributes } = loadCase('ops', name)
      const [q, k, v, mask] = ['q', 'k', 'v', 'mask'].map((n) => input.get(n)) as [
        Tensor,
        Tensor,
        Tensor,
        Tensor?,
      ]
      const scale = attributes['scale'] as number | null
      const causal = attributes['causal'] as boolean
      await close(
        () => nn.attend(q, k, v, { causal, ...(scale !== null && { scale }), ...(mask && { mask }) }),
        output.get('y')!,
      )
    },
  )
  it.each(['rotary-10000', 'rotary-100'])('%s', async (name) => {
    const { input, output, attributes } = loadCase('ops', name)
    await close(() => nn.rotary(input.get('x')!, { base: attributes['base'] as number }), output.get('y')!)
  })
})

describe('attention', () => {
  it('gives shared heads what repeated heads give', async () => {
    const [q, k, v] = [normal(1, 2, 4, 3, 2), normal(2, 2, 2, 3, 2), normal(3, 2, 2, 3, 2)]
    const repeat = (x: Tensor) =>
      x.reshape([2, 2, 1, 3, 2]).broadcastTo([2, 2, 2, 3, 2]).reshape([2, 4, 3, 2])
    const shared = await computed(() => nn.attend(q, k, v, { causal: true }))
    const repeated = await computed(() => nn.attend(q, repeat(k), repeat(v), { causal: true }))
    expect(relativeError(shared, repeated)).toBeLessThan(1e-12)
  })
  it('gives few queries of a long context, for which it makes no keys, what it gives with keys', async () => {
    const options = { heads: 2, headFeatures: 4, contextFeatures: 5, bias: false, scale: 0.6 }
    const layer = nn.attention(6, options)
    const parameters = jittered(layer.init(key) as Tree<Tensor>) as nn.AttentionParameters
    const [x, context] = [normal(1, 3, 2, 6), normal(2, 3, 20, 5)]
    // an open mask changes nothing but the way
    const mask = tensor(Array<boolean>(20).fill(true))
    const [without, withKeys] = [{ context }, { context, mask }].map(
      (inputs) => () => layer.apply(parameters, x, inputs),
    ) as [() => Tensor, () => Tensor]
    expect(relativeError(await computed(without), await computed(withKeys))).toBeLessThan(1e-12)
    const ofKeys = 'f64[3,2,20,4]'
    const program = (f: () => Tensor) => printGraph(trace(f, []).graph)
    expect(program(withKeys)).toContain(ofKeys)
    expect(program(without)).not.toContain(ofKeys)
  })
  it('does not look at what comes later, or at what is masked', async () => {
    const layer = nn.attention(4, { heads: 2, causal: true, rotary: {} })
    const parameters = jittered(layer.init(key) as Tree<Tensor>) as nn.AttentionParameters
    const x = normal(1, 1, 4, 4)
    const changed = tensor(
      Float64Array.from(x.data as Float64Array, (v, i) => (i >= 12 ? v + 1 : v)),
      { shape: x.shape },
    )
    const [a, b] = await Promise.all([x, changed].map((t) => computed(() => layer.apply(parameters, t))))
    expect([...a!.data.subarray(0, 12)]).toEqual([...b!.data.subarray(0, 12)])
    expect(a!.data[15]).not.toBe(b!.data[15])
    const open = nn.attention(4, { heads: 2 })
    const mask = triangularMask(4)
    const causal = await computed(() => nn.attention(4, { heads: 2, causal: true }).apply(parameters, x))
    const masked = await computed(() => open.apply(parameters, x, { mask }))
    expect(relativeError(masked, causal)).toBeLessThan(1e-12)
  })
  it('scores under rotary positions depend on distance alone', async () => {
    for (const pairs of ['half', 'interleaved'] as const) {
      const at = (vector: Tensor, position: number) =>
        nn.rotary(vector, { pairs, positions: tensor(Int32Array.of(position)) })
      const [q, k] = [normal(1, 1, 8), normal(2, 1, 8)]
      const score = async (i: number, j: number) =>
        (await computed(() => at(q, i).mul(at(k, j)).sum())).item()
      expect(await score(3, 1)).toBeCloseTo(await score(12, 10), 10)
      expect(Math.abs((await score(3, 1)) - (await score(3, 2)))).toBeGreaterThan(1e-3)
    }
  })
  it('a row that may look nowhere gives a finite mean', async () => {
    const [q, k, v] = [normal(1, 1, 1, 2, 2), normal(2, 1, 1, 2, 2), normal(3, 1, 1, 2, 2)]
    const mask = tensor([
      [false, false],
      [true, true],
    ])
    const y = await computed(() => nn.attend(q, k, v, { mask }))
    const data = v.data as Float64Array
    expect(y.data[0]).toBeCloseTo((data[0]! + data[2]!) / 2, 12)
  })
})

describe('layers by definition', () => {
  it('non-overlapping convolutions equal strided ones, and are a product, not a Conv node', async () => {
    const layer = nn.hierarchicalConv(3, 4, 2)
    const strided = nn.conv1d(3, 4, 2, { stride: 2 })
    const p = jittered(strided.init(key))
    const x = normal(1, 2, 6, 3)
    const weight = nn.fromConvWeight(p.weight)
    const y = await computed(() => layer.apply({ weight, bias: p.bias! }, x))
    const z = await computed(() => strided.apply(p, x.transpose([0, 2, 1])).transpose([0, 2, 1]))
    expect(relativeError(y, z)).toBeLessThan(1e-12)
    const text = compile(layer.apply as (p: Tree<Tensor>, x: Tensor) => Tensor).print(layer.init(key), {
      shape: [2, 6, 3],
      dtype: 'f32',
    })
    expect(text).toContain('matmul')
    expect(text).not.toContain('conv')
  })
  it('windows and tiles are cut in reading order and joined again', async () => {
    const x = tensor(
      Float64Array.from({ length: 16 }, (_, i) => i),
      { shape: [1, 4, 4, 1] },
    )
    expect((await computed(() => nn.joinTiles(x, 2))).toArray()).toEqual([
      [
        [
          [0, 1, 4, 5],
          [2, 3, 6, 7],
        ],
        [
          [8, 9, 12, 13],
          [10, 11, 14, 15],
        ],
      ],
    ])
    const signal = normal(1, 2, 6, 3)
    const back = await computed(() => nn.splitWindows(nn.joinWindows(signal, 3), 3))
    expect([...back.data]).toEqual([...signal.data])
  })
  it('the small CNN is a 6×6 convolution with step 2, a 2×2 one, and two dense layers, for sides that are even or odd', async () => {
    const net = nn.smallCnn({ image: [3, 7, 10], classes: 4, channels: [5, 6], hidden: 8 })
    const p = jittered(net.init(key)) as nn.SmallCnnParameters
    const x = normal(1, 2, 3, 7, 10)
    /** [O, (i, j), (row, column), C] ↦ [O, C, 2 i + row, 2 j + column] */
    const kernel = (t: Tensor, size: number, channels: number) =>
      t
        .reshape([t.shape[0]!, size, size, 2, 2, channels])
        .transpose([0, 5, 1, 3, 2, 4])
        .reshape([t.shape[0]!, channels, 2 * size, 2 * size])
    const direct = () => {
      const even = pad(x, { low: [0, 0, 0, 0], high: [0, 0, 1, 0] })
      const bias = (t: Tensor) => t.reshape([t.size, 1, 1])
      const [a, b] = p.stages as [nn.DenseParameters, nn.DenseParameters]
      const h = relu(conv2d(even, kernel(a.weight, 3, 3), { stride: 2, padding: 2 }).add(bias(a.bias!)))
      const odd = pad(h, { low: [0, 0, 0, 0], high: [0, 0, 0, 1] })
      const top = relu(conv2d(odd, kernel(b.weight, 1, 5), { stride: 2 }).add(bias(b.bias!)))
      const flat = top.transpose([0, 2, 3, 1]).reshape([2, 2 * 3 * 6])
      const hidden = relu(matmul(flat, p.hidden.weight, { transposeB: true }).add(p.hidden.bias!))
      return matmul(hidden, p.readout.weight, { transposeB: true }).add(p.readout.bias!)
    }
    expect(relativeError(await computed(() => net.apply(p, x)), await computed(direct))).toBeLessThan(1e-12)
    await checkGradients((v: { p: nn.SmallCnnParameters }) => net.apply(v.p, x), { p }, { probes: 3 })
    expect(() => nn.smallCnn({ image: [1, 4, 4], classes: 2, channels: [1, 2, 3] })).toThrow(
      /expected 1 to 2 stages/,
    )
  })
  it('sinusoidal features are sines and cosines of t at geometric frequencies', async () => {
    const y = await computed(() => nn.sinusoidalFeatures(tensor(Int32Array.of(0, 7)), 6, { dtype: 'f64' }))
    const f = [0, 1, 2].map((i) => 10_000 ** (-i / 3))
    const expected = [0, 7].flatMap((t) => [
      ...f.map((w) => Math.sin(t * w)),
      ...f.map((w) => Math.cos(t * w)),
    ])
    for (const [i, v] of expected.entries()) expect(y.data[i]).toBeCloseTo(v, 12)
  })
  it('upsampling repeats pixels', async () => {
    const x = tensor([
      [
        [
          [1, 2],
          [3, 4],
        ],
      ],
    ])
    const y = await computed(() => nn.upsampleNearest(x))
    expect(y.toArray()).toEqual([
      [
        [
          [1, 1, 2, 2],
          [1, 1, 2, 2],
          [3, 3, 4, 4],
          [3, 3, 4, 4],
        ],
      ],
    ])
  })
  it('names parameters by dots', () => {
    const names = entries(
      nn
        .transformer({ vocabulary: 5, context: 4, features: 4, heads: 2, layers: 1 })
        .init(key) as Tree<Tensor>,
    ).map(([name]) => name)
    expect(names).toContain('blocks.0.attention.query.weight')
    expect(names).toContain('blocks.0.mlp.fc1.bias')
    expect(names).toContain('head.weight')
  })
})

describe('dropout', () => {
  it('keeps the mean, drops the share asked for, and depends on the key alone', async () => {
    const n = 20_000
    const x = tensor(new Float32Array(n).fill(1))
    const program = compile((t: Tensor, k: Tensor) => nn.dropout(t, 0.3, k))
    const run = (seed: number) => program(x, random.keyTensor(random.key(seed)))
    const [a, again, b] = [await run(1), await run(1), await run(2)]
    program.dispose()
    const kept = (a.data as Float32Array).filter((v) => v > 0)
    // five standard deviations of a binomial
    expect(Math.abs(kept.length / n - 0.7)).toBeLessThan(5 * Math.sqrt((0.3 * 0.7) / n))
    expect(new Set(kept)).toEqual(new Set([Math.fround(1 / 0.7)]))
    expect([...a.data]).toEqual([...again.data])
    expect([...a.data]).not.toEqual([...b.data])
  })
  it('does nothing without a key, and its gradient is the mask', async () => {
    const x = normal(1, 8)
    expect(nn.dropout(x, 0.5, undefined)).toBe(x)
    await checkGradients((v: { x: Tensor }) => nn.dropout(v.x, 0.5, random.key(3)), { x })
  })
})

describe('initializers', () => {
  const variance = (t: Tensor): number => (t.data as Float32Array).reduce((s, v) => s + v * v, 0) / t.size
  it.each([
    ['he', 2 / 400],
    ['lecun', 1 / 400],
    ['glorot', 2 / 700],
    ['torch', 1 / 1200],
    [{ normal: 0.5 }, 0.25],
    [{ uniform: 0.6 }, 0.12],
  ] as const)('%j has its variance', (how, expected) => {
    const w = nn.initialize(key, [300, 400], how as nn.Initializer, { fanIn: 400, fanOut: 300 })
    expect(variance(w) / expected).toBeGreaterThan(0.97)
    expect(variance(w) / expected).toBeLessThan(1.03)
  })
  it('every layer of a network has its own numbers, and a key gives the same ones again', () => {
    const net = nn.mlp({ sizes: [8, 8, 8, 8] })
    const [a, b] = [net.init(key), net.init(key)]
    expect(a.layers.map(({ weight }) => [...weight.data])).toEqual(
      b.layers.map(({ weight }) => [...weight.data]),
    )
    expect(new Set(a.layers.map(({ weight }) => weight.data[0])).size).toBe(3)
  })
})

describe('messages', () => {
  const message = (f: () => unknown): string => {
    try {
      f()
    } catch (error) {
      return (error as Error).message
    }
    return expect.fail('nothing was thrown')
  }
  it('name the layer, what it expected, and what it got', () => {
    const x = tensor(new Float32Array(12), { shape: [3, 4] })
    expect(message(() => nn.dense(5, 2).apply(nn.dense(5, 2).init(key), x))).toBe(
      'dense(5 → 2): expected input [..., 5], got f32[3,4]',
    )
    expect(message(() => nn.conv2d(3, 2, 3).apply(nn.conv2d(3, 2, 3).init(key), x))).toMatch(
      /^conv2d\(3 → 2, kernel 3×3\): expected input \[batch, 3, \.\.\.\], got f32\[3,4\]/,
    )
    expect(message(() => nn.dense(0, 2))).toBe('dense: sizes: expected an integer >= 1, got 0')
    expect(message(() => nn.groupNorm(6, 4))).toMatch(/groups that divide 6 channels, got 4/)
    expect(message(() => nn.attention(6, { heads: 4 }))).toMatch(/heads that divide 6 features/)
    expect(message(() => nn.activation('rleu' as nn.Activation))).toMatch(/did you mean "relu"/)
    expect(message(() => nn.parametrization('ntkk' as nn.Parametrization))).toMatch(/did you mean "ntk"/)
    expect(message(() => nn.dropout(x, 1, key))).toMatch(/rate in \[0, 1\), got 1/)
    expect(message(() => nn.initialize(key, [2], 'hee' as nn.Initializer, { fanIn: 1, fanOut: 1 }))).toMatch(
      /did you mean "he"/,
    )
  })
})
