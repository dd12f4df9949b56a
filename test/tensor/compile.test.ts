/** @file Compiled programs: the printed graph, simplification, calls, options, and what may go in and out. */
import { describe, expect, it } from 'vitest'
import { nodesOf } from '../../src/tensor/graph.ts'
import {
  add,
  cast,
  checkpoint,
  compile,
  compileStep,
  concatenate,
  type Dtype,
  div,
  evaluate,
  exp,
  flip,
  full,
  type Graph,
  grad,
  greater,
  iota,
  matmul,
  max,
  mean,
  mul,
  neg,
  ones,
  pad,
  placeholder,
  printGraph,
  relu,
  reshape,
  scalar,
  sin,
  slice,
  softmax,
  spec,
  split,
  square,
  sub,
  sum,
  type Tensor,
  tanh,
  tensor,
  trace,
  transpose,
  where,
  zeros,
} from '../../src/tensor/index.ts'
import { evaluateNodes } from '../../src/tensor/reference.ts'
import { simplify } from '../../src/tensor/simplify.ts'
import { apply } from '../../src/tensor/tensor.ts'
import { type Draw, drawFrom, numbers, toTensor } from './draw.ts'
import { numbersDiffer } from './run.ts'

const backends = ['reference', 'onnx'] as const
const count = (graph: Graph, op: string): number => nodesOf(graph).filter((n) => n.op === op).length

describe('the printed graph', () => {
  const dense = (x: Tensor, p: { weight: Tensor; bias: Tensor }): Tensor =>
    mean(square(relu(add(matmul(x, p.weight), p.bias))))

  it('shows a program as it was traced', () => {
    const { graph } = trace(dense, [spec([8, 3]), { weight: spec([3, 2]), bias: spec([2]) }])
    expect(printGraph(graph)).toMatchInlineSnapshot(`
      "dense(arg0: f32[8,3], arg1.weight: f32[3,2], arg1.bias: f32[2]) {
        %0: f32[8,2] = matmul(arg0, arg1.weight) transposeA=false transposeB=false alpha=1
        %1: f32[8,2] = add(%0, arg1.bias)
        %2: f32[8,2] = relu(%1)
        %3: f32[8,2] = mul(%2, %2)
        %4: f32[] = sum(%3) axes=[0,1]
        %5: f32[] = mul(%4, 0.0625)
        return result = %5
      }"
    `)
  })
  it('shows a simplified gradient', () => {
    const program = compile(function slope(x: Tensor) {
      return grad((v: Tensor) => sum(mul(exp(v), mul(v, 1))))(x)
    })
    expect(program.print(spec([4]))).toMatchInlineSnapshot(`
      "slope(arg0: f32[4]) {
        %0: f32[4] = exp(arg0)
        %1: f32[4] = mul(arg0, %0)
        %2: f32[4] = add(%0, %1)
        return result = %2
      }"
    `)
  })
  it('shows bodies, several results and names of results', () => {
    const { graph } = trace(
      (x: Tensor) => {
        const [a, b] = split(x, [1, 2])
        return { first: checkpoint((v: Tensor) => sin(v))(a!), rest: [b!, full([2], 3)] }
      },
      [spec([3])],
      'pieces',
    )
    expect(printGraph(graph)).toMatchInlineSnapshot(`
      "pieces(arg0: f32[3]) {
        %0: f32[1], %1: f32[2] = split(arg0) axis=0 sizes=[1,2]
        %2: f32[1] = checkpoint(%0) body=<body>
        %3: f32[2] = broadcastTo(3) shape=[2]
        return first = %2, rest.0 = %1, rest.1 = %3
      }"
    `)
  })
})

describe('simplification', () => {
  /** A random program of a few dozen nodes over f64 tensors. */
  function randomProgram(draw: Draw): { graph: Graph; values: Float64Array[] } {
    const inputs = [[2, 3], [3], [3, 2], [], [1, 3]].map((shape) => placeholder({ shape, dtype: 'f64' }))
    const values = inputs.map((t) => Float64Array.from(numbers(draw, t.shape, 'f64')))
    const pool: Tensor[] = [
      ...inputs,
      scalar(1, 'f64'),
      scalar(0, 'f64'),
      scalar(-2, 'f64'),
      full([2, 3], 1, 'f64'),
      zeros([3], 'f64'),
      tensor([1, 0, 2], { dtype: 'f64' }),
    ]
    const size = draw.int(5, 30)
    for (let i = 0; i < size; i++) {
      const [a, b] = [draw.pick(pool), draw.pick(pool)]
      const made = randomNode(draw, a, b)
      if (made && made.size <= 64) pool.push(made)
    }
    const outputs = pool.slice(-4).concat(draw.pick(inputs), draw.pick(pool))
    return {
      graph: {
        name: 'random',
        inputs,
        inputNames: inputs.map((_, i) => `x${i}`),
        outputs,
        outputNames: outputs.map((_, i) => `y${i}`),
      },
      values,
    }
  }
  const broadcasts = (a: Tensor, b: Tensor): boolean =>
    Array.from({ length: Math.max(a.rank, b.rank) }, (_, i) => [
      a.shape.at(-1 - i) ?? 1,
      b.shape.at(-1 - i) ?? 1,
    ]).every(([m, n]) => m === n || m === 1 || n === 1)
  function randomNode(draw: Draw, a: Tensor, b: Tensor): Tensor | undefined {
    const both =
      (f: (x: Tensor, y: Tensor) => Tensor): (() => Tensor | undefined) =>
      () =>
        broadcasts(a, b) ? f(a, b) : undefined
    return draw.pick<() => Tensor | undefined>([
      both(add),
      both(sub),
      both(mul),
      both((x, y) => where(greater(x, y), x, y)),
      () => neg(a),
      () => neg(neg(a)),
      () => mul(mul(a, draw.pick([1, 2, 0.5])), draw.pick([1, 3, 0])),
      () => add(a, draw.pick([0, 1])),
      () => sub(draw.pick([0, 1]), a),
      () => div(a, draw.pick([1, 2])),
      () => sin(a),
      () => apply('copy', [a]),
      () => transpose(a),
      () => transpose(transpose(a), draw.shuffle(a.shape.map((_, i) => i))),
      () => reshape(a, [a.size]),
      () => reshape(reshape(a, [a.size, 1]), draw.shuffle(a.shape)),
      () => (a.rank ? sum(a, draw.int(0, a.rank - 1), { keepDims: draw.chance(0.5) }) : undefined),
      () => apply('broadcastTo', [a], { shape: [draw.int(1, 2), ...a.shape] }),
      () => (a.rank === 2 && b.rank === 2 && a.shape[1] === b.shape[0] ? matmul(a, b) : undefined),
      () => (a.rank === 2 ? mul(matmul(a, transpose(a)), draw.pick([1, 0.5])) : undefined),
      () =>
        a.rank === 2 && b.rank === 1 && a.shape[0] === b.size
          ? add(matmul(transpose(a), a), sum(b))
          : undefined,
      () =>
        a.rank === 2
          ? add(
              reshape(matmul(a, ones([a.shape[1]!, 3], 'f64')), [1, a.shape[0]!, 3]),
              tensor([1, 2, 3], { dtype: 'f64' }),
            )
          : undefined,
      () =>
        a.rank && a.shape[0]! > 1 ? concatenate(split(a, [1, a.shape[0]! - 1]).toReversed()) : undefined,
      () =>
        a.rank
          ? slice(
              a,
              a.shape.map(() => 0),
              a.shape.map((n) => draw.int(1, n)),
            )
          : undefined,
      () =>
        a.rank
          ? flip(pad(a, { low: a.shape.map(() => draw.int(0, 1)), high: a.shape.map(() => 0) }), [0])
          : undefined,
      () => (a.rank ? softmax(a) : undefined),
      () => apply('barrier', [a, b]),
      () =>
        checkpoint((x: Tensor) => mul(sin(x), add(b, 0)))(
          a.rank === 0 || b.rank === 0 || broadcasts(a, b) ? a : b,
        ),
    ])()
  }

  const flat = (list: readonly Float64Array[]): number[] => list.flatMap((v) => [...v])

  it('keeps the values of random programs, for both targets', () => {
    for (let seed = 0; seed < 300; seed++) {
      const { graph, values } = randomProgram(drawFrom(seed))
      const known = new Map(graph.inputs.map((t, i) => [t, values[i]!]))
      const want = flat(evaluateNodes(graph.outputs, known))
      for (const target of ['cpu', 'portable'] as const) {
        const simple = simplify(graph, target)
        const shapes = (g: Graph): string => g.outputs.map((t) => `${t.dtype}[${t.shape}]`).join(' ')
        expect(shapes(simple), printGraph(graph)).toBe(shapes(graph))
        const got = flat(evaluateNodes(simple.outputs, known))
        expect(numbersDiffer(`seed ${seed}, ${target}\n${printGraph(graph)}`, got, want, 1e-12)).toEqual([])
      }
    }
  })

  it('runs random programs as the reference does', async () => {
    for (let seed = 300; seed < 340; seed++) {
      const { graph, values } = randomProgram(drawFrom(seed))
      const known = new Map(graph.inputs.map((t, i) => [t, values[i]!]))
      const want = flat(evaluateNodes(graph.outputs, known))
      const { onnxBackend } = await import('../../src/tensor/index.ts')
      const executable = await onnxBackend.compile(graph, {})
      const got = flat((await executable.run(values)) as Float64Array[])
      executable.dispose()
      expect(numbersDiffer(`seed ${seed}\n${printGraph(graph)}`, got, want, 1e-9)).toEqual([])
    }
  })

  it('shares equal nodes, folds constants and drops what is not needed', () => {
    const { graph } = trace(
      (x: Tensor) => {
        void exp(x)
        const two = add(scalar(1, 'f32'), scalar(1, 'f32'))
        return add(mul(sin(x), two), mul(sin(x), two))
      },
      [spec([4])],
    )
    const simple = simplify(graph, 'cpu')
    expect([count(graph, 'sin'), count(simple, 'sin')]).toEqual([2, 1])
    expect(count(simple, 'mul')).toBe(1)
    expect(count(simple, 'exp')).toBe(0)
    expect(
      nodesOf(simple).filter((n) => n.inputs.length && n.inputs.every((x) => x.node.op === 'constant')),
    ).toEqual([])
  })
  it('does not merge a recomputation with the original, nor lose the barrier between them', () => {
    const block = (x: Tensor): Tensor => sin(exp(x))
    const gradient = (wrap: (f: typeof block) => typeof block) =>
      trace((x: Tensor) => grad((v: Tensor) => sum(wrap(block)(wrap(block)(v))))(x), [spec([3])]).graph
    const plain = simplify(
      gradient((f) => f),
      'cpu',
    )
    const again = simplify(gradient(checkpoint), 'cpu')
    expect([count(plain, 'exp'), count(plain, 'barrier')]).toEqual([2, 0])
    // the two blocks are computed forward (the last one's result is never needed) and again backward
    expect(count(again, 'exp')).toBe(3)
    expect(count(again, 'barrier')).toBe(2)
  })
})

describe.each(backends)('programs on %s', (backend) => {
  const options = { backend }

  it('takes and returns every element type, whole ranges', async () => {
    const arrays = {
      f32: Float32Array.of(1.5, -0, 3e38),
      f64: Float64Array.of(Math.PI, 1e300, -0),
      i32: Int32Array.of(-(2 ** 31), 0, 2 ** 31 - 1),
      i64: BigInt64Array.of(-(2n ** 53n), 0n, 2n ** 53n),
      u32: Uint32Array.of(0, 1, 2 ** 32 - 1),
      bool: Uint8Array.of(0, 1, 1),
    }
    const program = compile((t: Record<Dtype, Tensor>) => t, options)
    const tensors = Object.fromEntries(Object.entries(arrays).map(([k, v]) => [k, tensor(v)])) as Record<
      Dtype,
      Tensor
    >
    const result = await program(tensors)
    for (const [dtype, t] of Object.entries(result)) {
      expect(t.dtype).toBe(dtype)
      expect(t.data).toEqual(arrays[dtype as Dtype])
    }
    program.dispose()
  })
  it('returns arguments, constants and one value twice, in memory of their own', async () => {
    const x = tensor([1, 2, 3])
    const program = compile((v: Tensor) => {
      const y = mul(v, 2)
      return [v, y, y, tensor([9, 8]), full([2, 2], 7), scalar(5, 'i32'), v]
    }, options)
    const results = await program(x)
    expect(results.map((t) => t.toArray())).toEqual([[1, 2, 3], [2, 4, 6], [2, 4, 6], [9, 8], [[7, 7], [7, 7]], 5, [1, 2, 3]]) // biome-ignore format: a list
    ;(results[0]!.data as Float32Array)[0] = 100
    ;(results[1]!.data as Float32Array)[0] = 100
    expect([x.toArray(), results[2]!.toArray(), results[6]!.toArray()]).toEqual([[1, 2, 3], [2, 4, 6], [1, 2, 3]]) // biome-ignore format: a list
    expect((await program(x)).map((t) => t.toArray())[0]).toEqual([1, 2, 3])
    program.dispose()
  })
  it('passes empty tensors in and out', async () => {
    const program = compile(
      (x: Tensor, y: Tensor) => ({
        x,
        joined: concatenate([x, y]),
        total: sum(x),
        scaled: mul(x, 2),
        both: matmul(reshape(x, [3, 0]), reshape(x, [0, 3])),
      }),
      options,
    )
    const r = await program(tensor(new Float32Array(0)), tensor([1, 2]))
    expect([r.x.shape, r.joined.toArray(), r.total.item(), r.scaled.shape, r.both.toArray()]).toEqual([[0], [1, 2], 0, [0], [[0, 0, 0], [0, 0, 0], [0, 0, 0]]]) // biome-ignore format: a list
    program.dispose()
    const onlyEmpty = compile((x: Tensor) => mul(x, 2), options)
    expect((await onlyEmpty(tensor(new Float64Array(0), { shape: [2, 0] }))).shape).toEqual([2, 0])
    onlyEmpty.dispose()
  })
  it('runs without inputs, and evaluates what needs none', async () => {
    const program = compile(() => ({ a: iota([3], 0), b: mul(full([2], 3), 2) }), options)
    const r = await program()
    expect([r.a.toArray(), r.b.toArray()]).toEqual([[0, 1, 2], [6, 6]]) // biome-ignore format: a list
    program.dispose()
    expect((await evaluate(add(iota([2], 0, 'f64'), 0.5), options)).toArray()).toEqual([0.5, 1.5])
  })
  it('takes uniform tensors as arguments', async () => {
    const program = compile((x: Tensor, y: Tensor) => add(x, y), options)
    expect((await program(zeros([3]), full([3], 2))).toArray()).toEqual([2, 2, 2])
    expect(full([2, 2], 4, 'i64').toArray()).toEqual([[4, 4], [4, 4]]) // biome-ignore format: a matrix
    program.dispose()
  })
  it('sees one array under two shapes', async () => {
    const data = Float32Array.of(1, 2, 3, 4)
    const program = compile((a: Tensor, b: Tensor, c: Tensor) => [sum(a, 0), sum(b, 0), sum(c, 0)], options)
    const r = await program(tensor(data, { shape: [2, 2] }), tensor(data), tensor(data, { shape: [1, 4] }))
    expect(r.map((t) => t.toArray())).toEqual([[4, 6], 10, [1, 2, 3, 4]]) // biome-ignore format: a list
    program.dispose()
  })
  it('compiles anew for new shapes and keeps calls that overlap apart', async () => {
    let traced = 0
    const program = compile((x: Tensor) => {
      traced++
      return mul(x, x)
    }, options)
    const calls = Array.from({ length: 12 }, (_, i) =>
      program(tensor(Float32Array.from({ length: 1 + (i % 3) }, () => i))),
    )
    const results = await Promise.all(calls)
    for (const [i, r] of results.entries()) expect(r.toArray()).toEqual(new Array(1 + (i % 3)).fill(i * i))
    expect(traced).toBe(3)
    program.dispose()
  })
  it('can be used again after dispose, and disposed twice', async () => {
    const [f, g] = [compile((x: Tensor) => mul(x, 3), options), compile((x: Tensor) => mul(x, 3), options)]
    const x = tensor([1, 2])
    expect([(await f(x)).toArray(), (await g(x)).toArray()]).toEqual([[3, 6], [3, 6]]) // biome-ignore format: a list
    f.dispose()
    f.dispose()
    // the two programs share a session: the other one still has it
    expect((await g(x)).toArray()).toEqual([3, 6])
    expect((await f(x)).toArray()).toEqual([3, 6])
    f.dispose()
    g.dispose()
  })
  it('gives the same bits twice', async () => {
    const draw = drawFrom(5)
    const [a, b] = [
      [40, 30],
      [30, 50],
    ].map((shape) => toTensor({ shape, dtype: 'f32', values: numbers(draw, shape, 'f32') })) as [
      Tensor,
      Tensor,
    ]
    const f = (x: Tensor, y: Tensor): Tensor => softmax(tanh(matmul(x, y)))
    const results: unknown[] = []
    for (let i = 0; i < 2; i++) {
      const program = compile(f, options)
      results.push((await program(a, b)).data, (await program(a, b)).data)
      program.dispose()
    }
    for (const r of results) expect(r).toEqual(results[0])
  })
  it('says what is wrong with an argument or a result', async () => {
    const program = compile(function triple(x: Tensor) {
      return mul(x, 3)
    }, options)
    const symbolic = placeholder({ shape: [2], dtype: 'f32' })
    await expect(program(symbolic)).rejects.toThrow(
      /^triple: argument leaf 0 should be a concrete tensor, got Tensor f32\[2\] made by input/,
    )
    await expect(program(3 as unknown as Tensor)).rejects.toThrow(
      /^triple: argument leaf 0 should be a concrete tensor, got 3/,
    )
    await expect(
      compile((x: Tensor) => add(x, symbolic), { ...options, name: 'open' })(tensor([1, 2])),
    ).rejects.toThrow(/^open: uses f32\[2\], a symbolic tensor of another program/)
    await expect(
      compile((_: Tensor) => 3 as unknown as Tensor, { ...options, name: 'number' })(tensor([1])),
    ).rejects.toThrow(/^number: .*expected tensors.*got 3/)
    await expect(
      compile((_: Tensor) => undefined as unknown as Tensor, { ...options, name: 'nothing' })(tensor([1])),
    ).resolves.toBeUndefined()
    expect(() => symbolic.data).toThrow(/f32\[2\] has no values yet/)
    expect(() => tensor([1, 2]).item()).toThrow(/^item: expected one element, got f32\[2\]/)
    program.dispose()
  })
})

describe('options', () => {
  it('refuses an unknown backend', () => {
    expect(() => compile((x: Tensor) => x, { backend: 'gpu' as 'onnx' })).toThrow(
      /^backend: expected 'onnx', 'reference' or a backend object, got "gpu"/,
    )
  })
  it('gives the same results with several threads', async () => {
    const draw = drawFrom(6)
    const shape = [120, 120]
    const x = toTensor({ shape, dtype: 'f32', values: numbers(draw, shape, 'f32') })
    const f = (v: Tensor): Tensor => max(matmul(v, v), 0)
    const [one, two] = [compile(f), compile(f, { threads: 2 })]
    const want = Array.from((await one(x)).data as Float32Array)
    expect(numbersDiffer('', Array.from((await two(x)).data as Float32Array), want, 1e-6)).toEqual([])
    expect((await two(x)).data).toEqual((await two(x)).data)
    one.dispose()
    two.dispose()
  })
  it('reports what the runtime refuses at run time in one line', async () => {
    const program = compile((x: Tensor, i: Tensor) => apply('gather', [x, i], { axis: 0 }), {
      name: 'lookup',
    })
    const error = await program(tensor([1, 2]), tensor(Int32Array.of(5))).catch((e: Error) => e.message)
    expect(error).toMatch(/^lookup: the runtime stopped: .*5/)
    expect(error).not.toContain('\n')
    // and the program works afterwards
    expect((await program(tensor([1, 2]), tensor(Int32Array.of(1)))).toArray()).toEqual([2])
    program.dispose()
  })
  it('divides integers by zero without ending the process', async () => {
    for (const backend of backends) {
      const program = compile((a: Tensor, b: Tensor) => [div(a, b), apply('mod', [a, b])], { backend })
      const min = -(2 ** 31)
      const [q, r] = await program(
        tensor(Int32Array.of(7, -7, min, min, 5)),
        tensor(Int32Array.of(0, 0, -1, 0, -1)),
      )
      expect([q!.toArray(), r!.toArray()]).toEqual([[0, 0, min, 0, -5], [0, 0, 0, 0, 0]]) // biome-ignore format: a list
      const [qu, ru] = await program(
        tensor(Uint32Array.of(7, 2 ** 32 - 1)),
        tensor(Uint32Array.of(0, 2 ** 32 - 1)),
      )
      expect([qu!.toArray(), ru!.toArray()]).toEqual([[0, 1], [0, 0]]) // biome-ignore format: a list
      program.dispose()
    }
  })
  it('takes records by their names, whatever the order of the keys', async () => {
    const [a, b] = [tensor([3]), tensor([1])]
    const program = compile((x: { a: Tensor; b: Tensor }) => sub(x.a, x.b))
    expect((await program({ a, b })).toArray()).toEqual([2])
    expect((await program({ b, a })).toArray()).toEqual([2])
    program.dispose()
    const spec = { shape: [1], dtype: 'f32' } as const
    const step = await compileStep(
      (state: Tensor, x: { a: Tensor; b: Tensor }) => ({ state, outputs: sub(x.a, x.b) }),
      a,
      [{ a: spec, b: spec }],
    )
    expect((await step.step({ b, a })).toArray()).toEqual([2])
    step.dispose()
  })
  it('keeps float64 programs in float64', async () => {
    const program = compile((x: Tensor) => [cast(exp(x), 'f64'), sum(mul(x, 1e-9))])
    const [e, s] = await program(tensor(Float64Array.of(1, 2)))
    expect(numbersDiffer('', Array.from(e!.data as Float64Array), [Math.E, Math.exp(2)], 1e-15)).toEqual([])
    expect(s!.item()).toBeCloseTo(3e-9, 20)
    program.dispose()
  })
})
