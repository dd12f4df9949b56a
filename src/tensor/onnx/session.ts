/**
 * @file ONNX Runtime as a backend. The default one runs on the native library or its WebAssembly build (`runtime.ts`); a browser
 * passes `onnxruntime-web` to `makeOnnxBackend`. Sessions are shared by programs with equal bytes and options.
 */
import { fail, native, TreelineError } from '../../base/index.ts'
import type { Backend, BackendOptions, Executable, OpenExecutable } from '../backend.ts'
import { allocate, type Dtype, sameShape, showSpec, sizeOf, type TypedArray } from '../dtype.ts'
import { type Graph, nodesOf } from '../graph.ts'
import { traitsOf } from '../ops/table.ts'
import { simplify } from '../simplify.ts'
import type { Tensor } from '../tensor.ts'
import { openModel, requireInPlace, type Sizes } from './dynamic.ts'
import { guarded } from './guard.ts'
import type { Kernels } from './kernels.ts'
import { lower } from './lower.ts'
import { lineOf, type OrtModule, type OrtSession, type OrtTensor, ortType } from './ort.ts'
import { type Abilities, abilitiesOf, bitsOf, channelsOf } from './probe.ts'
import { encodeModel, joinChunks, type OnnxModel } from './proto.ts'
import { isLastResult, lastResult, withLastResult } from './results.ts'
import { runtime } from './runtime.ts'

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

const emptyExecutable = (graph: Graph): Executable => ({
  run: async (_, outputs) => graph.outputs.map((t, i) => outputs?.[i] ?? allocate(t.dtype, 0)),
  dispose() {},
})

const turns = new WeakMap<OrtModule, Promise<unknown>>()
/**
 * Do `work` when everything asked of this runtime before is done. Nothing says whether its sessions may overlap: those of
 * onnxruntime-web share a stack and their external data.
 */
function inTurn<T>(ort: OrtModule, work: () => Promise<T>): Promise<T> {
  const result = (turns.get(ort) ?? Promise.resolve()).then(work)
  turns.set(
    ort,
    result.catch(() => undefined),
  )
  return result
}

/** Bytes of weights that are unpacked where no kernel takes them packed. Larger models stay packed, to fit at all. */
const mostUnpacked = 3e9

/** The kernels that matter to a graph. */
async function kernelsFor(ort: OrtModule, graph: Graph): Promise<Kernels> {
  const nodes = nodesOf(graph)
  const asking = (what: keyof Kernels) => nodes.filter(({ op }) => traitsOf(op).kernels === what)
  const unpacked = asking('bits').reduce(
    (n, { inputs: [x], outputs: [y] }) => n + 4 * x!.shape.at(-1)! * y!.shape.at(-1)!,
    0,
  )
  return {
    channels: asking('channels').length > 0 ? await inTurn(ort, () => channelsOf(ort)) : 0,
    bits: unpacked > 0 && unpacked <= mostUnpacked ? await inTurn(ort, () => bitsOf(ort)) : new Set([4, 8]),
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
    // weights packed for products are weights twice, in a memory of 4 GB; tokens are no slower without
    ...(ort.memory && { extra: { session: { disable_prepacking: '1' } } }),
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
  readonly ort: OrtModule
  readonly session: OrtSession
  readonly inputs: readonly Place[]
  readonly outputs: readonly Place[]
  /** Places of the inputs that the model has. */
  readonly wanted: readonly number[]
  readonly abilities: Abilities
}

/** A session with open axes as an executable. */
function openExecutable(parts: OpenParts): OpenExecutable {
  const { name, ort, session, inputs: ins, outputs: outs, wanted, abilities } = parts
  const wrap = wrapper(ort)
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
  const run: OpenExecutable['run'] = async (sizes, inputs, outputs) => {
    const feeds: Record<string, OrtTensor> = {}
    for (const i of wanted) feeds[`i${i}`] = view(ins[i]!, inputs[i]!, sizes)
    const isFilled = (target: TypedArray | undefined): boolean =>
      target !== undefined && abilities.fillsOutputs && (abilities.runsInPlace || !inputs.includes(target))
    const fetches: Record<string, OrtTensor | null> = {}
    for (const [i, place] of outs.entries()) {
      const target = outputs?.[i]
      fetches[`o${i}`] = isFilled(target) ? view(place, target!, sizes) : null
    }
    if (abilities.endsAtLastResult && outs.every((_, i) => isFilled(outputs?.[i]))) {
      await session.run(feeds, { ...fetches, [lastResult]: null }).catch((error: unknown) => {
        if (!isLastResult(error)) throw error
      })
      return outputs as TypedArray[]
    }
    const results = await session.run(feeds, fetches)
    return outs.map((_, i) => placed(results[`o${i}`]!, outputs?.[i], isFilled(outputs?.[i])))
  }
  return {
    run: (sizes, inputs, outputs) =>
      inTurn(ort, () => run(sizes, inputs, outputs)).catch((error: unknown) =>
        error instanceof TreelineError
          ? Promise.reject(error)
          : fail('TL_UNSUPPORTED', `${name}: the runtime stopped: ${lineOf(error)}`, error),
      ),
    allocate: (dtype, size) => ort.memory?.allocate(dtype, size) ?? allocate(dtype, size),
    dispose: () => void inTurn(ort, () => session.release()),
  }
}

/** A result in the array that was asked for. */
function placed(result: OrtTensor, target: TypedArray | undefined, isFilled: boolean): TypedArray {
  if (target && isFilled) return target
  const data = result.data as TypedArray
  if (!target) return data
  ;(target as Float64Array).set(data as Float64Array)
  return target
}

export interface OnnxBackendOptions {
  /** Extra session options, as the runtime's package defines them. */
  readonly session?: object
}

/**
 * A backend on a build of ONNX Runtime: `load` is called at each program with the number of threads, and gives its module. What
 * that build can do is found out, not assumed.
 */
export function makeOnnxBackend(
  name: string,
  load: (threads: number) => Promise<OrtModule>,
  { session: extra = {} }: OnnxBackendOptions = {},
): Backend {
  const opened = new WeakMap<OrtModule, Map<string, SharedSession>>()
  const loaded = async (threads = 1): Promise<OrtModule> => guarded(await native(() => load(threads)))

  async function open(
    ort: OrtModule,
    bytes: Uint8Array,
    { threads = 1 }: BackendOptions,
  ): Promise<{ session: OrtSession; release: () => void }> {
    const sessions = opened.get(ort) ?? new Map<string, SharedSession>()
    opened.set(ort, sessions)
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
      const session = inTurn(ort, () => ort.InferenceSession.create(bytes, options) as Promise<OrtSession>)
      shared = { session, users: 0 }
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
        void inTurn(ort, () => session.release())
      },
    }
  }

  return {
    name,
    fusesUpdates: true,
    memory: async ({ threads }) => (await loaded(threads)).memory,
    async compile(graph: Graph, options: BackendOptions): Promise<Executable> {
      const ort = await loaded(options.threads)
      const simple = simplify(graph, 'cpu')
      const model = lower(simple, 'cpu', await kernelsFor(ort, simple))
      // a program whose results are all empty has nothing to run
      if (model.outputs.length === 0) return emptyExecutable(graph)
      const { fillsOutputs } = await inTurn(ort, () => abilitiesOf(ort))
      const { session, release } = await open(ort, joinChunks(encodeModel(model)), options)
      const wanted = model.inputs.map(({ name: input }) => Number(input.slice(1)))
      const wrap = wrapper(ort)
      const run: Executable['run'] = async (inputs, outputs) => {
        const feeds: Record<string, OrtTensor> = {}
        for (const i of wanted)
          feeds[`i${i}`] = wrap(inputs[i]!, graph.inputs[i]!.dtype, graph.inputs[i]!.shape)
        const fetches: Record<string, OrtTensor | null> = {}
        for (const [i, t] of graph.outputs.entries())
          if (t.size)
            fetches[`o${i}`] = outputs?.[i] && fillsOutputs ? wrap(outputs[i]!, t.dtype, t.shape) : null
        const results = await session.run(feeds, fetches)
        return graph.outputs.map((t, i) =>
          t.size
            ? placed(results[`o${i}`]!, outputs?.[i], fillsOutputs)
            : (outputs?.[i] ?? allocate(t.dtype, 0)),
        )
      }
      return {
        run: (inputs, outputs) =>
          inTurn(ort, () => run(inputs, outputs)).catch((error: unknown) =>
            error instanceof TreelineError
              ? Promise.reject(error)
              : fail('TL_UNSUPPORTED', `${graph.name}: the runtime stopped: ${lineOf(error)}`, error),
          ),
        dispose: release,
      }
    },
    async open([first, second], samples, inPlace, { threads = 1 }): Promise<OpenExecutable> {
      const ort = await loaded(threads)
      const graphs = [first, second].map((graph) => simplify(graph, 'cpu'))
      // the layout of images depends on their sizes, which are open here
      const kernels = { ...(await kernelsFor(ort, graphs[0]!)), channels: 0 }
      const [a, b] = graphs.map((graph) => lower(graph, 'cpu', kernels))
      const model = openModel(a!, b!, samples)
      for (const [o, i] of inPlace) requireInPlace(model, `o${o}`, `i${i}`)
      const places = (
        mine: readonly Tensor[],
        names: readonly string[],
        theirs: readonly Tensor[],
      ): Place[] =>
        mine.map((t, i) => ({ name: names[i]!, dtype: t.dtype, shape: openAxes(t, theirs[i]!, samples) }))
      const abilities = await inTurn(ort, () => abilitiesOf(ort))
      const whole = abilities.endsAtLastResult ? withLastResult(model) : model
      // nothing of the graphs is kept from here on: the weights are the runtime's
      return openExecutable({
        name: first.name,
        ort,
        session: await inTurn(ort, () => openSession(ort, whole, threads, extra)),
        inputs: places(first.inputs, first.inputNames, second.inputs),
        outputs: places(first.outputs, first.outputNames, second.outputs),
        wanted: model.inputs.map(({ name: input }) => Number(input.slice(1))),
        abilities,
      })
    },
  }
}

/** ONNX Runtime in Node: its native CPU library, or where that does not load its WebAssembly build. */
export const onnxBackend: Backend = makeOnnxBackend('onnx', async (threads) =>
  (await runtime()).load(threads),
)
