/**
 * @file The ONNX Runtime backend. `onnxruntime-node` is loaded on first use; a browser passes `onnxruntime-web` to
 * `makeOnnxBackend`. Sessions are shared by programs with equal bytes and options.
 */
import { fail, native, TreelineError } from '../../base/index.ts'
import type { Backend, BackendOptions, Executable, OpenExecutable } from '../backend.ts'
import { allocate, type Dtype, sameShape, showSpec, sizeOf, type TypedArray } from '../dtype.ts'
import { type Graph, nodesOf } from '../graph.ts'
import { simplify } from '../simplify.ts'
import type { Tensor } from '../tensor.ts'
import { nchwc } from './blocked.ts'
import { openModel, requireInPlace, type Sizes } from './dynamic.ts'
import { onnxType } from './emitter.ts'
import { lower, opset } from './lower.ts'
import { encodeModel, joinChunks, type OnnxModel } from './proto.ts'
import { isLastResult, lastResult, withLastResult } from './results.ts'
import { silenceTelemetry } from './telemetry.ts'

// The few members of onnxruntime-common that are used, so that either package fits.
interface OrtTensor {
  readonly data: unknown
  readonly dims: readonly number[]
}
interface OrtSession {
  run(
    feeds: Record<string, OrtTensor>,
    fetches: Record<string, OrtTensor | null>,
  ): Promise<Record<string, OrtTensor>>
  release(): Promise<void>
}
export interface OrtModule {
  readonly Tensor: new (type: string, data: never, dims: readonly number[]) => OrtTensor
  readonly InferenceSession: { create(bytes: Uint8Array, options: object): Promise<unknown> }
}

/** The same runtime with every call through `native`: no thread may be ended within one. */
async function guarded(load: () => Promise<OrtModule>): Promise<OrtModule> {
  const ort = await native(load)
  const guard = (session: OrtSession): OrtSession => ({
    run: (feeds, fetches) => native(() => session.run(feeds, fetches)),
    // a thread that is to end leaves this to its end
    release: () => native(() => session.release()).catch(() => undefined),
  })
  return {
    Tensor: ort.Tensor,
    InferenceSession: {
      create: (bytes, options) =>
        native(async () => guard((await ort.InferenceSession.create(bytes, options)) as OrtSession)),
    },
  }
}

const ortType: Record<Dtype, string> = {
  f32: 'float32',
  f64: 'float64',
  i32: 'int32',
  i64: 'int64',
  u32: 'uint32',
  bool: 'bool',
}

interface SharedSession {
  readonly session: Promise<OrtSession>
  users: number
}

/** FNV-1a over 32-bit words, twice with different seeds; with the length it names a model within one process. */
function fingerprint(bytes: Uint8Array): string {
  let [a, b] = [0x811c9dc5, 0x1000193]
  for (let i = 0; i < bytes.length; i++) {
    a = Math.imul(a ^ bytes[i]!, 0x01000193)
    b = Math.imul(b ^ bytes[i]!, 0x85ebca6b) ^ (b >>> 13)
  }
  return `${bytes.length}-${(a >>> 0).toString(16)}-${(b >>> 0).toString(16)}`
}

/** The runtime's message in one line, without its C++ signatures. */
const lineOf = (error: unknown): string =>
  (error as Error).message.split('\n')[0]!.replace(/\S*onnxruntime_src\S+ .*?[&*>\w]\)( const)? /, '')

const emptyExecutable = (graph: Graph): Executable => ({
  run: async (_, outputs) => graph.outputs.map((t, i) => outputs?.[i] ?? allocate(t.dtype, 0)),
  dispose() {},
})

/**
 * How many channels the runtime puts into a block on this processor, found by reordering an image of few channels; 0 where it
 * has no blocked kernels.
 */
async function findBlock(ort: OrtModule): Promise<number> {
  const channels = 4
  const model = {
    name: 'block',
    nodes: [
      { op: 'ReorderInput', domain: nchwc, inputs: ['i0'], outputs: ['blocked'], attributes: {} },
      { op: 'Shape', domain: '', inputs: ['blocked'], outputs: ['o0'], attributes: {} },
    ],
    initializers: [],
    inputs: [{ name: 'i0', type: onnxType.f32, shape: [1, channels, 1, 1] }],
    outputs: [{ name: 'o0', type: onnxType.i64, shape: [4] }],
    opsets: { '': opset, [nchwc]: 1 },
  }
  try {
    const options = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 }
    const session = (await ort.InferenceSession.create(joinChunks(encodeModel(model)), options)) as OrtSession
    const image = new ort.Tensor(ortType.f32, new Float32Array(channels) as never, [1, channels, 1, 1])
    const { o0 } = await session.run({ i0: image }, { o0: null })
    await session.release()
    const block = Number((o0!.data as BigInt64Array)[1])
    return block === 8 || block === 16 ? block : 0
  } catch {
    return 0
  }
}

/** Smaller constants stay in the model. */
const externalFrom = 4096

/** A view of a typed array as the runtime's tensor; made once while shape and array stay the same. */
function wrapper(ort: OrtModule): (data: TypedArray, dtype: Dtype, shape: readonly number[]) => OrtTensor {
  const views = new WeakMap<TypedArray, OrtTensor>()
  return (data, dtype, shape) => {
    let view = views.get(data)
    // the same values may be seen under two shapes
    if (!view || !sameShape(view.dims, shape)) {
      view = new ort.Tensor(ortType[dtype], data as never, shape)
      views.set(data, view)
    }
    return view
  }
}

/** A session whose weights are handed over beside the model: nothing is joined or hashed, and no file ends at 2 GB. */
async function openSession(
  ort: OrtModule,
  model: OnnxModel,
  threads: number,
  extra: object,
): Promise<OrtSession> {
  const external = model.initializers.filter(({ data }) => data.byteLength >= externalFrom)
  const options = {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'basic',
    // plans for memory are kept for every shape seen, without bound
    enableMemPattern: false,
    logSeverityLevel: 3,
    externalData: external.map(({ name, data }) => ({
      path: name,
      data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    })),
    ...extra,
  }
  const bytes = joinChunks(encodeModel(model, new Set(external)))
  return (ort.InferenceSession.create(bytes, options) as Promise<OrtSession>).catch((error: unknown) =>
    fail('TL_UNSUPPORTED', `the runtime refused the program: ${lineOf(error)}`, error),
  )
}

/** The sizes of an axis where two graphs differ, by name. */
const openAxes = (a: Tensor, b: Tensor, [p, q]: readonly [Sizes, Sizes]): (number | string)[] =>
  a.shape.map((size, i) =>
    size === b.shape[i] ? size : Object.keys(p).find((axis) => p[axis] === size && q[axis] === b.shape[i])!,
  )

interface Place {
  readonly name: string
  readonly dtype: Dtype
  readonly shape: readonly (number | string)[]
}

interface OpenParts {
  readonly name: string
  readonly session: OrtSession
  readonly wrap: ReturnType<typeof wrapper>
  readonly inputs: readonly Place[]
  readonly outputs: readonly Place[]
  /** Places of the inputs that the model has. */
  readonly wanted: readonly number[]
  readonly fillsOutputs: boolean
}

/** A session with open axes as an executable. */
function openExecutable(parts: OpenParts): OpenExecutable {
  const { name, session, wrap, inputs: ins, outputs: outs, wanted, fillsOutputs } = parts
  /** An array of the right length as the runtime sees it. */
  const view = (place: Place, data: TypedArray, sizes: Sizes): OrtTensor => {
    const { dtype } = place
    const shape = place.shape.map((n) => (typeof n === 'number' ? n : sizes[n]!))
    if (data.length !== sizeOf(shape))
      fail(
        'TL_SHAPE_MISMATCH',
        `${name}: ${place.name} should be ${showSpec({ shape, dtype })}, got ${data.length} elements`,
      )
    return wrap(data, dtype, shape)
  }
  let busy: Promise<unknown> = Promise.resolve()
  const run: OpenExecutable['run'] = async (sizes, inputs, outputs) => {
    const feeds: Record<string, OrtTensor> = {}
    for (const i of wanted) feeds[`i${i}`] = view(ins[i]!, inputs[i]!, sizes)
    const fetches: Record<string, OrtTensor | null> = {}
    for (const [i, place] of outs.entries()) {
      const target = outputs?.[i]
      fetches[`o${i}`] = target && fillsOutputs ? view(place, target, sizes) : null
    }
    if (fillsOutputs && outputs && outs.every((_, i) => outputs[i])) {
      await session.run(feeds, { ...fetches, [lastResult]: null }).catch((error: unknown) => {
        if (!isLastResult(error)) throw error
      })
      return outputs as TypedArray[]
    }
    const results = await session.run(feeds, fetches)
    return outs.map((_, i) => {
      const target = outputs?.[i]
      if (target && fillsOutputs) return target
      const data = results[`o${i}`]!.data as TypedArray
      if (!target) return data
      ;(target as Float64Array).set(data as Float64Array)
      return target
    })
  }
  return {
    run: (sizes, inputs, outputs) => {
      const result = busy.then(() => run(sizes, inputs, outputs))
      busy = result.catch(() => undefined)
      return result.catch((error: unknown) =>
        error instanceof TreelineError
          ? Promise.reject(error)
          : fail('TL_UNSUPPORTED', `${name}: the runtime stopped: ${lineOf(error)}`, error),
      )
    },
    dispose: () => void session.release(),
  }
}

export interface OnnxBackendOptions {
  /** Extra session options, as the runtime's package defines them. */
  readonly session?: object
  /** Whether pre-allocated outputs are filled in place (true for the native package). */
  readonly fillsOutputs?: boolean
}

export function makeOnnxBackend(
  name: string,
  load: () => Promise<OrtModule>,
  { session: extra = {}, fillsOutputs = true }: OnnxBackendOptions = {},
): Backend {
  const sessions = new Map<string, SharedSession>()
  let block: Promise<number> | undefined
  const blockOf = (ort: OrtModule): Promise<number> => {
    block ??= findBlock(ort)
    return block
  }

  async function open(
    ort: OrtModule,
    bytes: Uint8Array,
    { threads = 1 }: BackendOptions,
  ): Promise<{ session: OrtSession; release: () => void }> {
    const id = `${fingerprint(bytes)}-${threads}`
    let shared = sessions.get(id)
    if (!shared) {
      const options = {
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
        executionMode: 'sequential',
        graphOptimizationLevel: 'basic',
        logSeverityLevel: 3,
        ...extra,
      }
      shared = { session: ort.InferenceSession.create(bytes, options) as Promise<OrtSession>, users: 0 }
      sessions.set(id, shared)
    }
    shared.users++
    const session = await shared.session.catch((error: unknown) => {
      sessions.delete(id)
      return fail('TL_UNSUPPORTED', `the runtime refused the program: ${lineOf(error)}`, error)
    })
    const entry = shared
    let released = false
    return {
      session,
      release: () => {
        if (released || --entry.users > 0) return
        released = true
        sessions.delete(id)
        void session.release()
      },
    }
  }

  return {
    name,
    fillsOutputs,
    async compile(graph: Graph, options: BackendOptions): Promise<Executable> {
      const ort = await guarded(load)
      const simple = simplify(graph, 'cpu')
      const hasImages = nodesOf(simple).some(({ op }) => op.startsWith('conv'))
      const model = lower(simple, 'cpu', hasImages ? await blockOf(ort) : 0)
      // a program whose results are all empty has nothing to run
      if (model.outputs.length === 0) return emptyExecutable(graph)
      const { session, release } = await open(ort, joinChunks(encodeModel(model)), options)
      const wanted = model.inputs.map(({ name: input }) => Number(input.slice(1)))
      const wrap = wrapper(ort)
      let busy: Promise<unknown> = Promise.resolve()
      const run: Executable['run'] = async (inputs, outputs) => {
        const feeds: Record<string, OrtTensor> = {}
        for (const i of wanted)
          feeds[`i${i}`] = wrap(inputs[i]!, graph.inputs[i]!.dtype, graph.inputs[i]!.shape)
        const fetches: Record<string, OrtTensor | null> = {}
        for (const [i, t] of graph.outputs.entries())
          if (t.size)
            fetches[`o${i}`] = outputs?.[i] && fillsOutputs ? wrap(outputs[i]!, t.dtype, t.shape) : null
        const results = Object.keys(fetches).length ? await session.run(feeds, fetches) : {}
        return graph.outputs.map((t, i) => {
          const target = outputs?.[i]
          if (!t.size) return target ?? allocate(t.dtype, 0)
          if (target && fillsOutputs) return target
          const data = results[`o${i}`]!.data as TypedArray
          if (!target) return data
          ;(target as Float64Array).set(data as Float64Array)
          return target
        })
      }
      return {
        // one call at a time: calls that overlap wait for each other
        run: (inputs, outputs) => {
          const result = busy.then(() => run(inputs, outputs))
          busy = result.catch(() => undefined)
          return result.catch((error: unknown) =>
            error instanceof TreelineError
              ? Promise.reject(error)
              : fail('TL_UNSUPPORTED', `${graph.name}: the runtime stopped: ${lineOf(error)}`, error),
          )
        },
        dispose: release,
      }
    },
    async open([first, second], samples, inPlace, { threads = 1 }): Promise<OpenExecutable> {
      const ort = await guarded(load)
      const [a, b] = [first, second].map((graph) => lower(simplify(graph, 'cpu'), 'cpu'))
      const model = openModel(a!, b!, samples)
      for (const [o, i] of inPlace) requireInPlace(model, `o${o}`, `i${i}`)
      const places = (
        mine: readonly Tensor[],
        names: readonly string[],
        theirs: readonly Tensor[],
      ): Place[] =>
        mine.map((t, i) => ({ name: names[i]!, dtype: t.dtype, shape: openAxes(t, theirs[i]!, samples) }))
      // nothing of the graphs is kept from here on: the weights are the runtime's
      return openExecutable({
        name: first.name,
        session: await openSession(ort, fillsOutputs ? withLastResult(model) : model, threads, extra),
        wrap: wrapper(ort),
        inputs: places(first.inputs, first.inputNames, second.inputs),
        outputs: places(first.outputs, first.outputNames, second.outputs),
        wanted: model.inputs.map(({ name: input }) => Number(input.slice(1))),
        fillsOutputs,
      })
    },
  }
}

/** ONNX Runtime's native CPU library, as `onnxruntime-node` ships it. */
export const onnxBackend: Backend = makeOnnxBackend('onnx', async () => {
  await silenceTelemetry()
  const loaded = (await import('onnxruntime-node')) as unknown as OrtModule & { default?: OrtModule }
  return loaded.InferenceSession ? loaded : loaded.default!
})
