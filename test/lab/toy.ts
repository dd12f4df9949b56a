/** @file A tiny experiment for tests: a noisy descent with exact resume, and ways to be cut at a chosen step. */
import { z } from 'zod'
import { readSafetensors, writeSafetensors } from '../../src/checkpoint/index.ts'
import {
  barChart,
  confusionMatrix,
  defineExperiment,
  gallery,
  lineChart,
  type RunContext,
  seedField,
} from '../../src/lab/index.ts'

export const toyConfig = z.strictObject({
  seed: seedField,
  steps: z.int().min(1).max(1000).default(20).describe('how many steps to take'),
  saveEvery: z.int().min(1).default(5),
  start: z.number().gt(0).default(4),
  kind: z.enum(['steep', 'flat']).default('steep'),
  rates: z.array(z.number().gt(0)).min(1).default([0.1]),
  noise: z.strictObject({ size: z.number().min(0).default(0.5), on: z.boolean().default(true) }).prefault({}),
  limit: z.union([z.literal('none'), z.int()]).default('none'),
})
export type ToyConfig = z.infer<typeof toyConfig>

/** What a test may do to the run: throw or abort at a step. */
export interface Interference {
  at?: (step: number) => void
  ran?: string[]
}

const noiseAt = (seed: number, step: number): number => {
  const x = Math.sin(seed * 12.9898 + step * 78.233) * 43758.5453
  return x - Math.floor(x) - 0.5
}

async function run(
  context: RunContext<ToyConfig>,
  interference: Interference,
): Promise<{ final: number; nothing: number }> {
  const { config, statePath } = context
  let step = 0
  let w = config.start
  interference.ran?.push(context.resumed ? 'resumed' : 'fresh')
  if (context.resumed) {
    const state = readSafetensors(statePath)
    step = Number(state.metadata['step'])
    w = (state.tensors.get('w')!.data as Float64Array)[0]!
    context.resumeFrom(step)
  }
  const save = () =>
    writeSafetensors(
      statePath,
      { w: { dtype: 'F64', shape: [], data: Float64Array.of(w) } },
      { step: String(step) },
    )
  while (step < config.steps) {
    w -= config.rates[0]! * w + 0.01 * config.noise.size * noiseAt(config.seed, step)
    step++
    context.metric({ step, w, loss: w * w })
    context.progress({ done: step, total: config.steps, detail: `loss ${(w * w).toFixed(3)}` })
    interference.at?.(step)
    if (step % config.saveEvery === 0 || context.signal.aborted) save()
    context.stopIfInterrupted()
    await Promise.resolve()
  }
  context.write('points.json', [
    [1, 2],
    [3, 4],
  ])
  context.log('all steps taken')
  return { final: w, nothing: Number.NaN }
}

export const makeToy = (interference: Interference = {}) =>
  defineExperiment<ToyConfig, { final: number; nothing: number | null }>({
    name: 'toy',
    title: 'A toy <that> descends & rests',
    description: 'A noisy descent of one number towards zero.',
    config: toyConfig,
    presets: { quick: { steps: 5 }, paper: { steps: 100, noise: { size: 0.1 } } },
    run: (context) => run(context, interference),
    summary: ({ result, config }) => ({
      headline: `final value ${result.final.toFixed(4)}`,
      paragraph: `After ${config.steps} steps the value was ${result.final.toFixed(4)} – "small" & <tame>.`,
      numbers: [{ label: 'final value', value: result.final.toFixed(3), note: 'should be near 0' }],
      verdicts: [
        {
          claim: 'the value shrinks',
          measured: result.final,
          error: 0.1,
          predicted: 0,
          pass: true,
          control: false,
        },
      ],
    }),
    figures: (runs) => [
      lineChart({
        name: 'loss',
        title: 'Loss',
        caption: 'The square of the value at each step.',
        xLabel: 'step',
        yLabel: 'loss',
        yScale: 'log',
        series: runs.map((view, index) => ({
          name: `run ${index + 1}`,
          points: view.metrics.map((metric) => ({ x: metric.step, y: metric['loss'] as number })),
        })),
      }),
      barChart({
        name: 'final',
        title: 'Final value',
        caption: 'Where each run ended.',
        xLabel: 'value',
        bars: runs.map((view, index) => ({
          label: `run ${index + 1}`,
          value: view.result.final,
          error: 0.1,
        })),
      }),
      confusionMatrix({
        name: 'confusion',
        title: 'Points',
        caption: 'From a file of the run.',
        labels: ['a', 'b'],
        counts: runs[0]!.read('points.json') as number[][],
      }),
      gallery({
        name: 'gallery',
        title: 'Pictures',
        caption: 'Two of them.',
        items: [
          { title: 'grey', image: { width: 2, height: 1, channels: 1, pixels: [0, 255] } },
          { title: 'red', subtitle: 'RGB', image: { width: 1, height: 1, channels: 3, pixels: [255, 0, 0] } },
        ],
      }),
    ],
    tables: () => [
      {
        title: 'A table',
        columns: ['name', 'n'],
        rows: [
          ['one', 1],
          ['two <2>', 0.00012],
        ],
      },
    ],
  })
