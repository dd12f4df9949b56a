/** @file Things by their names: the nearest valid word for a typo, and look-up that names it. */
import { type ErrorCode, fail } from './errors.ts'

/** Letters to add, drop, replace or swap with a neighbour to get from one word to another (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, substitution))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        next[j] = Math.min(next[j]!, before[j - 2]! + 1)
    }
    before = row
    row = next
  }
  return row[b.length]!
}

/** The one of `choices` that begins with the word, or the closest to it; undefined when none is close enough to be a typo. */
export function nearest(word: string, choices: readonly string[]): string | undefined {
  const begun = choices.filter((choice) => choice.toLowerCase().startsWith(word.toLowerCase()))
  if (begun.length === 1 && word.replace(/^-+/, '').length >= 2) return begun[0]
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(word.length / 2)) + 1
  for (const choice of choices) {
    const distance = editDistance(word.toLowerCase(), choice.toLowerCase())
    if (distance < bestDistance) [best, bestDistance] = [choice, distance]
  }
  return best
}

/** `did you mean "x"? (valid: a, b, c)` – the tail of a message about an unknown word. */
export function didYouMean(word: string, choices: readonly string[]): string {
  const hint = nearest(word, choices)
  const valid = `valid: ${choices.join(', ')}`
  return hint ? `did you mean "${hint}"? (${valid})` : `(${valid})`
}

/** The entry of a table by its name. Throws, with the nearest name: `activation "relo": there is no such activation: …`. */
export function entryOf<T>(
  kind: string,
  table: Readonly<Record<string, T>>,
  name: string,
  code: ErrorCode = 'TL_BAD_ARGUMENT',
): T {
  // never what every object has: "constructor" is no entry
  if (Object.hasOwn(table, name)) return table[name]!
  const word = String(name)
  return fail(code, `${kind} "${word}": there is no such ${kind}: ${didYouMean(word, Object.keys(table))}`)
}

/** The same for a list of things that have names. */
export const namedOf = <T extends { readonly name: string }>(
  kind: string,
  list: readonly T[],
  name: string,
  code?: ErrorCode,
): T => entryOf(kind, Object.fromEntries(list.map((one) => [one.name, one])), name, code)
