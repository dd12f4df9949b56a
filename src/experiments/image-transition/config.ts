/** @file The config of `image-transition`: round trips, and what looks at them. */
import { z } from 'zod'
import { fail } from '../../base/index.ts'
import type { PartialConfig } from '../../lab/index.ts'
import { tripFields } from '../imageTrips/settings.ts'
import { mostCoordinates } from '../imageTrips/sources.ts'

export const config = z.strictObject({
  ...tripFields,
  classifier: z
    .string()
    .min(1)
    .default('cnn')
    .describe('cnn: a small network trained on the set, kept in the run; or the path of a MobileNet'),
  epochs: z.number().gt(0).max(100).default(3).describe('of training the small network'),
  trainOn: z.int().min(20).max(1_000_000).default(60_000).describe('images it is trained on, at the most'),
})
export type Config = z.infer<typeof config>

export const presets: Record<'tiny' | 'tour' | 'quick' | 'paper', PartialConfig<Config>> = {
  tiny: {
    ...{ side: 14, times: [0.2, 0.5, 0.8], steps: 10, groups: 3, imagesPerGroup: 2, trajectories: 3 },
    ...{ examples: 600, trainOn: 600, epochs: 2, shown: 2 },
  },
  tour: {
    ...{
      side: 14,
      times: [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
      groups: 8,
      imagesPerGroup: 4,
      trajectories: 8,
    },
    ...{ steps: 20, examples: 4000, trainOn: 12_000, epochs: 2, shown: 4 },
  },
  quick: {
    ...{ side: 14, groups: 16, imagesPerGroup: 4, trajectories: 8 },
    ...{ examples: 10_000, epochs: 2 },
  },
  paper: { groups: 32, steps: 100 },
}

/** Throws TL_BAD_CONFIG for what no schema refuses. */
export function check({ model, side }: Config): void {
  if (model === '' && side * side > mostCoordinates)
    fail(
      'TL_BAD_CONFIG',
      `config.side: expected at most ${Math.sqrt(mostCoordinates)} without a model (the covariance of the control is taken apart), got ${side}`,
    )
}
