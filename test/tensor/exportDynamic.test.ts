/** An ONNX file for every size of an axis, in the runtime itself, against the engine's reference at that size. */
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { expect, it } from 'vitest'
import {
  add,
  compile,
  cumsum,
  exportDynamicOnnx,
  iota,
  linear,
  mul,
  softmax,
  spec,
  type Tensor,
  tensor,
} from '../../src/tensor/index.ts'

const weights = tensor(Float32Array.of(1, -2, 0.5, 3, 0.25, -1), { shape: [2, 3] })
const program = (x: Tensor) => ({
  p: softmax(add(linear(x, weights), cumsum(mul(linear(x, weights), 0.1), 0))),
})
const samples = [{ rows: 1009 }, { rows: 1013 }] as const
const specsAt = ({ rows }: { readonly [name: string]: number }) => [spec([rows!, 2])]

it('gives what the reference gives at each length', async () => {
  const names = { inputNames: ['x'], outputNames: ['p'] }
  const { chunks, length } = exportDynamicOnnx(program, specsAt, {
    samples,
    ...names,
    metadata: { by: 'test' },
  })
  const bytes = Buffer.concat(chunks)
  expect(bytes.length).toBe(length)
  const session = await InferenceSession.create(bytes, { logSeverityLevel: 3 })
  const reference = compile(program, { backend: 'reference' })
  for (const rows of [1, 2, 7]) {
    const x = Float32Array.from({ length: 2 * rows }, (_, i) => Math.sin(1 + i))
    const { p } = await session.run({ x: new OrtTensor('float32', x, [rows, 2]) })
    expect(p!.dims).toEqual([rows, 3])
    const expected = (await reference(tensor(x, { shape: [rows, 2] }))).p.data as Float32Array
    for (const [i, v] of (p!.data as Float32Array).entries()) expect(v).toBeCloseTo(expected[i]!, 5)
  }
  await session.release()
})

it('refuses by name what depends on the size in other ways', () => {
  const depends = (x: Tensor) => add(x, iota([x.shape[0]!, 2], 0, 'f32'))
  expect(() => exportDynamicOnnx(depends, specsAt, { samples })).toThrow(
    /cannot be one program for every size of rows/,
  )
})
