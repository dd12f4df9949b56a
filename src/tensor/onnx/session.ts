/**
 * @file The ONNX Runtime backend. `onnxruntime-node` is loaded on first use; a browser passes `onnxruntime-web` to
 * `makeOnnxBackend`. Sessions are shared by programs with equal bytes and options.
 */
import { fail } from '../../base/index.ts'
import type { Backend, BackendOptions, Executable } from '../backend.ts'
import { allocate, type Dtype, sameShape, type TypedArray } from '../dtype.ts'
import { type Graph, nodesOf } from '../graph.ts'
import { simplify } from '../simplify.ts'
import { nchwc } from './blocked.ts'
import { onnxType } from './emitter.ts'
import { lower, opset } from './lower.ts'
import { encodeModel, joinChunks } from './proto.ts'

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
      const ort = await load()
      const simple = simplify(graph, 'cpu')
      const hasImages = nodesOf(simple).some(({ op }) => op.startsWith('conv'))
      const model = lower(simple, 'cpu', hasImages ? await blockOf(ort) : 0)
      // a program whose results are all empty has nothing to run
      if (model.outputs.length === 0) return emptyExecutable(graph)
      const { session, release } = await open(ort, joinChunks(encodeModel(model)), options)
      const wanted = model.inputs.map(({ name: input }) => Number(input.slice(1)))
      const views = new WeakMap<TypedArray, OrtTensor>()
      const wrap = (data: TypedArray, dtype: Dtype, shape: readonly number[]): OrtTensor => {
        let view = views.get(data)
        // the same values may be seen under two shapes
        if (!view || !sameShape(view.dims, shape)) {
          view = new ort.Tensor(ortType[dtype], data as never, shape)
          views.set(data, view)
        }
        return view
      }
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
          return result.catch((error: unknown) => {
            return fail('TL_UNSUPPORTED', `${graph.name}: the runtime stopped: ${lineOf(error)}`, error)
          })
        },
        dispose: release,
      }
    },
  }
}

/** ONNX Runtime's native CPU library, as `onnxruntime-node` ships it. */
export const onnxBackend: Backend = makeOnnxBackend('onnx', async () => {
  const loaded = (await import('onnxruntime-node')) as unknown as OrtModule & { default?: OrtModule }
  return loaded.InferenceSession ? loaded : loaded.default!
})
