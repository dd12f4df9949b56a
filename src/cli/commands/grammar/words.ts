/** @file Grammars and their rules in words, for terminals. */
import { count as compact } from '../../../base/index.ts'
import type { Grammar } from '../../../grammar/index.ts'

/** Symbols of a level whose rules are listed. */
const mostParents = 16
/** Columns that rules may take before they are cut. */
const mostColumns = 96

/** Name, sizes, number of strings, entropy: a few lines. */
export async function describeGrammar(grammar: Grammar): Promise<string> {
  const { entropy, grammarName, showCount, treeCount } = await import('../../../grammar/index.ts')
  const { v, classes, m, s, L, d, probabilities } = grammar
  const total = treeCount(grammar)
  const strings = total < 10n ** 9n ? total.toLocaleString('en-US') : showCount(total)
  const legal = Math.min(1, (m * v) / v ** s)
  return [
    `grammar ${grammarName(grammar)}`,
    `v = ${v} symbols a level, ${classes} classes, m = ${m} rules each, s = ${s}, L = ${L}`,
    `strings of d = s^L = ${d < 1e6 ? d : compact(d)} symbols; P_max = ${strings} of them`,
    `entropy ${entropy(grammar).toPrecision(6)} nats${probabilities ? ', rules are not equally likely' : ''}`,
    `a random tuple is legal with probability mv/v^s = ${legal.toPrecision(3)}`,
    '',
  ].join('\n')
}

/** One symbol's rules on a line: `3 → 0 1 | 2 5`. */
function ruleLine(grammar: Grammar, level: number, parent: number): string {
  const { m, s, rules, probabilities } = grammar
  const tuples: string[] = []
  let columns = 0
  for (let k = 0; k < m; k++) {
    const at = (parent * m + k) * s
    const p = probabilities?.[level]?.[parent * m + k]
    const tuple =
      rules[level]!.subarray(at, at + s).join(' ') + (p === undefined ? '' : ` (${p.toPrecision(2)})`)
    columns += tuple.length + 3
    if (columns > mostColumns) {
      tuples.push(`… ${m - k} more`)
      break
    }
    tuples.push(tuple)
  }
  return `  ${String(parent).padStart(String(grammar.v).length)} → ${tuples.join(' | ')}`
}

/** The tables, level by level, the first symbols of each. */
export function describeRules(grammar: Grammar): string {
  const { v, classes, L } = grammar
  return Array.from({ length: L }, (_, level) => {
    const parents = level === 0 ? classes : v
    const shown = Math.min(parents, mostParents)
    const lines = Array.from({ length: shown }, (_, parent) => ruleLine(grammar, level, parent))
    if (shown < parents) lines.push(`  … ${parents - shown} more`)
    const what = level === 0 ? 'classes' : `symbols of level ${level}`
    return `level ${level}: ${what}\n${lines.join('\n')}\n`
  }).join('')
}
