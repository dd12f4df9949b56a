/**
 * @file The value that programs are written over. A tensor is one output of a node; nodes form an acyclic graph that
 * grows as ordinary functions run. Transformations read that graph and add to it; nothing is ever changed in place,
 * so a node's id (the order of creation) is also a topological order.
 */
import {
  allocate,
  type Dtype,
  dtypeOf,
  fromFloat64,
  isFloat,
  requireDtype,
  requireShape,
  type Spec,
  sameShape,
  showSpec,
  sizeOf,
  type TypedArray,
} from './dtype.ts'
import type { Methods } from './methodTypes.ts'
import { fail } from './mistake.ts'
import { outputSpecs } from './outputSpecs.ts'

/** Static parameters of a node: plain data, part of its identity (two nodes with equal op, inputs and attributes are one). */
export type Attributes = { readonly [key: string]: unknown }

export interface Node {
  readonly id: number
  readonly op: string
  readonly inputs: readonly Tensor[]
  readonly attributes: Attributes
  readonly outputs: readonly Tensor[]
}

/** Values in nested lists. */
export type Values = number | boolean | Values[]

export type TensorLike = Tensor | number | boolean

let nextId = 0

/**
 * An n-dimensional array: symbolic while a program is traced, concrete when it holds values. Operations are functions
 * (`add(x, y)`); the commonest are methods too (`x.add(y)`).
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: methods.ts puts them on the prototype
export class Tensor implements Spec {
  constructor(
    readonly node: Node,
    readonly index: number,
    readonly shape: readonly number[],
    readonly dtype: Dtype,
  ) {}

  get rank(): number {
    return this.shape.length
  }
  get size(): number {
    return sizeOf(this.shape)
  }
  /** True when the values are known: a constant, the result of a program, or one value everywhere (`zeros`, `full`). */
  get isConcrete(): boolean {
    return this.node.op === 'constant' || isUniform(this.node)
  }
  /** The values in row-major order. Throws on a symbolic tensor: run the program, or `await evaluate(x)`. */
  get data(): TypedArray {
    if (isUniform(this.node)) return spread(this)
    if (this.node.op !== 'constant')
      fail(
        'TL_NOT_CONCRETE',
        `${showSpec(this)} has no values yet: it is the result of ${this.node.op} in a traced graph (compile and run the program, or await evaluate(x))`,
      )
    return this.node.attributes['data'] as TypedArray
  }
  /** The value of a concrete tensor of one element, as a number. */
  item(): number {
    if (this.size !== 1) fail('TL_SHAPE_MISMATCH', `item: expected one element, got ${showSpec(this)}`)
    return Number(this.data[0])
  }
  /** Nested lists of numbers (booleans for bool); of a scalar, the value. Say how deep: `x.toArray<number[][]>()`. */
  toArray<T extends Values = Values>(): T {
    const { data, shape, dtype } = this
    let next = 0
    const build = (axis: number): Values => {
      if (axis < shape.length) return Array.from({ length: shape[axis]! }, () => build(axis + 1))
      const value = Number(data[next++])
      return dtype === 'bool' ? value !== 0 : value
    }
    return build(0) as T
  }
  /** What `JSON.stringify` writes: the nested lists. Throws where JSON has no word for a value (NaN, infinity) or there are none yet. */
  toJSON(): Values {
    const wrong = isFloat(this.dtype) ? this.data.findIndex((value) => !Number.isFinite(Number(value))) : -1
    if (wrong >= 0)
      fail(
        'TL_NOT_FINITE',
        `${showSpec(this)}: element ${wrong} is ${Number(this.data[wrong])}, which JSON cannot hold (write a .npy or .safetensors file, or replace it first)`,
      )
    return this.toArray()
  }
  /** What `console.log` shows in Node: the spec, and the values where they are known and few. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
  toString(): string {
    return `Tensor ${showSpec(this)}${this.isConcrete && this.size <= 16 ? ` ${JSON.stringify(this.toArray())}` : ''}`
  }
}

/** The methods themselves come from methods.ts. */
export interface Tensor extends Methods<Tensor> {}

const isUniform = ({ op, inputs }: Node): boolean =>
  op === 'broadcastTo' && inputs[0]!.node.op === 'constant' && inputs[0]!.size === 1

const spreads = new WeakMap<Tensor, TypedArray>()
/** The values of a uniform tensor, made when somebody asks for them. */
function spread(x: Tensor): TypedArray {
  const known = spreads.get(x)
  if (known) return known
  const values = allocate(x.dtype, x.size)
  ;(values as Float64Array).fill(x.node.inputs[0]!.data[0] as number)
  spreads.set(x, values)
  return values
}

const inWords = (value: unknown): string =>
  typeof value === 'string'
    ? JSON.stringify(value)
    : Array.isArray(value)
      ? 'a list (make it a tensor: tensor(…))'
      : value !== null && typeof value === 'object'
        ? 'an object'
        : String(value)

/** Refuse what is no tensor, where an operation looks at its operand before it makes a node. */
export function requireTensor(op: string, ...values: unknown[]): void {
  for (const value of values)
    if (!(value instanceof Tensor)) fail('TL_BAD_ARGUMENT', `${op}: expected a tensor, got ${inWords(value)}`)
}

/** Make a node without checks; `applyAll` is the checked way. */
export function makeNode(
  op: string,
  inputs: readonly Tensor[],
  attributes: Attributes,
  specs: readonly Spec[],
): Node {
  const outputs: Tensor[] = []
  const node: Node = { id: nextId++, op, inputs, attributes, outputs }
  for (const [i, { shape, dtype }] of specs.entries()) outputs.push(new Tensor(node, i, shape, dtype))
  return node
}

/** Apply a primitive by name: checks shapes and element types now, so that a mistake names the caller's line. */
export function applyAll(
  op: string,
  inputs: readonly Tensor[],
  attributes: Attributes = {},
): readonly Tensor[] {
  for (const [i, x] of inputs.entries())
    if (!(x instanceof Tensor))
      fail('TL_BAD_ARGUMENT', `${op}: operand ${i + 1}: expected a tensor, got ${inWords(x)}`)
  return makeNode(op, inputs, attributes, outputSpecs(op, inputs, attributes)).outputs
}

/** Apply a primitive with one output. */
export const apply = (op: string, inputs: readonly Tensor[], attributes: Attributes = {}): Tensor =>
  applyAll(op, inputs, attributes)[0]!

/** A symbolic input of a program. */
export const placeholder = ({ shape, dtype }: Spec, name = ''): Tensor =>
  makeNode('input', [], { name }, [{ shape: [...shape], dtype }]).outputs[0]!

function constant(data: TypedArray, shape: readonly number[], dtype: Dtype): Tensor {
  return makeNode('constant', [], { data }, [{ shape, dtype }]).outputs[0]!
}

type Nested = number | boolean | readonly Nested[]

/**
 * A concrete tensor from nested lists, a number, or a typed array with a shape. Numbers become f32 unless `dtype` says
 * otherwise, booleans become bool. A typed array is kept, not copied: do not change it afterwards.
 */
export function tensor(
  values: Nested | TypedArray,
  options: { shape?: readonly number[]; dtype?: Dtype } = {},
): Tensor {
  if (options.dtype !== undefined) requireDtype('tensor', options.dtype)
  if (options.shape !== undefined) requireShape('tensor', options.shape)
  if (ArrayBuffer.isView(values)) {
    const stored = dtypeOf(values)
    const shape = options.shape ?? [values.length]
    if (sizeOf(shape) !== values.length)
      fail(
        'TL_SHAPE_MISMATCH',
        `tensor: shape [${shape.join(',')}] needs ${sizeOf(shape)} elements, got ${values.length}`,
      )
    if (options.dtype && options.dtype !== stored)
      return constant(
        fromFloat64(Float64Array.from(values as Float64Array, Number), options.dtype),
        shape,
        options.dtype,
      )
    return constant(values, shape, stored)
  }
  const shape: number[] = []
  const flat: number[] = []
  let isBoolean = true
  const visit = (value: Nested, depth: number): void => {
    if (!Array.isArray(value)) {
      if (depth !== shape.length) fail('TL_SHAPE_MISMATCH', 'tensor: nested lists have different depths')
      if (typeof value !== 'boolean') isBoolean = false
      if (typeof value !== 'number' && typeof value !== 'boolean' && typeof value !== 'bigint')
        fail('TL_BAD_ARGUMENT', `tensor: expected numbers or booleans, got ${inWords(value)}`)
      flat.push(Number(value))
      return
    }
    if (shape.length === depth && flat.length === 0) shape.push(value.length)
    if (value.length !== shape[depth])
      fail(
        'TL_SHAPE_MISMATCH',
        `tensor: nested lists have different lengths at depth ${depth}: ${shape[depth]} and ${value.length}`,
      )
    for (const item of value) visit(item, depth + 1)
  }
  visit(values as Nested, 0)
  const dtype = options.dtype ?? (isBoolean && flat.length > 0 ? 'bool' : 'f32')
  const target = options.shape ?? shape
  if (sizeOf(target) !== flat.length)
    fail(
      'TL_SHAPE_MISMATCH',
      `tensor: shape [${target.join(',')}] needs ${sizeOf(target)} elements, got ${flat.length}`,
    )
  return constant(fromFloat64(flat, dtype), target, dtype)
}

/** A scalar constant of a given element type. */
export const scalar = (value: number | boolean, dtype: Dtype): Tensor =>
  constant(fromFloat64([Number(value)], dtype), [], dtype)

/** A constant filled with one value (held as a scalar and broadcast, so that it costs no memory). */
export function full(shape: readonly number[], value: number, dtype: Dtype = 'f32'): Tensor {
  requireShape('full', shape)
  requireDtype('full', dtype)
  const one = scalar(value, dtype)
  return sameShape(shape, []) ? one : apply('broadcastTo', [one], { shape: [...shape] })
}
export const zeros = (shape: readonly number[], dtype: Dtype = 'f32'): Tensor => full(shape, 0, dtype)
export const ones = (shape: readonly number[], dtype: Dtype = 'f32'): Tensor => full(shape, 1, dtype)
export const zerosLike = (x: Spec): Tensor => zeros(x.shape, x.dtype)
export const onesLike = (x: Spec): Tensor => ones(x.shape, x.dtype)

/** Operands of one operation: numbers take the element type of the tensors beside them (f32 when there is none). */
export function operands(...values: TensorLike[]): Tensor[] {
  for (const v of values)
    if (!(v instanceof Tensor) && typeof v !== 'number' && typeof v !== 'boolean')
      fail('TL_BAD_ARGUMENT', `expected a tensor, a number or a boolean as operand, got ${inWords(v)}`)
  const dtype = values.find((v): v is Tensor => v instanceof Tensor)?.dtype
  if (dtype && !isFloat(dtype))
    for (const v of values)
      if (typeof v === 'number' && !Number.isInteger(v))
        fail(
          'TL_DTYPE_MISMATCH',
          `${v} is no ${dtype}: cast the tensor first (cast(x, 'f32')), or round the number`,
        )
  return values.map((v) =>
    v instanceof Tensor ? v : scalar(v, dtype ?? (typeof v === 'boolean' ? 'bool' : 'f32')),
  )
}
