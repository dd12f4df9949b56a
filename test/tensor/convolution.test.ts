/**
 * @file Convolutions on the processor's own kernels against the reference: random geometries large enough to leave the plain
 * kernels, every shape that has a route of its own, and what is emitted for which target.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sizeOf } from '../../src/tensor/dtype.ts'
import { trace } from '../../src/tensor/graph.ts'
import {
  add,
  broadcastTo,
  compile,
  concatenate,
  conv2d,
  grad,
  greater,
  makeOnnxBackend,
  maximum,
  maxPool2d,
  minimum,
  mul,
  neg,
  relu,
  reshape,
  sigmoid,
  silu,
  slice,
  spec,
  split,
  sub,
  sum,
  type Tensor,
  tanh,
  valueAndGrad,
  where,
} from '../../src/tensor/index.ts'
import { noKernels } from '../../src/tensor/onnx/kernels.ts'
import { lower } from '../../src/tensor/onnx/lower.ts'
import { type ConvGeometry, outputSize } from '../../src/tensor/ops/convGeometry.ts'
import { simplify } from '../../src/tensor/simplify.ts'
import { apply } from '../../src/tensor/tensor.ts'
import { type Draw, drawFrom, numbers, toTensor, type Value } from './draw.ts'
import { differences, type Job, onRuntime, referenceOf } from './run.ts'

interface Case {
  readonly n: number
  readonly c: number
  readonly o: number
  readonly g: ConvGeometry
}

const value = (draw: Draw, shape: readonly number[]): Value => ({
  shape,
  dtype: 'f32',
  values: numbers(draw, shape, 'f32', -1, 1),
})

/** The convolution and both adjoints, each of operands of its own. */
function jobOf({ n, c, o, g }: Case, seed: number): Job {
  const draw = drawFrom(seed)
  const shapes = [
    [n, c, ...g.input],
    [o, c / g.groups, ...g.kernel],
    [n, o, ...outputSize(g)],
  ]
  return {
    label: JSON.stringify({ n, c, o, ...g }),
    inputs: shapes.map((shape) => value(draw, shape)),
    fn: (x, w, y) => [
      apply('conv', [x!, w!], { ...g }),
      apply('convInputGrad', [y!, w!], { ...g }),
      apply('convKernelGrad', [x!, y!], { ...g }),
    ],
  }
}

async function agree(cases: readonly Case[]): Promise<void> {
  const jobs = cases.map((c, i) => jobOf(c, i + 1))
  const results = await onRuntime(jobs)
  const wrong = jobs.flatMap((job, i) => differences(job.label, results[i]!, referenceOf(job), 2e-5))
  expect(wrong).toEqual([])
}

const products = ({ n, c, o, g }: Case): number =>
  (n * o * c * sizeOf(g.kernel) * sizeOf(outputSize(g))) / g.groups

const pairOf = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<[T, T]> => fc.tuple(arbitrary, arbitrary)

const geometry: fc.Arbitrary<ConvGeometry> = fc.record({
  stride: pairOf(fc.constantFrom(1, 1, 1, 2, 3)),
  padding: pairOf(pairOf(fc.constantFrom(0, 0, 1, 1, 2, 3))),
  dilation: pairOf(fc.constantFrom(1, 1, 1, 2, 3)),
  groups: fc.constant(1),
  input: pairOf(fc.integer({ min: 1, max: 13 })),
  kernel: pairOf(fc.integer({ min: 1, max: 5 })),
})

const channels = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constantFrom(8, 16, 32, 48))

/** Cases of half a million to three million products: enough for the fast routes, few enough for the interpreter. */
const cases: fc.Arbitrary<Case> = fc
  .record({
    n: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(1, 16, 32)),
    c: channels,
    o: channels,
    g: geometry,
  })
  .filter((c) => outputSize(c.g).every((k) => k >= 1))
  .filter((c) => products(c) > 5e5 && products(c) < 3e6)

const plain = (size: number, kernel: number, more: Partial<ConvGeometry> = {}): ConvGeometry => ({
  stride: [1, 1],
  padding: [[0, 0], [0, 0]], // biome-ignore format: two pairs
  dilation: [1, 1],
  groups: 1,
  input: [size, size],
  kernel: [kernel, kernel],
  ...more,
})
const around = (n: number): ConvGeometry['padding'] => [[n, n], [n, n]] // biome-ignore format: two pairs

describe('convolutions on the runtime', () => {
  it('agree with the reference on random geometries', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (c) => agree([c])),
      { numRuns: 60, seed: 11 },
    )
  }, 240_000)

  it('agree where a route of its own is taken', async () => {
    const same = plain(8, 3, { padding: around(1) })
    await agree([
      { n: 16, c: 16, o: 32, g: same },
      // one example, few examples, a batch that is no multiple of a block
      { n: 1, c: 40, o: 40, g: same },
      { n: 5, c: 16, o: 16, g: same },
      { n: 19, c: 16, o: 16, g: same },
      // few channels in, few out, surplus channels
      { n: 16, c: 1, o: 32, g: plain(12, 5, { padding: around(2) }) },
      { n: 32, c: 32, o: 1, g: plain(10, 3, { padding: around(1) }) },
      { n: 8, c: 18, o: 35, g: same },
      { n: 8, c: 13, o: 20, g: same },
      // strides with every remainder, non-overlapping windows, gaps between windows
      { n: 16, c: 16, o: 16, g: plain(9, 3, { stride: [2, 2], padding: around(1) }) },
      { n: 16, c: 16, o: 16, g: plain(10, 3, { stride: [2, 2], padding: around(1) }) },
      { n: 16, c: 16, o: 16, g: plain(11, 4, { stride: [3, 2], padding: [[2, 0], [1, 2]] }) }, // biome-ignore format: one line
      { n: 16, c: 32, o: 32, g: plain(8, 2, { stride: [2, 2] }) },
      { n: 16, c: 32, o: 32, g: plain(8, 1, { stride: [2, 2] }) },
      { n: 16, c: 24, o: 40, g: plain(0, 0, { input: [1, 12], kernel: [1, 3], stride: [1, 3] }) },
      { n: 16, c: 3, o: 40, g: plain(12, 4, { stride: [4, 4] }) },
      { n: 3, c: 3, o: 5, g: plain(0, 0, { input: [4, 6], kernel: [2, 1], stride: [2, 1] }) },
      // pointwise, dilated, padding wider than the image
      { n: 16, c: 32, o: 32, g: plain(8, 1) },
      { n: 16, c: 64, o: 64, g: plain(1, 1) },
      { n: 16, c: 16, o: 16, g: plain(9, 3, { dilation: [2, 3], padding: around(3) }) },
      { n: 16, c: 16, o: 16, g: plain(2, 5, { padding: around(4) }) },
      // deep layers: more kernel than image
      { n: 16, c: 96, o: 32, g: plain(3, 3, { padding: around(1) }) },
      // groups and a kernel for each channel
      { n: 16, c: 32, o: 64, g: plain(8, 3, { groups: 2, padding: around(1) }) },
      { n: 64, c: 40, o: 40, g: plain(8, 3, { groups: 40, padding: around(1) }) },
      { n: 64, c: 48, o: 48, g: plain(8, 3, { groups: 48, stride: [2, 1], padding: around(1) }) },
    ])
  }, 240_000)

  it('agree in a chain with bias, where images stay in blocks between convolutions', async () => {
    const draw = drawFrom(5)
    const job: Job = {
      label: 'chain',
      inputs: [[16, 3, 8, 8], [32, 3, 3, 3], [32], [32, 32, 3, 3], [18, 32, 1, 1], [18]].map((s) => value(draw, s)), // biome-ignore format: one line
      fn: (x, w1, b1, w2, w3, b3) => {
        const loss = (p: readonly Tensor[]): Tensor => {
          const [a, b, c, d, e] = p as [Tensor, Tensor, Tensor, Tensor, Tensor]
          const first = relu(add(conv2d(x!, a, { padding: 1 }), reshape(b, [32, 1, 1])))
          const second = add(first, conv2d(first, c, { padding: 1 }))
          const third = add(conv2d(second, d), reshape(e, [1, 18, 1, 1]))
          return sum(mul(third, third))
        }
        const { value: at, gradient } = valueAndGrad(loss)([w1!, b1!, w2!, w3!, b3!])
        return [at, ...gradient]
      },
    }
    const [results] = await onRuntime([job])
    expect(differences(job.label, results!, referenceOf(job), 1e-4)).toEqual([])
  })
})

/** A step of a random program over images: their places in the list so far are drawn, results are appended. */
type Step = (images: Tensor[], pick: () => Tensor, perChannel: () => Tensor, w: Tensor) => Tensor

const doubled = (x: Tensor): Tensor => {
  const [n, c, h, w] = x.shape as [number, number, number, number]
  return reshape(broadcastTo(reshape(x, [n, c, h, 1, w, 1]), [n, c, h, 2, w, 2]), [n, c, 2 * h, 2 * w])
}
const halved = (x: Tensor): Tensor => {
  const [n, c, h, w] = x.shape as [number, number, number, number]
  return mul(sum(reshape(x, [n, c, h / 2, 2, w / 2, 2]), [3, 5]), 0.25)
}

const steps: readonly Step[] = [
  (_, pick) => relu(pick()),
  (_, pick) => sigmoid(pick()),
  (_, pick) => silu(pick()),
  (_, pick) => neg(tanh(pick())),
  (_, pick) => add(pick(), pick()),
  (_, pick) => sub(pick(), pick()),
  (_, pick) => mul(mul(pick(), pick()), 0.5),
  (_, pick) => sub(1, mul(pick(), 0.5)),
  (_, pick, channel) => add(pick(), channel()),
  (_, pick, channel) => sub(channel(), pick()),
  (_, pick, channel) => mul(channel(), pick()),
  (_, pick, channel) => add(mul(pick(), channel()), channel()),
  (_, pick, channel) => sub(sub(mul(pick(), channel()), channel()), mul(channel(), pick())),
  (_, pick, channel) => {
    const x = mul(pick(), channel())
    return add(add(x, x), add(pick(), channel()))
  },
  (_, pick) => where(greater(pick(), 0), pick(), pick()),
  (_, pick) => {
    const both = concatenate([pick(), pick()], 1)
    const [n, c, h, w] = both.shape as [number, number, number, number]
    return slice(both, [0, 16, 0, 0], [n, 16 + c / 2, h, w])
  },
  (_, pick) => add(...(split(concatenate([pick(), pick()], 1), 2, 1) as [Tensor, Tensor])),
  (_, pick) => halved(sigmoid(doubled(pick()))),
  (_, pick) => {
    const x = pick()
    return sub(x, mul(sum(x, [2, 3], { keepDims: true }), 1 / 64))
  },
  (_, pick) => add(pick(), reshape(sum(pick(), [0, 2, 3]), [-1, 1, 1])),
  (_, pick, __, w) => conv2d(pick(), w, { padding: 1 }),
  (_, pick) => doubled(maxPool2d(pick(), { kernel: 2 })),
  (_, pick) => {
    const pooled = maxPool2d(pick(), { kernel: 3, stride: 2, padding: [[1, 0], [1, 0]] }) // biome-ignore format: two pairs
    return doubled(pooled)
  },
]

describe('images between convolutions', () => {
  const programs = fc.record({
    channels: fc.constantFrom(32, 48, 40),
    seed: fc.integer({ min: 1, max: 1e6 }),
    picks: fc.array(fc.integer({ min: 0, max: steps.length - 1 }), { minLength: 3, maxLength: 9 }),
  })
  it('agree with the reference in random programs, with their gradients', async () => {
    await fc.assert(
      fc.asyncProperty(programs, async ({ channels: c, seed, picks }) => {
        const draw = drawFrom(seed)
        const shapes = [[2, c, 8, 8], [c, c, 3, 3], [c, 1, 1], [1, c, 1, 1], [2, c, 1, 1]] // biome-ignore format: one line
        const weights = { ...value(draw, shapes[1]!) }
        const small: Value = { ...weights, values: weights.values.map((v) => Math.fround(v / 20)) }
        const run = (operands: readonly Tensor[]): Tensor[] => {
          const again = drawFrom(seed)
          const [x, w, ...vectors] = operands as [Tensor, Tensor, ...Tensor[]]
          const images = [conv2d(x, w, { padding: 1 }), x]
          const pick = (): Tensor => again.pick(images)
          for (const i of picks) images.push(steps[i]!(images, pick, () => again.pick(vectors), w))
          return images
        }
        const job: Job = {
          label: JSON.stringify({ c, seed, picks }),
          inputs: shapes.map((shape, i) => (i === 1 ? small : value(draw, shape))),
          fn: (...operands) => {
            const loss = (list: readonly Tensor[]): Tensor =>
              run(list)
                .map((image) => mul(sum(tanh(image)), 1 / image.size))
                .reduce((a, b) => add(a, b))
            return [...run(operands).slice(2), ...valueAndGrad(loss)(operands).gradient]
          },
        }
        const [results] = await onRuntime([job])
        expect(differences(job.label, results!, referenceOf(job), 2e-5)).toEqual([])
      }),
      { numRuns: 25, seed: 3 },
    )
  }, 240_000)

  it('cross no other layout inside a residual block', () => {
    const block = (x: Tensor, w: Tensor, scale: Tensor): Tensor => {
      const h = conv2d(silu(add(mul(x, scale), scale)), w, { padding: 1 })
      return add(conv2d(relu(h), w, { padding: 1 }), h)
    }
    const whole = (x: Tensor, w: Tensor, scale: Tensor): Tensor =>
      sum(block(conv2d(x, w, { padding: 1 }), w, scale))
    const { graph } = trace(whole, [spec([16, 32, 8, 8]), spec([32, 32, 3, 3]), spec([32, 1, 1])])
    const ops = lower(simplify(graph, 'cpu'), 'cpu', { ...noKernels, channels: 16 }).nodes.map(
      (node) => node.op,
    )
    const kernels = 3 // their reordering uses the same node
    expect(ops.filter((op) => op === 'ReorderInput')).toHaveLength(1 + kernels)
    expect(ops.filter((op) => op === 'ReorderOutput')).toHaveLength(1)
  })
})

describe('max pooling', () => {
  it.each([
    { c: 16, size: [8, 8], kernel: [2, 2] },
    { c: 32, size: [9, 11], kernel: [2, 3] },
    { c: 16, size: [9, 8], kernel: [3, 1] },
    { c: 20, size: [8, 9], kernel: [2, 2] },
  ])(
    'gives the derivative to the first of equals, $c channels, $size, windows $kernel',
    async ({ c, size, kernel }) => {
      // small integers are convolved exactly, and tie often
      const [n, [h, w], [kh, kw]] = [8, size as [number, number], kernel as [number, number]]
      const [oh, ow] = [Math.floor(h / kh), Math.floor(w / kw)]
      const draw = drawFrom(c + kh)
      const whole = (shape: readonly number[], low: number, high: number): Value => ({
        shape,
        dtype: 'f32',
        values: Array.from({ length: sizeOf(shape) }, () => draw.int(low, high)),
      })
      const x = whole([n, c, h, w], 0, 1)
      const kernels = whole([c, c, 3, 3], 0, 1)
      const g = whole([n, c, oh, ow], 1, 1000)
      const job: Job = {
        label: 'pool',
        inputs: [x, kernels, g, whole([n, c, h, w], 0, 0)],
        fn: (...list) => {
          const [a, b, weight, zero] = list as [Tensor, Tensor, Tensor, Tensor]
          const middle = Math.round((c * 9) / 4)
          const image = minimum(maximum(sub(conv2d(a, b, { padding: 1 }), middle), 0), 3)
          const loss = (z: Tensor): Tensor => sum(mul(maxPool2d(add(image, z), { kernel: [kh, kw] }), weight))
          return [grad(loss)(zero), image]
        },
      }
      const [[slope, image]] = (await onRuntime([job])) as [[Value, Value]]
      const expected = new Array<number>(n * c * h * w).fill(0)
      for (let plane = 0, at = 0; plane < n * c; plane++)
        for (let p = 0; p < oh; p++)
          for (let q = 0; q < ow; q++, at++) {
            const places = Array.from(
              { length: kh * kw },
              (_, k) => (plane * h + p * kh + Math.floor(k / kw)) * w + q * kw + (k % kw),
            )
            const top = Math.max(...places.map((i) => image.values[i]!))
            expected[places.find((i) => image.values[i] === top)!] = g.values[at]!
          }
      expect(new Set(image.values)).toEqual(new Set([0, 1, 2, 3]))
      expect(slope.values).toEqual(expected)
    },
  )
})

describe('what convolutions become', () => {
  const image = spec([16, 32, 8, 8])
  const kernel = spec([32, 32, 3, 3])
  const loss = (x: Tensor, w: Tensor): Tensor =>
    sum(mul(conv2d(relu(conv2d(x, w, { padding: 1 })), w, { padding: 1 }), 2))
  const { graph } = trace((x: Tensor, w: Tensor) => grad((v: Tensor) => loss(x, v))(w), [image, kernel])
  const domainsOf = (target: 'portable' | 'cpu'): Set<string> =>
    new Set(lower(simplify(graph, target), target).nodes.map((node) => node.domain))

  it('is standard ONNX in a file and where the processor has no blocked kernels', () => {
    expect([...domainsOf('portable')]).toEqual([''])
    expect([...domainsOf('cpu')]).not.toContain('com.microsoft.nchwc')
  })

  it.each([8, 16])('is blocked nodes in a training step where blocks have %i channels', (block) => {
    const { nodes } = lower(simplify(graph, 'cpu'), 'cpu', { ...noKernels, channels: block })
    expect(nodes.filter((node) => /Conv/.test(node.op)).every((node) => /nchwc/.test(node.domain))).toBe(true)
  })

  it('is the same with two threads', async () => {
    const job = jobOf({ n: 20, c: 40, o: 72, g: plain(9, 3, { padding: around(1) }) }, 8)
    const program = compile((...xs: Tensor[]) => [...job.fn(...xs)], { threads: 2 })
    const results = await program(...job.inputs.map(toTensor))
    program.dispose()
    const got = results.map(
      ({ shape, data }): Value => ({ shape, dtype: 'f32', values: [...(data as Float32Array)] }),
    )
    expect(differences('threads', got, referenceOf(job), 2e-5)).toEqual([])
  })

  it('falls back where the runtime refuses the probe', async () => {
    const refused: string[] = []
    const runtime = ((await import('onnxruntime-node')) as { default?: object }).default as {
      Tensor: never
      InferenceSession: { create(bytes: Uint8Array, options: object): Promise<unknown> }
    }
    const create = async (bytes: Uint8Array, options: object): Promise<unknown> => {
      if (Buffer.from(bytes).includes('ReorderInput')) {
        refused.push('probe')
        throw new Error('no such operator')
      }
      return runtime.InferenceSession.create(bytes, options)
    }
    const backend = makeOnnxBackend('plain', async () => ({
      Tensor: runtime.Tensor,
      InferenceSession: { create },
    }))
    const job = jobOf({ n: 16, c: 16, o: 16, g: plain(8, 3, { padding: around(1) }) }, 3)
    const { graph: program } = trace(job.fn as (...xs: Tensor[]) => Tensor[], job.inputs)
    const executable = await backend.compile(program, {})
    const [y] = await executable.run(job.inputs.map((x) => Float32Array.from(x.values)))
    executable.dispose()
    const got: Value = { shape: program.outputs[0]!.shape, dtype: 'f32', values: [...(y as Float32Array)] }
    expect(refused).toEqual(['probe'])
    expect(differences('conv', [got], [referenceOf(job)[0]!], 2e-5)).toEqual([])
  })
})
