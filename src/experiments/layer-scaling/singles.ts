/** @file One fine-tuned model, scaled by depth: what it keeps of its task, and what it gives back of the control. */
import { random } from '../../tensor/index.ts'
import type { Weights } from '../merging/tensors.ts'
import type { Task } from '../tasks/family.ts'
import type { SingleRow } from './rows.ts'
import { factorsOf, type Scheme, scaled } from './schedules.ts'
import { accuracyOf, controlOf, type Site } from './site.ts'

/** How much the task counts where α is chosen. (Wang et al. 2025, config of the single task) */
const taskWeight = 2

const tried: readonly Scheme[] = ['plain', 'lines', 'reversed', 'shuffled']

interface Point {
  readonly alpha: number
  readonly weights: Weights
  /** Task and control on validation pictures. */
  readonly seen: readonly [number, number]
}

/** The curve of one schedule over α, with the point that validation pictures choose. */
async function curve(
  site: Site,
  task: Task,
  model: Weights,
  scheme: Scheme,
  key: random.Key,
): Promise<SingleRow[]> {
  const { base, config } = site
  const at = async (weights: Weights, split: 'validation' | 'test'): Promise<[number, number]> => [
    await accuracyOf(site, weights, task, split),
    await controlOf(site, weights, split),
  ]
  const whole = { validation: await at(model, 'validation'), test: await at(model, 'test') }
  const none = {
    validation: await controlOf(site, base, 'validation'),
    test: await controlOf(site, base, 'test'),
  }
  const points: Point[] = []
  for (let i = 0; i <= config.points; i++) {
    const alpha = i / config.points
    // the last block (with `reversed` the first) stays as it is; `plain` has α everywhere
    const factors = factorsOf(scheme, [...base.keys()], { alpha, beta: 1 - alpha, key })
    const weights = scaled(base, model, factors)
    points.push({ alpha, weights, seen: await at(weights, 'validation') })
  }
  const [ownBest] = whole.validation
  const worth = ({ seen: [target, control] }: Point): number =>
    (taskWeight * target) / Math.max(ownBest, 1e-9) + control / Math.max(none.validation, 1e-9)
  const best = points.reduce((a, b) => (worth(b) > worth(a) ? b : a))
  const rows: SingleRow[] = []
  for (const point of points) {
    const [target, control] = await at(point.weights, 'test')
    rows.push({
      ...{ of: 'single', task: task.name, scheme, alpha: point.alpha, isChosen: point === best },
      target: target / whole.test[0],
      control: control / Math.max(none.test, 1e-9),
    })
  }
  return rows
}

export async function singleRows(site: Site, models: ReadonlyMap<string, Weights>): Promise<SingleRow[]> {
  const { family, config, key, did } = site
  const rows: SingleRow[] = []
  for (const task of family.tasks.slice(0, config.singles)) {
    for (const scheme of tried)
      rows.push(...(await curve(site, task, models.get(task.name)!, scheme, random.foldIn(key, 300))))
    did(`${task.name} scaled by depth`)
  }
  return rows
}
