/** The fused tail of a step: what goes into it, and that its results are bit for bit those of the runtime. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { trace } from '../../src/tensor/graph.ts'
import {
  add,
  type Backend,
  compileStep,
  matmul,
  neg,
  onnxBackend,
  random,
  relu,
  select,
  spec,
  sqrt,
  sum,
  type Tensor,
  tensor,
} from '../../src/tensor/index.ts'
import { simplify } from '../../src/tensor/simplify.ts'
import { splitTail } from '../../src/tensor/tail/partition.ts'
import { encodeKernel, hasSimd } from '../../src/tensor/tail/wasm.ts'

/** The same runtime, but told that it does everything itself. */
const whole: Backend = { ...onnxBackend, name: 'whole', fusesUpdates: false }

const draw = (seed: number, shape: readonly number[], shift = 0): Tensor =>
  tensor(
    random
      .sampleNormal(
        random.key(seed),
        shape.reduce((a, b) => a * b, 1),
      )
      .map((v) => v + shift),
    { shape },
  )
const bits = (x: Tensor): number[] => Array.from(new Uint32Array((x.data as Float32Array).slice().buffer))

type State = { w: Tensor; m: Tensor; v: Tensor }
const adamLike = ({ w, m, v }: State, x: Tensor, scalars: Tensor) => {
  const g = matmul(x, relu(w))
  const first = m.mul(0.9).add(g)
  const second = v.mul(0.999).add(g.mul(g))
  const next = w.sub(first.mul(select(scalars, 0, 0)).div(sqrt(second).add(select(scalars, 0, 1))))
  return { state: { w: next, m: first, v: second }, outputs: { norm: sum(relu(g)) } }
}
const planOf = (fn: (...args: never[]) => Tensor[], ...specs: ReturnType<typeof spec>[]) => {
  const { graph } = trace(fn as (...args: Tensor[]) => Tensor[], specs)
  return (stateCount: number) => splitTail(simplify(graph, 'cpu'), stateCount)
}

describe('what goes into the tail', () => {
  test('an update like Adam’s: one kernel that reads state and gradient once', () => {
    const square = spec([64, 64])
    const plan = planOf(
      (w: Tensor, m: Tensor, v: Tensor, x: Tensor, s: Tensor) => {
        const { state, outputs } = adamLike({ w, m, v }, x, s)
        return [state.w, state.m, state.v, outputs.norm]
      },
      square,
      square,
      square,
      square,
      spec([2]),
    )(3)!
    expect(plan.kernels).toHaveLength(1)
    const [kernel] = plan.kernels
    expect(kernel!.vectors).toHaveLength(4)
    expect(kernel!.scalars).toHaveLength(2)
    expect(kernel!.results.map((r) => r.outputs)).toEqual(expect.arrayContaining([[0], [1], [2]]))
    expect(plan.kept).toEqual([3])
    expect(plan.boundary).toHaveLength(3)
  })

  test('not what others need, not what is broadcast, not what is small', () => {
    const big = spec([8, 32])
    // the sum that an output shows stays in the runtime, its doubling goes
    const shown = planOf((a: Tensor, b: Tensor) => [add(a, b).mul(2), add(a, b)], big, big)(1)!
    expect(shown.kernels.flatMap((k) => k.nodes.map((n) => n.op))).toEqual(['mul'])
    expect(planOf((a: Tensor, b: Tensor) => [add(a, b)], big, spec([32]))(1)).toBeUndefined()
    expect(planOf((a: Tensor, b: Tensor) => [add(a, b)], spec([2, 3]), spec([2, 3]))(1)).toBeUndefined()
  })
})

test.runIf(hasSimd())('kernels are valid modules', () => {
  const plan = planOf(
    (a: Tensor, b: Tensor) => [neg(add(a, b)).div(3), sqrt(a)],
    spec([100]),
    spec([100]),
  )(2)!
  expect(plan.kernels.length).toBeGreaterThan(0)
  for (const kernel of plan.kernels) expect(WebAssembly.validate(encodeKernel(kernel))).toBe(true)
})

test('twenty steps are bit for bit those of the runtime alone, at sizes that fill no vector', async () => {
  for (const [rows, columns] of [
    [71, 73],
    [64, 128],
    [1, 5001],
  ] as const) {
    const initial = {
      w: draw(1, [rows, columns]),
      m: draw(2, [rows, columns]),
      v: draw(3, [rows, columns], 9),
    }
    const inputs = [spec([rows, rows]), spec([2])]
    const fused = await compileStep(adamLike, initial, inputs)
    const plain = await compileStep(adamLike, initial, inputs, { backend: whole })
    for (let step = 0; step < 20; step++) {
      const given = [draw(step, [rows, rows]).data, Float32Array.of(0.01 / (step + 1), 1e-6)] as const
      const args = [tensor(given[0], { shape: [rows, rows] }), tensor(given[1])] as const
      const [a, b] = [await fused.step(...args), await plain.step(...args)]
      expect(bits(a.norm)).toEqual(bits(b.norm))
    }
    for (const leaf of ['w', 'm', 'v'] as const)
      expect(bits(fused.state[leaf]), leaf).toEqual(bits(plain.state[leaf]))
    fused.dispose()
    plain.dispose()
  }
})

test('random expressions over several leaves agree in every bit, NaN and infinities included', async () => {
  const operation = fc.record({
    op: fc.constantFrom('add', 'sub', 'mul', 'div', 'neg', 'abs', 'sqrt', 'max', 'min'),
    a: fc.nat(),
    b: fc.nat(),
    constant: fc.option(fc.constantFrom(0.5, -2, 1e-3, 3), { nil: undefined }),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(operation, { minLength: 3, maxLength: 14 }),
      fc.nat(1000),
      async (operations, seed) => {
        const { apply } = await import('../../src/tensor/tensor.ts')
        const { operands } = await import('../../src/tensor/tensor.ts')
        const fn = (state: Tensor[], x: Tensor) => {
          const pool: Tensor[] = [...state, matmul(x, state[0]!), sum(x)]
          for (const { op, a, b, constant } of operations) {
            const left = pool[a % pool.length]!
            const isUnary = ['neg', 'abs', 'sqrt'].includes(op)
            pool.push(apply(op, isUnary ? [left] : operands(left, constant ?? pool[b % pool.length]!)))
          }
          const wide = pool.filter((t) => t.size > 1)
          return { state: state.map((_, i) => wide.at(-1 - i)!), outputs: sum(wide.at(-1)!) }
        }
        const initial = [draw(seed, [70, 75]), draw(seed + 1, [70, 75]), draw(seed + 2, [70, 75])]
        const results: number[][] = []
        for (const backend of [onnxBackend, whole]) {
          const program = await compileStep(fn, initial, [spec([70, 70])], { backend })
          for (let step = 0; step < 3; step++) await program.step(draw(step, [70, 70]))
          // every NaN is one NaN
          results.push(
            program.state.flatMap((t) =>
              Array.from(t.data as Float32Array, (v) => (Number.isNaN(v) ? 0.25 : v)),
            ),
          )
          program.dispose()
        }
        const [fused, plain] = results as [number[], number[]]
        expect(fused.findIndex((v, i) => !Object.is(v, plain[i]) && !(v === 0 && plain[i] === 0))).toBe(-1)
      },
    ),
    { numRuns: 40 },
  )
})

test('state can be set, copied and read between steps', async () => {
  const initial = { w: draw(1, [80, 80]), m: draw(2, [80, 80]), v: draw(3, [80, 80], 9) }
  const program = await compileStep(adamLike, initial, [spec([80, 80]), spec([2])])
  const args = [draw(5, [80, 80]), tensor([0.1, 1e-3])] as const
  await program.step(...args)
  const kept = program.copyState()
  await program.step(...args)
  const after = bits(program.state.w)
  program.setState(kept)
  expect(bits(program.state.w)).toEqual(bits(kept.w))
  await program.step(...args)
  expect(bits(program.state.w)).toEqual(after)
  program.dispose()
})
