/** A study for tests: the mean of normal numbers, refined where it is near zero. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { seedField } from '../../../src/lab/index.ts'
import { chart, claim, defineStudy, exact, overReplicas, table } from '../../../src/lab/study/index.ts'
import { random } from '../../../src/tensor/index.ts'

const config = z.strictObject({
  seed: seedField,
  count: z.int().min(1).default(64).describe('numbers in each draw'),
  draws: z.int().min(1).default(4).describe('draws of each cell'),
})

export const opened: string[] = []

export const normalMeans = defineStudy<
  z.infer<typeof config>,
  { shift: number },
  { mean: number },
  { factor: number }
>(import.meta.url, {
  name: 'normal-means',
  title: 'Means of normal numbers',
  question: 'Is the mean of shifted normal numbers the shift?',
  config,
  presets: { tiny: { count: 8, draws: 3 }, tour: {}, quick: {}, paper: { count: 1024 } },
  // a cell more once the first ones are known
  cells: (_, rows) => [{ shift: 0 }, { shift: 1 }, ...(rows.length > 0 ? [{ shift: 0.5 }] : [])],
  replicas: ({ draws }) => draws,
  suppose: ({ shift }) => [{ mean: shift }],
  open: () => {
    opened.push('open')
    return { factor: 1 }
  },
  close: () => void opened.push('close'),
  measure({ shift }, { key, config: { count }, resource, progress, signal, threads }) {
    if (signal.aborted) throw new Error('begun after the end')
    progress(0.5, `on ${threads} threads`)
    const draws = random.sampleNormal(key, count)
    return [{ mean: resource.factor * (shift + draws.reduce((sum, x) => sum + x, 0) / count) }]
  },
  findings(rows) {
    const apart = overReplicas(
      rows.map((row) => ({ ...row, error: row.mean - row.shift })),
      (own) => own.reduce((sum, { error }) => sum + error, 0) / own.length,
    )
    return {
      headline: `mean error ${apart.value.toFixed(3)}`,
      paragraph: 'Numbers were drawn and averaged.',
      claims: [
        claim('mean minus shift', apart).vanishes({ below: 0.5 }),
        claim('cells', exact(new Set(rows.map(({ shift }) => shift)).size)).equals(3, { by: 0 }),
      ],
      charts: [
        chart(rows, {
          name: 'means',
          title: 'Means',
          caption: 'Mean of each draw against its shift; bars: one standard error over draws. Dashed: equal.',
          ...{ x: 'shift', y: 'mean', xLabel: 'shift', yLabel: 'mean', marks: 'points' },
          theory: [{ name: 'equal', y: (x) => x }],
        }),
      ],
      tables: [
        table(rows, {
          title: 'Means',
          by: ['shift'],
          columns: { mean: (own) => overReplicas(own, (one) => one[0]!.mean) },
        }),
      ],
      result: { error: apart.value, missing: Number.NaN },
    }
  },
})

export const seen: string[] = []

/** A study that looks into a file before it begins, and whose resource keeps a file of its own. */
export const preparedSums = defineStudy<
  { seed: number; path: string },
  { part: number },
  { sum: number },
  { path: string },
  { size: number }
>(import.meta.url, {
  name: 'prepared-sums',
  title: 'Sums of the size of a file',
  question: 'How large is a file?',
  config: z.strictObject({ seed: seedField, path: z.string().default('').describe('a file') }),
  presets: { tiny: {}, tour: {}, quick: {}, paper: {} },
  prepare({ path }, { log }) {
    log('looking')
    return { size: readFileSync(path).length }
  },
  cells: (_, __, prepared) =>
    Array.from({ length: prepared ? prepared.size : 1 }, (_, i) => ({ part: i + 1 })),
  replicas: () => 1,
  open: ({ path }, { size }) => {
    seen.push(`open ${size}`)
    return { path }
  },
  measure({ part }, { prepared: { size }, scratch }) {
    seen.push(`measure ${part}`)
    writeFileSync(join(scratch, 'kept'), String(part))
    return [{ sum: part + size }]
  },
  findings: (rows) => ({
    headline: rows.map(({ sum }) => sum).join(),
    paragraph: 'Sums.',
    claims: [],
    charts: [],
  }),
})
