/**
 * @file One loop for a pass over a block: reads the sources, evaluates expressions, adds to measures, writes a result.
 * Loops of equal structure share their code; numbers, addresses and counts are read from a frame in memory.
 */
import {
  add,
  advance,
  below,
  branchIf,
  type Code,
  encodeModule,
  functionCode,
  get,
  i32,
  constant as integer,
  locals,
  loop,
  set,
  simd,
  splat,
  tee,
  unsigned,
  v128,
  when,
} from '../../base/wasm/index.ts'
import { bf16Bits, bitwise, emitters, f16Bits, f16Values, type Scratch, wide } from './emit.ts'
import { type NumberType, type Scalar, type Source, sourceBytes, type Vector } from './expression.ts'

/** How integers of f32 are ordered when they are counted: by magnitude, or as signed numbers. */
export type Order = 'magnitude' | 'signed'

/** A number that a pass finds. */
export type Measure =
  | { readonly kind: 'sum' | 'count' | 'largest'; readonly of: Vector }
  | { readonly kind: 'product'; readonly of: Vector; readonly and: Vector }
  /** Counts of the upper 16 bits of ordered elements, or of the lower 16 of those with these upper ones. */
  | { readonly kind: 'digits'; readonly of: Vector; readonly order: Order; readonly upper?: number }

/** What a pass computes. */
export interface Pass {
  readonly measures: readonly Measure[]
  readonly output?: { readonly vector: Vector; readonly dtype: NumberType }
}

/** Where a pass's numbers stand in its frame, in bytes. */
interface Layout {
  readonly sources: readonly Source[]
  readonly scalars: readonly Scalar[]
  readonly sourceAt: (i: number) => number
  readonly outputAt: number
  readonly scalarAt: (i: number) => number
  /** 32 bytes each: two pairs of doubles, four counts, four floats, or table and upper bits of `digits`. */
  readonly measureAt: (i: number) => number
  readonly bytes: number
}

/** A pass in the form that is compiled. */
interface Structure extends Layout {
  readonly order: readonly Vector[]
  readonly key: string
}

/** Every part of a pass once, inputs first, with a text that is equal for passes that can share code. */
export function structureOf({ measures, output }: Pass): Structure {
  const order: Vector[] = []
  const ids = new Map<Vector, number>()
  const sources: Source[] = []
  const scalars: Scalar[] = []
  const lines: string[] = []
  const visit = (vector: Vector): number => {
    const known = ids.get(vector)
    if (known !== undefined) return known
    const inputs = vector.inputs.map(visit)
    const { source } = vector
    if (source) {
      const at = sources.indexOf(source)
      lines.push(`${source.dtype} ${at < 0 ? sources.push(source) - 1 : at}`)
    } else lines.push(`${vector.operation} ${inputs.join()} ${vector.scalars.map((one) => one.as).join()}`)
    scalars.push(...vector.scalars)
    ids.set(vector, order.length)
    return order.push(vector) - 1
  }
  for (const measure of measures) {
    const operands = measure.kind === 'product' ? [measure.of, measure.and] : [measure.of]
    const detail = measure.kind === 'digits' ? `${measure.order} ${measure.upper === undefined}` : ''
    const ofThese = operands.map(visit)
    lines.push(`${measure.kind} ${ofThese.join()} ${detail}`)
  }
  if (output) {
    const of = visit(output.vector)
    lines.push(`output ${of} ${output.dtype}`)
  }
  const outputAt = 4 + 4 * sources.length
  const firstScalar = Math.ceil((outputAt + 4) / 16) * 16
  const firstMeasure = Math.ceil((firstScalar + 8 * scalars.length) / 16) * 16
  return {
    order,
    key: lines.join('\n'),
    sources,
    scalars,
    sourceAt: (i) => 4 + 4 * i,
    outputAt,
    scalarAt: (i) => firstScalar + 8 * i,
    measureAt: (i) => firstMeasure + 32 * i,
    bytes: firstMeasure + 32 * measures.length,
  }
}

const word = (offset: number): Code => [0x28, 2, ...unsigned(offset)]
const storeWord = (offset: number): Code => [0x36, 2, ...unsigned(offset)]
const memory = {
  load: (offset: number): Code => simd(0x00, 2, ...unsigned(offset)),
  store: (offset: number): Code => simd(0x0b, 2, ...unsigned(offset)),
  splat32: (offset: number): Code => simd(0x09, 2, ...unsigned(offset)),
  splat64: (offset: number): Code => simd(0x0a, 3, ...unsigned(offset)),
  /** Four halves as words. */
  load16: simd(0x04, 0, 0),
  load32Zero: simd(0x5c, 0, 0),
  store64: simd(0x5b, 0, 0, 0),
}
const lane = (i: number): Code => simd(0x1b, i)
const extendBytes = [...simd(0x89), ...simd(0xa9)]
const iota: Code = simd(0x0c, ...[0, 1, 2, 3].flatMap((i) => [i, 0, 0, 0]))
const f64Add = simd(0xf0)
const f64Multiply = simd(0xf2)
const narrowWords = simd(0x86)
const shiftRightWord: Code = [0x76]
const andWord: Code = [0x71]
const shiftLeftWord: Code = [0x74]

/** Four elements of a source at the address on the stack. */
function loadSource(dtype: Source['dtype'], scratch: Scratch, address: Code): Code {
  if (dtype === 'F32') return [...address, ...memory.load(0)]
  if (dtype === 'BF16') return [...address, ...memory.load16, ...integer(16), ...simd(0xab)]
  if (dtype === 'F16') return f16Values([...address, ...memory.load16], scratch)
  const zero = simd(0x0c, ...new Array<number>(16).fill(0))
  return [...address, ...memory.load32Zero, ...extendBytes, ...zero, ...simd(0x38)]
}

/** Write four elements to the address on the stack. */
function storeOutput(dtype: NumberType, scratch: Scratch, address: Code, value: Code): Code {
  if (dtype === 'F32') return [...address, ...value, ...memory.store(0)]
  const codes = dtype === 'BF16' ? bf16Bits(value, scratch) : f16Bits(value, scratch)
  const both = scratch.local()
  return [
    ...[...codes, ...set(both), ...address],
    ...[...get(both), ...get(both), ...narrowWords, ...memory.store64],
  ]
}

/** A measure's code: its state is in locals within the loop. */
interface MeasureCode {
  readonly before: Code
  /** For four elements, of which those of the block are `active`; without it all are. */
  readonly each: (active: Code | undefined) => Code
  readonly after: Code
}

/** Integers that grow with the element. */
function orderedBits(x: Code, order: Order, { constant }: Scratch): Code {
  if (order === 'magnitude') return [...x, ...constant(0x7fffffff), ...bitwise.and]
  const sign = [...x, ...integer(31), ...simd(0xac), ...constant(-0x80000000), ...bitwise.or]
  return [...x, ...sign, ...bitwise.xor]
}

/**
 * Compile a pass: a module with `run(frame)`. Groups of four that the block fills are measured without masks; a last group
 * that it does not fill with one, of all bits of the lanes that hold elements.
 */
function encode(pass: Pass, layout: Structure): Uint8Array<ArrayBuffer> {
  const { order, sources } = layout
  let vectorLocals = 0
  const wordLocals = 9 + sources.length
  const [frame, at, count, outputPointer, table, address, key, whole] = [0, 1, 2, 3, 4, 5, 6, 7]
  const pointer = (i: number): number => 8 + i
  const firstVector = 1 + wordLocals
  const local = (): number => firstVector + vectorLocals++
  const indices = local()
  const active = local()
  const scalarCode: Code[] = []
  const constants = new Map<number, number>()
  const scratch: Scratch = {
    local,
    indices,
    constant(word) {
      const kept = constants.get(word) ?? local()
      if (!constants.has(word)) scalarCode.push([...integer(word), ...splat, ...set(kept)])
      constants.set(word, kept)
      return get(kept)
    },
  }
  let scalarIndex = 0
  const body: Code[] = []
  const values = new Map<Vector, number>()
  for (const vector of order) {
    const target = local()
    values.set(vector, target)
    const own = vector.scalars.map((scalar): Code => {
      const kept = local()
      const offset = layout.scalarAt(scalarIndex++)
      const load = scalar.as === 'f64' ? memory.splat64(offset) : memory.splat32(offset)
      scalarCode.push([...get(frame), ...load, ...set(kept)])
      return get(kept)
    })
    const code = vector.source
      ? loadSource(vector.source.dtype, scratch, get(pointer(sources.indexOf(vector.source))))
      : emitters[vector.operation as Exclude<Vector['operation'], 'source'>](
          vector.inputs.map((input) => get(values.get(input)!)),
          own,
          scratch,
        )
    body.push([...code, ...set(target)])
  }
  const read = (vector: Vector): Code => get(values.get(vector)!)

  const measureCode = (measure: Measure, i: number): MeasureCode => {
    const offset = layout.measureAt(i)
    const state = (more = 0): Code => [...get(frame), ...memory.load(offset + more)]
    const keepState = (from: number, more = 0): Code => [
      ...get(frame),
      ...get(from),
      ...memory.store(offset + more),
    ]
    const x = read(measure.of)
    const inBlock = local()
    const masked = (mask: Code | undefined): Code => [
      ...[...x, ...(mask ? [...mask, ...bitwise.and] : []), ...set(inBlock)],
    ]
    if (measure.kind === 'digits') {
      const bits = local()
      const take = [...orderedBits(x, measure.order, scratch), ...set(bits)]
      const remaining = (k: number): Code => [...get(at), ...integer(k), ...add, ...get(count), ...below]
      const upper = [...get(key), ...integer(16), ...shiftRightWord]
      const lower = [...get(key), ...integer(0xffff), ...andWord]
      const tableOf = [...get(frame), ...word(offset), ...set(table)]
      // elements in turn go to two tables, so that one count need not wait for the one before it
      const tableFor = (k: number): Code =>
        k % 2 ? [...get(table), ...integer(2 ** 18), ...add] : get(table)
      const each = (mask: Code | undefined): Code =>
        [0, 1, 2, 3].flatMap((k): Code => {
          const within = (code: Code): Code => (mask ? when(remaining(k), code) : code)
          const one = (index: Code): Code => [
            ...[...index, ...integer(2), ...shiftLeftWord, ...tableFor(k), ...add, ...tee(address)],
            ...[...get(address), ...word(0), ...integer(1), ...add, ...storeWord(0)],
          ]
          const load = [...get(bits), ...lane(k), ...set(key)]
          if (measure.upper === undefined) return within([...load, ...one(upper)])
          const matches = [...upper, ...get(frame), ...word(offset + 4), 0x46]
          return within([...load, ...when(matches, one(lower))])
        })
      if (measure.upper === undefined)
        return { before: [], each: (mask) => [...take, ...tableOf, ...each(mask)], after: [] }
      // most groups hold none of the elements looked for
      const wanted = [...get(frame), ...memory.splat32(offset + 4)]
      const some = [...get(bits), ...integer(16), ...simd(0xad), ...wanted, ...simd(0x37), ...simd(0x53)]
      return { before: [], each: (mask) => [...take, ...when(some, [...tableOf, ...each(mask)])], after: [] }
    }
    if (measure.kind === 'count') {
      const total = local()
      return {
        before: [...state(), ...set(total)],
        each: (mask) => [...masked(mask), ...get(total), ...get(inBlock), ...simd(0xb1), ...set(total)],
        after: keepState(total),
      }
    }
    if (measure.kind === 'largest') {
      const top = local()
      const chosen = (mask: Code | undefined): Code =>
        mask ? [...x, ...get(top), ...mask, ...bitwise.select] : x
      return {
        before: [...state(), ...set(top)],
        each: (mask) => [...chosen(mask), ...get(top), ...simd(0xe9), ...set(top)],
        after: keepState(top),
      }
    }
    const [low, high] = [local(), local()]
    // what stands beyond the block may be anything, so both factors are cleared there
    const other = measure.kind === 'product' && measure.and !== measure.of ? measure.and : undefined
    const second = other ? local() : inBlock
    const term = (side: (v: Code) => Code): Code => [
      ...side(get(inBlock)),
      ...(measure.kind === 'product' ? [...side(get(second)), ...f64Multiply] : []),
    ]
    return {
      before: [...state(), ...set(low), ...state(16), ...set(high)],
      each: (mask) => [
        ...masked(mask),
        ...(other ? [...read(other), ...(mask ? [...mask, ...bitwise.and] : []), ...set(second)] : []),
        ...[...term(wide.low), ...get(low), ...f64Add, ...set(low)],
        ...[...term(wide.high), ...get(high), ...f64Add, ...set(high)],
      ],
      after: [...keepState(low), ...keepState(high, 16)],
    }
  }
  const measures = pass.measures.map(measureCode)
  const { output } = pass
  const width = output ? sourceBytes[output.dtype] : 0
  const isMeasured = measures.length > 0
  const usesIndices = order.some(({ operation }) => operation === 'before')
  const stored = output ? storeOutput(output.dtype, scratch, get(outputPointer), read(output.vector)) : []
  const indicesCode = [...get(at), ...splat, ...iota, ...simd(0xae), ...set(indices)]
  const group = (mask: Code | undefined): Code => [
    ...(usesIndices || mask ? indicesCode : []),
    ...(mask ? [...get(indices), ...get(count), ...splat, ...simd(0x39), ...set(active)] : []),
    ...body.flat(),
    ...measures.flatMap((one) => one.each(mask)),
    ...stored,
    ...sources.flatMap(({ dtype }, i) => advance(pointer(i), integer(4 * sourceBytes[dtype]))),
    ...(output ? advance(outputPointer, integer(4 * width)) : []),
  ]
  const step = [...get(at), ...integer(4), ...add, ...tee(at)]
  const more = (end: number): Code => [...get(end), ...below]
  // what is only written needs no mask: there is room beyond the block
  const loops = isMeasured
    ? [
        ...[...get(count), ...integer(-4), ...andWord, ...set(whole)],
        ...when(get(whole), loop([...group(undefined), ...step, ...more(whole), ...branchIf(0)])),
        ...when([...get(at), ...more(count)], group(get(active))),
      ]
    : loop([...group(undefined), ...step, ...more(count), ...branchIf(0)])
  const head = [
    ...[...get(frame), ...word(0), ...set(count)],
    ...sources.flatMap((_, i) => [...get(frame), ...word(layout.sourceAt(i)), ...set(pointer(i))]),
    ...[...get(frame), ...word(layout.outputAt), ...set(outputPointer)],
    ...scalarCode.flat(),
    ...measures.flatMap((one) => one.before),
  ]
  const code = [...head, ...loops, ...measures.flatMap((one) => one.after)]
  return encodeModule([
    {
      name: 'run',
      parameters: [i32],
      results: [],
      code: functionCode([locals(wordLocals, i32), locals(vectorLocals, v128)], code),
    },
  ])
}

/** Runs over one block; the frame's address. */
export type Kernel = (frame: number) => void

/** Compiled passes of one memory. */
export function kernels(memoryOfThread: WebAssembly.Memory): (pass: Pass, structure: Structure) => Kernel {
  const known = new Map<string, Kernel>()
  return (pass, structure) => {
    const found = known.get(structure.key)
    if (found) return found
    const module = new WebAssembly.Module(encode(pass, structure))
    const run = new WebAssembly.Instance(module, { m: { m: memoryOfThread } }).exports['run'] as Kernel
    known.set(structure.key, run)
    return run
  }
}

export type { Structure }
