/** @file The config of `image-chunks`: round trips, and patches that may change together. */
import { z } from 'zod'
import type { PartialConfig } from '../../lab/index.ts'
import { tripFields } from '../imageTrips/settings.ts'
import { type SourceName, sourceTitles } from '../imageTrips/sources.ts'

const controlNames = ['mixture', 'field', 'shuffled'] as const satisfies readonly SourceName[]

export const config = z.strictObject({
  ...tripFields,
  patch: z
    .int()
    .min(1)
    .max(256)
    .default(4)
    .describe('pixels of a side of a patch; controls, on smaller images, have as many patches'),
  controls: z
    .array(z.enum(controlNames))
    .max(3)
    .default([...controlNames])
    .describe(controlNames.map((name) => `${name}: ${sourceTitles[name]}`).join('; ')),
})
export type Config = z.infer<typeof config>

export const presets: Record<'tiny' | 'tour' | 'quick' | 'paper', PartialConfig<Config>> = {
  tiny: {
    ...{ side: 14, patch: 2, times: [0.2, 0.4, 0.8], steps: 10, groups: 3, imagesPerGroup: 2 },
    ...{ trajectories: 3, examples: 600, shown: 2 },
  },
  tour: {
    ...{ side: 14, patch: 2, times: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8], steps: 20 },
    ...{ groups: 16, imagesPerGroup: 3, trajectories: 8, examples: 4000, shown: 4 },
  },
  quick: { side: 14, patch: 2, groups: 16, imagesPerGroup: 8, examples: 10_000 },
  paper: { groups: 32, imagesPerGroup: 8, steps: 100 },
}
