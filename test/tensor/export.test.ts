/** @file Exported ONNX files: every primitive and a network, standard operators only, opened by runtimes that are not ours. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type StoredDtype, writeSafetensors } from '../../src/checkpoint/index.ts'
import { fromFloat64 } from '../../src/tensor/dtype.ts'
import {
  add,
  checkpoint,
  conv2d,
  crossEntropy,
  type Dtype,
  exportOnnx,
  gelu,
  grad,
  layerNorm,
  matmul,
  maxPool2d,
  mean,
  mul,
  opNames,
  random,
  reshape,
  sizeOf,
  softmax,
  spec,
  sub,
  sum,
  type Tensor,
  tanh,
  transpose,
} from '../../src/tensor/index.ts'
import { onnxType } from '../../src/tensor/onnx/emitter.ts'
import { joinChunks } from '../../src/tensor/onnx/proto.ts'
import { casesOf, generators } from './cases.ts'
import { drawFrom, numbers, type Value } from './draw.ts'
import { type Job, numbersDiffer, referenceOf } from './run.ts'

interface Exported {
  readonly bytes: Uint8Array
  readonly inputs: Map<string, Value>
  readonly outputs: Map<string, Value>
}

/** Jobs of one dtype as one file, with inputs and what the reference makes of them. Empty tensors are not part of a file. */
function exportJobs(name: string, jobs: readonly Job[]): Exported {
  const bytes = joinChunks(
    exportOnnx(
      (...args: (readonly Tensor[])[]) => jobs.map((job, i) => job.fn(...args[i]!)),
      jobs.map((job) => job.inputs.map(({ shape, dtype }) => ({ shape, dtype }))),
      { name, metadata: { made: 'by a test' } },
    ),
  )
  const inputs = jobs.flatMap((job, i) => job.inputs.map((x, k) => [`arg${i}.${k}`, x] as const))
  const outputs = jobs.flatMap((job, i) => referenceOf(job).map((y, k) => [`${i}.${k}`, y] as const))
  const filled = (list: (readonly [string, Value])[]) => new Map(list.filter(([, v]) => sizeOf(v.shape) > 0))
  return { bytes, inputs: filled(inputs), outputs: filled(outputs) }
}

const stored: Record<Dtype, StoredDtype> = {
  f32: 'F32',
  f64: 'F64',
  i32: 'I32',
  i64: 'I64',
  u32: 'U32',
  bool: 'BOOL',
}
const ortType: Record<Dtype, string> = {
  f32: 'float32',
  f64: 'float64',
  i32: 'int32',
  i64: 'int64',
  u32: 'uint32',
  bool: 'bool',
}

const draw = drawFrom(31)
const random3 = (shape: number[], dtype: Dtype = 'f32'): Value => ({
  shape,
  dtype,
  values: numbers(draw, shape, dtype, -1, 1),
})

/** A small network with everything in it: its loss and gradients, and a dropout mask. */
const network: Job = {
  label: 'network',
  inputs: [
    random3([2, 1, 6, 6]),
    { shape: [2], dtype: 'i64', values: [1, 0] },
    { shape: [2], dtype: 'u32', values: [7, 9] },
    ...[[4, 1, 3, 3], [16, 5], [5], [5]].map((shape) => random3(shape)),
  ],
  fn: (x, y, key, kernel, weight, scale, shift) => {
    const loss = (p: { kernel: Tensor; weight: Tensor; scale: Tensor; shift: Tensor }): Tensor => {
      const h = maxPool2d(conv2d(x!, p.kernel), { kernel: 2 })
      const z = gelu(layerNorm(matmul(reshape(h, [2, 16]), p.weight), p.scale, p.shift))
      const kept = mul(z, random.uniform(key!, [2, 5]))
      const mixed = checkpoint((v: Tensor) => tanh(matmul(v, matmul(transpose(v), v))))(kept)
      return mean(crossEntropy(add(mixed, softmax(kept)), y!))
    }
    const p = { kernel: kernel!, weight: weight!, scale: scale!, shift: shift! }
    const g = grad(loss)(p)
    return [loss(p), g.kernel, g.weight, g.scale, g.shift]
  },
}

const files = new Map<string, Exported>()

beforeAll(() => {
  for (const op of opNames())
    for (const dtype of generators[op]!.dtypes)
      files.set(
        `${op}-${dtype}`,
        exportJobs(
          `${op}-${dtype}`,
          casesOf(op, dtype).filter((c) => !c.onlyValues),
        ),
      )
  files.set('network', exportJobs('network', [network]))
})

describe('exported files', () => {
  it('use standard operators of one opset only', () => {
    expect(files.size).toBeGreaterThan(150)
    for (const [name, { bytes }] of files) {
      const text = Buffer.from(bytes).toString('latin1')
      expect(text.includes('com.microsoft'), name).toBe(false)
      expect(text.includes('by a test'), name).toBe(true)
    }
  })

  it('give what the reference gives, in the runtime with all its own optimizations', async () => {
    const problems: string[] = []
    for (const [name, { bytes, inputs, outputs }] of files) {
      if (outputs.size === 0) continue
      const session = await InferenceSession.create(bytes, {
        graphOptimizationLevel: 'all',
        intraOpNumThreads: 1,
        logSeverityLevel: 3,
      })
      const feeds = Object.fromEntries(
        Array.from(inputs, ([key, { dtype, shape, values }]) => {
          const data = fromFloat64(values, dtype)
          return [key, new OrtTensor(ortType[dtype] as 'float32', data as Float32Array, shape)]
        }),
      )
      const results = await session.run(feeds)
      for (const [key, want] of outputs) {
        const got = Array.from(results[key]!.data as Float32Array, Number)
        const tolerance = { f32: 1e-4, f64: 1e-9, i32: 0, i64: 0, u32: 0, bool: 0 }[want.dtype]
        problems.push(...numbersDiffer(`${name} ${key}`, got, want.values, tolerance))
        if (results[key]!.dims.join() !== want.shape.join())
          problems.push(`${name} ${key}: shape [${results[key]!.dims}]`)
      }
      await session.release()
    }
    expect(problems).toEqual([])
  })

  it('takes names, and keeps values inside out of their way', async () => {
    const given = { inputNames: ['v0', 'v1'], outputNames: ['v2', '_v0'] }
    const f = (a: Tensor, b: Tensor): Tensor[] => [sum(tanh(mul(add(a, 2), b))), sub(b, a)]
    const bytes = joinChunks(exportOnnx(f, [spec([3]), spec([3])], given))
    const session = await InferenceSession.create(bytes)
    expect([session.inputNames, session.outputNames]).toEqual([['v0', 'v1'], ['v2', '_v0']]) // biome-ignore format: a pair
    const x = new OrtTensor('float32', Float32Array.of(1, 2, 3), [3])
    const result = await session.run({ v0: x, v1: x })
    expect((result['v2']!.data as Float32Array)[0]).toBeCloseTo(
      Math.tanh(3) + Math.tanh(8) + Math.tanh(15),
      5,
    )
    expect(Array.from(result['_v0']!.data as Float32Array)).toEqual([0, 0, 0])
    await session.release()
    expect(() => exportOnnx(f, [spec([3]), spec([3])], { inputNames: ['a'] })).toThrow(
      /^exportOnnx: inputNames: expected 2 names, got 1 \(a\)/,
    )
    expect(() => exportOnnx(f, [spec([3]), spec([3])], { inputNames: ['a', 'a'] })).toThrow(
      /^exportOnnx: input and output names must differ/,
    )
  })

  const python = process.env['TREELINE_PYTHON']
  const skipped =
    'in onnx.checker and another onnxruntime (skipped: set TREELINE_PYTHON to a Python with onnx and onnxruntime)'
  describe.skipIf(!python)(python ? 'in onnx.checker and another onnxruntime' : skipped, () => {
    const folder = mkdtempSync(join(tmpdir(), 'treeline-export-'))
    afterAll(() => rmSync(folder, { recursive: true, force: true }))
    it('are valid and give the same values', () => {
      const paths: string[] = []
      for (const [name, { bytes, inputs, outputs }] of files) {
        if (outputs.size === 0) continue
        const path = join(folder, `${name}.onnx`)
        writeFileSync(path, bytes)
        const tensors = [
          ...Array.from(inputs, ([k, v]) => [`input/${k}`, v] as const),
          ...Array.from(outputs, ([k, v]) => [`output/${k}`, v] as const),
        ]
        writeSafetensors(
          path.replace('.onnx', '.safetensors'),
          new Map(
            tensors.map(([k, { dtype, shape, values }]) => [
              k,
              { dtype: stored[dtype], shape, data: fromFloat64(values, dtype) },
            ]),
          ),
        )
        paths.push(path)
      }
      const script = fileURLToPath(new URL('../fixtures/check_onnx.py', import.meta.url))
      const printed = execFileSync(python!, [script, ...paths], { encoding: 'utf8', maxBuffer: 2 ** 26 })
      expect(printed.split('\n').filter((line) => line.startsWith('ok\t'))).toHaveLength(paths.length)
    }, 180_000)
  })
})

it('numbers element types as onnx.proto does', () => {
  expect(onnxType).toEqual({ f32: 1, f64: 11, i32: 6, i64: 7, u32: 12, bool: 9 })
})
