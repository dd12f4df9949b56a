/**
 * @file Every row of the table, in every element type it takes, on both backends: values, derivatives, batches, and their
 * combinations, on random shapes with empty and size-1 axes.
 */
import { describe, expect, it } from 'vitest'
import { isFloat, type Spec } from '../../src/tensor/dtype.ts'
import { jvp, opNames, vjp, vmap } from '../../src/tensor/index.ts'
import { opRow } from '../../src/tensor/ops/table.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { type Case, casesOf, generators, type Input } from './cases.ts'
import { type Draw, drawFrom, numbers, seedOf, type Value } from './draw.ts'
import { differences, type Job, numbersDiffer, onReference, onRuntime, referenceOf } from './run.ts'

// constants inside an f32 graph are f32 numbers
const exactTolerance = { f32: 1e-7, f64: 1e-11 } as const
const valueTolerance = { f32: 1e-5, f64: 1e-12 } as const
const gradientTolerance = { f32: 1e-4, f64: 1e-9 } as const
const differenceTolerance = { f32: 1e-3, f64: 1e-6 } as const
type Fn = (...inputs: Tensor[]) => readonly Tensor[]

const dtypeOf = (c: Case): 'f32' | 'f64' => (c.inputs.some((x) => x.dtype === 'f64') ? 'f64' : 'f32')

/** The first problems in full. */
function expectNone(problems: readonly string[]): void {
  if (problems.length) throw new Error(`${problems.length} problems:\n${problems.slice(0, 8).join('\n')}`)
  expect(problems).toEqual([])
}

/** The values of all jobs on ONNX Runtime against the reference. */
async function compareBackends(jobs: readonly Job[], tolerance: (i: number) => number): Promise<void> {
  const got = await onRuntime(jobs)
  expectNone(jobs.flatMap((job, i) => differences(job.label, got[i]!, referenceOf(job), tolerance(i))))
}

const random = (draw: Draw, { shape, dtype }: Spec): Value => ({
  shape,
  dtype,
  values: numbers(draw, shape, dtype, -1, 1),
})
/** Directions: random for floats, zero for the rest. */
const direction = (draw: Draw, x: Spec): Value =>
  isFloat(x.dtype) ? random(draw, x) : { ...x, values: numbers(draw, x.shape, x.dtype).map(() => 0) }
const inner = (a: readonly Value[], b: readonly Value[]): number =>
  a.reduce((sum, x, i) => x.values.reduce((s, v, k) => s + v * b[i]!.values[k]!, sum), 0)

const isDifferentiable = (c: Case): boolean =>
  !c.onlyValues && c.inputs.some((x) => isFloat(x.dtype)) && specsOf(c).some((t) => isFloat(t.dtype))
const specsOf = (c: Case): readonly Spec[] => onReference(c.fn, c.inputs).specs

const pushes =
  (fn: Fn, count: number): Fn =>
  (...xs) =>
    jvp((...args: Tensor[]) => [...fn(...args)], xs.slice(0, count), xs.slice(count)).tangents
const pulls =
  (fn: Fn, count: number): Fn =>
  (...xs) =>
    vjp((...args: Tensor[]) => [...fn(...args)], ...xs.slice(0, count)).pullback(xs.slice(count))

describe('the table', () => {
  it('has cases for every primitive and no others', () => {
    expect(Object.keys(generators).sort()).toEqual(opNames().sort())
  })
  it.each(opNames())('%s has every cell', (op) => {
    const row = opRow(op)
    for (const cell of ['shape', 'reference', 'jvp', 'vjp', 'vmap', 'onnx'] as const)
      expect(typeof row[cell], `${op}.${cell}`).toBe('function')
  })
})

describe.each(opNames().filter((op) => op in generators))('%s', (op) => {
  const dtypes = generators[op]!.dtypes
  const floatCases = dtypes.filter(isFloat).flatMap((dtype) => casesOf(op, dtype).filter(isDifferentiable))

  it('gives the expected values on both backends', async () => {
    const cases = dtypes.flatMap((dtype) => casesOf(op, dtype))
    expectNone(
      cases.flatMap((c) => {
        const got = referenceOf(c)
        return (c.expected ?? []).flatMap((values, i) =>
          values
            ? numbersDiffer(
                `${c.label}: result ${i}`,
                got[i]!.values,
                values,
                isFloat(got[i]!.dtype) ? exactTolerance[dtypeOf(c)] : 0,
              )
            : [],
        )
      }),
    )
    await compareBackends(cases, (i) => valueTolerance[dtypeOf(cases[i]!)])
  })

  if (floatCases.length) {
    it('has derivatives that agree with finite differences', () => {
      const problems = floatCases
        .filter((c) => dtypeOf(c) === 'f64' && c.smooth !== false)
        .flatMap((c) => checkDifferences(c, drawFrom(seedOf(`differences ${c.label}`))))
      expectNone(problems)
    })
    it('has the same derivatives on both backends, adjoint to each other', async () => {
      const draws = floatCases.map((c) => drawFrom(seedOf(`adjoint ${c.label}`)))
      const tangents = floatCases.map((c, i) => c.inputs.map((x) => direction(draws[i]!, x)))
      const cotangents = floatCases.map((c, i) => specsOf(c).map((x) => direction(draws[i]!, x)))
      const forward = floatCases.map(
        (c, i): Job => ({
          label: `jvp of ${c.label}`,
          inputs: [...c.inputs, ...tangents[i]!],
          fn: pushes(c.fn, c.inputs.length),
        }),
      )
      const reverse = floatCases.map(
        (c, i): Job => ({
          label: `vjp of ${c.label}`,
          inputs: [...c.inputs, ...cotangents[i]!],
          fn: pulls(c.fn, c.inputs.length),
        }),
      )
      const got = await onRuntime([...forward, ...reverse])
      const problems = floatCases.flatMap((c, i) => {
        const dtype = dtypeOf(c)
        const [pushed, pulled] = [got[i]!, got[floatCases.length + i]!]
        const [p, q] = [referenceOf(forward[i]!), referenceOf(reverse[i]!)]
        const [left, right] = [inner(cotangents[i]!, pushed), inner(pulled, tangents[i]!)]
        const exact = [inner(cotangents[i]!, p), inner(q, tangents[i]!)] as const
        return [
          ...differences(forward[i]!.label, pushed, p, gradientTolerance[dtype]),
          ...differences(reverse[i]!.label, pulled, q, gradientTolerance[dtype]),
          ...numbersDiffer(`<g, Jt> = <J'g, t> for ${c.label}, reference`, [exact[0]], [exact[1]], 1e-10),
          ...numbersDiffer(
            `<g, Jt> = <J'g, t> for ${c.label}`,
            [left],
            [right],
            gradientTolerance[dtype] * 10,
          ),
        ]
      })
      expectNone(problems)
    })
  }

  if (op !== 'iota') {
    it('batches as a loop over examples does', async () => {
      const cases = dtypes.flatMap((dtype) =>
        casesOf(op, dtype)
          .filter((c) => !c.onlyValues)
          .slice(0, isFloat(dtype) ? 6 : 3),
      )
      const jobs = cases.flatMap((c) => batches(c, drawFrom(seedOf(`batch ${c.label}`))))
      await checkBatches(jobs, valueTolerance)
    })
    if (floatCases.length)
      it('batches its derivatives, and differentiates its batches', async () => {
        const jobs = floatCases
          .filter((_, i) => i % 2 === 0)
          .flatMap((c) => derivativeBatches(c, drawFrom(seedOf(`both ${c.label}`))))
        await checkBatches(jobs, gradientTolerance)
      })
  }
  if (floatCases.length)
    it('has second derivatives that agree with finite differences of the first', async () => {
      const cases = floatCases.filter((c) => c.smooth !== false)
      const draws = cases.map((c) => drawFrom(seedOf(`second ${c.label}`)))
      const jobs = cases.map((c, i) => secondDerivative(c, draws[i]!))
      const got = await onRuntime(jobs)
      const problems = jobs.flatMap((job, i) => {
        const want = referenceOf(job)
        const dtype = dtypeOf(cases[i]!)
        return [
          ...differences(job.label, got[i]!, want, gradientTolerance[dtype]),
          ...differences(
            `${job.label} against differences`,
            got[i]!,
            job.byDifferences(),
            differenceTolerance[dtype],
          ),
        ]
      })
      expectNone(problems)
    })
})

const step = 1e-5

/** The directional derivative along t, and the gradient of <g, f> in every coordinate (the first forty). */
function checkDifferences(c: Case, draw: Draw): string[] {
  const f = onReference(c.fn, c.inputs)
  const x = c.inputs.map((v) => [...v.values])
  const along = (t: readonly (readonly number[])[]): Value[] => {
    const [high, low] = [step, -step].map((h) => f.at(...x.map((v, i) => v.map((a, k) => a + h * t[i]![k]!))))
    return high!.map((v, i) => ({
      ...v,
      values: isFloat(v.dtype)
        ? v.values.map((a, k) => (a - low![i]!.values[k]!) / (2 * step))
        : v.values.map(() => 0),
    }))
  }
  const t = c.inputs.map((v) => direction(draw, v))
  const g = f.specs.map((v) => direction(draw, v))
  const tangents = onReference(pushes(c.fn, x.length), [...c.inputs, ...t]).at(
    ...x,
    ...t.map((v) => v.values),
  )
  const gradients = onReference(pulls(c.fn, x.length), [...c.inputs, ...g]).at(
    ...x,
    ...g.map((v) => v.values),
  )
  const tolerance = differenceTolerance.f64
  const problems = differences(`jvp of ${c.label}`, tangents, along(t.map((v) => v.values)), tolerance)
  for (const [i, v] of c.inputs.entries()) {
    if (!isFloat(v.dtype)) continue
    const slopes = v.values
      .slice(0, 40)
      .map((_, k) => inner(g, along(x.map((w, j) => w.map((_, l) => Number(i === j && k === l))))))
    problems.push(
      ...numbersDiffer(
        `gradient of ${c.label} in argument ${i}`,
        gradients[i]!.values.slice(0, 40),
        slopes,
        tolerance,
      ),
    )
  }
  return problems
}

interface SecondDerivative extends Job {
  readonly byDifferences: () => Value[]
}

/** The gradient of <g, f>, pushed along a direction. */
function secondDerivative(c: Case, draw: Draw): SecondDerivative {
  const n = c.inputs.length
  const t = c.inputs.map((v) => direction(draw, v))
  const g = specsOf(c).map((v) => direction(draw, v))
  const gradient = pulls(c.fn, n)
  return {
    label: `jvp of vjp of ${c.label}`,
    inputs: [...c.inputs, ...t, ...g],
    fn: (...xs) => pushes((...args) => gradient(...args, ...xs.slice(2 * n)), n)(...xs.slice(0, 2 * n)),
    byDifferences: () => {
      const f = onReference(gradient, [...c.inputs, ...g])
      const [high, low] = [step, -step].map((h) =>
        f.at(
          ...c.inputs.map((v, i) => v.values.map((a, k) => a + h * t[i]!.values[k]!)),
          ...g.map((v) => v.values),
        ),
      )
      return high!.map((v, i) => ({
        ...v,
        values: v.values.map((a, k) => (a - low![i]!.values[k]!) / (2 * step)),
      }))
    },
  }
}

/** A batched job, and what a loop over its examples gives. */
interface Batch extends Job {
  readonly dtype: 'f32' | 'f64'
  readonly loop: () => Value[]
}

async function checkBatches(jobs: readonly Batch[], tolerance: Record<'f32' | 'f64', number>): Promise<void> {
  const got = await onRuntime(jobs)
  const problems = jobs.flatMap((job, i) => {
    const loop = job.loop()
    return [
      ...differences(`${job.label} on the reference`, referenceOf(job), loop, 1e-10),
      ...differences(job.label, got[i]!, loop, tolerance[job.dtype]),
    ]
  })
  expectNone(problems)
}

/** One example's values out of a batch along an axis. */
function example({ shape, values, dtype }: Value, axis: number, b: number): Value {
  const inside = shape.slice(axis + 1).reduce((p, n) => p * n, 1)
  const size = shape[axis]!
  return {
    dtype,
    shape: shape.toSpliced(axis, 1),
    values: values.filter((_, i) => Math.floor(i / inside) % size === b),
  }
}

/** Examples stacked along an axis. */
function stacked(examples: readonly (readonly number[])[], { shape, dtype }: Spec, axis: number): Value {
  const size = examples.length
  const inside = shape.slice(axis).reduce((p, n) => p * n, 1)
  const full = shape.toSpliced(axis, 0, size)
  const values = Array.from({ length: full.reduce((p, n) => p * n, 1) }, (_, i) => {
    const [outer, b, rest] = [Math.floor(i / inside / size), Math.floor(i / inside) % size, i % inside]
    return examples[b]![outer * inside + rest]!
  })
  return { shape: full, dtype, values }
}

const front = (examples: readonly Value[][], specs: readonly Spec[]): Value[] =>
  specs.map((spec, i) =>
    stacked(
      examples.map((e) => e[i]!.values),
      spec,
      0,
    ),
  )

function batchedInputs(c: Case, axes: readonly (number | null)[], size: number): Value[] {
  return c.inputs.map((x: Input, i) => {
    const axis = axes[i]
    return axis === null || axis === undefined
      ? x
      : stacked(
          Array.from({ length: size }, () => x.again()),
          x,
          axis,
        )
  })
}

/** Every choice of mapped arguments, with sizes 1, 3 and 0, over a random axis. */
function batches(c: Case, draw: Draw): Batch[] {
  const count = c.inputs.length
  return Array.from({ length: 2 ** count - 1 }, (_, mask) =>
    c.inputs.map((x, i) => ((mask + 1) & (1 << i) ? draw.int(0, x.shape.length) : null)),
  ).flatMap((axes) =>
    [3, draw.pick([0, 1])].map((size): Batch => {
      const inputs = batchedInputs(c, axes, size)
      return {
        label: `vmap [${axes.map(String)}] × ${size} of ${c.label}`,
        dtype: dtypeOf(c),
        inputs,
        fn: (...xs) => vmap((...args: Tensor[]) => [...c.fn(...args)], axes)(...xs),
        loop: () => loopOver(c.fn, inputs, axes, size, c.inputs),
      }
    }),
  )
}

function loopOver(
  fn: Fn,
  inputs: readonly Value[],
  axes: readonly (number | null)[],
  size: number,
  specs: readonly Spec[],
): Value[] {
  const f = onReference(fn, specs)
  const results = Array.from({ length: size }, (_, b) =>
    f.at(...inputs.map((x, i) => (axes[i] === null ? x : example(x, axes[i]!, b)).values)),
  )
  return front(results, f.specs)
}

/** vmap of vjp and of jvp; vjp and jvp of vmap with some arguments shared. */
function derivativeBatches(c: Case, draw: Draw): Batch[] {
  const n = c.inputs.length
  const outputs = specsOf(c)
  const dtype = dtypeOf(c)
  const jobs: Batch[] = []
  for (const size of [2, draw.pick([0, 1])]) {
    const axes = c.inputs.map(() => (draw.chance(0.6) ? 0 : null))
    if (!axes.includes(0)) axes[draw.int(0, n - 1)] = 0
    const inputs = batchedInputs(c, axes, size)
    const manyCotangents = outputs.map((x) => direction(draw, { ...x, shape: [size, ...x.shape] }))
    const sharedTangents = c.inputs.map((x) => direction(draw, x))
    const tangents = inputs.map((x) => direction(draw, x))
    const mapped: Fn = (...xs) => vmap((...args: Tensor[]) => [...c.fn(...args)], axes)(...xs)
    jobs.push({
      label: `vmap [${axes.map(String)}] × ${size} of vjp of ${c.label}`,
      dtype,
      inputs: [...inputs, ...manyCotangents],
      fn: (...xs) =>
        vmap((...args: Tensor[]) => [...pulls(c.fn, n)(...args)], [...axes, ...outputs.map(() => 0)])(...xs),
      loop: () =>
        loopOver(pulls(c.fn, n), [...inputs, ...manyCotangents], [...axes, ...outputs.map(() => 0)], size, [
          ...c.inputs,
          ...outputs,
        ]),
    })
    jobs.push({
      label: `vmap [${axes.map(String)}] × ${size} of jvp of ${c.label}`,
      dtype,
      inputs: [...inputs, ...sharedTangents],
      fn: (...xs) =>
        vmap(
          (...args: Tensor[]) => [...pushes(c.fn, n)(...args)],
          [...axes, ...c.inputs.map(() => null)],
        )(...xs),
      loop: () =>
        loopOver(
          pushes(c.fn, n),
          [...inputs, ...sharedTangents],
          [...axes, ...c.inputs.map(() => null)],
          size,
          [...c.inputs, ...c.inputs],
        ),
    })
    jobs.push({
      label: `vjp of vmap [${axes.map(String)}] × ${size} of ${c.label}`,
      dtype,
      inputs: [...inputs, ...manyCotangents],
      fn: pulls(mapped, n),
      loop: () => {
        const each = loopOver(
          pulls(c.fn, n),
          [...inputs, ...manyCotangents],
          [...axes, ...outputs.map(() => 0)],
          size,
          [...c.inputs, ...outputs],
        )
        // a shared argument gets the sum over the examples
        return each.map((g, i) => (axes[i] === 0 ? g : sumFirst(g)))
      },
    })
    jobs.push({
      label: `jvp of vmap [${axes.map(String)}] × ${size} of ${c.label}`,
      dtype,
      inputs: [...inputs, ...tangents],
      fn: pushes(mapped, n),
      loop: () =>
        loopOver(pushes(c.fn, n), [...inputs, ...tangents], [...axes, ...axes], size, [
          ...c.inputs,
          ...c.inputs,
        ]),
    })
  }
  return jobs
}

function sumFirst({ shape, dtype, values }: Value): Value {
  const rest = shape.slice(1)
  const width = rest.reduce((p, n) => p * n, 1)
  const totals = new Array<number>(width).fill(0)
  for (const [i, v] of values.entries()) totals[i % width]! += v
  return { shape: rest, dtype, values: totals }
}
