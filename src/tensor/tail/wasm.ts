/**
 * @file Kernels as WebAssembly: one loop over memory, four floats at a time, for any elementwise expression. Every operation
 * rounds as the runtime's own does, so results do not depend on who computes them. (WebAssembly core specification 2.0)
 */
import { fail } from '../../base/index.ts'
import {
  add,
  below,
  branchIf,
  type Code,
  encodeModule,
  f32,
  functionCode,
  get,
  i32,
  constant as integer,
  load4,
  locals,
  loop,
  set,
  splatSingle,
  store4,
  tee,
  v128,
} from '../../base/wasm/index.ts'
import { traitsOf } from '../ops/table.ts'
import type { Tensor } from '../tensor.ts'
import type { TailKernel } from './partition.ts'

/** Parameters: addresses of vectors, addresses of results, bytes (a multiple of 16), then the scalars. */
type KernelFunction = (...parameters: number[]) => void

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
export function encodeKernel(
  { nodes, vectors, scalars, results }: TailKernel,
  isShared = false,
): Uint8Array<ArrayBuffer> {
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
  const constant = (value: number): Code => [
    0x43,
    ...new Uint8Array(Float32Array.of(value).buffer),
    ...splatSingle,
  ]
  const operand = (x: Tensor): Code => (local.has(x) ? get(local.get(x)!) : constant(Number(x.data[0])))
  const address = (parameter: number): Code => [...get(parameter), ...get(at), ...add]

  const body = [
    ...scalars.flatMap((_, i) => [...get(firstScalar + i), ...splatSingle, ...set(firstSplat + i)]),
    ...loop([
      ...vectors.flatMap((_, i) => [...address(i), ...load4(0), ...set(firstVector + i)]),
      ...nodes.flatMap((node, i) => [
        ...node.inputs.flatMap(operand),
        ...traitsOf(node.op).simd!,
        ...set(firstNode + i),
      ]),
      ...results.flatMap((r, i) => [
        ...address(vectors.length + i),
        ...get(local.get(r.tensor)!),
        ...store4(0),
      ]),
      ...[...get(at), ...integer(16), ...add, ...tee(at), ...get(bytes), ...below, ...branchIf(0)],
    ]),
  ]
  const run = {
    name: 'run',
    parameters: [
      ...new Array<number>(addresses + 1).fill(i32),
      ...new Array<number>(scalars.length).fill(f32),
    ],
    results: [],
    code: functionCode([locals(1, i32), locals(scalars.length + vectors.length + nodes.length, v128)], body),
  }
  return encodeModule([run], isShared)
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
  const isShared = !(memory.buffer instanceof ArrayBuffer)
  return kernels.map((kernel) => {
    const key = structureOf(kernel)
    let run = known.get(key)
    if (!run) {
      try {
        const module = new WebAssembly.Module(encodeKernel(kernel, isShared))
        run = new WebAssembly.Instance(module, { m: { m: memory } }).exports['run'] as KernelFunction
      } catch (error) {
        fail('TL_UNSUPPORTED', `kernel ${key}: ${(error as Error).message}`, error)
      }
      known.set(key, run)
    }
    return run
  })
}
