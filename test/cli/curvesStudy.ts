/** A study for tests: loss curves of trainings that were never trained. */
import { z } from 'zod'
import { seedField } from '../../src/lab/index.ts'
import { claim, defineStudy, exact } from '../../src/lab/study/index.ts'
import { synthetic } from '../lab/stopping/synthetic.ts'

const config = z.strictObject({ seed: seedField, noise: z.number().min(0).default(0.005) })

export const toyCurves = defineStudy<
  z.infer<typeof config>,
  { P: number },
  { step: number; validationLoss: number }
>(import.meta.url, {
  name: 'toy-curves',
  title: 'Curves',
  question: 'When does the loss rise?',
  config,
  presets: { tiny: {}, tour: {}, quick: {}, paper: {} },
  cells: () => [{ P: 32 }, { P: 64 }, { P: 128 }],
  replicas: () => 2,
  measure: ({ P }, { replica, config: { noise, seed } }) =>
    synthetic({ P, tau: 8 * P, noise, seed: 10 * seed + replica }).steps.map(({ step, validationLoss }) => ({
      step,
      validationLoss: validationLoss!,
    })),
  findings: (rows) => ({
    headline: `${rows.length} rows`,
    paragraph: 'Rows were made.',
    claims: [claim('rows', exact(rows.length)).atLeast(1)],
    charts: [],
  }),
})
