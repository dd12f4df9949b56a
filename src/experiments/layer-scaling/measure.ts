/** @file One replica: fine-tune every task, then scale single models, merges, averages and soups by depth. */
import { fail } from '../../base/index.ts'
import type { Bench } from '../../lab/index.ts'
import { random } from '../../tensor/index.ts'
import { openMeasures } from '../tasks/measure.ts'
import type { ReadyEncoder } from '../tasks/pictures/encoder.ts'
import { picturesFamily } from '../tasks/pictures/family.ts'
import type { Config } from './config.ts'
import { mergeRows } from './merges.ts'
import { policyRows } from './policies.ts'
import { robustRows } from './robust.ts'
import type { Cell, Row, TunedRow } from './rows.ts'
import { singleRows } from './singles.ts'
import { accuracyOf, controlOf, type Site, shapesOf, tuned, weightsOf } from './site.ts'

/** Pictures in each call of the encoder. */
const callSize = 100

/** Fine-tune all tasks, and what it gave and took. */
async function tuneAll(site: Site) {
  const { family, base } = site
  const before = await controlOf(site, base, 'test')
  const models = new Map<string, Awaited<ReturnType<typeof tuned>>>()
  const rows: TunedRow[] = []
  for (const [i, task] of family.tasks.entries()) {
    const own = await tuned(site, task, task.name, i)
    models.set(task.name, own)
    rows.push({
      ...{ of: 'tuned', task: task.name, controlBefore: before },
      zeroShot: await accuracyOf(site, base, task, 'test'),
      accuracy: await accuracyOf(site, own, task, 'test'),
      control: await controlOf(site, own, 'test'),
    })
    if (rows.at(-1)!.accuracy === 0)
      fail(
        'TL_BAD_CONFIG',
        `config.steps: after fine-tuning on "${task.name}" no test picture is right: train longer`,
      )
  }
  return { models, rows }
}

export async function measure(
  _: Cell,
  { config, key, prepared, threads, signal, progress, folder }: Bench<Config, void, ReadyEncoder>,
): Promise<readonly Row[]> {
  const family = await picturesFamily(config, prepared.path, random.foldIn(key, 0))
  const measures = openMeasures(family, { batchSize: callSize, threads, signal })
  // how many pieces of work a replica is, for the bar
  const all = config.tasks.length + config.singles + config.methods.length * 5 + config.soup + 3
  let done = 0
  const site: Site = {
    ...{ config, family, measures, folder, threads, signal, key: random.foldIn(key, 1) },
    base: weightsOf(family.pretrained),
    shapes: shapesOf(family.pretrained),
    did: (what) => progress(Math.min(1, ++done / all), what),
  }
  try {
    const { models, rows } = await tuneAll(site)
    return [
      ...rows,
      ...(await singleRows(site, models)),
      ...(await mergeRows(site, models)),
      ...(await robustRows(site, models)),
      ...(await policyRows(site, models)),
    ]
  } finally {
    measures.dispose()
    family.close?.()
  }
}
