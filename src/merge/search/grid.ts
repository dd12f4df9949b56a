/** @file The grid of a search: axes as people write them, `lambda=0.1..1:0.1` or `t=0,0.5`, and every combination of their values. */
import { fail } from '../../base/index.ts'

/** A value that a parameter may take. */
export type SearchValue = number | boolean | string

/** One parameter with the values to try, in the order in which they are tried. */
export interface Axis {
  readonly name: string
  readonly values: readonly SearchValue[]
}

/** A grid larger than this is a slip of the pen, not an afternoon. */
const mostCandidates = 100_000

const form = 'expected NAME=FROM..TO:STEP or NAME=A,B,C, such as lambda=0.1..1.5:0.1'

/** A decimal number without rounding: digits · 10^exponent. */
interface Decimal {
  readonly digits: bigint
  readonly exponent: number
}

const decimalPattern = /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d{1,3}))?$/i

function decimal(word: string): Decimal | undefined {
  const match = decimalPattern.exec(word)
  if (!match) return undefined
  const [, sign, whole = '', fraction = '', power = '0'] = match
  if (whole + fraction === '') return undefined
  const digits = BigInt(whole + fraction)
  return { digits: sign === '-' ? -digits : digits, exponent: Number(power) - fraction.length }
}

/** `0.1..1.0:0.1` in decimal arithmetic: 0.1, 0.2, …, 1 and no 0.30000000000000004. The end belongs to it when a step hits it. */
function range(item: string, axis: string): number[] {
  const wrong = (why: string): never => fail('TL_USAGE', `--search ${axis}: ${item}: ${why}`)
  const match = /^(.+?)\.\.(.+?)(?::(.+))?$/.exec(item)
  if (!match) return wrong(form)
  if (match[3] === undefined) return wrong(`a range needs a step, such as ${item}:0.1`)
  const [from, to, step] = [match[1]!, match[2]!, match[3]].map(
    (word) => decimal(word) ?? wrong(`expected a number, got ${JSON.stringify(word)}`),
  ) as [Decimal, Decimal, Decimal]
  const exponent = Math.min(from.exponent, to.exponent, step.exponent)
  const [first, last, by] = [from, to, step].map(
    (one) => one.digits * 10n ** BigInt(one.exponent - exponent),
  ) as [bigint, bigint, bigint]
  if (by <= 0n) return wrong('expected a step above 0')
  if (first > last) return wrong('expected the first value not above the last')
  const count = (last - first) / by + 1n
  if (count > mostCandidates) return wrong(`${count} values; at most ${mostCandidates} candidates are tried`)
  return Array.from({ length: Number(count) }, (_, i) => Number(`${first + BigInt(i) * by}e${exponent}`))
}

function scalar(item: string, axis: string): SearchValue {
  if (item === 'true' || item === 'false') return item === 'true'
  if (!decimal(item)) {
    if (/^[A-Za-z]\w*$/.test(item) && !/^(nan|inf(inity)?)$/i.test(item)) return item
    return fail(
      'TL_USAGE',
      `--search ${axis}: expected a number, true, false or a word, got ${JSON.stringify(item)}`,
    )
  }
  const value = Number(item)
  if (!Number.isFinite(value)) fail('TL_USAGE', `--search ${axis}: ${item} is beyond the range of numbers`)
  return value
}

/**
 * Read `NAME=VALUES`; VALUES are ranges `FROM..TO:STEP` (ends included) and single values, with commas between. Throws
 * TL_USAGE for what is no axis and for a value that is given twice.
 */
export function parseAxis(text: string): Axis {
  const at = text.indexOf('=')
  const name = text.slice(0, at).trim()
  if (at < 0 || name === '') fail('TL_USAGE', `--search ${JSON.stringify(text)}: ${form}`)
  const items = text
    .slice(at + 1)
    .split(',')
    .map((item) => item.trim())
  if (items.includes('')) fail('TL_USAGE', `--search ${text}: a value is missing: ${form}`)
  const values = items.flatMap((item) => (item.includes('..') ? range(item, text) : [scalar(item, text)]))
  const seen = new Set<SearchValue>()
  const twice = values.find((value) => seen.size === seen.add(value).size)
  if (twice !== undefined) fail('TL_USAGE', `--search ${text}: ${twice} is there twice; name each value once`)
  return { name, values }
}

/** Every combination, the last axis running fastest. Throws TL_USAGE for no axis, a name given twice, too many candidates. */
export function gridOf(axes: readonly Axis[]): SearchValue[][] {
  if (axes.length === 0) fail('TL_USAGE', `--search: no parameter to search over: ${form}`)
  const twice = axes.find(({ name }, i) => axes.findIndex((one) => one.name === name) < i)
  if (twice)
    fail('TL_USAGE', `--search ${twice.name}: it is there twice; give all its values in one --search`)
  const size = axes.reduce((product, { values }) => product * values.length, 1)
  if (size > mostCandidates)
    fail('TL_USAGE', `--search: ${size} candidates; at most ${mostCandidates} are tried, take larger steps`)
  return axes.reduce<SearchValue[][]>(
    (grid, { values }) => grid.flatMap((before) => values.map((value) => [...before, value])),
    [[]],
  )
}

/** `lambda=0.3, t=0.5`, for people. */
export const valuesText = (values: Readonly<Record<string, SearchValue>>): string =>
  Object.entries(values)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ')
