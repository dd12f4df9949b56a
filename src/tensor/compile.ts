/** @file Compiled programs: functions over concrete tensors, traced once for each signature of shapes. */
import { fail } from '../base/index.ts'
import type { Executable } from './backend.ts'
import { type BackendChoice, backendOf } from './defaultBackend.ts'
import { type Dtype, type Spec, showSpec } from './dtype.ts'
import { type Graph, printGraph, trace } from './graph.ts'
import { simplify } from './simplify.ts'
import { Tensor, tensor } from './tensor.ts'
import { entries, leaves, mapTree, type Tree, unflatten } from './tree.ts'

export interface CompileOptions {
  /** 'onnx', 'reference', or a backend of your own. By default ONNX Runtime, or what `setDefaultBackend` was given. */
  readonly backend?: BackendChoice
  /** Threads within one operation. Default 1: run independent work in parallel processes, give one large run all cores. */
  readonly threads?: number
  /** Name for messages and files; the function's own by default. */
  readonly name?: string
}

const specOf = ({ shape, dtype }: Spec): Spec => ({ shape, dtype })
/** Names as well as specs: trees with equal leaves in another order of keys are another program. */
const signature = (args: readonly Tree<Tensor>[]): string =>
  entries(args as Tree<Tensor>)
    .map(([name, t]) => `${name} ${showSpec(t)}`)
    .join(';')

/** Concrete leaves of arguments; a symbolic one means that a compiled function was called while tracing. */
function concreteLeaves(name: string, args: readonly Tree<Tensor>[]): Tensor[] {
  const list = leaves(args as Tree<Tensor>)
  for (const [i, t] of list.entries())
    if (!(t instanceof Tensor) || !t.isConcrete)
      fail(
        'TL_NOT_CONCRETE',
        `${name}: argument leaf ${i} should be a concrete tensor, got ${t instanceof Tensor ? `${t} made by ${t.node.op}` : String(t)} (a compiled function cannot be called inside a traced one; call the plain function there)`,
      )
  return list
}

export interface Compiled<A extends readonly Tree<Tensor>[], R extends Tree<Tensor>> {
  (...args: A): Promise<R>
  /** The simplified graph for given argument specs, as text. */
  print(...specs: readonly Tree<Spec>[]): string
  /** Release the sessions of all signatures. */
  dispose(): void
}

/** Make a function of tensors run on a backend. Each new signature of shapes and element types is traced and compiled once. */
export function compile<A extends readonly Tree<Tensor>[], R extends Tree<Tensor>>(
  fn: (...args: A) => R,
  options: CompileOptions = {},
): Compiled<A, R> {
  if (typeof fn !== 'function') fail('TL_BAD_ARGUMENT', `compile: expected a function, got ${String(fn)}`)
  // a wrong name is refused here; the default is that of the time when a signature is compiled
  if (options.backend !== undefined) backendOf(options.backend)
  const name = options.name ?? (fn.name || 'program')
  const programs = new Map<string, Promise<{ executable: Executable; graph: Graph; result: R }>>()

  const run = async (...args: A): Promise<R> => {
    const list = concreteLeaves(name, args)
    const key = signature(args)
    let program = programs.get(key)
    if (!program) {
      const specs = args.map((arg) => mapTree(arg, specOf))
      const { graph, result } = trace(fn, specs as readonly Tree<Spec>[], name)
      program = backendOf(options.backend)
        .compile(graph, options)
        .then((executable) => ({ executable, graph, result }))
      programs.set(key, program)
      program.catch(() => programs.delete(key))
    }
    const { executable, graph, result } = await program
    const outputs = await executable.run(list.map((t) => t.data))
    return unflatten(
      result as Tree<Tensor>,
      outputs.map((data, i) => tensor(data, { shape: graph.outputs[i]!.shape })),
    ) as R
  }
  return Object.assign(run, {
    print: (...specs: readonly Tree<Spec>[]) => printGraph(simplify(trace(fn, specs, name).graph, 'cpu')),
    dispose: () => {
      for (const program of programs.values())
        void program.then(({ executable }) => executable.dispose()).catch(() => undefined)
      programs.clear()
    },
  })
}

/** Values of symbolic tensors that depend on no input: compile, run, forget. */
export async function evaluate<R extends Tree<Tensor>>(tree: R, options: CompileOptions = {}): Promise<R> {
  const program = compile(() => tree, { name: 'evaluate', ...options })
  try {
    return await program()
  } finally {
    program.dispose()
  }
}

/** A tensor's specification, for programs traced ahead of their values. */
export const spec = (shape: readonly number[], dtype: Dtype = 'f32'): Spec => ({ shape, dtype })
