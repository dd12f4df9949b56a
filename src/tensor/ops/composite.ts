/**
 * @file Composites: functions of other primitives that keep their name in the graph, so that the runtime's fused kernel can
 * be used and a better derivative given. Every cell of their row comes from the definition unless it is overridden.
 */
import type { Spec } from '../dtype.ts'
import { evaluateNodes } from '../reference.ts'
import { type Attributes, apply, type Node, placeholder, type Tensor } from '../tensor.ts'
import { forward } from '../transform/jvp.ts'
import { backward } from '../transform/vjp.ts'
import { batch } from '../transform/vmap.ts'
import { defineOp, type Row, type Scene, type Traits } from './table.ts'

/** A cell that may decline (undefined): the definition is used instead. */
type Declining<F> = F extends (...args: infer A) => infer R ? (...args: A) => R | undefined : never

interface Composite extends Pick<Traits, 'isElementwise' | 'fused'> {
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

/** Add a composite to the table. */
export function defineComposite(name: string, composite: Composite): void {
  const { define, onnx, fuses = (node: Node) => node.outputs[0]!.dtype === 'f32', ...traits } = composite
  const trace = (inputs: readonly Spec[], attributes: Attributes) => {
    const holes = inputs.map((x) => placeholder(x))
    return { holes, results: define(holes, attributes) }
  }
  const derive = (node: Node) => {
    const copies = node.inputs.map((x) => apply('copy', [x]))
    return { copies, results: define(copies, node.attributes) }
  }
  defineOp(name, {
    ...traits,
    expand: (node, inputs, scene) =>
      onnx && fuses(node, scene) ? undefined : define(inputs, node.attributes),
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
    onnx: onnx ?? (() => []),
  })
}
