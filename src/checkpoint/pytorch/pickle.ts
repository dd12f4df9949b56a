/**
 * @file A pickle machine that builds plain containers, numbers and texts, and asks its host for everything else: what a
 * global name stands for, what calling it gives, what a persistent id is. It never imports nor runs anything.
 * Opcodes: CPython's Lib/pickletools.py, protocols 1 to 5 (torch.save writes 2).
 */
import { fail } from '../../base/index.ts'

/** What the machine does not know by itself. Every function throws `TL_UNSUPPORTED` for what it does not allow. */
export type PickleHost = {
  /** The value of a global name. */
  global(module: string, name: string): unknown
  call(callable: unknown, args: unknown[]): unknown
  /** Give an object its state (`__setstate__`). */
  build(target: unknown, state: unknown): void
  persistent(id: unknown): unknown
}

/**
 * Run a pickle and return its value: dict = Map, list and tuple = array, set = Set, bytes = Uint8Array, int = number or
 * (beyond 2^53) bigint, None = null. Throws `TL_BAD_FILE` for a damaged pickle.
 */
export function unpickle(bytes: Uint8Array, host: PickleHost, label: string): unknown {
  const machine = machineOf(bytes, host, label)
  for (;;) {
    const code = machine.byte()
    if (code === STOP) return machine.pop()
    const operation = OPERATIONS[code]
    if (!operation) machine.wrong(`unknown opcode 0x${code.toString(16).padStart(2, '0')}`)
    else operation(machine)
  }
}

const STOP = 0x2e
/** Longer integers than any tensor has; decimal ones take quadratic time. */
const MAX_INTEGER_BYTES = 256

type Machine = ReturnType<typeof machineOf>

function machineOf(bytes: Uint8Array, host: PickleHost, label: string) {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const stack: unknown[] = []
  const marks: number[] = []
  const memo = new Map<number, unknown>()
  let at = 0

  const wrong = (problem: string): never => fail('TL_BAD_FILE', `${label}: pickle, byte ${at}: ${problem}`)
  /** Move over `size` bytes; their offset. */
  function take(size: number): number {
    if (size > data.length - at) wrong(`${size} bytes expected, ${data.length - at} follow (truncated?)`)
    at += size
    return at - size
  }
  const bottom = () => marks.at(-1) ?? 0
  function pop(): unknown {
    if (stack.length <= bottom()) wrong('a value is taken from an empty stack')
    return stack.pop()
  }
  function top(): unknown {
    if (stack.length <= bottom()) wrong('a value is wanted on an empty stack')
    return stack[stack.length - 1]
  }
  /** The values since the last mark, which is removed. */
  function popMark(): unknown[] {
    const mark = marks.pop()
    return mark === undefined ? wrong('a mark is wanted, there is none') : stack.splice(mark)
  }
  /** `count` values from the top, the lowest first. */
  function popSome(count: number): unknown[] {
    if (stack.length - bottom() < count) wrong('values are taken from an empty stack')
    return stack.splice(stack.length - count)
  }
  function recall(index: number): unknown {
    if (!memo.has(index)) wrong(`remembered value ${index} was never stored`)
    return memo.get(index)
  }
  function line(): string {
    const end = data.indexOf(10, at)
    if (end < 0 || end - at > 4096) return wrong('a short line of text expected')
    const text = data.toString('utf8', at, end)
    at = end + 1
    return text
  }
  const u64 = (): number => Number(data.readBigUInt64LE(take(8)))
  function chunk(size: number): Uint8Array {
    const from = take(size)
    return new Uint8Array(data.subarray(from, from + size))
  }
  function text(size: number): string {
    const from = take(size)
    return data.toString('utf8', from, from + size)
  }
  return {
    host,
    wrong,
    pop,
    top,
    popMark,
    popSome,
    push: (value: unknown) => void stack.push(value),
    mark: () => void marks.push(stack.length),
    /** POP takes a mark when nothing lies above it. */
    discard: () => void (marks.length && stack.length === bottom() ? marks.pop() : pop()),
    remember: (index: number) => void memo.set(index, top()),
    memoize: () => void memo.set(memo.size, top()),
    recall,
    line,
    byte: () => data.readUInt8(take(1)),
    u16: () => data.readUInt16LE(take(2)),
    i32: () => data.readInt32LE(take(4)),
    u32: () => data.readUInt32LE(take(4)),
    f64: () => data.readDoubleBE(take(8)),
    u64,
    chunk,
    text,
    skip: (size: number) => void take(size),
  }
}

const plainInteger = (value: bigint): number | bigint =>
  Number.isSafeInteger(Number(value)) ? Number(value) : value

/** Two's complement, little-endian; no bytes are zero. */
function longInteger(m: Machine, size: number): number | bigint {
  if (size > MAX_INTEGER_BYTES) m.wrong(`an integer of ${size} bytes, expected at most ${MAX_INTEGER_BYTES}`)
  if (size === 0) return 0
  const hex = Buffer.from(m.chunk(size)).reverse().toString('hex')
  return plainInteger(BigInt.asIntN(size * 8, BigInt(`0x${hex}`)))
}

/** An integer in decimal; with an L at its end (LONG), or `00` and `01` for truth values (INT). */
function decimal(m: Machine, text: string): number | bigint {
  if (!/^-?\d{1,300}$/.test(text)) return m.wrong('a decimal integer expected')
  return plainInteger(BigInt(text))
}

function integerLine(m: Machine): number | bigint | boolean {
  const text = m.line()
  if (text === '00' || text === '01') return text === '01'
  return decimal(m, text)
}

function memoIndex(m: Machine): number {
  const text = m.line()
  return /^\d{1,9}$/.test(text) ? Number(text) : m.wrong('the number of a remembered value expected')
}

function setItems(m: Machine, target: unknown, items: unknown[]): unknown {
  if (!(target instanceof Map)) return m.wrong('items are put into something that is no dict')
  if (items.length % 2 !== 0) m.wrong('a key without a value')
  for (let i = 0; i < items.length; i += 2) target.set(items[i], items[i + 1])
  return target
}

function append(m: Machine, target: unknown, items: unknown[]): void {
  if (Array.isArray(target)) for (const item of items) target.push(item)
  else m.wrong('items are appended to something that is no list')
}

function addItems(m: Machine, target: unknown, items: unknown[]): unknown {
  if (!(target instanceof Set)) return m.wrong('items are added to something that is no set')
  for (const item of items) target.add(item)
  return target
}

function stackGlobal(m: Machine): unknown {
  const [module, name] = m.popSome(2)
  if (typeof module !== 'string' || typeof name !== 'string') return m.wrong('a global name that is no text')
  return m.host.global(module, name)
}

function call(m: Machine): unknown {
  const [callable, args] = m.popSome(2)
  return Array.isArray(args) ? m.host.call(callable, args) : m.wrong('arguments that are no tuple')
}

function instance(m: Machine): never {
  const [module, name] = [m.line(), m.line()]
  m.host.global(module, name)
  return m.wrong(`makes an instance of ${module}.${name} in a way that no tensor file uses`)
}

const refused =
  (what: string) =>
  (m: Machine): never =>
    m.wrong(`${what}: refused, no tensor file needs it`)

/** One row an opcode, as the byte it is in the file. */
const TABLE: Record<string, (m: Machine) => void> = {
  // protocol and frames carry no values
  '\x80': (m) => m.byte() > 5 && m.wrong('a protocol above 5'),
  '\x95': (m) => m.u64(),
  // the stack and the memo
  '(': (m) => m.mark(),
  '0': (m) => m.discard(),
  '1': (m) => m.popMark(),
  '2': (m) => m.push(m.top()),
  q: (m) => m.remember(m.byte()),
  r: (m) => m.remember(m.u32()),
  p: (m) => m.remember(memoIndex(m)),
  '\x94': (m) => m.memoize(),
  h: (m) => m.push(m.recall(m.byte())),
  j: (m) => m.push(m.recall(m.u32())),
  g: (m) => m.push(m.recall(memoIndex(m))),
  // atoms
  N: (m) => m.push(null),
  '\x88': (m) => m.push(true),
  '\x89': (m) => m.push(false),
  J: (m) => m.push(m.i32()),
  K: (m) => m.push(m.byte()),
  M: (m) => m.push(m.u16()),
  I: (m) => m.push(integerLine(m)),
  L: (m) => m.push(decimal(m, m.line().replace(/L$/, ''))),
  '\x8a': (m) => m.push(longInteger(m, m.byte())),
  '\x8b': (m) => m.push(longInteger(m, m.u32())),
  G: (m) => m.push(m.f64()),
  X: (m) => m.push(m.text(m.u32())),
  '\x8c': (m) => m.push(m.text(m.byte())),
  '\x8d': (m) => m.push(m.text(m.u64())),
  U: (m) => m.push(m.text(m.byte())),
  T: (m) => m.push(m.text(m.u32())),
  C: (m) => m.push(m.chunk(m.byte())),
  B: (m) => m.push(m.chunk(m.u32())),
  '\x8e': (m) => m.push(m.chunk(m.u64())),
  '\x96': (m) => m.push(m.chunk(m.u64())),
  // containers
  ']': (m) => m.push([]),
  l: (m) => m.push(m.popMark()),
  a: (m) => {
    const item = m.pop()
    append(m, m.top(), [item])
  },
  e: (m) => {
    const items = m.popMark()
    append(m, m.top(), items)
  },
  ')': (m) => m.push([]),
  t: (m) => m.push(m.popMark()),
  '\x85': (m) => m.push(m.popSome(1)),
  '\x86': (m) => m.push(m.popSome(2)),
  '\x87': (m) => m.push(m.popSome(3)),
  '}': (m) => m.push(new Map()),
  d: (m) => m.push(setItems(m, new Map(), m.popMark())),
  s: (m) => {
    const items = m.popSome(2)
    setItems(m, m.top(), items)
  },
  u: (m) => {
    const items = m.popMark()
    setItems(m, m.top(), items)
  },
  '\x8f': (m) => m.push(new Set()),
  '\x90': (m) => {
    const items = m.popMark()
    addItems(m, m.top(), items)
  },
  '\x91': (m) => m.push(new Set(m.popMark())),
  // what the host decides
  c: (m) => m.push(m.host.global(m.line(), m.line())),
  '\x93': (m) => m.push(stackGlobal(m)),
  R: (m) => m.push(call(m)),
  '\x81': (m) => m.push(call(m)),
  b: (m) => {
    const state = m.pop()
    m.host.build(m.top(), state)
  },
  Q: (m) => m.push(m.host.persistent(m.pop())),
  // never in a tensor file
  i: instance,
  o: refused('OBJ'),
  P: refused('a persistent id as text'),
  '\x92': refused('NEWOBJ_EX'),
  '\x82': refused('a name by extension code'),
  '\x83': refused('a name by extension code'),
  '\x84': refused('a name by extension code'),
}

const OPERATIONS: ((m: Machine) => void)[] = []
for (const [character, operation] of Object.entries(TABLE)) OPERATIONS[character.charCodeAt(0)] = operation
