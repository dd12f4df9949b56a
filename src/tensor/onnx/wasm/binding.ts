/**
 * @file A binding of the WebAssembly module with the interface of the runtime's packages. Arrays of the module's own memory
 * (`memory.allocate`) are used where they are, as inputs and as outputs; others are copied in and out, and given outputs are
 * always filled. Calls end before they return: nothing overlaps.
 */
import { dtypes, elementTypes, sameShape, type TypedArray, viewOf } from '../../dtype.ts'
import type { OrtModule, OrtSession, OrtTensor } from '../ort.ts'
import { allocateText, lastError, onStack, openCore, type WasmCore, type WasmFactory } from './core.ts'
import { type Heap, openHeap } from './memory.ts'

/** Tensors name their type in words, the module by its code. */
const codes = new Map(Object.values(elementTypes).map(({ word, onnx }) => [word, onnx]))
const dtypesByCode = new Map(dtypes.map((dtype) => [elementTypes[dtype].onnx, dtype]))

interface HostTensor extends OrtTensor {
  readonly type: string
  readonly data: TypedArray
}

class WasmTensor implements HostTensor {
  constructor(
    readonly type: string,
    readonly data: TypedArray,
    readonly dims: readonly number[],
  ) {}
}

const optimizationLevels: Readonly<Record<string, number>> = {
  disabled: 0,
  basic: 1,
  extended: 2,
  layout: 3,
  all: 99,
}

interface Options {
  readonly graphOptimizationLevel?: string
  readonly enableCpuMemArena?: boolean
  readonly enableMemPattern?: boolean
  readonly logSeverityLevel?: number
  readonly externalData?: readonly { readonly path: string; readonly data: Uint8Array }[]
  readonly extra?: object
}

/** Nested records as the runtime's configuration keys: `{ session: { x: '1' } }` ↦ `session.x`. */
const configEntries = (record: object, prefix = ''): (readonly [string, string])[] =>
  Object.entries(record).flatMap(([key, value]) =>
    typeof value === 'object' && value !== null
      ? configEntries(value, `${prefix}${key}.`)
      : [[`${prefix}${key}`, String(value)] as const],
  )

/** A value the runtime knows by its place: one input or output of a session. */
interface Slot {
  /** Address of its name. */
  readonly name: number
  /** Tensors by the address of their data, the latest last; describing memory costs more than finding it again. */
  readonly known: Map<number, Described>
  /** Memory for arrays from elsewhere. */
  staging: { address: number; bytes: number }
}
interface Described {
  readonly handle: number
  readonly type: string
  readonly dims: readonly number[]
}

/** Descriptions kept for a slot: those of two sets of state, and some. */
const mostKnown = 4

function checked(core: WasmCore, code: number): void {
  if (code !== 0) throw new Error(lastError(core))
}

function describe(core: WasmCore, { type, data, dims }: HostTensor, address: number): number {
  const handle = onStack(core, (allocate) => {
    const place = allocate(4 * dims.length + 4)
    for (const [i, n] of dims.entries()) core.setValue(place + 4 * i, n, 'i32')
    const onCpu = 1
    return core._OrtCreateTensor(
      ...([codes.get(type)!, address, data.byteLength, place, dims.length, onCpu] as const),
    )
  })
  if (handle === 0) throw new Error(lastError(core))
  return handle
}

function openSession(core: WasmCore, heap: Heap, session: number): OrtSession {
  const slots = new Map<string, Slot>()
  let lists = { address: 0, room: 0 }

  const slotOf = (name: string): Slot => {
    let slot = slots.get(name)
    if (!slot) {
      slot = { name: allocateText(core, name), known: new Map(), staging: { address: 0, bytes: 0 } }
      slots.set(name, slot)
    }
    return slot
  }
  const forget = (slot: Slot, address: number): void => {
    const known = slot.known.get(address)
    if (known) core._OrtReleaseTensor(known.handle)
    slot.known.delete(address)
  }
  /** The address of a tensor's data, in the slot's own memory when it is not of this one. */
  const placeOf = (slot: Slot, { data }: HostTensor): number => {
    const own = heap.addressOf(data)
    if (own !== undefined) return own
    if (slot.staging.bytes < data.byteLength) {
      forget(slot, slot.staging.address)
      core._free(slot.staging.address)
      const address = core._malloc(data.byteLength)
      slot.staging = { address, bytes: address ? data.byteLength : 0 }
      if (address === 0) throw new Error(`no room for ${data.byteLength} bytes in the runtime's memory`)
    }
    return slot.staging.address
  }
  const handleOf = (slot: Slot, tensor: HostTensor, address: number): number => {
    const found = slot.known.get(address)
    if (found && found.type === tensor.type && sameShape(found.dims, tensor.dims)) return found.handle
    forget(slot, address)
    for (const old of slot.known.keys()) if (slot.known.size >= mostKnown) forget(slot, old)
    const handle = describe(core, tensor, address)
    slot.known.set(address, { handle, type: tensor.type, dims: tensor.dims })
    return handle
  }
  const bytesOf = (data: TypedArray): Uint8Array =>
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

  /** A result that the runtime made, as a copy. */
  const taken = (handle: number): HostTensor =>
    onStack(core, (allocate) => {
      try {
        const place = allocate(16)
        checked(core, core._OrtGetTensorData(handle, place, place + 4, place + 8, place + 12))
        const [code, data, at, rank] = [0, 4, 8, 12].map((i) => core.getValue(place + i, '*'))
        const dims = Array.from({ length: rank! }, (_, i) => core.getValue(at! + 4 * i, 'i32'))
        core._OrtFree(at!)
        const dtype = dtypesByCode.get(code!)
        if (!dtype) throw new Error(`results of element type ${code} are not supported`)
        const size = dims.reduce((a, b) => a * b, 1)
        // a slice of shared memory lies in memory of its own
        const values = viewOf(dtype, heap.bytes().buffer, data!, size).slice() as TypedArray
        return new WasmTensor(elementTypes[dtype].word, values, dims)
      } finally {
        core._OrtReleaseTensor(handle)
      }
    })

  const run: OrtSession['run'] = async (feeds, fetches) => {
    const inputs = Object.entries(feeds) as [string, HostTensor][]
    const outputs = Object.entries(fetches) as [string, HostTensor | null][]
    const count = 2 * (inputs.length + outputs.length)
    if (lists.room < count) {
      core._free(lists.address)
      lists = { address: core._malloc(4 * count), room: count }
    }
    const inputNames = lists.address
    const inputValues = inputNames + 4 * inputs.length
    const outputNames = inputValues + 4 * inputs.length
    const outputValues = outputNames + 4 * outputs.length
    const entries: number[] = new Array(count)
    for (const [i, [name, tensor]] of inputs.entries()) {
      const slot = slotOf(name)
      const address = placeOf(slot, tensor)
      if (address === slot.staging.address) heap.bytes().set(bytesOf(tensor.data), address)
      entries[i] = slot.name
      entries[inputs.length + i] = handleOf(slot, tensor, address)
    }
    const given: number[] = []
    const first = 2 * inputs.length
    for (const [i, [name, tensor]] of outputs.entries()) {
      const slot = slotOf(name)
      const handle = tensor ? handleOf(slot, tensor, placeOf(slot, tensor)) : 0
      given.push(handle)
      entries[first + i] = slot.name
      entries[first + outputs.length + i] = handle
    }
    new Uint32Array(heap.bytes().buffer, lists.address, count).set(entries)
    checked(
      core,
      await core._OrtRun(
        ...[session, inputNames, inputValues, inputs.length],
        ...([outputNames, outputs.length, outputValues, 0] as const),
      ),
    )
    const made = new Uint32Array(heap.bytes().buffer, outputValues, outputs.length).slice()
    const results: Record<string, OrtTensor> = {}
    for (const [i, [name, tensor]] of outputs.entries()) {
      if (!tensor) results[name] = taken(made[i]!)
      else {
        const { address } = slotOf(name).staging
        if (heap.addressOf(tensor.data) === undefined)
          bytesOf(tensor.data).set(heap.bytes().subarray(address, address + tensor.data.byteLength))
        results[name] = tensor
      }
    }
    return results
  }

  return {
    run,
    async release() {
      for (const slot of slots.values()) {
        for (const address of [...slot.known.keys()]) forget(slot, address)
        core._free(slot.staging.address)
        core._free(slot.name)
      }
      core._free(lists.address)
      core._OrtReleaseSession(session)
    },
  }
}

async function createSession(core: WasmCore, heap: Heap, bytes: Uint8Array, options: Options) {
  const { graphOptimizationLevel = 'all', externalData = [], extra = {} } = options
  const texts: number[] = []
  const settings = core._OrtCreateSessionOptions(
    ...[optimizationLevels[graphOptimizationLevel] ?? 99],
    ...([options.enableCpuMemArena ?? true, options.enableMemPattern ?? true, 0, false, 0, 0] as const),
    ...([options.logSeverityLevel ?? 2, 0, 0] as const),
  )
  const model = core._malloc(bytes.length)
  try {
    if (settings === 0) throw new Error(lastError(core))
    if (model === 0) throw new Error(`no room for a model of ${bytes.length} bytes in the runtime's memory`)
    for (const [key, value] of configEntries(extra)) {
      const pair = [allocateText(core, key), allocateText(core, value)] as const
      texts.push(...pair)
      checked(core, core._OrtAddSessionConfigEntry(settings, ...pair))
    }
    heap.bytes().set(bytes, model)
    for (const { path, data } of externalData) core.mountExternalData(path, data)
    const session = await core._OrtCreateSession(model, bytes.length, settings)
    if (session === 0) throw new Error(lastError(core))
    return openSession(core, heap, session)
  } finally {
    core.unmountExternalData()
    core._free(model)
    if (settings) core._OrtReleaseSessionOptions(settings)
    for (const text of texts) core._free(text)
  }
}

/** Start the runtime's WebAssembly build, given what its package's `ort-wasm-simd-threaded.mjs` and `.wasm` hold. */
export async function openWasm(
  factory: WasmFactory,
  bytes: Uint8Array<ArrayBuffer>,
  threads = 1,
): Promise<OrtModule> {
  const opened = await openCore(factory, bytes, threads)
  const heap = openHeap(opened)
  return {
    Tensor: WasmTensor as unknown as OrtModule['Tensor'],
    InferenceSession: { create: (model, options) => createSession(opened.core, heap, model, options) },
    memory: heap,
  }
}
