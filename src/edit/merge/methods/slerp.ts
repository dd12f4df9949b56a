/** @file Spherical interpolation of two models: slerp on whole tensors, nuslerp also by rows and columns. */
import { define, isSet, numberOf } from './define.ts'
import { weight } from './parameters.ts'
import type { MergeMethod } from './types.ts'
import { blend, clamp, difference, divided, dot, f32, norm, sum } from './vectors.ts'

/** Above this |cos| two vectors are blended linearly. */
const nearlyParallel = 0.9995

/** Coefficients of the arc from a (t = 0) to b (t = 1) at angle θ: sin((1−t)θ)/sin θ, sin(tθ)/sin θ. */
function arc(t: number, theta: number): [number, number] {
  const sine = Math.sin(theta)
  return [f32(Math.sin(f32((1 - t) * theta)) / sine), f32(Math.sin(f32(t * theta)) / sine)]
}

/** Norms at most this are taken for 1, so that a zero vector stays zero. */
const guarded = (length: number): number => (length > 1e-8 ? length : 1)

const slerp = define({
  name: 'slerp',
  title: 'SLERP',
  source: 'Shoemake 1985',
  needsBase: true,
  maxModels: 1,
  global: [{ name: 't', type: 'number', doc: '0 gives the base, 1 the other model' }],
  run({ base, models: [other], parameters }) {
    const t = f32(numberOf(parameters, 't'))
    const [a, b] = [base!, other!.values]
    const cosine = clamp(dot(divided(a, guarded(norm(a))), divided(b, guarded(norm(b)))), -1, 1)
    const [ofA, ofB] = Math.abs(cosine) > nearlyParallel ? [f32(1 - t), t] : arc(t, f32(Math.acos(cosine)))
    return blend(ofA, a, ofB, b)
  },
})

/** How a tensor falls into vectors: `count` of them, element k of vector i at start(i) + k · stride. */
interface Fibres {
  readonly count: number
  readonly length: number
  readonly stride: number
  readonly start: (index: number) => number
}

function fibresOf(shape: readonly number[], size: number, along: 'all' | 'first' | 'last'): Fibres {
  const whole = { count: 1, length: size, stride: 1, start: () => 0 }
  if (along === 'all' || shape.length < 2 || size === 0) return whole
  if (along === 'first') {
    const stride = size / shape[0]!
    return { count: stride, length: shape[0]!, stride, start: (i) => i }
  }
  const length = shape.at(-1)!
  return { count: size / length, length, stride: 1, start: (i) => i * length }
}

/** Interpolates every fibre on its own, into `out`. Raw vectors are mixed with the angle between the normalized ones. */
function interpolateFibres(a: Float32Array, b: Float32Array, t: number, fibres: Fibres): Float32Array {
  const { count, length, stride, start } = fibres
  const out = new Float32Array(a.length)
  for (let fibre = 0; fibre < count; fibre++) {
    const from = start(fibre)
    const to = from + length * stride
    let [aa, bb] = [0, 0]
    for (let i = from; i < to; i += stride) {
      aa += a[i]! * a[i]!
      bb += b[i]! * b[i]!
    }
    const [ofA, ofB] = [Math.max(f32(Math.sqrt(aa)), 1e-7), Math.max(f32(Math.sqrt(bb)), 1e-7)]
    let ab = 0
    for (let i = from; i < to; i += stride) ab += f32(a[i]! / ofA) * f32(b[i]! / ofB)
    const cosine = clamp(f32(ab), -1, 1)
    const colinear = f32(1 - f32(cosine * cosine)) <= 1e-16
    const theta = f32(Math.acos(colinear ? 0 : cosine))
    const sine = colinear ? 1 : f32(Math.sin(theta))
    const left = f32(colinear ? 1 - t : Math.sin(f32((1 - t) * theta)))
    const right = f32(colinear ? t : Math.sin(f32(t * theta)))
    for (let i = from; i < to; i += stride) out[i] = f32(f32(left * a[i]!) + f32(right * b[i]!)) / sine
  }
  return out
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
  run({ base, models: [first, second], parameters, shape }) {
    const [w0, w1] = [numberOf(first!.parameters, 'weight'), numberOf(second!.parameters, 'weight')]
    const t = Math.abs(w0 + w1) < 1e-6 ? 0.5 : w1 / (w0 + w1)
    const columns = isSet(parameters, 'nuslerp_row_wise') ? 'first' : 'last'
    const along = isSet(parameters, 'nuslerp_flatten') ? 'all' : columns
    const fibres = fibresOf(shape, first!.values.length, along)
    if (!base) return interpolateFibres(first!.values, second!.values, t, fibres)
    const arcBetween = [first!, second!].map(({ values }) => difference(values, base))
    return sum(base, interpolateFibres(arcBetween[0]!, arcBetween[1]!, t, fibres))
  },
})

export const slerpMethods: readonly MergeMethod[] = [slerp, nuslerp]
