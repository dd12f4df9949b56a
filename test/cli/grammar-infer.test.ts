/** @file `treeline grammar infer` as scripts meet it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { treeline as program } from './caught.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-infer-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const treeline = (...words: string[]) => program('grammar', ...words)

interface Inferred {
  impossible?: true
  logEvidence: number | null
  marginals: number[][][]
  map: number[]
  mapLogPosterior: number
  samples?: number[][]
}

const g = join(root, 'g.grammar.json')
let strings: number[][] = []
let classes: number[] = []
const evidence = (value: unknown): string => {
  const path = join(root, 'e.evidence.json')
  writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value))
  return path
}
async function infer<T>(value: unknown, ...words: string[]): Promise<T> {
  const { code, out, err } = await treeline('infer', g, evidence(value), '--json', ...words)
  expect([code, err]).toEqual([0, ''])
  return JSON.parse(out) as T
}

beforeAll(async () => {
  const sizes = ['--v', '6', '--m', '2', '--s', '2', '--L', '2', '--classes', '4', '--seed', '3']
  expect((await treeline('make', ...sizes, '--out', g)).code).toBe(0)
  // 4·2^3 strings: all of them
  const { out } = await treeline('sample', g, '--count', '32', '--json')
  ;({ strings, classes } = JSON.parse(out) as { strings: number[][]; classes: number[] })
})

describe('grammar infer', () => {
  it('hard evidence: the string’s own probability and tree', async () => {
    const found = await infer<Inferred>({ tokens: strings[5] })
    expect(found.logEvidence).toBeCloseTo(-Math.log(32), 12)
    expect(found.map).toEqual(strings[5])
    expect(found.mapLogPosterior).toBeCloseTo(0, 12)
    expect(found.marginals.map((rows) => rows.length)).toEqual([1, 2, 4])
    expect(found.marginals.map((rows) => rows[0]!.length)).toEqual([4, 6, 6])
    expect(found.marginals[0]![0]![classes[5]!]).toBeCloseTo(1, 12)
  })

  it('a list gives a list; unseen tokens, likelihoods of any scale, impossible evidence', async () => {
    const unseen = { tokens: [strings[0]![0], null, null, null] }
    const agreeing = strings.filter((string) => string[0] === strings[0]![0])
    const likelihood = strings[0]!.map((token, i) =>
      Array.from({ length: 6 }, (_, x) => (x === token ? 1 : 0.25) * [1, 1e-60, 1e200, 3][i]!),
    )
    const absent = { likelihood: [new Array(6).fill(0), ...likelihood.slice(1)] }
    const [a, b, c] = (await infer<Inferred[]>([unseen, { likelihood }, absent])) as [
      Inferred,
      Inferred,
      Inferred,
    ]
    expect(a.logEvidence).toBeCloseTo(Math.log(agreeing.length / 32), 12)
    for (let x = 0; x < 6; x++)
      expect(a.marginals[2]![3]![x]).toBeCloseTo(
        agreeing.filter((string) => string[3] === x).length / agreeing.length,
        12,
      )
    const mean =
      strings.reduce((sum, string) => sum + 0.25 ** string.filter((x, i) => x !== strings[0]![i]).length, 0) /
      32
    expect(b.logEvidence).toBeCloseTo(Math.log(mean * 3) + 140 * Math.LN10, 9)
    expect(b.map).toEqual(strings[0])
    expect(b.mapLogPosterior).toBeCloseTo(Math.log(1 / 32 / mean), 12)
    expect(c).toEqual({ impossible: true, logEvidence: null })
    expect(await infer<Inferred[]>([])).toEqual([])
    expect(await infer<Inferred[]>([unseen, { likelihood }, absent], '--threads', '2')).toEqual([a, b, c])
  })

  it('posterior samples, the same for the same seed', async () => {
    const unseen = { tokens: [strings[0]![0], null, null, null] }
    const { samples } = await infer<Inferred>(unseen, '--samples', '5', '--seed', '2')
    expect(samples!.length).toBe(5)
    const known = new Set(strings.map((string) => string.join()))
    for (const sample of samples!) {
      expect(known.has(sample.join())).toBe(true)
      expect(sample[0]).toBe(strings[0]![0])
    }
    expect((await infer<Inferred>(unseen, '--samples', '5', '--seed', '2')).samples).toEqual(samples)
  })

  it('in words', async () => {
    const path = evidence([{ tokens: strings[1] }, { likelihood: new Array(4).fill(new Array(6).fill(0)) }])
    const { code, out } = await treeline('infer', g, path, '--samples', '1')
    expect(code).toBe(0)
    expect(out).toContain('0: ln evidence -3.4657')
    expect(out).toContain(`   class ${classes[1]} (1.00)`)
    expect(out).toContain(`most probable string (posterior 1.00): ${strings[1]!.join(' ')}`)
    expect(out).toContain(`   sample: ${strings[1]!.join(' ')}`)
    expect(out).toContain('1: impossible: no string of the grammar fits')
  })

  it.each([
    [{ tokens: [0, 1] }, 'tokens'],
    [{ tokens: [0, 1, 6, 0] }, 'tokens'],
    [{ likelihood: [[1]] }, 'likelihood'],
    ['{ "likelihood": [', 'JSON'],
  ])('refuses %j in one line', async (value, word) => {
    const { code, out, err } = await treeline('infer', g, evidence(value), '--json')
    expect([code === 0, out]).toEqual([false, ''])
    expect(err).toContain(word)
    expect(err).not.toContain('    at ')
  })
})
