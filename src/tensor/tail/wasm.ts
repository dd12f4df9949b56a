/**
 * @file Kernels as WebAssembly: one loop over memory, four floats at a time, for any elementwise expression. Every operation
 * rounds as the runtime's own does, so results do not depend on who computes them. (WebAssembly core specification 2.0)
 */
import { fail } from '../../base/index.ts'
import type { Tensor } from '../tensor.ts'
import type { TailKernel } from './partition.ts'

/** Memory is asked for in pages of 64 KiB, at most 4 GiB. */
export const pageBytes = 65536
export const mostPages = 65536

const unsigned = (value: number): number[] => {
  const out: number[] = []
  let rest = value >>> 0
  do {
    const low = rest & 127
    rest >>>= 7
    out.push(rest ? low | 128 : low)
  } while (rest)
  return out
}
const vector = (items: readonly (readonly number[])[]): number[] => [
  ...unsigned(items.length),
  ...items.flat(),
]
const section = (id: number, body: readonly number[]): number[] => [id, ...unsigned(body.length), ...body]
const name = (text: string): number[] => [
  ...unsigned(text.length),
  ...Array.from(text, (c) => c.charCodeAt(0)),
]

const i32 = 0x7f
const f32 = 0x7d
const v128 = 0x7b
const get = (local: number): number[] => [0x20, ...unsigned(local)]
const set = (local: number): number[] => [0x21, ...unsigned(local)]
const simd = (code: number): number[] => [0xfd, ...unsigned(code)]
const splat = simd(0x13)
const i32Add = 0x6a

/** SIMD opcode of each operation. */
const opcodes: Readonly<Record<string, number>> = {
  add: 0xe4,
  sub: 0xe5,
  mul: 0xe6,
  div: 0xe7,
  neg: 0xe1,
  abs: 0xe0,
  sqrt: 0xe3,
  min: 0xe8,
  max: 0xe9,
}

/** Parameters: addresses of vectors, addresses of results, bytes (a multiple of 16), then the scalars. */
export type KernelFunction = (...parameters: number[]) => void

/** Two kernels of one structure share a module: the expression with inputs numbered and constants written out. */
function structureOf({ nodes, vectors, scalars, results }: TailKernel): string {
  const names = new Map<Tensor, string>()
  for (const [i, t] of vectors.entries()) names.set(t, `v${i}`)
  for (const [i, t] of scalars.entries()) names.set(t, `s${i}`)
  for (const [i, node] of nodes.entries()) names.set(node.outputs[0]!, `n${i}`)
  const operand = (x: Tensor): string => names.get(x) ?? `c${Number(x.data[0])}`
  const body = nodes.map((node) => `${node.op}(${node.inputs.map(operand).join()})`).join(';')
  return `${body}>${results.map((r) => names.get(r.tensor)).join()}`
}

/** The bytes of a module with one function `run` over an imported memory. */
export function encodeKernel({ nodes, vectors, scalars, results }: TailKernel): Uint8Array<ArrayBuffer> {
  const addresses = vectors.length + results.length
  const bytes = addresses
  const firstScalar = bytes + 1
  const at = firstScalar + scalars.length
  const firstSplat = at + 1
  const firstVector = firstSplat + scalars.length
  const firstNode = firstVector + vectors.length
  const local = new Map<Tensor, number>()
  for (const [i, t] of scalars.entries()) local.set(t, firstSplat + i)
  for (const [i, t] of vectors.entries()) local.set(t, firstVector + i)
  for (const [i, node] of nodes.entries()) local.set(node.outputs[0]!, firstNode + i)
  const constant = (value: number): number[] => [
    0x43,
    ...new Uint8Array(Float32Array.of(value).buffer),
    ...splat,
  ]
  const operand = (x: Tensor): number[] => (local.has(x) ? get(local.get(x)!) : constant(Number(x.data[0])))
  const address = (parameter: number): number[] => [...get(parameter), ...get(at), i32Add]
  // every address is a multiple of 16 bytes
  const load = [...simd(0x00), 4, 0]
  const store = [...simd(0x0b), 4, 0]

  const body = [
    ...scalars.flatMap((_, i) => [...get(firstScalar + i), ...splat, ...set(firstSplat + i)]),
    ...[0x03, 0x40], // loop
    ...vectors.flatMap((_, i) => [...address(i), ...load, ...set(firstVector + i)]),
    ...nodes.flatMap((node, i) => [
      ...node.inputs.flatMap(operand),
      ...simd(opcodes[node.op]!),
      ...set(firstNode + i),
    ]),
    ...results.flatMap((r, i) => [...address(vectors.length + i), ...get(local.get(r.tensor)!), ...store]),
    ...[...get(at), 0x41, 16, i32Add, 0x22, ...unsigned(at)], // at += 16, left on the stack
    ...[...get(bytes), 0x49, 0x0d, 0], // at < bytes: again
    0x0b, // end of loop
    0x0b,
  ]
  const locals = [
    [1, i32],
    [...unsigned(scalars.length + vectors.length + nodes.length), v128],
  ]
  const code = [...vector(locals), ...body]
  const parameters = [
    ...new Array<number>(addresses + 1).fill(i32),
    ...new Array<number>(scalars.length).fill(f32),
  ]
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector([[0x60, ...unsigned(parameters.length), ...parameters, 0]])),
    ...section(2, vector([[...name('m'), ...name('memory'), 0x02, 0x00, 0]])),
    ...section(3, vector([[0]])),
    ...section(7, vector([[...name('run'), 0x00, 0]])),
    ...section(10, vector([[...unsigned(code.length), ...code]])),
  ])
}

/** Whether this engine runs 128-bit SIMD (every current one does). */
export const hasSimd = (): boolean =>
  typeof WebAssembly === 'object' &&
  WebAssembly.validate(
    Uint8Array.from([
      0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253,
      98, 11,
    ]),
  )

/** Compile kernels over one memory; those of equal structure share a function. */
export function compileKernels(kernels: readonly TailKernel[], memory: WebAssembly.Memory): KernelFunction[] {
  const known = new Map<string, KernelFunction>()
  return kernels.map((kernel) => {
    const key = structureOf(kernel)
    let run = known.get(key)
    if (!run) {
      try {
        const module = new WebAssembly.Module(encodeKernel(kernel))
        run = new WebAssembly.Instance(module, { m: { memory } }).exports['run'] as KernelFunction
      } catch (error) {
        fail('TL_UNSUPPORTED', `kernel ${key}: ${(error as Error).message}`, error)
      }
      known.set(key, run)
    }
    return run
  })
}
