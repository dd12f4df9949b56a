/**
 * @file Programs with state: (state, inputs) ↦ (state, outputs), run again and again. All state lives in flat buffers of
 * which every tensor is a view; a second set receives the next state and the two are swapped, since the runtime must never
 * write what it reads. Elementwise updates at the end of a step (an optimizer's) run as fused kernels over the same memory.
 */
import { fail } from '../base/index.ts'
import type { CompileOptions } from './compile.ts'
import { backendOf } from './defaultBackend.ts'
import { allocate, type Spec, sameShape, showSpec, sizeOf, type TypedArray } from './dtype.ts'
import { type Graph, trace } from './graph.ts'
import { concatenate, select, sliceAxis, stack } from './ops/pieces.ts'
import { flatten, reshape } from './ops/shape.ts'
import { layoutOf, openStorage, type StateLayout } from './stepStorage.ts'
import { Tensor, tensor } from './tensor.ts'
import { entries, leaves, mapTree, type Tree, unflatten } from './tree.ts'

export interface StepOptions extends CompileOptions {
  /** Run k steps in one call: inputs carry a new axis 0 of size k, outputs too. For small programs, where a call costs more than a step. */
  readonly stepsPerCall?: number
}

/** One step: the next state, and what the step tells. */
type StepFunction<S, I extends readonly unknown[], O> = (state: S, ...inputs: I) => { state: S; outputs: O }

export interface StepProgram<
  S extends Tree<Tensor>,
  I extends readonly Tree<Tensor>[],
  O extends Tree<Tensor>,
> {
  /** Advance the state; returns the outputs. Inputs are concrete tensors. */
  step(...inputs: I): Promise<O>
  /** The state now, as views of the current buffer: the next step but one overwrites them. Copy what you keep. */
  readonly state: S
  /** A copy of the state that stays as it is. */
  copyState(): S
  /** Replace the state by values of the same shapes. */
  setState(state: S): void
  dispose(): void
}

/** What is known of a step before it is traced: its state, and how that is given to the graph. */
interface Form<S extends Tree<Tensor>> {
  readonly name: string
  readonly initial: S
  readonly leaves: readonly Tensor[]
  readonly layout: StateLayout
  /** One flat input for each element type, split inside the program, or an input for each leaf. */
  readonly isFlat: boolean
  /** Inputs of the graph that are state. */
  readonly specs: readonly Spec[]
  readonly stepsPerCall: number
}

/** Below this mean size of a leaf, one flat input and a split inside the program are cheaper than many inputs. */
const flatBelow = 5000

function formOf<S extends Tree<Tensor>>(name: string, initial: S, stepsPerCall: number): Form<S> {
  if (!(Number.isInteger(stepsPerCall) && stepsPerCall >= 1))
    fail('TL_BAD_ARGUMENT', `${name}: stepsPerCall: expected an integer ≥ 1, got ${stepsPerCall}`)
  const list = leaves(initial as Tree<Tensor>)
  const layout = layoutOf(list)
  const isFlat = list.length > 2 && list.reduce((n, t) => n + t.size, 0) / list.length < flatBelow
  const specs = isFlat ? layout.dtypes.map((dtype) => ({ dtype, shape: [layout.totals.get(dtype)!] })) : list
  return { name, initial, leaves: list, layout, isFlat, specs, stepsPerCall }
}

/** The function as the graph sees it: flat state in, flat state out, or leaf by leaf; and outputs like those of one step. */
function traceStep<S extends Tree<Tensor>, I extends readonly Tree<Tensor>[], O extends Tree<Tensor>>(
  fn: StepFunction<S, I, O>,
  { name, initial, leaves: initialLeaves, layout, isFlat, specs, stepsPerCall: steps }: Form<S>,
  inputs: readonly Tree<Spec>[],
): { graph: Graph; template: O } {
  const { places, dtypes } = layout
  let template: O | undefined
  const body = (stateIn: readonly Tensor[], ...args: Tree<Tensor>[]): Tensor[] => {
    const list = isFlat
      ? places.map(({ dtype, offset, size }, i) =>
          reshape(
            sliceAxis(stateIn[dtypes.indexOf(dtype)]!, 0, offset, offset + size),
            initialLeaves[i]!.shape,
          ),
        )
      : stateIn
    let state = unflatten(initial as Tree<Tensor>, list) as S
    const collected: O[] = []
    for (let k = 0; k < steps; k++) {
      const given = steps === 1 ? args : args.map((arg) => mapTree(arg, (x) => select(x, 0, k)))
      const result = fn(state, ...(given as unknown as I))
      checkState(`${name}: the step should return`, initial, result.state)
      state = result.state
      collected.push(result.outputs)
    }
    template = collected[0]!
    const next = leaves(state as Tree<Tensor>)
    const outputs = leaves(template as Tree<Tensor>).map((first, i) =>
      steps === 1 ? first : stack(collected.map((o) => leaves(o as Tree<Tensor>)[i]!)),
    )
    const packed = isFlat
      ? dtypes.map((dtype) => concatenate(next.filter((t) => t.dtype === dtype).map(flatten)))
      : next
    return [...packed, ...outputs]
  }
  const wide = inputs.map((tree) =>
    mapTree(tree, ({ shape, dtype }) => ({ shape: steps === 1 ? shape : [steps, ...shape], dtype })),
  )
  const { graph } = trace(body as never, [specs as unknown as Tree<Spec>, ...wide], name) as { graph: Graph }
  return { graph, template: template! }
}

/** Inputs of a call in the order of the graph; a wrong one is named. */
function inputOrder(name: string, inputs: readonly Tree<Spec>[], specs: readonly Spec[]) {
  const names = entries(inputs as Tree<Spec>).map(([path]) => path)
  return (given: readonly Tree<Tensor>[]): Tensor[] => {
    const all = given as unknown as Tree<Tensor>
    const found = sameKeys(given, inputs) ? undefined : new Map(entries(all))
    const list = found ? names.map((path) => found.get(path)!) : leaves(all)
    for (const [i, expected] of specs.entries()) {
      const t = list[i]
      if (!(t instanceof Tensor) || t.dtype !== expected.dtype || !sameShape(t.shape, expected.shape))
        fail(
          'TL_SHAPE_MISMATCH',
          `${name}: input ${names[i]} should be ${showSpec(expected)}, got ${t instanceof Tensor ? showSpec(t) : String(t)}`,
        )
    }
    return list
  }
}

/** Compile a step. The initial state's values are copied. */
export async function compileStep<
  S extends Tree<Tensor>,
  I extends readonly Tree<Tensor>[],
  O extends Tree<Tensor>,
>(
  fn: StepFunction<S, I, O>,
  initial: S,
  inputs: readonly Tree<Spec>[],
  options: StepOptions = {},
): Promise<StepProgram<S, I, O>> {
  const name = options.name ?? (fn.name || 'step')
  const form = formOf(name, initial, options.stepsPerCall ?? 1)
  const { graph, template } = traceStep(fn, form, inputs)
  const backend = backendOf(options.backend)
  const memory = await backend.memory?.(options)
  const fuses = (backend.fusesUpdates ?? false) && !form.isFlat && form.stepsPerCall === 1
  const storage = openStorage(graph, form.specs.length, form, fuses, memory)
  const executable = await backend.compile(storage.graph, options)
  const { views } = storage
  const write = (state: S, side: number): void => {
    checkState(`${name}: the state given should have`, initial, state)
    // all values first: a leaf without values must not leave a state half written
    for (const [i, data] of leaves(state as Tree<Tensor>)
      .map((t) => t.data)
      .entries())
      (views[side]![i] as Float64Array).set(data as Float64Array)
  }
  write(initial, 0)

  const outputSpecs = graph.outputs.slice(form.specs.length)
  const inOrder = inputOrder(name, inputs, graph.inputs.slice(form.specs.length))
  let side = 0
  let running = 0
  let last: Promise<unknown> = Promise.resolve()
  const stateTree = (copy: boolean): S =>
    unflatten(
      initial as Tree<Tensor>,
      form.leaves.map((t, i) =>
        tensor(copy ? (views[side]![i]!.slice() as TypedArray) : views[side]![i]!, { shape: t.shape }),
      ),
    ) as S

  return {
    async step(...given) {
      const data = inOrder(given).map((t) => t.data)
      const blank = outputSpecs.map(({ dtype, shape }) => allocate(dtype, sizeOf(shape)))
      // a step that is asked for before the last one is done begins from the state that one leaves
      const turn = last.then(async () => {
        const next = 1 - side
        await executable.run([...storage.arrays[side]!, ...data], storage.targets(next, blank))
        storage.finish(side, data)
        side = next
      })
      running++
      last = turn.catch(() => undefined).then(() => void running--)
      await turn
      return unflatten(
        template as Tree<Tensor>,
        blank.map((data, i) => tensor(data, { shape: outputSpecs[i]!.shape })),
      ) as O
    },
    get state() {
      return stateTree(false)
    },
    copyState: () => stateTree(true),
    setState: (state) => {
      if (running) fail('TL_BAD_ARGUMENT', `${name}: setState while a step is running: await the step first`)
      write(state, side)
    },
    dispose: () => executable.dispose(),
  }
}

/** Whether the keys of records come in the order of those of the specs, so that leaves correspond. */
function sameKeys(given: unknown, specs: unknown): boolean {
  if (given instanceof Tensor || typeof given !== 'object' || given === null) return true
  const [keys, expected] = [Object.keys(given), Object.keys(specs as object)]
  if (keys.length !== expected.length) return false
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!
    if (key !== expected[i] || !sameKeys(given[key as never], (specs as object)[key as never])) return false
  }
  return true
}

/** Leaves with the same names, shapes and element types, or a message that begins with `what`. */
function checkState(what: string, before: Tree<Tensor>, after: Tree<Tensor>): void {
  const list = entries(after)
  const expected = entries(before)
  for (let i = 0; i < Math.max(list.length, expected.length); i++) {
    const [path, t] = expected[i] ?? []
    const [name, got] = list[i] ?? []
    if (name !== path || !got || !t || got.dtype !== t.dtype || !sameShape(got.shape, t.shape))
      fail(
        'TL_SHAPE_MISMATCH',
        `${what} state ${t ? `"${path}" as ${showSpec(t)}` : `of ${expected.length} leaves`}, got ${got instanceof Tensor ? `"${name}" ${showSpec(got)}` : String(got ?? 'nothing')}`,
      )
  }
}
