/** Builds of the runtime: what each can do is found out, and whatever it cannot do, numbers stay right. */
import { describe, expect, test } from 'vitest'
import {
  type Backend,
  cachedAttention,
  compile,
  compileDynamic,
  compileStep,
  makeOnnxBackend,
  matmul,
  mean,
  type OrtModule,
  onnxBackend,
  quantizedMatmul,
  quantizedMatrix,
  random,
  runtime,
  type Sizes,
  spec,
  square,
  sub,
  type Tensor,
  tanh,
  tensor,
  valueAndGrad,
} from '../../src/tensor/index.ts'
import { abilitiesOf, bitsOf, channelsOf } from '../../src/tensor/onnx/probe.ts'

async function web(): Promise<OrtModule> {
  const ort = (await import('onnxruntime-web/wasm')) as unknown as OrtModule & {
    env: { wasm: { numThreads: number } }
  }
  ort.env.wasm.numThreads = 1
  return ort
}
const chosen = async (): Promise<OrtModule> => (await runtime()).load(1)

const draw = (seed: number, shape: readonly number[]): Tensor =>
  tensor(
    random.sampleNormal(
      random.key(seed),
      shape.reduce((a, b) => a * b, 1),
    ),
    { shape },
  )

/** Losses of steps large enough for the tail, and small enough for one flat buffer. */
async function losses(backend: Backend, width: number, steps: number): Promise<number[]> {
  const state = { w: draw(1, [width, width]), v: draw(2, [width, 4]), m: draw(3, [width, width]) }
  const program = await compileStep(
    ({ w, v, m }: typeof state, x: Tensor, y: Tensor) => {
      const { value, gradient } = valueAndGrad((p: { w: Tensor; v: Tensor }) =>
        mean(square(sub(matmul(tanh(matmul(x, p.w)), p.v), y))),
      )({ w, v })
      const moved = m.mul(0.9).add(gradient.w)
      return {
        state: { w: w.sub(moved.mul(0.01)), v: v.sub(gradient.v.mul(0.01)), m: moved },
        outputs: value,
      }
    },
    state,
    [spec([8, width]), spec([8, 4])],
    { backend },
  )
  const out: number[] = []
  for (let i = 0; i < steps; i++)
    out.push(Number((await program.step(draw(10 + i, [8, width]), draw(50 + i, [8, 4]))).data[0]))
  program.dispose()
  return out
}

const near = (got: readonly number[], want: readonly number[], tolerance: number): void => {
  expect(got).toHaveLength(want.length)
  const scale = Math.max(...want.map(Math.abs))
  for (const [i, v] of want.entries()) expect(Math.abs(got[i]! - v) / scale).toBeLessThan(tolerance)
}

/** Three tokens one after another through a cache, written in place; the mixes and the cache. */
async function decoded(backend: Backend): Promise<number[]> {
  const specsAt = ({ C }: Sizes) => [
    spec([1, 1, 24]),
    spec([1, 1, C!, 8]),
    spec([1, 1, C!, 8]),
    spec([1], 'i32'),
    spec([1], 'i32'),
  ]
  const program = await compileDynamic(
    (qkv: Tensor, keys: Tensor, values: Tensor, last: Tensor, total: Tensor) => {
      const { mixed, ...cache } = cachedAttention({ qkv, keys, values, last, total }, { heads: 1 })
      return [mixed, cache.keys, cache.values]
    },
    specsAt as never,
    {
      samples: [{ C: 101 }, { C: 103 }],
      inPlace: new Map([
        [1, 1],
        [2, 2],
      ]),
      backend,
    },
  )
  const [keys, values] = [program.allocate('f32', 4 * 8), program.allocate('f32', 4 * 8)]
  const out: number[] = []
  for (let i = 0; i < 3; i++) {
    const mixed = new Float32Array(8)
    const qkv = draw(90 + i, [24]).data
    const inputs = [qkv, keys, values, Int32Array.of(i), Int32Array.of(i + 1)]
    await program.run({ C: 4 }, inputs, [mixed, keys, values])
    out.push(...mixed)
  }
  out.push(...(keys as Float32Array), ...(values as Float32Array))
  program.dispose()
  return out
}

/** A weight of 4 bits in two blocks, some activations far apart in size, and the product in double precision. */
function blocks() {
  const [inputs, outputs] = [64, 16]
  const packed = Uint8Array.from({ length: (inputs * outputs) / 2 }, (_, i) => (i * 37) & 255)
  const scales = Float32Array.from({ length: 2 * outputs }, (_, i) => 0.01 * (1 + (i % 7)))
  const matrix = quantizedMatrix({ bits: 4, inputs, outputs, packed, scales })
  const x = Float32Array.from({ length: inputs }, (_, i) => Math.sin(i) * (i % 32 === 0 ? 40 : 1))
  const want = Array.from({ length: outputs }, (_, n) =>
    x.reduce((total, v, k) => {
      const byte = packed[(n * inputs + k) >> 1]!
      const q = (k % 2 ? byte >> 4 : byte & 15) - 8
      return total + v * q * scales[2 * n + (k >> 5)]!
    }, 0),
  )
  return { matrix, x: tensor(x, { shape: [1, inputs] }), want }
}

describe('onnxruntime-web as its package binds it, with default options', () => {
  const backend = makeOnnxBackend('web', web)

  test('trains as the default backend does, with the tail and with flat state', async () => {
    for (const width of [100, 5])
      near(await losses(backend, width, 6), await losses(onnxBackend, width, 6), 2e-5)
  })

  test('fills no outputs, which is found out', async () => {
    const { fillsOutputs, endsAtLastResult, runsInPlace } = await abilitiesOf(await web())
    expect({ fillsOutputs, endsAtLastResult, runsInPlace }).toEqual({
      ...{ fillsOutputs: false, endsAtLastResult: false, runsInPlace: false },
    })
    expect(await channelsOf(await web())).toBe(0)
    expect([...(await bitsOf(await web()))]).toEqual([])
  })

  test('keeps a cache', async () => near(await decoded(backend), await decoded(onnxBackend), 1e-4))

  test('multiplies quantized weights unpacked, with activations as they are', async () => {
    const { matrix, x, want } = blocks()
    const program = compile((a: Tensor) => quantizedMatmul(a, matrix), { backend })
    near(Array.from((await program(x)).data as Float32Array), want, 1e-5)
    program.dispose()
  })

  test('runs programs that are asked at once, as many sessions over one stack and one set of files', async () => {
    const weights = Array.from({ length: 4 }, (_, i) => draw(200 + i, [64, 64]))
    const x = draw(300, [3, 64])
    const programs = await Promise.all(
      weights.map((w) =>
        compileDynamic(
          ((a: Tensor) => matmul(a, w)) as never,
          (({ B }: Sizes) => [spec([B!, 64])]) as never,
          {
            samples: [{ B: 101 }, { B: 103 }],
            backend,
          },
        ),
      ),
    )
    const together = await Promise.all(
      Array.from({ length: 12 }, (_, i) => programs[i % 4]!.run({ B: 3 }, [x.data])),
    )
    const plain = compile((a: Tensor, b: Tensor) => matmul(a, b))
    for (const [i, [y]] of together.entries())
      near(
        Array.from(y as Float32Array),
        Array.from((await plain(x, weights[i % 4]!)).data as Float32Array),
        1e-3,
      )
    for (const program of [...programs, plain]) program.dispose()
  })
})

describe('a runtime that lacks one ability', () => {
  type Run = (
    feeds: Record<string, { data: Float32Array; dims: number[] }>,
    fetches: object,
  ) => Promise<object>
  /** The default runtime with another `run`. */
  const changed = (change: (ort: OrtModule, run: Run) => Run): Backend => {
    let made: OrtModule | undefined
    return makeOnnxBackend('changed', async () => {
      const ort = await chosen()
      made ??= {
        Tensor: ort.Tensor,
        InferenceSession: {
          create: async (bytes, options) => {
            const session = (await ort.InferenceSession.create(bytes, options)) as {
              run: Run
              release(): Promise<void>
            }
            return { run: change(ort, session.run.bind(session)), release: () => session.release() }
          },
        },
      }
      return made
    })
  }
  const nulls = (fetches: object): object => Object.fromEntries(Object.keys(fetches).map((k) => [k, null]))

  test('fills no outputs', async () => {
    const backend = changed((_, run) => (feeds, fetches) => run(feeds, nulls(fetches)))
    expect(await losses(backend, 100, 3)).toEqual(await losses(onnxBackend, 100, 3))
    near(await decoded(backend), await decoded(onnxBackend), 1e-6)
  })

  test('hands results back: they are the same, and nothing is handed back where it need not be', async () => {
    const returned: string[][] = []
    const listening = changed((_, run) => async (feeds, fetches) => {
      const results = await run(feeds, fetches)
      if ('i0' in feeds) returned.push(Object.keys(results))
      return results
    })
    const handing = changed((_, run) => (feeds, fetches) => {
      const { end: _end, ...others } = fetches as Record<string, object | null>
      return run(feeds, others)
    })
    const expected = await losses(handing, 100, 3)
    expect(await losses(listening, 100, 3)).toEqual(expected)
    expect(returned.length === 0).toBe((await abilitiesOf(await chosen())).endsAtLastResult)
  })

  test('writes results before it has read its inputs', async () => {
    const backend = changed((_, run) => (feeds, fetches) => {
      const written = new Set(Object.values(fetches).map((y) => y?.data))
      for (const { data } of Object.values(feeds)) if (written.has(data)) data.fill(0)
      return run(feeds, fetches)
    })
    near(await decoded(backend), await decoded(onnxBackend), 1e-6)
  })
})
