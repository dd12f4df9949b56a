/** @file What a dropped file says, without a page: grammars, training curves, weights. Weights are read by their header alone. */
import { bytes, fail } from '../../../src/base/index.ts'
import { headerLength, parseHeader, type SafetensorsHeader } from '../../../src/checkpoint/index.browser.ts'
import { grammarFromText, grammarName } from '../../../src/grammar/index.ts'
import { curveRowsOf, gatherCurves } from '../../../src/lab/stopping/curves.ts'
import { planStop, type StopPlan } from '../../../src/lab/stopping/plan.ts'

/** A file of the reader: its name, its size, and pieces of it. */
export interface Dropped {
  readonly name: string
  readonly size: number
  slice(begin: number, end: number): Promise<Uint8Array>
}

export interface Told {
  readonly sentence: string
  /** Rows of a table, the first its head. */
  readonly rows: readonly (readonly string[])[]
}

/** Text files larger than this are not taken. */
const mostText = 16e6

async function textOf(file: Dropped): Promise<string> {
  if (file.size > mostText)
    fail('TL_BAD_FILE', `${file.name}: ${bytes(file.size)}, and at most ${bytes(mostText)} of text are read`)
  return new TextDecoder('utf-8', { fatal: true }).decode(await file.slice(0, file.size))
}

export async function headerOf(file: Dropped): Promise<SafetensorsHeader> {
  const length = headerLength(await file.slice(0, Math.min(8, file.size)), file.size, file.name)
  return parseHeader(await file.slice(8, 8 + length), file.size, file.name)
}

const layerOf = (name: string): string =>
  /^(.*?\b(?:layers?|blocks?|h|resblocks)\.\d+)\./.exec(name)?.[1] ?? 'beside the layers'

/** Tensors and parameters by layer. */
async function weights(file: Dropped): Promise<Told> {
  const { tensors } = await headerOf(file)
  const layers = new Map<string, { tensors: number; parameters: number; bytes: number }>()
  let all = 0
  for (const { name, shape, begin, end } of tensors.values()) {
    const parameters = shape.reduce((a, b) => a * b, 1)
    const row = layers.get(layerOf(name)) ?? { tensors: 0, parameters: 0, bytes: 0 }
    layers.set(layerOf(name), {
      tensors: row.tensors + 1,
      parameters: row.parameters + parameters,
      bytes: row.bytes + end - begin,
    })
    all += parameters
  }
  return {
    sentence: `${file.name}: ${tensors.size.toLocaleString('en')} tensors, ${all.toLocaleString('en')} parameters, ${bytes(file.size)}.`,
    rows: [
      ['part', 'tensors', 'parameters', 'bytes'],
      ...[...layers].map(([name, row]) => [
        name,
        String(row.tensors),
        row.parameters.toLocaleString('en'),
        bytes(row.bytes),
      ]),
    ],
  }
}

/** What two files of weights have in common, by their headers. */
async function difference(a: Dropped, b: Dropped): Promise<Told> {
  const [left, right] = [(await headerOf(a)).tensors, (await headerOf(b)).tensors]
  const names = [...new Set([...left.keys(), ...right.keys()])].sort()
  const text = (t: { dtype: string; shape: number[] } | undefined): string =>
    t ? `${t.dtype} ${t.shape.join(' × ') || 'scalar'}` : 'none'
  const rows = names
    .filter((name) => text(left.get(name)) !== text(right.get(name)))
    .map((name) => [name, text(left.get(name)), text(right.get(name))])
  return {
    sentence:
      rows.length === 0
        ? `${a.name} and ${b.name} have the same ${names.length.toLocaleString('en')} tensors by name, type and shape. What differs in their values: treeline diff ${a.name} ${b.name}`
        : `${rows.length.toLocaleString('en')} of ${names.length.toLocaleString('en')} tensors differ by name, type or shape.`,
    rows: [['tensor', a.name, b.name], ...rows.slice(0, 500)],
  }
}

const steps = (x: number | null): string => (x === null ? '–' : Math.round(x).toLocaleString('en'))

/** When to stop, from logged curves; predictions for twice, four and eight times the largest P. */
async function curves(file: Dropped): Promise<Told> {
  const { curves: all } = gatherCurves(curveRowsOf(await textOf(file), file.name))
  const largest = Math.max(...all.map(({ P }) => P))
  const plan: StopPlan = planStop(all, {
    by: 'validation',
    share: 0.02,
    at: [2, 4, 8].map((k) => k * largest),
  })
  return {
    sentence:
      plan.advice ??
      `The least validation loss comes at a step ∝ P^${plan.law!.b.toFixed(2)} (95 %: ${plan.law!.bLow.toFixed(2)} to ${plan.law!.bHigh.toFixed(2)}).`,
    rows: [
      ['P', 'stop at step', 'from', 'to'],
      ...plan.points.map(({ P, tau, low, high, bound }) => [
        steps(P),
        bound ? 'not yet' : steps(tau),
        steps(low),
        steps(high),
      ]),
      ...plan.predictions.map(({ P, tau, low, high }) => [
        `${steps(P)} (predicted)`,
        steps(tau),
        steps(low),
        steps(high),
      ]),
    ],
  }
}

async function grammar(file: Dropped): Promise<Told> {
  const read = grammarFromText(await textOf(file), file.name)
  const { v, classes, m, s, L } = read
  return {
    sentence: `Grammar ${grammarName(read)}: v = ${v}, ${classes} classes, m = ${m}, s = ${s}, L = ${L}.`,
    rows: [
      ['level', 'symbol', ...Array.from({ length: m }, (_, k) => `rule ${k + 1}`)],
      ...read.rules
        .flatMap((rules, level) =>
          Array.from({ length: Math.min(64, rules.length / m / s) }, (_, symbol) => [
            ...[String(level), String(symbol)],
            ...Array.from({ length: m }, (_, k) =>
              Array.from(rules.subarray((symbol * m + k) * s, (symbol * m + k + 1) * s)).join(' '),
            ),
          ]),
        )
        .slice(0, 500),
    ],
  }
}

/** What dropped files say. Throws an error of one line. */
export async function tell(files: readonly Dropped[]): Promise<Told> {
  const [first, second] = files
  if (!first) fail('TL_BAD_FILE', 'no file: expected a grammar, training curves, or weights')
  if (second) {
    if (files.length > 2 || !files.every(({ name }) => name.endsWith('.safetensors')))
      fail('TL_BAD_FILE', `${files.length} files: expected one, or two safetensors files to compare`)
    return difference(first, second)
  }
  if (first.name.endsWith('.safetensors')) return weights(first)
  if (first.name.endsWith('.csv')) return curves(first)
  if (first.name.endsWith('.json')) return grammar(first)
  return fail(
    'TL_BAD_FILE',
    `${first.name}: expected .grammar.json, .csv or .safetensors (for others: treeline inspect ${first.name})`,
  )
}
