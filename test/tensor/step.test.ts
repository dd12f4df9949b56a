/** @file Programs with state: both layouts, every element type, several steps a call, swapping buffers, copies, memory. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import {
  add,
  bitXor,
  cast,
  compileStep,
  concatenate,
  cos,
  grad,
  logicalNot,
  matmul,
  mean,
  mul,
  random,
  relu,
  reshape,
  runtime,
  type StepOptions,
  shiftLeft,
  sin,
  slice,
  spec,
  square,
  sub,
  sum,
  type Tensor,
  tensor,
  transpose,
  where,
  zeros,
} from '../../src/tensor/index.ts'
import { drawFrom, numbers, toTensor } from './draw.ts'
import { numbersDiffer } from './run.ts'

const draw = drawFrom(77)
const values = (shape: number[], dtype: 'f32' | 'f64' = 'f32', bound = 1): Tensor =>
  toTensor({ shape, dtype, values: numbers(draw, shape, dtype, -bound, bound) })

/** Training with momentum: products, transposes, and leaves that depend on each other. */
const initial = (width: number, dtype: 'f32' | 'f64' = 'f32') => ({
  weights: [values([3, width], dtype), values([width, 2], dtype, 1 / Math.sqrt(width))],
  momenta: [zeros([3, width], dtype), zeros([width, 2], dtype)],
  count: tensor(Int32Array.of(0), { shape: [] }),
})
type State = ReturnType<typeof initial>
const train = (state: State, x: Tensor, y: Tensor) => {
  const loss = (w: Tensor[]): Tensor => mean(square(sub(matmul(relu(matmul(x, w[0]!)), w[1]!), y)))
  const gradient = grad(loss)(state.weights)
  const momenta = state.momenta.map((m, i) => add(mul(m, 0.9), gradient[i]!))
  const weights = state.weights.map((w, i) => sub(w, mul(momenta[i]!, learningRate(w))))
  const count = add(state.count, 1)
  return { state: { weights, momenta, count }, outputs: { loss: loss(state.weights), count } }
}
/** A learning rate that suits the width. */
const learningRate = (w: Tensor): number => 0.2 / Math.max(...w.shape)
const batchSpecs = (dtype: 'f32' | 'f64' = 'f32') => [spec([4, 3], dtype), spec([4, 2], dtype)]
const flat = (state: State): number[] =>
  [...state.weights, ...state.momenta, state.count].flatMap((t) => Array.from(t.data as Float64Array, Number))

/** 50 steps on new batches; the losses and the last state. */
async function fifty(
  start: State,
  options: StepOptions,
  dtype: 'f32' | 'f64' = 'f32',
): Promise<{ losses: number[]; state: number[] }> {
  const program = await compileStep(train, start, batchSpecs(dtype), options)
  const batches = drawFrom(123)
  const losses: number[] = []
  const k = options.stepsPerCall ?? 1
  for (let i = 0; i < 50 / k; i++) {
    // what is to be learned: the first two numbers of each example
    const pairs = Array.from({ length: k }, () => {
      const x = numbers(batches, [4, 3], dtype)
      return [x, x.filter((_, at) => at % 3 < 2)] as const
    })
    const lead = k === 1 ? [] : [k]
    const x = toTensor({ shape: [...lead, 4, 3], dtype, values: pairs.flatMap((p) => p[0]) })
    const y = toTensor({ shape: [...lead, 4, 2], dtype, values: pairs.flatMap((p) => p[1]) })
    const { loss } = await program.step(x, y)
    losses.push(...Array.from(loss.data as Float64Array))
  }
  const state = flat(program.copyState())
  program.dispose()
  return { losses, state }
}

describe.each([
  ['flat', 5],
  ['leaf by leaf', 3000],
] as const)('%s state', (_, width) => {
  it('agrees with the reference over 50 steps, in f32 and f64', async () => {
    if (width > 1000) return // the reference is slow: compared at the smaller width below, bit for bit with itself
    for (const [dtype, tolerance] of [
      ['f32', 1e-4],
      ['f64', 1e-9],
    ] as const) {
      const start = initial(width, dtype)
      const [got, want] = [await fifty(start, {}, dtype), await fifty(start, { backend: 'reference' }, dtype)]
      expect(numbersDiffer('losses', got.losses, want.losses, tolerance)).toEqual([])
      expect(numbersDiffer('state', got.state, want.state, tolerance)).toEqual([])
      expect(got.state.at(-1)).toBe(50)
    }
  })
  it('gives the same bits twice, and the same numbers in calls of five steps', async () => {
    const start = initial(width)
    const [once, again] = [await fifty(start, {}), await fifty(start, {})]
    expect(again).toEqual(once)
    const five = await fifty(start, { stepsPerCall: 5 })
    expect(numbersDiffer('losses', five.losses, once.losses, 1e-5)).toEqual([])
    expect(numbersDiffer('state', five.state, once.state, 1e-5)).toEqual([])
    expect(once.losses[49]!).toBeLessThan(once.losses[0]! / 2)
  })
})

describe('both layouts', () => {
  it('agree with each other', async () => {
    // the same small network, beside a leaf so large that every leaf gets its own input
    const start = initial(4)
    const ballast = values([40000])
    const program = await compileStep(
      ({ small, large }: { small: State; large: Tensor }, x: Tensor, y: Tensor) => {
        const next = train(small, x, y)
        return { state: { small: next.state, large: mul(large, 0.5) }, outputs: next.outputs }
      },
      { small: start, large: ballast },
      batchSpecs(),
    )
    const alone = await compileStep(train, start, batchSpecs())
    for (let i = 0; i < 20; i++) {
      const [x, y] = [values([4, 3]), values([4, 2])]
      const [a, b] = [await program.step(x, y), await alone.step(x, y)]
      expect(numbersDiffer('', [a.loss.item()], [b.loss.item()], 1e-6)).toEqual([])
    }
    expect(numbersDiffer('', flat(program.state.small), flat(alone.state), 1e-6)).toEqual([])
    const half = Array.from(ballast.data as Float32Array, (v) => v * 0.5 ** 20)
    expect(numbersDiffer('', Array.from(program.state.large.data as Float32Array), half, 1e-7)).toEqual([])
    program.dispose()
    alone.dispose()
  })
})

describe.each([1, 30000])('a state of every element type (the largest leaf has %i elements)', (size) => {
  const start = () => ({
    key: random.keyTensor(random.key(3)),
    step: tensor(BigInt64Array.of(2n ** 40n), { shape: [] }),
    flags: tensor([true, false, true]),
    small: tensor(Int32Array.of(-3, 4)),
    single: tensor(new Float32Array(size).fill(0.5)),
    double: tensor(Float64Array.of(1 / 3)),
    nothing: tensor(new Float32Array(0), { shape: [0, 2] }),
    scalar: tensor(2.5, { shape: [] }),
  })
  const advance = (s: ReturnType<typeof start>) => ({
    state: {
      key: reshape(random.splitTensor(s.key, 1), [2]),
      step: add(s.step, 1),
      flags: logicalNot(s.flags),
      small: mul(s.small, -1),
      single: cos(s.single),
      double: sin(s.double),
      nothing: mul(s.nothing, 2),
      scalar: s.scalar,
    },
    outputs: [bitXor(slice(s.key, [0], [1]), shiftLeft(slice(s.key, [1], [2]), 3)), where(s.flags, 1, 0)],
  })

  it('advances as the reference does', async () => {
    const [onnx, reference] = await Promise.all(
      (['onnx', 'reference'] as const).map((backend) => compileStep(advance, start(), [], { backend })),
    )
    for (let i = 0; i < 5; i++) {
      const [a, b] = [await onnx!.step(), await reference!.step()]
      expect(a.map((t) => [t.dtype, t.toArray()])).toEqual(b.map((t) => [t.dtype, t.toArray()]))
    }
    const [a, b] = [onnx!.copyState(), reference!.copyState()]
    for (const [name, t] of Object.entries(a)) {
      const other = b[name as keyof typeof b]
      expect([t.dtype, t.shape]).toEqual([other.dtype, other.shape])
      expect(
        numbersDiffer(
          name,
          Array.from(t.data as Float64Array, Number),
          Array.from(other.data as Float64Array, Number),
          t.dtype === 'f32' ? 1e-6 : 1e-12,
        ),
      ).toEqual([])
    }
    expect(a.step.data).toEqual(BigInt64Array.of(2n ** 40n + 5n))
    expect(a.flags.toArray()).toEqual([false, true, false])
    onnx!.dispose()
    reference!.dispose()
  })
})

describe('the state', () => {
  const swap = ({ a, b, c }: { a: Tensor; b: Tensor; c: Tensor }, x: Tensor) => ({
    state: { a: b, b: a, c: add(c, matmul(matmul(a, b), x)) },
    outputs: transpose(c),
  })
  const start = () => ({ a: values([3, 3]), b: values([3, 3]), c: zeros([3, 3]) })

  it('may be passed on unchanged or exchanged: nothing reads what it writes', async () => {
    const first = start()
    for (const options of [{}, { stepsPerCall: 2 }]) {
      const program = await compileStep(swap, first, [spec([3, 3])], options)
      const oracle = await compileStep(swap, first, [spec([3, 3])], { ...options, backend: 'reference' })
      const x = values(options.stepsPerCall ? [2, 3, 3] : [3, 3])
      for (let i = 0; i < 7; i++) {
        const [got, want] = [await program.step(x), await oracle.step(x)]
        expect(
          numbersDiffer(
            '',
            Array.from(got.data as Float32Array),
            Array.from(want.data as Float32Array),
            1e-5,
          ),
        ).toEqual([])
      }
      const expected = options.stepsPerCall ? first.a : first.b
      expect(program.state.a.toArray()).toEqual(expected.toArray())
      program.dispose()
      oracle.dispose()
    }
  })
  it('is copied in and out', async () => {
    const weights = tensor([1, 2])
    const program = await compileStep(
      (s: { w: Tensor }) => ({ state: { w: mul(s.w, 2) }, outputs: sum(s.w) }),
      { w: weights },
      [],
    )
    expect((await program.step()).item()).toBe(3)
    expect(weights.toArray()).toEqual([1, 2])
    const kept = program.copyState()
    expect(kept.w.toArray()).toEqual([2, 4])
    for (let i = 0; i < 3; i++) await program.step()
    expect(kept.w.toArray()).toEqual([2, 4])
    expect(program.state.w.toArray()).toEqual([16, 32])
    program.setState({ w: tensor([5, 6]) })
    expect((await program.step()).item()).toBe(11)
    program.setState(kept)
    expect([(await program.step()).item(), kept.w.toArray()]).toEqual([6, [2, 4]])
    program.dispose()
  })
  it('goes through every step of calls that overlap', async () => {
    const program = await compileStep(
      (s: { n: Tensor }, x: Tensor) => ({ state: { n: add(s.n, x) }, outputs: s.n }),
      { n: tensor(0) },
      [spec([])],
    )
    const results = await Promise.all(Array.from({ length: 20 }, (_, i) => program.step(tensor(i))))
    expect(results.map((t) => t.item())).toEqual(
      Array.from({ length: 20 }, (_, i) => (i < 2 ? 0 : (i * (i - 1)) / 2)),
    )
    expect(program.state.n.item()).toBe(190)
    const pending = program.step(tensor(1))
    expect(() => program.setState({ n: tensor(0) })).toThrow(/setState while a step is running/)
    await pending
    program.setState({ n: tensor(4) })
    expect(program.state.n.item()).toBe(4)
    program.dispose()
  })
  it('names what does not fit', async () => {
    const one = { w: tensor([1, 2]) }
    const keep = (s: typeof one, x: Tensor) => ({ state: { w: add(s.w, x) }, outputs: x })
    await expect(
      compileStep((s: typeof one, _: Tensor) => ({ state: { w: sum(s.w) }, outputs: s.w }), one, [spec([])], {
        name: 'shrink',
      }),
    ).rejects.toThrow(/^shrink: the step should return state "w" as f32\[2\], got "w" f32\[\]/)
    await expect(
      compileStep(
        (s: typeof one) => ({ state: { v: s.w } as unknown as typeof one, outputs: s.w }),
        one,
        [],
        { name: 'rename' },
      ),
    ).rejects.toThrow(/^rename: the step should return state "w" as f32\[2\], got "v" f32\[2\]/)
    await expect(compileStep(keep, one, [spec([])], { stepsPerCall: 0 })).rejects.toThrow(
      /^keep: stepsPerCall: expected an integer ≥ 1, got 0/,
    )
    const program = await compileStep(keep, one, [spec([])])
    await expect(program.step(tensor([1, 2, 3]))).rejects.toThrow(
      /^keep: input 0 should be f32\[\], got f32\[3\]/,
    )
    await expect((program.step as () => Promise<unknown>)()).rejects.toThrow(
      /^keep: input 0 should be f32\[\], got undefined/,
    )
    expect(() => program.setState({ w: tensor([1, 2, 3]) })).toThrow(
      /^keep: the state given should have state "w" as f32\[2\], got "w" f32\[3\]/,
    )
    expect(() => program.setState({} as typeof one)).toThrow(/got nothing/)
    expect(() => program.setState({ w: tensor([1, 2]), v: tensor(1) } as typeof one)).toThrow(
      /of 1 leaves, got "v"/,
    )
    expect(program.state.w.toArray()).toEqual([1, 2])
    program.dispose()
    program.dispose()
  })
  it('stays whole when a step fails', async () => {
    const program = await compileStep(
      (s: { table: Tensor }, i: Tensor) => ({
        state: { table: mul(s.table, 2) },
        outputs: concatenate([s.table, cast(i, 'f32')]),
      }),
      { table: tensor([1, 2]) },
      [spec([1], 'i32')],
      { name: 'lookup' },
    )
    await program.step(tensor(Int32Array.of(0)))
    await expect(program.step(tensor(Float32Array.of(0)))).rejects.toThrow(/input 0/)
    expect(program.state.table.toArray()).toEqual([2, 4])
    expect((await program.step(tensor(Int32Array.of(3)))).toArray()).toEqual([2, 4, 3])
    program.dispose()
  })
})

/** A full garbage collection, so that only what is held counts. */
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

describe('memory', () => {
  it('does not grow over ten thousand steps', async () => {
    const program = await compileStep(train, initial(32), batchSpecs())
    const other = await compileStep(train, initial(2000), batchSpecs())
    const [x, y] = [values([4, 3]), values([4, 2])]
    const run = async (steps: number): Promise<void> => {
      for (let i = 0; i < steps; i++) {
        await program.step(x, y)
        if (i % 10 === 0) await other.step(x, y)
      }
    }
    const used = async (): Promise<{ rss: number; external: number; heap: number }> => {
      collect()
      // buffers of the runtime are let go by finalizers, which wait for a turn of the event loop
      await new Promise((resolve) => setTimeout(resolve, 20))
      collect()
      const { rss, external, arrayBuffers, heapUsed } = process.memoryUsage()
      return { rss, external: external + arrayBuffers, heap: heapUsed }
    }
    const { name, load } = await runtime()
    const { memory } = await load(1)
    await run(1500)
    const before = await used()
    const room = memory?.memory.buffer.byteLength
    await run(10_000)
    const after = await used()
    program.dispose()
    other.dispose()
    const megabyte = 2 ** 20
    // a leak of a hundred bytes a step would be one megabyte
    expect((after.heap - before.heap) / megabyte).toBeLessThan(1)
    expect((after.external - before.external) / megabyte).toBeLessThan(1)
    expect(memory?.memory.buffer.byteLength).toBe(room)
    // beside its memory, WebAssembly is compiled again as it gets hot
    if (name === 'native') expect((after.rss - before.rss) / megabyte).toBeLessThan(24)
  })
})
