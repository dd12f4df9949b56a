/**
 * @file Expressions over config fields, for the filters of sweeps: `m * v <= v ** s && kind != "flat"`. The library jsep
 * makes the syntax tree; nothing is ever evaluated as JavaScript.
 */
import jsep from 'jsep'
import { didYouMean, fail, isObject, TreelineError } from '../../base/index.ts'

type Value = number | string | boolean | null

/** A checked expression. */
export interface Expression {
  readonly text: string
  /** The value for a config. Throws TL_BAD_CONFIG when an operator gets what it has no meaning for. */
  readonly evaluate: (config: unknown) => Value
}

/** Longer ones are no filters, and deep nesting costs stack. */
const mostCharacters = 1000

type Binary = (a: Value, b: Value, operator: string) => Value

function refuse(message: string): never {
  return fail('TL_BAD_CONFIG', message)
}

const shown = (value: Value): string => JSON.stringify(value)

function numbers(a: Value, b: Value, operator: string): [number, number] {
  if (typeof a === 'number' && typeof b === 'number') return [a, b]
  return refuse(`${operator}: expected two numbers, got ${shown(a)} and ${shown(b)}`)
}

function ordered(a: Value, b: Value, operator: string): [number | string, number | string] {
  if (typeof a === 'string' && typeof b === 'string') return [a, b]
  if (typeof a === 'boolean' || typeof b === 'boolean')
    refuse(
      `${operator}: expected two numbers, got ${shown(a)} and ${shown(b)}; write a < b && b < c for a < b < c`,
    )
  return numbers(a, b, operator)
}

function truth(value: Value, operator: string): boolean {
  if (typeof value === 'boolean') return value
  return refuse(`${operator}: expected true or false, got ${shown(value)}`)
}

const arithmetic =
  (apply: (a: number, b: number) => number): Binary =>
  (a, b, operator) =>
    apply(...numbers(a, b, operator))
const comparison =
  (apply: (a: number | string, b: number | string) => boolean): Binary =>
  (a, b, operator) =>
    apply(...ordered(a, b, operator))

/** Every operator, one row each. `&&` and `||` are apart: they do not look at their right side when the left decides. */
const binaries: Readonly<Record<string, Binary>> = {
  '+': arithmetic((a, b) => a + b),
  '-': arithmetic((a, b) => a - b),
  '*': arithmetic((a, b) => a * b),
  '/': arithmetic((a, b) => a / b),
  '%': arithmetic((a, b) => a % b),
  '**': arithmetic((a, b) => a ** b),
  '<': comparison((a, b) => a < b),
  '<=': comparison((a, b) => a <= b),
  '>': comparison((a, b) => a > b),
  '>=': comparison((a, b) => a >= b),
  '==': (a, b) => a === b,
  '===': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '!==': (a, b) => a !== b,
}
const shortcuts = ['&&', '||']

const unaries: Readonly<Record<string, (value: Value) => Value>> = {
  '-': (value) => -numbers(value, 0, '-')[0],
  '+': (value) => numbers(value, 0, '+')[0],
  '!': (value) => !truth(value, '!'),
}

const functions: Readonly<Record<string, (...values: number[]) => number>> = {
  abs: Math.abs,
  ceil: Math.ceil,
  floor: Math.floor,
  round: Math.round,
  sqrt: Math.sqrt,
  log: Math.log,
  log2: Math.log2,
  log10: Math.log10,
  min: Math.min,
  max: Math.max,
}

/** `noise.size` of a chain of names; undefined for anything else. */
function dottedName(node: jsep.Expression): string | undefined {
  if (node.type === 'Identifier') return (node as jsep.Identifier).name
  if (node.type !== 'MemberExpression') return undefined
  const { computed, object, property } = node as jsep.MemberExpression
  const front = computed ? undefined : dottedName(object)
  return front === undefined ? undefined : `${front}.${(property as jsep.Identifier).name}`
}

type Evaluate = (config: unknown) => Value

function compileField(name: string, fields: readonly string[]): Evaluate {
  if (!fields.includes(name)) refuse(`${name}: there is no such field: ${didYouMean(name, fields)}`)
  const keys = name.split('.')
  return (config) => {
    let node = config
    for (const key of keys) node = isObject(node) ? node[key] : undefined
    // of runs of several experiments some do not have it
    if (node === undefined || node === null) return null
    if (['number', 'string', 'boolean'].includes(typeof node)) return node as Value
    return refuse(`${name}: expected a number, a text, or true or false, got ${JSON.stringify(node)}`)
  }
}

function compileBinary(node: jsep.BinaryExpression, fields: readonly string[]): Evaluate {
  const { operator } = node
  const known = [...Object.keys(binaries), ...shortcuts]
  if (!known.includes(operator))
    refuse(
      `${operator}: there is no such operator (${operator === '^' ? 'a power is **; ' : ''}valid: ${known.join(' ')})`,
    )
  if (operator === '**' && node.left.type === 'UnaryExpression')
    refuse('**: a sign before a power can be read in two ways; put it into brackets, as in 0 - (2 ** 2)')
  const left = compile(node.left, fields)
  const right = compile(node.right, fields)
  if (operator === '&&') return (c) => truth(left(c), '&&') && truth(right(c), '&&')
  if (operator === '||') return (c) => truth(left(c), '||') || truth(right(c), '||')
  const apply = binaries[operator]!
  return (config) => apply(left(config), right(config), operator)
}

function compile(node: jsep.Expression, fields: readonly string[]): Evaluate {
  const name = dottedName(node)
  if (name !== undefined) return compileField(name, fields)
  if (node.type === 'Literal') {
    const { value } = node as jsep.Literal
    return () => value as Value
  }
  if (node.type === 'BinaryExpression') return compileBinary(node as jsep.BinaryExpression, fields)
  if (node.type === 'UnaryExpression') {
    const { operator, argument } = node as jsep.UnaryExpression
    const apply = Object.hasOwn(unaries, operator) ? unaries[operator] : undefined
    if (!apply) refuse(`${operator}: there is no such sign (valid: ${Object.keys(unaries).join(' ')})`)
    const inner = compile(argument, fields)
    return (config) => apply(inner(config))
  }
  if (node.type === 'ConditionalExpression') {
    const { test, consequent, alternate } = node as jsep.ConditionalExpression
    const [condition, yes, no] = [
      compile(test, fields),
      compile(consequent, fields),
      compile(alternate, fields),
    ]
    return (config) => (truth(condition(config), '?') ? yes(config) : no(config))
  }
  if (node.type === 'CallExpression') {
    const { callee, arguments: given } = node as jsep.CallExpression
    const called = dottedName(callee) ?? ''
    if (!Object.hasOwn(functions, called))
      refuse(`${called}: there is no such function: ${didYouMean(called, Object.keys(functions))}`)
    const inner = given.map((argument) => compile(argument, fields))
    return (config) => functions[called]!(...inner.map((each) => numbers(each(config), 0, called)[0]))
  }
  return refuse('expected one expression, such as m * v <= v ** s')
}

/**
 * Parse an expression over the given fields (dotted names). Throws TL_BAD_CONFIG: where the syntax breaks, or the field,
 * operator or function that does not exist, with the nearest.
 */
export function parseExpression(text: string, fields: readonly string[]): Expression {
  if (text.length > mostCharacters)
    refuse(`${text.length} characters; expected an expression of at most ${mostCharacters}`)
  let tree: jsep.Expression
  try {
    tree = jsep(text)
  } catch (error) {
    const { message } = error as Error
    return refuse(`${message}${/"="/.test(message) ? ' (equality is ==)' : ''}`)
  }
  try {
    return { text, evaluate: compile(tree, fields) }
  } catch (error) {
    if (error instanceof TreelineError) throw error
    return refuse('expected one expression, such as m * v <= v ** s')
  }
}
