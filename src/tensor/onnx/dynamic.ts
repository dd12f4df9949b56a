/**
 * @file One model for every size of some axes. A function is traced at two assignments of sizes and lowered twice; where the
 * two models differ only in what follows from the sizes, the differences are left open. Everything else is refused by name.
 */
import { fail } from '../../base/index.ts'
import { type OnnxModel, type OnnxNode, type OnnxTensor, type OnnxValue, readBy } from './proto.ts'

/** Sizes of named axes. */
export type Sizes = Readonly<Record<string, number>>

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

function sameData(a: OnnxTensor, b: OnnxTensor): boolean {
  if (a.data === b.data) return same(a.shape, b.shape)
  if (a.type !== b.type || !same(a.shape, b.shape)) return false
  for (let i = 0; i < a.data.length; i++) if (!Object.is(a.data[i], b.data[i])) return false
  return true
}

/** Sizes that differ between the two samples become the names of the axes that have them. */
function openShape(
  what: string,
  a: readonly number[],
  b: readonly number[],
  samples: readonly [Sizes, Sizes],
) {
  return a.map((size, i) => {
    if (size === b[i]) return size
    const name = Object.keys(samples[0]).find(
      (axis) => samples[0][axis] === size && samples[1][axis] === b[i],
    )
    return (
      name ??
      fail(
        'TL_UNSUPPORTED',
        `${what}: axis ${i} has sizes ${size} and ${b[i]}, that of none of ${Object.keys(samples[0]).join(', ')}`,
      )
    )
  })
}

/** The model of which `a` and `b` are instances at the two samples. Throws `TL_UNSUPPORTED`. */
export function openModel(a: OnnxModel, b: OnnxModel, samples: readonly [Sizes, Sizes]): OnnxModel {
  const refuse = (what: string): never =>
    fail(
      'TL_UNSUPPORTED',
      `${a.name}: cannot be one program for every size of ${Object.keys(samples[0]).join(', ')}: ${what}`,
    )
  if (a.nodes.length !== b.nodes.length || a.initializers.length !== b.initializers.length)
    refuse(
      `${a.nodes.length} nodes and ${a.initializers.length} constants become ${b.nodes.length} and ${b.initializers.length}`,
    )
  for (const [i, node] of a.nodes.entries())
    if (!same(node, b.nodes[i]))
      refuse(
        `${node.op} ${JSON.stringify(node.attributes)} becomes ${b.nodes[i]!.op} ${JSON.stringify(b.nodes[i]!.attributes)}`,
      )
  const readers = (name: string): OnnxNode[] => a.nodes.filter((node) => readBy(node).includes(name))
  const initializers = a.initializers.map((own, i) => {
    const other = b.initializers[i]!
    if (own.name === other.name && sameData(own, other)) return own
    const users = readers(own.name)
    const isShape = users.every(
      ({ op, inputs }) => op === 'Reshape' && inputs[1] === own.name && inputs[0] !== own.name,
    )
    if (own.name !== other.name || !isShape || own.data.length !== other.data.length)
      refuse(`a constant of ${[...new Set(users.map(({ op }) => op))].join(', ')} depends on it`)
    const [p, q] = [[...own.data].map(Number), [...other.data].map(Number)]
    const open = p.flatMap((size, k) => (size === q[k] ? [] : [k]))
    if (open.length !== 1) refuse(`Reshape to [${p}] and [${q}] leaves ${open.length} sizes open`)
    return { ...own, data: BigInt64Array.from(p.with(open[0]!, -1), BigInt) }
  })
  const values = (mine: readonly OnnxValue[], theirs: readonly OnnxValue[], kind: string): OnnxValue[] =>
    mine.map((value, i) => ({
      ...value,
      shape: openShape(
        `${a.name}: ${kind} ${i}`,
        value.shape as number[],
        theirs[i]!.shape as number[],
        samples,
      ),
    }))
  return {
    ...a,
    initializers,
    inputs: values(a.inputs, b.inputs, 'input'),
    outputs: values(a.outputs, b.outputs, 'output'),
  }
}

/**
 * Refuse to let `output` be written over `input` unless a kernel made for it does: the cache of attention, which nothing else
 * reads. Any other operation may read what it has already overwritten.
 */
export function requireInPlace(model: OnnxModel, output: string, input: string): void {
  const producer = model.nodes.find(({ outputs }) => outputs.includes(output))
  const readers = model.nodes.filter((node) => readBy(node).includes(input))
  const place = producer?.op === 'GroupQueryAttention' ? producer.outputs.indexOf(output) : -1
  if (place < 1 || producer!.inputs[place + 2] !== input || readers.length !== 1)
    fail(
      'TL_UNSUPPORTED',
      `${model.name}: ${output} cannot be written over ${input}: only the cache of cachedAttention can, and only when nothing else reads it`,
    )
}
