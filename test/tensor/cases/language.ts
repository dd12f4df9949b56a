/** @file Products and attention of language models: quantized weights, maps of any length, the cache. */
import { quantizedMatrix, tensor } from '../../../src/tensor/index.ts'
import { apply, applyAll } from '../../../src/tensor/tensor.ts'
import type { Draw } from '../draw.ts'
import { type CaseMaker, floats, input, random, range, total } from './case.ts'

const block = 32

/** x [..., K] with K blocks, and the rows of it. */
const activations = (draw: Draw, k: number): number[] => [
  ...draw.shape({ minRank: 1, maxRank: 2, limit: 4 }),
  k,
]

const linear: CaseMaker = {
  dtypes: floats,
  count: 8,
  make: (draw, dtype) => {
    const shape = draw.shape({ minRank: 2 })
    const [k, n] = [shape.at(-1)!, draw.int(1, 4)]
    const [x, w] = [random(draw, shape, dtype), random(draw, [k, n], dtype)]
    const rows = shape.slice(0, -1).reduce((a, b) => a * b, 1)
    return {
      inputs: [x, w],
      fn: (...xs) => [apply('linear', xs)],
      expected: [
        range(rows * n).map((at) => {
          const row = Math.floor(at / n)
          return total(range(k).map((i) => x.values[row * k + i]! * w.values[i * n + (at % n)]!))
        }),
      ],
    }
  },
}

const blockSums: CaseMaker = {
  dtypes: floats,
  count: 6,
  make: (draw, dtype) => {
    const [size, blocks] = [draw.pick([1, 3, 4]), draw.int(1, 3)]
    const shape = [...draw.shape({ minRank: 1, maxRank: 2, limit: 4 }), size * blocks]
    const x = random(draw, shape, dtype)
    return {
      inputs: [x],
      fn: (...xs) => [apply('blockSums', xs, { block: size })],
      expected: [
        range(x.values.length / size).map((b) => total(range(size).map((j) => x.values[b * size + j]!))),
      ],
    }
  },
}

/**
 * Weights of few values, and activations that the kernel's rounding to 8 bits leaves as they are: whole numbers of which each
 * block holds one of ±127.
 */
const quantizedMatmul: CaseMaker = {
  dtypes: floats,
  count: 12,
  make: (draw, dtype, i) => {
    const bits = i % 2 ? 8 : 4
    const inputs = block * draw.int(1, 2)
    // columns for sums begin a block that they do not fill
    const sums = Math.floor(i / 2) % 3
    const columns = inputs + (sums * inputs) / block
    const [blocks, n] = [Math.ceil(columns / block), draw.int(1, 5)]
    const packed = Uint8Array.from({ length: (n * blocks * block * bits) / 8 }, () => draw.int(0, 255))
    const scales = Float32Array.from({ length: n * blocks }, () => draw.pick([0.25, 0.5, 1, -0.125]))
    const matrix = quantizedMatrix({ bits, inputs, outputs: n, packed, scales, sums })
    const shape = activations(draw, columns)
    const x = input(shape, dtype, () =>
      range(shape.reduce((a, b) => a * b, 1)).map((at) =>
        (at % columns) % block === (at % columns < inputs ? 7 : 0) ? 127 : draw.int(-127, 127),
      ),
    )
    const weight = (row: number, column: number): number => {
      const at = row * blocks * block + column
      const byte = packed[bits === 8 ? at : (at - (at % 2)) / 2]!
      const q = bits === 8 ? byte : at % 2 ? byte >> 4 : byte & 15
      const b = row * blocks + Math.floor(column / block)
      return (q - 2 ** (bits - 1)) * scales[b]!
    }
    return {
      inputs: [x],
      fn: (...xs) => [apply('quantizedMatmul', xs, { matrix })],
      expected: [
        range((x.values.length / columns) * n).map((at) => {
          const row = Math.floor(at / n)
          return total(range(columns).map((j) => x.values[row * columns + j]! * weight(at % n, j)))
        }),
      ],
    }
  },
}

/** One sequence whose cache holds some tokens, or several from their beginning. */
const cachedAttention: CaseMaker = {
  dtypes: floats,
  count: 6,
  make: (draw, dtype, i) => {
    const keyValueHeads = draw.pick([1, 2])
    const heads = keyValueHeads * draw.pick([1, 2])
    const isTurned = i % 2 === 0
    const d = isTurned ? 16 : 8
    const past = i % 4 < 2 ? draw.int(1, 3) : 0
    const b = past ? 1 : draw.int(1, 2)
    const s = draw.int(1, 3)
    const [length, capacity] = [past + s, past + s + draw.int(0, 2)]
    const window = i >= 3 ? 2 : 0
    // slots that hold nothing yet are zeros in both
    const cache = () =>
      input([b, keyValueHeads, capacity, d], dtype, () =>
        range(b * keyValueHeads * capacity * d).map((at) =>
          Math.floor(at / d) % capacity < past ? Math.fround(draw.real(-1, 1)) : 0,
        ),
      )
    // what is no number to differentiate is held fast: every choice of mapped inputs is tried, and they are many already
    const fixed = [
      tensor(Int32Array.from({ length: b }, () => length - 1)),
      tensor(Int32Array.of(length)),
      ...(isTurned ? [Math.cos, Math.sin] : []).map((f) =>
        tensor(
          range((capacity * d) / 2).map((at) =>
            Math.fround(f(Math.floor(at / (d / 2)) * 10 ** (-(at % (d / 2)) / 4))),
          ),
          { shape: [capacity, d / 2], dtype },
        ),
      ),
    ]
    const attributes = { heads, keyValueHeads, window, scale: 0.3 }
    return {
      inputs: [random(draw, [b, s, (heads + 2 * keyValueHeads) * d], dtype, -1, 1), cache(), cache()],
      fn: (...xs) => applyAll('cachedAttention', [...xs, ...fixed], attributes),
      attributes,
    }
  },
}

export const languageCases: Readonly<Record<string, CaseMaker>> = {
  linear,
  blockSums,
  quantizedMatmul,
  cachedAttention,
}
