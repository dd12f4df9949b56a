/**
 * @file Composites: functions of other primitives that keep their name in the graph, so that the runtime's fused kernel can
 * be used and a better derivative given. Every cell of their row comes from the definition unless it is overridden.
 */
import type { Spec } from '../dtype.ts'
import type { Target } from '../onnx/emitter.ts'
import { evaluateNodes } from '../reference.ts'
import { type Attributes, apply, type Node, placeholder, type Tensor } from '../tensor.ts'
import { forward } from '../transform/jvp.ts'
import { backward } from '../transform/vjp.ts'
import { batch } from '../transform/vmap.ts'
import { defineOp, type Row } from './table.ts'

/** What an expansion may look at besides its node. */
export interface Scene {
  readonly target: Target
  /** Tensors x for which the graph also holds erf(c·x), as the derivative of GELU does. */
  readonly erfArguments: ReadonlySet<Tensor>
}

/** A cell that may decline (undefined): the definition is used instead. */
type Declining<F> = F extends (...args: infer A) => infer R ? (...args: A) => R | undefined : never

interface Composite {
  /** The definition, in terms of other primitives. */
  readonly define: (inputs: readonly Tensor[], attributes: Attributes) => readonly Tensor[]
  /** Output specs; by default found by tracing the definition. */
  readonly shape?: Row['shape']
  readonly jvp?: Declining<Row['jvp']>
  readonly vjp?: Declining<Row['vjp']>
  readonly vmap?: Declining<Row['vmap']>
  readonly onnx?: Row['onnx']
  /** Whether the runtime has a fused kernel for this node; by default yes where `onnx` is given and the type is f32. */
  readonly fuses?: (node: Node, scene: Scene) => boolean
}

const composites = new Map<string, Composite>()

/** A composite without a fused kernel for this target, written out; undefined when the node can be emitted as it is. */
export function expandComposite(
  node: Node,
  inputs: readonly Tensor[],
  scene: Scene,
): readonly Tensor[] | undefined {
  const composite = composites.get(node.op)
  if (!composite) return undefined
  const { onnx, fuses = (n) => n.outputs[0]!.dtype === 'f32' } = composite
  return onnx && fuses(node, scene) ? undefined : composite.define(inputs, node.attributes)
}

export function defineComposite(name: string, composite: Composite): void {
  const { define } = composite
  composites.set(name, composite)
  const trace = (inputs: readonly Spec[], attributes: Attributes) => {
    const holes = inputs.map((x) => placeholder(x))
    return { holes, results: define(holes, attributes) }
  }
  const derive = (node: Node) => {
    const copies = node.inputs.map((x) => apply('copy', [x]))
    return { copies, results: define(copies, node.attributes) }
  }
  defineOp(name, {
    shape: composite.shape ?? ((inputs, attributes) => trace(inputs, attributes).results),
    reference: (inputs, attributes) => {
      const { holes, results } = trace(inputs, attributes)
      return evaluateNodes(results, new Map(holes.map((hole, i) => [hole, inputs[i]!.values])))
    },
    jvp: (node, tangents) => {
      const own = composite.jvp?.(node, tangents)
      if (own) return own
      const { copies, results } = derive(node)
      return forward(copies, results, tangents)
    },
    vjp: (node, cotangents) => {
      const own = composite.vjp?.(node, cotangents)
      if (own) return own
      const { copies, results } = derive(node)
      return backward(copies, results, cotangents)
    },
    vmap: (node, inputs, batched, size) => {
      const own = composite.vmap?.(node, inputs, batched, size)
      if (own) return own
      const holes = node.inputs.map((x, i) => (batched[i] ? placeholder(x) : inputs[i]!))
      const only = <T>(list: readonly T[]): T[] => list.filter((_, i) => batched[i])
      return batch(only(holes), only(inputs), define(holes, node.attributes), size)
    },
    onnx: composite.onnx ?? (() => []),
  })
}
