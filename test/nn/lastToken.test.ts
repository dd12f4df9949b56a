/**
 * @file Networks that predict tokens – locally connected, a stack of attention, a pre-norm decoder – against loops in float64, and
 * their gradients against differences.
 */
import { describe, expect, it } from 'vitest'
import * as nn from '../../src/nn/index.ts'
import { random, sliceAxis, type Tensor } from '../../src/tensor/index.ts'
import { checkGradients, computed, integers, jittered, normal } from './differences.ts'

type Vector = readonly number[]

/** One vector of a tensor: the row of the last axis at `index`, counted over all axes before it. */
const rowOf = (t: Tensor, index: number): number[] => {
  const size = t.shape.at(-1)!
  return Array.from({ length: size }, (_, i) => Number(t.data[index * size + i]))
}
const rowsOf = (t: Tensor, from: number, count: number): number[][] =>
  Array.from({ length: count }, (_, i) => rowOf(t, from + i))
const dot = (a: Vector, b: Vector): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0)
const plus = (a: Vector, b: Vector): number[] => a.map((x, i) => x + b[i]!)
/** factor · W x + b, the rows of W from `from` on. */
const product = (
  { weight, bias }: { weight: Tensor; bias?: Tensor },
  x: Vector,
  { factor = 1, from = 0, rows = weight.shape[0]! } = {},
): number[] =>
  Array.from(
    { length: rows },
    (_, i) => factor * dot(rowOf(weight, from + i), x) + (bias ? Number(bias.data[i]) : 0),
  )
const softmax = (x: Vector): number[] => {
  const powers = x.map((value) => Math.exp(value - Math.max(...x)))
  const total = powers.reduce((sum, value) => sum + value, 0)
  return powers.map((value) => value / total)
}
/** Heads of attention at a position: queries, keys and values are rows of positions. */
function attended(query: Vector, keys: Vector[], values: Vector[], heads: number): number[] {
  const size = query.length / heads
  return Array.from({ length: heads }, (_, h) => {
    const own = (x: Vector): Vector => x.slice(h * size, (h + 1) * size)
    const weights = softmax(keys.map((key) => dot(own(query), own(key)) / Math.sqrt(size)))
    return own(query).map((_, i) => weights.reduce((sum, w, t) => sum + w * own(values[t]!)[i]!, 0))
  }).flat()
}

function expectRows(found: Tensor, expected: Vector[]): void {
  expect(found.size).toBe(expected.flat().length)
  for (const [i, value] of expected.flat().entries()) expect(Number(found.data[i])).toBeCloseTo(value, 10)
}

describe('the locally connected network', () => {
  const options = { symbols: 3, branching: 2, depth: 3, width: 4, outputs: 5 }
  const network = nn.hierarchicalLcn(options)
  const parameters = jittered(network.init(random.key(1)))
  const x = normal(2, 2, 8, 3)

  /** Hidden layers of one string, window after window with weights of its own. */
  function byHand(rows: number[][]): { hidden: Vector[][]; logits: Vector } {
    let h = rows
    const hidden = parameters.layers.map(({ weight }) => {
      const fanIn = weight.shape[2]!
      h = Array.from({ length: h.length / 2 }, (_, window) =>
        product({ weight }, [...h[2 * window]!, ...h[2 * window + 1]!], {
          ...{ factor: 1 / Math.sqrt(fanIn), from: window * options.width, rows: options.width },
        }).map((value) => Math.max(0, value)),
      )
      return h
    })
    return { hidden, logits: product(parameters.readout, h[0]!, { factor: 1 / options.width }) }
  }
  const expected = [0, 1].map((b) => byHand(rowsOf(x, 8 * b, 8)))

  it('is what it says, window by window', async () => {
    const [logits, ...hidden] = await computed(() => [
      network.apply(parameters, x),
      ...network.activations(parameters, x),
    ])
    expectRows(
      logits!,
      expected.map((one) => one.logits),
    )
    for (const [l, h] of hidden.entries()) {
      expect(h.shape).toEqual([2, 4 / 2 ** l, 4])
      expectRows(
        h,
        expected.flatMap((one) => one.hidden[l]!),
      )
    }
  })

  it('has the gradients of central differences', async () => {
    await checkGradients((p: never) => network.apply(p, x), parameters, { probes: 4 })
  })

  it('with the same weights at all windows it is the hierarchical CNN', async () => {
    const cnn = nn.hierarchicalCnn(options)
    const shared = jittered(cnn.init(random.key(3)))
    const copied = {
      ...shared,
      layers: shared.layers.map(({ weight }, l) => ({
        weight: weight.reshape([1, ...weight.shape]).broadcastTo([4 / 2 ** l, ...weight.shape]),
      })),
    }
    const [a, b] = await computed(() => [network.apply(copied, x), cnn.apply(shared, x)])
    expectRows(a!, [rowOf(b!, 0), rowOf(b!, 1)])
  })

  it('other strings are refused', () => {
    expect(() => network.apply(parameters, normal(1, 2, 8, 4))).toThrow('expected input [..., 3]')
    expect(() => network.apply(parameters, normal(1, 2, 4, 3))).toThrow('hierarchicalLcn(2^3 positions)')
    expect(() => nn.hierarchicalLcn({ ...options, depth: 0 })).toThrow('expected an integer >= 1, got 0')
  })
})

describe('the stack of attention', () => {
  const options = { symbols: 3, length: 4, features: 6, heads: 2, layers: 2, outputs: 5 }
  const network = nn.attentionStack(options)
  const parameters = jittered(network.init(random.key(1)))
  const x = normal(2, 2, 4, 3)
  const root = 1 / Math.sqrt(6)

  /** The embedded string, and what each layer makes of it. */
  function byHand(rows: number[][]): { hidden: number[][][]; logits: Vector } {
    let h = rows.map((row, t) =>
      rowOf(parameters.positions, t).map(
        (position, i) =>
          position +
          row.reduce((sum, a, k) => sum + a * rowOf(parameters.embedding, k)[i]!, 0) / Math.sqrt(3),
      ),
    )
    const hidden = [h]
    for (const { query, key, value, out } of parameters.layers) {
      const [q, k, v] = [query, key, value].map((own) => h.map((row) => product(own!, row, { factor: root })))
      h = q!.map((own) => product(out, attended(own, k!, v!, 2), { factor: root }))
      hidden.push(h)
    }
    return { hidden, logits: product(parameters.readout, h.at(-1)!, { factor: root }) }
  }
  const expected = [0, 1].map((b) => byHand(rowsOf(x, 4 * b, 4)))

  it('is what it says, head by head', async () => {
    const [logits, ...hidden] = await computed(() => [
      network.apply(parameters, x),
      ...network.activations(parameters, x),
    ])
    expectRows(
      logits!,
      expected.map((one) => one.logits),
    )
    expect(hidden).toHaveLength(3)
    for (const [l, h] of hidden.entries())
      expectRows(
        h,
        expected.flatMap((one) => one.hidden[l]!),
      )
  })

  it('has the gradients of central differences', async () => {
    await checkGradients((p: never) => network.apply(p, x), parameters, { probes: 4 })
  })

  it('begins with weights N(0, 1), and has as many as it says', () => {
    const large = nn.attentionStack({ ...options, features: 64, layers: 3 })
    const p = large.init(random.key(2))
    expect(nn.countParameters(p)).toBe(64 * (3 + 4 + 5) + 3 * 4 * 64 * 64)
    for (const { weight } of [p.layers[0]!.query!, p.layers[2]!.out]) {
      const values = [...(weight.data as Float32Array)]
      const square = values.reduce((sum, w) => sum + w * w, 0) / values.length
      expect(Math.abs(square - 1)).toBeLessThan(0.1)
    }
  })

  it('other strings are refused', () => {
    expect(() => network.apply(parameters, normal(1, 2, 5, 3))).toThrow('expected x [B, 4, 3]')
    expect(() => nn.attentionStack({ ...options, heads: 4 })).toThrow('heads that divide 6 features')
  })
})

describe('the decoder that is trained at every position', () => {
  const [v, d, e] = [5, 4, 6]
  const network = nn.transformer({ vocabulary: v, context: d, features: e, heads: 2, layers: 2 })
  const parameters = jittered(network.init(random.key(1)))
  const tokens = integers(3, v, 2, d)

  const erf = (x: number): number => {
    let [sum, term] = [x, x]
    for (let n = 1; n < 60; n++) {
      term *= (-x * x) / n
      sum += term / (2 * n + 1)
    }
    return (2 / Math.sqrt(Math.PI)) * sum
  }
  const gelu = (x: number): number => (x * (1 + erf(x / Math.SQRT2))) / 2
  const norm = ({ weight, bias }: { weight: Tensor; bias?: Tensor }, x: Vector): number[] => {
    const mean = x.reduce((sum, value) => sum + value, 0) / x.length
    const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length
    return x.map(
      (value, i) =>
        ((value - mean) / Math.sqrt(variance + 1e-5)) * Number(weight.data[i]) + Number(bias!.data[i]),
    )
  }
  /** Logits at every position of one string. */
  function byHand(own: number[]): Vector[] {
    let h = own.map((token, t) => plus(rowOf(parameters.embedding, token), rowOf(parameters.positions!, t)))
    for (const block of parameters.blocks) {
      const normed = h.map((row) => norm(block.norm1, row))
      const { query, key, value, out } = block.attention
      const [q, k, u] = [query, key, value].map((layer) => normed.map((row) => product(layer!, row)))
      const looked = q!.map((one, t) =>
        product(out, attended(one, k!.slice(0, t + 1), u!.slice(0, t + 1), 2)),
      )
      const seen = h.map((row, t) => plus(row, looked[t]!))
      h = seen.map((row) =>
        plus(row, product(block.mlp.fc2, product(block.mlp.fc1, norm(block.norm2, row)).map(gelu))),
      )
    }
    return h.map((row) => product(parameters.head!, norm(parameters.norm, row)))
  }
  const own = (b: number): number[] => [...(tokens.data as Int32Array)].slice(b * d, (b + 1) * d)

  it('is pre-norm with learned positions, a feed-forward block four times as wide, and a head of its own', async () => {
    expect(parameters.positions!.shape).toEqual([d, e])
    expect(parameters.blocks[0]!.mlp.fc1.weight.shape).toEqual([4 * e, e])
    expect(parameters.head!.weight.shape).toEqual([v, e])
    const found = await computed(() => network.apply(parameters, tokens))
    expectRows(found, [...byHand(own(0)), ...byHand(own(1))])
  })

  it('the loss is the mean over all positions of the next token, or that of the last one', async () => {
    const inputs = sliceAxis(tokens, 1, 0, d - 1)
    const next = sliceAxis(tokens, 1, 1, d)
    const [all, last] = await computed(() => {
      const logits = network.apply(parameters, inputs)
      return [
        nn.crossEntropyLoss(logits, next),
        nn.crossEntropyLoss(
          sliceAxis(logits, 1, d - 2, d - 1).reshape([2, v]),
          sliceAxis(next, 1, d - 2, d - 1).reshape([2]),
        ),
      ]
    })
    const each = [0, 1].map((b) => {
      const logits = byHand(own(b).slice(0, -1))
      return logits.map((row, t) => -Math.log(softmax(row)[own(b)[t + 1]!]!))
    })
    const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
    expect(all!.item()).toBeCloseTo(mean(each.flat()), 10)
    expect(last!.item()).toBeCloseTo(mean(each.map((losses) => losses.at(-1)!)), 10)
  })

  it('has the gradients of central differences', async () => {
    await checkGradients((p: never) => network.apply(p, tokens), parameters, { probes: 2 })
  })
})
