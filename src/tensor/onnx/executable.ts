/** @file Sessions as executables: typed arrays in, typed arrays out, without copies where the runtime can do without. */
import { fail, TreelineError } from '../../base/index.ts'
import type { Executable, OpenExecutable } from '../backend.ts'
import { allocate, type Dtype, sameShape, showSpec, sizeOf, type TypedArray } from '../dtype.ts'
import type { Graph } from '../graph.ts'
import type { Sizes } from './dynamic.ts'
import { inTurn, type SessionUse } from './openSession.ts'
import { lineOf, type OrtModule, type OrtSession, type OrtTensor, ortType } from './ort.ts'
import type { Abilities } from './probe.ts'
import type { OnnxModel, OnnxTensor } from './proto.ts'
import { isLastResult, lastResult } from './results.ts'

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

/** A result in the array that was asked for. */
function placed(result: OrtTensor, target: TypedArray | undefined, isFilled: boolean): TypedArray {
  if (target && isFilled) return target
  const data = result.data as TypedArray
  if (!target) return data
  ;(target as Float64Array).set(data as Float64Array)
  return target
}

/** What the runtime throws while a program runs, as a message that names the program. */
const stopped =
  (name: string) =>
  (error: unknown): never => {
    if (error instanceof TreelineError) throw error
    return fail('TL_UNSUPPORTED', `${name}: the runtime stopped: ${lineOf(error)}`, error)
  }

/** Places of the inputs that a model has: it lacks those that are empty. */
export const wantedInputs = ({ inputs }: OnnxModel): number[] =>
  inputs.map(({ name }) => Number(name.slice(1)))

/** A program whose results are all empty has nothing to run. */
export const emptyExecutable = (graph: Graph): Executable => ({
  run: async (_, outputs) => graph.outputs.map((t, i) => outputs?.[i] ?? allocate(t.dtype, 0)),
  dispose() {},
})

/** Run a session whose results all go to arrays that are given: they are not handed back (see `results.ts`). */
const runToLastResult = (
  session: OrtSession,
  feeds: Record<string, OrtTensor>,
  fetches: Record<string, OrtTensor | null>,
): Promise<unknown> =>
  session.run(feeds, { ...fetches, [lastResult]: null }).catch((error: unknown) => {
    if (!isLastResult(error)) throw error
  })

/** A session of fixed shapes as an executable; with `endsAtLastResult` its model has that result. */
export function fixedExecutable(
  ort: OrtModule,
  { session, release }: SessionUse,
  graph: Graph,
  wanted: readonly number[],
  { fillsOutputs, endsAtLastResult }: Abilities,
): Executable {
  const wrap = wrapper(ort)
  const run: Executable['run'] = async (inputs, outputs) => {
    const feeds: Record<string, OrtTensor> = {}
    for (const i of wanted) feeds[`i${i}`] = wrap(inputs[i]!, graph.inputs[i]!.dtype, graph.inputs[i]!.shape)
    const fetches: Record<string, OrtTensor | null> = {}
    for (const [i, t] of graph.outputs.entries())
      if (t.size) fetches[`o${i}`] = outputs?.[i] && fillsOutputs ? wrap(outputs[i]!, t.dtype, t.shape) : null
    if (endsAtLastResult && outputs && graph.outputs.every((t, i) => t.size === 0 || outputs[i])) {
      await runToLastResult(session, feeds, fetches)
      return graph.outputs.map((t, i) => outputs[i] ?? allocate(t.dtype, 0))
    }
    const results = await session.run(feeds, fetches)
    return graph.outputs.map((t, i) =>
      t.size ? placed(results[`o${i}`]!, outputs?.[i], fillsOutputs) : (outputs?.[i] ?? allocate(t.dtype, 0)),
    )
  }
  return {
    run: (...args) => inTurn(ort, () => run(...args)).catch(stopped(graph.name)),
    dispose: release,
  }
}

/** An input or output whose shape has open axes. */
export interface Place {
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
  /** Matrices that every call is given. */
  readonly given: readonly OnnxTensor[]
  readonly abilities: Abilities
  /** Called when the session is closed. */
  readonly released?: () => void
}

/** A session with open axes as an executable. */
export function openExecutable(parts: OpenParts): OpenExecutable {
  const { name, ort, session, inputs: ins, outputs: outs, wanted, abilities, released } = parts
  const wrap = wrapper(ort)
  const given = Object.fromEntries(parts.given.map((own) => [own.name, wrap(own.data, 'f32', own.shape)]))
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
    const feeds: Record<string, OrtTensor> = { ...given }
    for (const i of wanted) feeds[`i${i}`] = view(ins[i]!, inputs[i]!, sizes)
    const isFilled = (target: TypedArray | undefined): boolean =>
      target !== undefined && abilities.fillsOutputs && (abilities.runsInPlace || !inputs.includes(target))
    const fetches: Record<string, OrtTensor | null> = {}
    for (const [i, place] of outs.entries()) {
      const target = outputs?.[i]
      fetches[`o${i}`] = isFilled(target) ? view(place, target!, sizes) : null
    }
    if (abilities.endsAtLastResult && outs.every((_, i) => isFilled(outputs?.[i]))) {
      await runToLastResult(session, feeds, fetches)
      return outputs as TypedArray[]
    }
    const results = await session.run(feeds, fetches)
    return outs.map((_, i) => placed(results[`o${i}`]!, outputs?.[i], isFilled(outputs?.[i])))
  }
  return {
    run: (...args) => inTurn(ort, () => run(...args)).catch(stopped(name)),
    allocate: (dtype, size) => ort.memory?.allocate(dtype, size) ?? allocate(dtype, size),
    dispose: () => void inTurn(ort, () => session.release()).finally(released),
  }
}
