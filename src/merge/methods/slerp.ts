/** @file Spherical interpolation of two models: slerp on whole tensors, nuslerp also by rows and columns. */
import {
  type Arithmetic,
  arithmeticOf,
  type Measure,
  type Operand,
  type Session,
  type Vector,
} from '../vector/index.ts'
import { define, isSet, numberOf } from './define.ts'
import { weight } from './parameters.ts'
import { overColumns, overRows } from './rows.ts'
import type { MergeMethod } from './types.ts'
import { clamp, f32, squares, sumOf } from './vectors.ts'

/** Above this |cos| two vectors are blended linearly. */
const nearlyParallel = 0.9995

/** Coefficients of the arc from a (t = 0) to b (t = 1) at angle θ: sin((1−t)θ)/sin θ, sin(tθ)/sin θ. */
function arc(t: number, theta: number): [number, number] {
  const sine = Math.sin(theta)
  return [f32(Math.sin(f32((1 - t) * theta)) / sine), f32(Math.sin(f32(t * theta)) / sine)]
}

/** Norms at most this are taken for 1, so that a zero vector stays zero. */
const guarded = (square: number): number => (Math.sqrt(square) > 1e-8 ? Math.sqrt(square) : 1)

const slerp = define({
  name: 'slerp',
  title: 'SLERP',
  source: 'Shoemake 1985',
  needsBase: true,
  maxModels: 1,
  global: [{ name: 't', type: 'number', doc: '0 gives the base, 1 the other model' }],
  run({ base, models: [other], parameters, session, arithmetic }) {
    const t = f32(numberOf(parameters, 't'))
    const [a, b] = [base!, other!.values]
    const [aa, bb, ab] = session.measure(squares(a), squares(b), { kind: 'product', of: a, and: b })
    const cosine = clamp(f32(ab! / (guarded(aa!) * guarded(bb!))), -1, 1)
    const [ofA, ofB] = Math.abs(cosine) > nearlyParallel ? [f32(1 - t), t] : arc(t, f32(Math.acos(cosine)))
    // in f32 whatever the arithmetic is, as in mergekit
    const { add, multiply } = arithmeticOf('F32')
    return arithmetic.vector(add(multiply(a, ofA), multiply(b, ofB)))
  },
})

/** How a tensor falls into the vectors that are interpolated: sums over each, and a number of each as an operand. */
interface Fibres {
  readonly sums: (...measures: readonly Vector[]) => Float64Array[]
  readonly spread: (values: Float32Array) => Operand
}

/** Σ over every column. */
function columnSums(session: Session, stride: number, vectors: readonly Vector[]): Float64Array[] {
  const sums = vectors.map(() => new Float64Array(stride))
  session.visit(vectors, (blocks, start) => {
    for (const [v, values] of blocks.entries()) {
      const total = sums[v]!
      for (let i = 0; i < values.length; i++) total[(start + i) % stride]! += values[i]!
    }
  })
  return sums
}

function fibresOf(session: Session, shape: readonly number[], along: 'all' | 'first' | 'last'): Fibres {
  const size = session.length
  if (along === 'all' || shape.length < 2 || size === 0)
    return {
      sums: (...vectors) => session.measure(...vectors.map(sumOf)).map((total) => Float64Array.of(total)),
      spread: ([value]) => value!,
    }
  if (along === 'first') {
    const stride = size / shape[0]!
    return { sums: (...vectors) => columnSums(session, stride, vectors), spread: overColumns }
  }
  const length = shape.at(-1)!
  session.align(length)
  return {
    sums: (...vectors) => session.measureRows(length, ...vectors.map((of): Measure => sumOf(of))),
    spread: (values) => overRows(values, length),
  }
}

/** sin((1−t)θ), sin(tθ) and the divisor sin θ of every fibre; 1 − t, t and 1 where the two are colinear. */
function arcs(
  { number }: Arithmetic,
  cosines: Float32Array,
  t: number,
): [Float32Array, Float32Array, Float32Array] {
  const colinear = (cosine: number): boolean => number(1 - number(cosine * cosine)) <= 1e-16
  const theta = (cosine: number): number => number(Math.acos(cosine))
  const of = (share: number) =>
    cosines.map((c) => (colinear(c) ? share : number(Math.sin(number(f32(share) * theta(c))))))
  return [of(1 - t), of(t), cosines.map((c) => (colinear(c) ? 1 : number(Math.sin(theta(c)))))]
}

/** Interpolates every fibre on its own. Raw vectors are mixed with the angle between the normalized ones. */
function interpolateFibres(arithmetic: Arithmetic, a: Vector, b: Vector, t: number, fibres: Fibres): Vector {
  const { add, multiply, divide, number } = arithmetic
  const { sums, spread } = fibres
  const exact = arithmeticOf('F32')
  const guarded = (total: number): number => Math.max(number(f32(Math.sqrt(total))), number(1e-7))
  const [normsA, normsB] = sums(exact.multiply(a, a), exact.multiply(b, b)).map((list) =>
    Float32Array.from(list, guarded),
  )
  const [dots] = sums(multiply(divide(a, spread(normsA!)), divide(b, spread(normsB!))))
  const cosines = Float32Array.from(dots!, (dot) => clamp(number(f32(dot)), -1, 1))
  const [left, right, sine] = arcs(arithmetic, cosines, t)
  return divide(add(multiply(a, spread(left)), multiply(b, spread(right))), spread(sine))
}

const nuslerp = define({
  name: 'nuslerp',
  title: 'NuSLERP',
  source: 'mergekit',
  needsBase: 'optional',
  minModels: 2,
  maxModels: 2,
  missing: 'pass-single',
  global: [
    { name: 'nuslerp_flatten', type: 'boolean', default: true, doc: 'one vector for each tensor' },
    {
      name: 'nuslerp_row_wise',
      type: 'boolean',
      default: false,
      doc: 'without flatten: vectors along the first axis (columns) instead of the last (rows)',
    },
  ],
  perModel: [weight],
  run({ base, models: [first, second], parameters, shape, session, arithmetic }) {
    const [w0, w1] = [numberOf(first!.parameters, 'weight'), numberOf(second!.parameters, 'weight')]
    const t = Math.abs(w0 + w1) < 1e-6 ? 0.5 : w1 / (w0 + w1)
    const columns = isSet(parameters, 'nuslerp_row_wise') ? 'first' : 'last'
    const along = isSet(parameters, 'nuslerp_flatten') ? 'all' : columns
    const fibres = fibresOf(session, shape, along)
    if (!base) return interpolateFibres(arithmetic, first!.values, second!.values, t, fibres)
    const [a, b] = [first!, second!].map(({ values }) => arithmetic.subtract(values, base))
    return arithmetic.add(base, interpolateFibres(arithmetic, a!, b!, t, fibres))
  },
})

export const slerpMethods: readonly MergeMethod[] = [slerp, nuslerp]
