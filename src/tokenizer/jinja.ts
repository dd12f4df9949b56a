/**
 * @file Jinja as chat templates need it: `@huggingface/jinja` and what it lacks beside Python's Jinja – methods of texts, `%`
 * formatting, the first of nothing, all codes of `strftime_now` in English whatever the machine's language.
 */
import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja'
import { strftime } from './strftime.ts'

// the library's own types do not resolve
interface Value {
  readonly type: string
  readonly value: unknown
  toString(): string
}
interface Statement {
  readonly type: string
  readonly [part: string]: unknown
}
interface Scope {
  set(name: string, value: unknown): Value
}
interface Program {
  readonly body: readonly Statement[]
}
/** What is built upon: `evaluateBlock` gathers the text of a template's parts, `evaluate` the value of each. */
interface Base {
  evaluate(statement: Statement | undefined, environment: Scope): Value
  evaluateBlock(statements: readonly Statement[], environment: Scope): Value
  run(program: Program): Value
}
const BaseInterpreter = Interpreter as unknown as new (environment: Scope) => Base
const newScope = (): Scope => new (Environment as unknown as new () => Scope)()

/** `raise_exception` of a template: it refuses the messages; anything else is a limit of the renderer. */
export class TemplateRefusal extends Error {}

const pad = (text: string, width: number, fill = ' '): string => fill.repeat(Math.max(0, width - text.length))

/** Where a text stands in another within [from, to), as Python counts; −1 where it does not. */
function findIn(text: string, part: string, from = 0, to = text.length, last = false): number {
  const at = (index: number): number =>
    Math.max(0, Math.min(text.length, index < 0 ? text.length + index : index))
  const [start, end] = [at(from), at(to)]
  if (start > end) return -1
  const within = text.slice(start, end)
  const found = last ? within.lastIndexOf(part) : within.indexOf(part)
  return found < 0 ? -1 : start + found
}
function indexIn(text: string, part: string, from?: number, to?: number, last = false): number {
  const found = findIn(text, part, from, to, last)
  if (found < 0) throw new Error('substring not found')
  return found
}

/** Methods of Python's texts that the library does not have. */
const methods: Readonly<Record<string, (text: string, ...args: never[]) => unknown>> = {
  find: (text, part: string, from?: number, to?: number) => findIn(text, part, from, to),
  rfind: (text, part: string, from?: number, to?: number) => findIn(text, part, from, to, true),
  index: (text, part: string, from?: number, to?: number) => indexIn(text, part, from, to),
  rindex: (text, part: string, from?: number, to?: number) => indexIn(text, part, from, to, true),
  count: (text, part: string) => (part === '' ? text.length + 1 : text.split(part).length - 1),
  join: (text, list: string[]) => list.join(text),
  isdigit: (text) => /^\p{Nd}+$/u.test(text),
  isalpha: (text) => /^\p{L}+$/u.test(text),
  isalnum: (text) => /^[\p{L}\p{N}]+$/u.test(text),
  isspace: (text) => /^\s+$/u.test(text),
  isupper: (text) => text !== text.toLowerCase() && text === text.toUpperCase(),
  islower: (text) => text !== text.toUpperCase() && text === text.toLowerCase(),
  casefold: (text) => text.toLowerCase().replaceAll('ß', 'ss'),
  swapcase: (text) =>
    Array.from(text, (c) => (c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase())).join(''),
  zfill: (text, width: number) => text.replace(/^[+-]?/, (sign) => sign + pad(text, width, '0')),
  ljust: (text, width: number, fill?: string) => text + pad(text, width, fill),
  rjust: (text, width: number, fill?: string) => pad(text, width, fill) + text,
  center(text, width: number, fill?: string) {
    const all = pad(text, width, fill)
    // Python puts the odd one to the left where the width is odd
    const left = all.length >> 1
    const more = all.length & width & 1
    return all.slice(0, left + more) + text + all.slice(left + more)
  },
  removeprefix: (text, part: string) => (text.startsWith(part) ? text.slice(part.length) : text),
  removesuffix: (text, part: string) =>
    part !== '' && text.endsWith(part) ? text.slice(0, -part.length) : text,
  partition(text, part: string) {
    const at = text.indexOf(part)
    return at < 0 ? [text, '', ''] : [text.slice(0, at), part, text.slice(at + part.length)]
  },
  splitlines: (text) => text.replace(/\r?\n$/, '').split(/\r?\n|\r/),
}

/** A value as Python's `str` writes it. */
function textOf(value: Value): string {
  const { type } = value
  if (type === 'StringValue') return value.value as string
  if (type === 'BooleanValue') return value.value ? 'True' : 'False'
  if (type === 'NullValue') return 'None'
  if (type === 'UndefinedValue') return ''
  if (type === 'IntegerValue' || type === 'FloatValue') return value.toString()
  throw new Error(`a ${type} in a text made with %`)
}

/** Values whose text is known. */
const simple = new Set([
  'StringValue',
  'BooleanValue',
  'NullValue',
  'UndefinedValue',
  'IntegerValue',
  'FloatValue',
])

/** Python's `template % values`: `%s`, `%d`, `%i`, `%f`, `%x`, `%o`, `%e`, with flags, width and precision. */
function formatted(template: string, given: readonly Value[]): string {
  const values = [...given]
  const text = template.replace(
    /%([-+ 0#]*)(\d*)(?:\.(\d+))?(.)/gs,
    (whole, flags: string, width: string, precision: string | undefined, code: string) => {
      if (code === '%') return '%'
      const value = values.shift()
      if (!value) throw new Error('not enough arguments for format string')
      const number = (): number => {
        if (typeof value.value !== 'number') throw new Error(`%${code} needs a number, not a ${value.type}`)
        return value.value
      }
      const bodies: Readonly<Record<string, () => string>> = {
        s: () => textOf(value).slice(0, precision === undefined ? undefined : Number(precision)),
        d: () => String(Math.trunc(number())),
        i: () => String(Math.trunc(number())),
        f: () => number().toFixed(Number(precision ?? 6)),
        e: () =>
          number()
            .toExponential(Number(precision ?? 6))
            .replace(/e([+-])(\d)$/, 'e$10$2'),
        x: () => Math.trunc(number()).toString(16),
        X: () => Math.trunc(number()).toString(16).toUpperCase(),
        o: () => Math.trunc(number()).toString(8),
      }
      const body = bodies[code]?.()
      if (body === undefined) throw new Error(`the format ${whole}`)
      const isNumber = code !== 's'
      const sign =
        isNumber && !body.startsWith('-') ? (flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '') : ''
      const full = sign + body
      if (flags.includes('-')) return full + pad(full, Number(width))
      if (!(isNumber && flags.includes('0'))) return pad(full, Number(width)) + full
      return full.replace(/^[+ -]?/, (before) => before + pad(full, Number(width), '0'))
    },
  )
  if (values.length > 0) throw new Error('not all arguments converted during string formatting')
  return text
}

/** Parts of a template that are no expressions: they have no text of their own where they give nothing. */
const silent = new Set([
  'Set',
  'If',
  'For',
  'Macro',
  'Comment',
  'CallStatement',
  'FilterStatement',
  'Break',
  'Continue',
])

class Renderer extends BaseInterpreter {
  /** A value of JavaScript as one of the interpreter's. */
  private made(value: unknown): Value {
    return newScope().set('value', value)
  }

  /** `true`, `false` and `none` are written as Python writes them. */
  override evaluateBlock(statements: readonly Statement[], environment: Scope): Value {
    let text = ''
    for (const statement of statements) {
      const value = this.evaluate(statement, environment)
      if (value.type === 'NullValue' && silent.has(statement.type)) continue
      text += simple.has(value.type) ? textOf(value) : value.toString()
    }
    return this.made(text)
  }

  override evaluate(statement: Statement | undefined, environment: Scope): Value {
    const own = statement && this.own(statement, environment)
    // what the library finds in an empty list is JavaScript's undefined
    return own ?? super.evaluate(statement, environment) ?? super.evaluate(undefined, environment)
  }

  /** The value of what the library does otherwise, or not at all; undefined: as the library does it. */
  private own(node: Statement, environment: Scope): Value | undefined {
    const evaluated = (part: unknown): Value => this.evaluate(part as Statement, environment)
    const nameOf = (part: unknown): unknown => (part as { readonly value?: unknown }).value
    if (
      node.type === 'BinaryExpression' &&
      (nameOf(node['operator']) === '%' || nameOf(node['operator']) === '~')
    ) {
      const left = evaluated(node['left'])
      if (nameOf(node['operator']) === '~') {
        const right = evaluated(node['right'])
        const isSimple = simple.has(left.type) && simple.has(right.type)
        return isSimple ? this.made(textOf(left) + textOf(right)) : undefined
      }
      if (left.type !== 'StringValue') return undefined
      const right = evaluated(node['right'])
      const isTuple = (node['right'] as Statement).type === 'TupleLiteral'
      return this.made(formatted(left.value as string, isTuple ? (right.value as readonly Value[]) : [right]))
    }
    if (node.type === 'FilterExpression' && nameOf(node['filter']) === 'string') {
      const operand = evaluated(node['operand'])
      return simple.has(operand.type) ? this.made(textOf(operand)) : undefined
    }
    const callee = node.type === 'CallExpression' ? (node['callee'] as Statement) : undefined
    if (callee?.type !== 'MemberExpression' || callee['computed'] === true) return undefined
    const name = nameOf(callee['property'])
    if (typeof name !== 'string' || !Object.hasOwn(methods, name)) return undefined
    const object = evaluated(callee['object'])
    if (object.type !== 'StringValue') return undefined
    const args = (node['args'] as readonly Statement[]).map((one) => plain(evaluated(one)))
    return this.made(methods[name]!(object.value as string, ...(args as never[])))
  }
}

/** An interpreter's value as one of JavaScript. */
const plain = (value: Value): unknown =>
  value.type === 'ArrayValue' || value.type === 'TupleValue'
    ? (value.value as readonly Value[]).map(plain)
    : value.value

const range = (a: number, b?: number, step = 1): number[] => {
  const [from, to] = typeof b === 'number' ? [a, b] : [0, a]
  if (step === 0) throw new Error('range() arg 3 must not be zero')
  return Array.from({ length: Math.max(0, Math.ceil((to - from) / step)) }, (_, i) => from + i * step)
}

/** Read a template. Throws an `Error` with what cannot be read. */
export function readTemplate(source: string): Program {
  try {
    return parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true })) as unknown as Program
  } catch (error) {
    const exponent = /(?:\{\{|\{%)(?:(?![%}]\}).)*?\b(\d+(?:\.\d+)?[eE][+-]?\d+)\b/s.exec(source)?.[1]
    const hint = exponent === undefined ? '' : ` (perhaps at ${exponent}: write it as ${Number(exponent)})`
    throw new Error(`${(error as Error).message}${hint}`, { cause: error })
  }
}

/** Fill a template in. Throws `TemplateRefusal` where it raises an exception itself. */
export function renderTemplate(template: Program, values: Readonly<Record<string, unknown>>): string {
  const environment = newScope()
  const globals = {
    ...{ false: false, true: true, none: null, False: false, True: true, None: null, range },
    raise_exception: (message: string) => {
      throw new TemplateRefusal(message)
    },
    strftime_now: (format: string) => strftime(new Date(), format),
  }
  for (const [name, value] of Object.entries({ ...globals, ...values })) environment.set(name, value)
  return new Renderer(environment).run(template).value as string
}
