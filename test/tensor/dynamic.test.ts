/** @file Programs for every size of some axes: values as those of programs compiled at each size, and everything that is refused. */
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import {
  add,
  arange,
  cachedAttention,
  cast,
  compileDynamic,
  type DynamicProgram,
  linear,
  mean,
  mul,
  quantizedMatmul,
  quantizedMatrix,
  reshape,
  rmsNorm,
  type Sizes,
  spec,
  sum,
  type Tensor,
  tensor,
} from '../../src/tensor/index.ts'

const samples: readonly [Sizes, Sizes] = [
  { B: 101, S: 103, C: 211 },
  { B: 107, S: 109, C: 223 },
]
const wave = (n: number, phase = 0): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(i * 1.7 + phase))
const open: DynamicProgram[] = []
const keep = (program: DynamicProgram): DynamicProgram => {
  open.push(program)
  return program
}
afterAll(() => {
  for (const program of open) program.dispose()
})

const w = tensor(wave(32), { shape: [8, 4] })
const body = (x: Tensor): Tensor[] => {
  const y = linear(rmsNorm(x, tensor(wave(8, 1))), w)
  return [y, sum(reshape(y, [x.shape[0]! * x.shape[1]!, 4]), 0)]
}
const specsOfBody = ({ B, S }: Sizes) => [spec([B!, S!, 8])]

describe('one program for every size', () => {
  it('gives what the reference gives at each', async () => {
    const ours = keep(await compileDynamic(body, specsOfBody, { samples }))
    const reference = keep(await compileDynamic(body, specsOfBody, { samples, backend: 'reference' }))
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }), async (B, S) => {
        const x = wave(B * S * 8, B)
        const got = await ours.run({ B, S }, [x])
        const want = await reference.run({ B, S }, [x])
        expect(got.map(({ length }) => length)).toEqual([B * S * 4, 4])
        for (const [o, values] of want.entries())
          for (const [i, v] of (values as Float32Array).entries())
            expect(Math.abs(Number(got[o]![i]) - v)).toBeLessThan(1e-4)
      }),
      { numRuns: 20 },
    )
  })

  it('names an array of a wrong length', async () => {
    const program = keep(await compileDynamic(body, specsOfBody, { samples, name: 'body' }))
    await expect(program.run({ B: 2, S: 3 }, [wave(40)])).rejects.toThrow(
      'body: arg0 should be f32[2,3,8], got 40 elements',
    )
  })

  const refusals: [string, (x: Tensor) => Tensor, RegExp][] = [
    [
      'a constant that depends on the size',
      (x) => add(x, reshape(cast(arange(x.shape[1]!), 'f32'), [1, x.shape[1]!, 1])),
      /a constant of Add depends on it|Reshape|constant/,
    ],
    [
      'a mean over an open axis written as a factor',
      (x) => mul(x, 1 / x.shape[1]!),
      /a constant of Mul depends on it/,
    ],
    [
      'a reshape that leaves two sizes open',
      (x) => reshape(x, [x.shape[0]!, x.shape[1]!, 2, 4]),
      /leaves 2 sizes open/,
    ],
    [
      'a shape that is none of the axes',
      (x) => reshape(x, [x.shape[0]! * x.shape[1]! * 2, 4]),
      /output 0: axis 0 has sizes .* that of none of B, S, C/,
    ],
  ]
  it.each(refusals)('refuses %s', async (_, fn, message) => {
    await expect(compileDynamic(fn, specsOfBody, { samples })).rejects.toThrow(message)
  })
  it('still takes a mean over a fixed axis', async () => {
    const program = keep(await compileDynamic((x: Tensor) => mean(x, -1), specsOfBody, { samples }))
    const [got] = await program.run({ B: 1, S: 2 }, [Float32Array.from({ length: 16 }, (_, i) => i)])
    expect([...(got as Float32Array)]).toEqual([3.5, 11.5])
  })
})

describe('results written over inputs', () => {
  const attention = (qkv: Tensor, keys: Tensor, values: Tensor, last: Tensor, total: Tensor) => {
    const {
      mixed,
      keys: k,
      values: v,
    } = cachedAttention({ qkv, keys, values, last, total }, { heads: 2, keyValueHeads: 1 })
    return [mixed, k, v]
  }
  const specsAt = ({ B, S, C }: Sizes) => [
    spec([B!, S!, 32]),
    spec([B!, 1, C!, 8]),
    spec([B!, 1, C!, 8]),
    spec([B!], 'i32'),
    spec([1], 'i32'),
  ]
  const inPlace = new Map([
    [1, 1],
    [2, 2],
  ])

  it('a cache is: token after token as all at once, on both backends', async () => {
    for (const backend of ['onnx', 'reference'] as const) {
      const program = keep(await compileDynamic(attention, specsAt, { samples, inPlace, backend }))
      const [S, C] = [6, 8]
      const qkv = wave(S * 32)
      const caches = (): [Float32Array, Float32Array] => [new Float32Array(C * 8), new Float32Array(C * 8)]
      const whole = caches()
      const [all] = await program.run(
        { B: 1, S, C },
        [qkv, ...whole, Int32Array.of(S - 1), Int32Array.of(S)],
        [undefined, ...whole],
      )
      const step = caches()
      for (let t = 0; t < S; t++) {
        const [one] = await program.run(
          { B: 1, S: 1, C },
          [qkv.slice(t * 32, (t + 1) * 32), ...step, Int32Array.of(t), Int32Array.of(t + 1)],
          [undefined, ...step],
        )
        for (const [i, v] of (one as Float32Array).entries())
          expect(Math.abs(v - Number(all![t * 16 + i]))).toBeLessThan(1e-5)
      }
      // every result into a given array: nothing is handed back but these, and a fault is still a fault
      const given = [new Float32Array(S * 16), ...caches()]
      const results = await program.run(
        { B: 1, S, C },
        [qkv, given[1]!, given[2]!, Int32Array.of(S - 1), Int32Array.of(S)],
        given,
      )
      for (const [i, result] of results.entries()) expect(result).toBe(given[i])
      expect([...given[0]!]).toEqual([...(all as Float32Array)])
      if (backend === 'onnx')
        await expect(
          program.run(
            { B: 1, S, C },
            [qkv, given[1]!, given[2]!, Int32Array.of(C + 5), Int32Array.of(C + 6)],
            given,
          ),
        ).rejects.toThrow(/the runtime stopped/)
      for (const i of [0, 1] as const)
        for (const [k, v] of step[i].entries()) expect(Math.abs(v - whole[i][k]!)).toBeLessThan(1e-6)
    }
  })

  it('must be declared, and nothing but a cache can be', async () => {
    const program = keep(await compileDynamic(attention, specsAt, { samples, name: 'attend' }))
    const cache = new Float32Array(64)
    await expect(async () =>
      program.run(
        { B: 1, S: 1, C: 8 },
        [wave(32), cache, new Float32Array(64), Int32Array.of(0), Int32Array.of(1)],
        [undefined, cache],
      ),
    ).rejects.toThrow('attend: output 1 may not be written over input arg1')
    // declared, but the cache is given as another input too
    const declared = keep(
      await compileDynamic(attention, specsAt, { samples, name: 'attend', inPlace: new Map([[2, 2]]) }),
    )
    await expect(async () =>
      declared.run(
        { B: 1, S: 1, C: 8 },
        [wave(32), cache, cache, Int32Array.of(0), Int32Array.of(1)],
        [undefined, undefined, cache],
      ),
    ).rejects.toThrow('attend: output 2 may not be written over input')
    await expect(
      compileDynamic((x: Tensor) => add(x, 1), specsOfBody, { samples, inPlace: new Map([[0, 0]]) }),
    ).rejects.toThrow(/only the cache of cachedAttention can/)
    // a cache that something else reads as well
    const also = (...args: Tensor[]): Tensor[] => [
      ...attention(...(args as [Tensor, Tensor, Tensor, Tensor, Tensor])),
      mul(args[1]!, 2),
    ]
    await expect(compileDynamic(also, specsAt, { samples, inPlace })).rejects.toThrow(
      /only when nothing else reads it/,
    )
  })
})

describe('quantized weights', () => {
  it('with offsets are the dequantized product, whatever the length', async () => {
    const [K, N] = [64, 6]
    const packed = Uint8Array.from({ length: (K * N) / 2 }, (_, i) => (i * 37 + 11) % 256)
    const scales = Float32Array.from({ length: (K / 32) * N }, (_, i) => 0.01 * (1 + i))
    const offsets = wave((K / 32) * N, 3)
    const matrix = quantizedMatrix({ bits: 4, inputs: K, outputs: N, packed, scales, offsets })
    const program = keep(
      await compileDynamic(
        (x: Tensor) => quantizedMatmul(x, matrix),
        ({ B, S }) => [spec([B!, S!, K])],
        { samples },
      ),
    )
    for (const S of [1, 5]) {
      // whole numbers of which each block holds 127 pass the kernel's rounding to 8 bits unchanged
      const x = Float32Array.from({ length: S * K }, (_, i) => (i % 32 === 3 ? 127 : ((i * 29) % 255) - 127))
      const [got] = await program.run({ B: 1, S }, [x])
      for (let s = 0; s < S; s++)
        for (let n = 0; n < N; n++) {
          let want = 0
          for (let k = 0; k < K; k++) {
            const byte = packed[(n * K + k - (k % 2)) / 2]!
            const block = Math.floor(k / 32)
            const weight =
              scales[n * 2 + block]! * ((k % 2 ? byte >> 4 : byte & 15) - 8) + offsets[block * N + n]!
            want += x[s * K + k]! * weight
          }
          expect(Math.abs(Number(got![s * N + n]) - want)).toBeLessThan(1e-5 * 127 * K)
        }
    }
  })
  it('are exact where activations are not to be rounded, one token or several', async () => {
    const [K, N] = [96, 40]
    const packed = Uint8Array.from({ length: (K * N) / 2 }, (_, i) => (i * 37 + 11) % 256)
    const scales = Float32Array.from({ length: (K / 32) * N }, (_, i) => 0.01 * (1 + (i % 7)))
    const offsets = wave((K / 32) * N, 3)
    const matrix = quantizedMatrix({ bits: 4, inputs: K, outputs: N, packed, scales, offsets, exact: true })
    const product = (backend: 'onnx' | 'reference') =>
      compileDynamic(
        (x: Tensor) => quantizedMatmul(x, matrix),
        ({ B, S }) => [spec([B!, S!, K])],
        {
          samples,
          backend,
        },
      )
    const [ours, reference] = [keep(await product('onnx')), keep(await product('reference'))]
    for (const S of [1, 5]) {
      const x = wave(S * K, 0.3)
      const [got] = await ours.run({ B: 1, S }, [x])
      const [want] = await reference.run({ B: 1, S }, [x])
      for (const [i, v] of (want as Float32Array).entries())
        expect(Math.abs(Number(got![i]) - v)).toBeLessThan(2e-5)
    }
  })
  it('must have as many parts as their size says', () => {
    expect(() =>
      quantizedMatrix({
        bits: 4,
        inputs: 40,
        outputs: 1,
        packed: new Uint8Array(20),
        scales: new Float32Array(1),
      }),
    ).toThrow(/inputs a multiple of 32/)
  })
})
