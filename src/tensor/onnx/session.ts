/**
 * @file ONNX Runtime as a backend. The default one runs on the native library or its WebAssembly build (`runtime.ts`); a browser
 * makes one of `onnxruntime-web` with `makeOnnxBackend`.
 */
import { native } from '../../base/index.ts'
import type { Backend } from '../backend.ts'
import { type Graph, nodesOf } from '../graph.ts'
import { traitsOf } from '../ops/table.ts'
import { simplify } from '../simplify.ts'
import type { Tensor } from '../tensor.ts'
import { openModel, requireInPlace, type Sizes } from './dynamic.ts'
import { emptyExecutable, fixedExecutable, openExecutable, type Place, wantedInputs } from './executable.ts'
import { withGiven } from './given.ts'
import { guarded } from './guard.ts'
import type { Kernels } from './kernels.ts'
import { lower } from './lower.ts'
import { inTurn, sessionSharing, sessionWithWeights } from './openSession.ts'
import type { OrtModule } from './ort.ts'
import { abilitiesOf, bitsOf, channelsOf } from './probe.ts'
import { withLastResult } from './results.ts'
import { runtime } from './runtime.ts'

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

/** The sizes of an axis where two graphs differ, by name. */
const openAxes = (a: Tensor, b: Tensor, [p, q]: readonly [Sizes, Sizes]): (number | string)[] =>
  a.shape.map((size, i) =>
    size === b.shape[i] ? size : Object.keys(p).find((axis) => p[axis] === size && q[axis] === b.shape[i])!,
  )

/** Inputs or outputs of the same program at two assignments of sizes, as one list with open axes. */
const placesOf = (
  mine: readonly Tensor[],
  names: readonly string[],
  theirs: readonly Tensor[],
  samples: readonly [Sizes, Sizes],
): Place[] =>
  mine.map((t, i) => ({ name: names[i]!, dtype: t.dtype, shape: openAxes(t, theirs[i]!, samples) }))

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
  const loaded = async (threads: number): Promise<OrtModule> => guarded(await native(() => load(threads)))
  const openShared = sessionSharing(extra)
  return {
    name,
    fusesUpdates: true,
    memory: async ({ threads = 1 }) => (await loaded(threads)).memory,
    async compile(graph, { threads = 1 }) {
      const ort = await loaded(threads)
      const simple = simplify(graph, 'cpu')
      const model = lower(simple, 'cpu', await kernelsFor(ort, simple))
      if (model.outputs.length === 0) return emptyExecutable(graph)
      const abilities = await inTurn(ort, () => abilitiesOf(ort))
      const whole = abilities.endsAtLastResult ? withLastResult(model) : model
      const use = await openShared(ort, whole, threads)
      return fixedExecutable(ort, use, graph, wantedInputs(model), abilities)
    },
    async open([first, second], samples, inPlace, { threads = 1, given: from, arena }) {
      const ort = await loaded(threads)
      const graphs = [first, second].map((graph) => simplify(graph, 'cpu'))
      // the layout of images depends on their sizes, which are open here
      const kernels = { ...(await kernelsFor(ort, graphs[0]!)), channels: 0 }
      const [a, b] = graphs.map((graph) => lower(graph, 'cpu', kernels))
      const model = openModel(a!, b!, samples)
      for (const [o, i] of inPlace) requireInPlace(model, `o${o}`, `i${i}`)
      const abilities = await inTurn(ort, () => abilitiesOf(ort))
      // a runtime with memory of its own would copy them into it at each call
      const { model: own, given } =
        from !== undefined && !ort.memory ? withGiven(model, from) : { model, given: [] }
      const whole = abilities.endsAtLastResult ? withLastResult(own) : own
      // nothing of the graphs is kept from here on: the weights are the runtime's
      return openExecutable({
        name: first.name,
        ort,
        session: await sessionWithWeights(ort, whole, threads, extra),
        inputs: placesOf(first.inputs, first.inputNames, second.inputs, samples),
        outputs: placesOf(first.outputs, first.outputNames, second.outputs, samples),
        wanted: wantedInputs(model),
        ...{ given, abilities },
        ...(from !== undefined && arena && { released: arena.release }),
      })
    },
  }
}

/** ONNX Runtime in Node: its native CPU library, or where that does not load its WebAssembly build. */
export const onnxBackend: Backend = makeOnnxBackend('onnx', async (threads) =>
  (await runtime()).load(threads),
)
