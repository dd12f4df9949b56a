/** @file Operations against PyTorch in float64: values, gradients, directional derivatives and Hessian-vector products. */
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { readSafetensors, type StoredTensor } from '../../src/checkpoint/index.ts'
import {
  add,
  argsort,
  averagePool1d,
  averagePool2d,
  cast,
  concatenate,
  conv1d,
  conv2d,
  convTranspose1d,
  convTranspose2d,
  cos,
  crossEntropy,
  cumsum,
  type Dtype,
  div,
  einsum,
  erf,
  full,
  gather,
  gelu,
  iota,
  isFloat,
  jvp,
  layerNorm,
  logSoftmax,
  logSumExp,
  matmul,
  max,
  maxPool1d,
  maxPool2d,
  mean,
  min,
  mul,
  neg,
  pow,
  prod,
  reshape,
  rmsNorm,
  rsqrt,
  scatterAlong,
  sigmoid,
  silu,
  sin,
  sliceAxis,
  softCrossEntropy,
  softmax,
  softplus,
  sort,
  sub,
  swapAxes,
  type Tensor,
  takeAlong,
  tanh,
  topK,
  triangularMask,
  variance,
  vjp,
  where,
} from '../../src/tensor/index.ts'
import type { Value } from './draw.ts'
import { differences, type Job, onRuntime, referenceOf } from './run.ts'

type Named = Record<string, Tensor>
interface Attributes {
  readonly op: string
  readonly strides: number[]
  readonly padding: [number, number][]
  readonly outputPadding: number[]
  readonly dilation: number[]
  readonly groups: number
  readonly window: number[]
  readonly countPadding: boolean
  readonly epsilon: number
  readonly approximation: 'none' | 'tanh'
  readonly causal: boolean
  readonly scale: number | null
  readonly base: number
  readonly axis: number
  readonly k: number
  readonly largest: boolean
  readonly descending: boolean
  readonly equation: string
}

function withBias(y: Tensor, bias: Tensor | undefined): Tensor {
  return bias ? add(y, reshape(bias, [bias.size, ...y.shape.slice(2).map(() => 1)])) : y
}

function groupNorm(x: Tensor, scale: Tensor, bias: Tensor, groups: number, epsilon: number): Tensor {
  const open = reshape(x, [x.shape[0]!, groups, -1])
  const centred = sub(open, mean(open, -1, { keepDims: true }))
  const y = mul(centred, rsqrt(add(variance(open, -1, { keepDims: true }), epsilon)))
  const perChannel = [x.shape[1]!, ...x.shape.slice(2).map(() => 1)]
  return add(mul(reshape(y, x.shape), reshape(scale, perChannel)), reshape(bias, perChannel))
}

function attention({ q, k, v, mask }: Named, { causal, scale }: Attributes): Tensor {
  const scores = mul(matmul(q!, k!, { transposeB: true }), scale ?? 1 / Math.sqrt(q!.shape.at(-1)!))
  const allowed = causal ? triangularMask(q!.shape.at(-2)!, k!.shape.at(-2)!) : mask
  const kept = allowed ? where(allowed, scores, full([], Number.NEGATIVE_INFINITY, scores.dtype)) : scores
  return matmul(softmax(kept), v!)
}

function rotary(x: Tensor, base: number): Tensor {
  const [length, features] = x.shape.slice(-2) as [number, number]
  const half = features / 2
  const exponents = div(mul(iota([half], 0, x.dtype), -2), features)
  const frequencies = pow(full([half], base, x.dtype), exponents)
  const angles = mul(reshape(iota([length], 0, x.dtype), [length, 1]), frequencies)
  const [a, b] = [sliceAxis(x, -1, 0, half), sliceAxis(x, -1, half, features)]
  return concatenate(
    [sub(mul(a, cos(angles)), mul(b, sin(angles))), add(mul(a, sin(angles)), mul(b, cos(angles)))],
    -1,
  )
}

/** What each operation of the fixtures is in our words. */
const operations: Record<string, (x: Named, a: Attributes) => Named> = {
  conv: ({ x, w, b }, { strides, padding, dilation, groups }) => {
    const options = { stride: strides, padding, dilation, groups }
    return { y: withBias((x!.rank === 4 ? conv2d : conv1d)(x!, w!, options), b) }
  },
  convTranspose: ({ x, w, b }, { strides, padding, dilation, groups, outputPadding }) => {
    const options = { stride: strides, padding, dilation, groups, outputPadding }
    return { y: withBias((x!.rank === 4 ? convTranspose2d : convTranspose1d)(x!, w!, options), b) }
  },
  maxPool: ({ x }, { window, strides, padding, dilation }) => ({
    y: (x!.rank === 4 ? maxPool2d : maxPool1d)(x!, { kernel: window, stride: strides, padding, dilation }),
  }),
  avgPool: ({ x }, { window, strides, padding, countPadding }) => ({
    y: (x!.rank === 4 ? averagePool2d : averagePool1d)(x!, {
      kernel: window,
      stride: strides,
      padding,
      countPadding,
    }),
  }),
  layerNorm: ({ x, scale, bias }, { epsilon }) => ({ y: layerNorm(x!, scale!, bias!, { epsilon }) }),
  rmsNorm: ({ x, scale }, { epsilon }) => ({ y: rmsNorm(x!, scale!, { epsilon }) }),
  groupNorm: ({ x, scale, bias }, { groups, epsilon }) => ({
    y: groupNorm(x!, scale!, bias!, groups, epsilon),
  }),
  gelu: ({ x }, { approximation }) => ({ y: gelu(x!, { approximate: approximation }) }),
  silu: ({ x }) => ({ y: silu(x!) }),
  sigmoid: ({ x }) => ({ y: sigmoid(x!) }),
  tanh: ({ x }) => ({ y: tanh(x!) }),
  erf: ({ x }) => ({ y: erf(x!) }),
  softplus: ({ x }) => ({ y: softplus(x!) }),
  logSigmoid: ({ x }) => ({ y: neg(softplus(neg(x!))) }),
  softmax: ({ x }, { axis }) => ({ y: softmax(x!, axis) }),
  logSoftmax: ({ x }, { axis }) => ({ y: logSoftmax(x!, axis) }),
  logSumExp: ({ x }, { axis }) => ({ y: logSumExp(x!, axis) }),
  crossEntropy: ({ logits, label, target }) => ({
    loss: mean(label ? crossEntropy(logits!, label) : softCrossEntropy(logits!, target!)),
  }),
  attention: (x, a) => ({ y: attention(x, a) }),
  rotary: ({ x }, { base }) => ({ y: rotary(x!, base) }),
  cumsum: ({ x }, { axis }) => ({ y: cumsum(x!, axis) }),
  prod: ({ x }, { axis }) => ({ y: prod(x!, axis ?? undefined) }),
  sort: ({ x }, { axis, descending }) => ({
    values: sort(x!, axis, { descending }),
    indices: cast(argsort(x!, axis, { descending }), 'i64'),
  }),
  topK: ({ x }, { axis, k, largest }) => {
    const { values, indices } = topK(swapAxes(x!, axis, -1), k, { largest })
    return { values: swapAxes(values, axis, -1), indices: cast(swapAxes(indices, axis, -1), 'i64') }
  },
  max: ({ x }, { axis }) => ({ y: max(x!, axis) }),
  min: ({ x }, { axis }) => ({ y: min(x!, axis) }),
  take: ({ table, index }, { axis }) => ({ y: gather(table!, index!, axis) }),
  gather: ({ x, index }, { axis }) => ({ y: takeAlong(x!, index!, axis) }),
  scatterAdd: ({ x, index, update }, { axis }) => ({ y: scatterAlong(x!, index!, update!, axis) }),
  einsum: (x, { equation }) => ({
    y: einsum(
      equation,
      ...Object.keys(x)
        .sort()
        .map((name) => x[name]!),
    ),
  }),
  matmul: ({ a, b }) => ({ y: matmul(a!, b!) }),
}

/** One case: tensors by role and name. */
interface OracleCase {
  readonly name: string
  readonly attributes: Attributes
  readonly roles: Record<string, Record<string, StoredTensor>>
}

function readCases(file: string): OracleCase[] {
  const path = fileURLToPath(new URL(`../fixtures/${file}.safetensors`, import.meta.url))
  const { tensors, metadata } = readSafetensors(path)
  const { cases } = JSON.parse(metadata['fixture']!) as { cases: Record<string, Attributes> }
  return Object.entries(cases).map(([name, attributes]) => {
    const roles: OracleCase['roles'] = {}
    for (const [key, stored] of tensors) {
      const [of, role, ...rest] = key.split('/') as [string, string, string]
      if (of !== name) continue
      roles[role] ??= {}
      roles[role][rest.join('/')] = stored
    }
    return { name, attributes, roles }
  })
}

/** A stored tensor as a value; floats take the dtype under test. */
function storedValue({ dtype, shape, data }: StoredTensor, float: Dtype): Value {
  const types: Record<string, Dtype> = { F32: float, F64: float, I64: 'i64', BOOL: 'bool' }
  return { shape, dtype: types[dtype]!, values: Array.from(data as ArrayLike<number>, Number) }
}

const names = (role: Record<string, StoredTensor> | undefined): string[] => Object.keys(role ?? {}).sort()

/** Values, gradients, jvp and hvp of a case as one job, and what PyTorch found. */
function jobOf({ name, attributes, roles }: OracleCase, float: 'f32' | 'f64'): { job: Job; want: Value[] } {
  const inputNames = names(roles['input'])
  const outputNames = names(roles['output'])
  const floatNames = names(roles['grad'])
  const inputs = inputNames.map((n) => storedValue(roles['input']![n]!, float))
  const tangents = floatNames.map((n) => storedValue(roles['tangent']![n]!, float))
  const cotangents = names(roles['cotangent']).map((n) => storedValue(roles['cotangent']![n]!, float))
  const floatOutputs = names(roles['cotangent'])
  const run = (all: Named): Named => operations[attributes.op]!(all, attributes)
  const fn: Job['fn'] = (...args) => {
    const given = Object.fromEntries(inputNames.map((n, i) => [n, args[i]!]))
    const t = args.slice(inputs.length, inputs.length + tangents.length)
    const g = args.slice(inputs.length + tangents.length)
    const floats = floatNames.map((n) => given[n]!)
    const whole = (...xs: Tensor[]): Named =>
      run({ ...given, ...Object.fromEntries(floatNames.map((n, i) => [n, xs[i]!])) })
    const differentiable = (...xs: Tensor[]): Tensor[] => {
      const y = whole(...xs)
      return floatOutputs.map((n, i) => reshape(y[n]!, g[i]!.shape))
    }
    const gradient = (...xs: Tensor[]): Tensor[] => vjp(differentiable, ...xs).pullback(g)
    const outputs = whole(...floats)
    return [
      ...outputNames.map((n) => reshape(outputs[n]!, roles['output']![n]!.shape)),
      ...gradient(...floats),
      ...jvp(differentiable, floats, t).tangents,
      ...jvp(gradient, floats, t).tangents,
    ]
  }
  const of = (role: string, list: string[]): Value[] => list.map((n) => storedValue(roles[role]![n]!, float))
  return {
    job: { label: name, inputs: [...inputs, ...tangents, ...cotangents], fn },
    want: [
      ...of('output', outputNames),
      ...of('grad', floatNames),
      ...of('jvp', floatOutputs),
      ...of('hvp', floatNames),
    ],
  }
}

describe.each(['ops', 'convolutions'])('%s.safetensors', (file) => {
  const cases = readCases(file)

  it('has a translation for every operation', () => {
    expect(cases.length).toBeGreaterThan(30)
    expect(cases.map((c) => c.attributes.op).filter((op) => !(op in operations))).toEqual([])
  })

  it('agrees with the reference in float64', () => {
    const problems = cases.flatMap((c) => {
      const { job, want } = jobOf(c, 'f64')
      expect(want.filter((v) => isFloat(v.dtype)).length, c.name).toBeGreaterThanOrEqual(4)
      return differences(c.name, referenceOf(job), want, 1e-11)
    })
    expect(problems).toEqual([])
  })

  it.each([
    ['f64', 1e-9],
    ['f32', 1e-4],
  ] as const)('agrees with compiled programs in %s', async (float, tolerance) => {
    const jobs = cases.map((c) => jobOf(c, float))
    const got = await onRuntime(jobs.map(({ job }) => job))
    expect(jobs.flatMap(({ job, want }, i) => differences(job.label, got[i]!, want, tolerance))).toEqual([])
  })
})
