/** @file Traits of rows hold for what the rows compute, and are all that the passes over graphs ask for. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Dtype, isFloat } from '../../src/tensor/dtype.ts'
import { flip, opNames, type Tensor, trace } from '../../src/tensor/index.ts'
import { broadcastTo } from '../../src/tensor/ops/broadcast.ts'
import { reshape } from '../../src/tensor/ops/shape.ts'
import { type Row, type Traits, traitsOf } from '../../src/tensor/ops/table.ts'
import { apply } from '../../src/tensor/tensor.ts'
import { type Case, casesOf, generators } from './cases.ts'
import { numbersDiffer, onReference, referenceOf } from './run.ts'

const having = (trait: keyof Row): string[] =>
  opNames().filter((op) => op in generators && traitsOf(op)[trait as 'simplify'] !== undefined)
const allCases = (op: string, wanted: (dtype: Dtype) => boolean = () => true): Case[] =>
  generators[op]!.dtypes.filter(wanted).flatMap((dtype) => casesOf(op, dtype))

describe('an elementwise row', () => {
  it.each(having('isElementwise'))('%s computes each element from one of each operand', (op) => {
    const problems = allCases(op).flatMap((c) => {
      const { graph } = trace(c.fn as never, c.inputs)
      const [y] = referenceOf(c)
      const node = graph.outputs[0]!.node
      // a case may close over an operand
      if (node.inputs.length !== c.inputs.length) return []
      // the same elements in one axis, and in the opposite order
      const { at } = onReference((...xs) => {
        const lines = xs.map((x) => reshape(broadcastTo(x, y!.shape), [y!.values.length]))
        return [
          apply(
            op,
            lines.map((x) => flip(x, [0])),
            node.attributes,
          ),
        ]
      }, c.inputs)
      const [turned] = at(...c.inputs.map((x) => x.values))
      return numbersDiffer(c.label, turned!.values.toReversed(), y!.values, 0)
    })
    expect(problems).toEqual([])
  })
})

describe('a row whose elements are those of its operand', () => {
  it.each(having('elements'))('%s has them where its trait says', (op) => {
    for (const c of allCases(op, isFloat)) {
      const distinct = c.inputs[0]!.values.map((_, i) => i)
      const [y] = onReference(c.fn, c.inputs).at(distinct)
      const values = [...y!.values].sort((a, b) => a - b)
      if (traitsOf(op).elements === 'moved') expect(values, c.label).toEqual(distinct)
      else
        expect(
          values.filter((v) => !distinct.includes(v)),
          c.label,
        ).toEqual([])
    }
  })
})

describe('a linear row', () => {
  it.each(having('linear'))('%s is linear in each operand that its trait names', (op) => {
    const problems = allCases(op, (dtype) => dtype === 'f64').flatMap((c) =>
      traitsOf(op).linear!.flatMap((i) => {
        const f = onReference(c.fn, c.inputs)
        const at = (x: readonly number[]) => f.at(...c.inputs.map((own, k) => (k === i ? x : own.values)))
        const [a, b] = [c.inputs[i]!.again(), c.inputs[i]!.again()]
        const [fa, fb] = [at(a), at(b)]
        return at(a.map((v, k) => 3 * v - 0.5 * b[k]!)).flatMap((y, o) =>
          numbersDiffer(
            `${c.label}: operand ${i}`,
            y.values,
            fa[o]!.values.map((v, k) => 3 * v - 0.5 * fb[o]!.values[k]!),
            1e-12,
          ),
        )
      }),
    )
    expect(problems).toEqual([])
  })
})

describe('a new row', () => {
  // a table of its own: files of tests may share modules
  const load = async () => ({
    ...(await import('../../src/tensor/index.ts')),
    ...(await import('../../src/tensor/ops/table.ts')),
    ...(await import('../../src/tensor/tensor.ts')),
  })
  let t: Awaited<ReturnType<typeof load>>
  beforeAll(async () => {
    vi.resetModules()
    t = await load()
  })
  afterAll(() => void vi.resetModules())

  const call = (op: string) => (x: Tensor) => t.apply(op, [x])
  const define = (name: string, traits: Traits = {}): void =>
    t.defineOp(name, {
      linear: [0],
      ...traits,
      shape: ([x]) => [x!],
      reference: ([x]) => [x!.values.map((v) => 2 * v)],
      vjp: (_, [g]) => [g && t.mul(g, 2)],
      vmap: (node, inputs) => [t.apply(node.op, inputs)],
      onnx: (e, [x]) => [e.node('Add', [x!, x!])],
    })

  it('is all that a primitive takes', async () => {
    define('doubled')
    const both = t.compile((v: Tensor) => [
      call('doubled')(v),
      t.grad((u: Tensor) => t.sum(call('doubled')(u)))(v),
    ])
    const [y, g] = await both(t.tensor([1, 2, 3]))
    expect(y!.toArray()).toEqual([2, 4, 6])
    expect(g!.toArray()).toEqual([2, 2, 2])
    both.dispose()
  })

  it('says how it simplifies and what it expands to', () => {
    define('expanding', { expand: (_, [v]) => [t.add(v!, v!)] })
    define('simplifying', { simplify: ([v]) => v })
    const text = (op: string): string => t.compile(call(op)).print(t.spec([3]))
    expect(text('expanding')).toContain('= add(arg0, arg0)')
    expect(text('expanding')).not.toContain('expanding(arg0)')
    expect(text('simplifying')).toContain('return result = arg0')
  })

  it('is folded where its operands are known, unless it says no', () => {
    define('folding')
    define('keeping', { isFoldable: false })
    const text = (op: string): string =>
      t.compile((v: Tensor) => t.add(v, call(op)(t.tensor([1, 2, 3])))).print(t.spec([3]))
    expect(text('folding')).toContain('= add(arg0, const f32[3])')
    expect(text('keeping')).toContain('keeping(const f32[3])')
  })
})
