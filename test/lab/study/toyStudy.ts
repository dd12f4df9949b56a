/** A study for tests: the mean of normal numbers, refined where it is near zero. */
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
  measure({ shift }, { key, config: { count }, resource, progress, signal }) {
    if (signal.aborted) throw new Error('begun after the end')
    progress(0.5, 'half')
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
      result: { error: apart.value },
    }
  },
})
