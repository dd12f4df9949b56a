/** @file One task's models interpolated and averaged: WiSE-FT and soups, with and without LiNeS, also on shifted inputs. */
import { random } from '../../tensor/index.ts'
import { mergedWeights, type Weights } from '../merging/tensors.ts'
import type { RobustRow } from './rows.ts'
import { factorsOf, scaled } from './schedules.ts'
import { accuracyOf, controlOf, type Site, shifted, tuned } from './site.ts'

/** Rates of the models of a soup, in units of that of fine-tuning. */
const rates = [1, 0.5, 2, 1.5]

const soupOf = ({ shapes, key }: Site, models: readonly Weights[]): Weights =>
  mergedWeights({ method: 'uniform_soup', shapes, key, models: models.map((weights) => ({ weights })) })

export async function robustRows(site: Site, models: ReadonlyMap<string, Weights>): Promise<RobustRow[]> {
  const { base, shapes, config, family, key, did } = site
  const task = family.tasks[0]!
  const own = models.get(task.name)!
  const noisy = shifted(task, config.noise, random.foldIn(key, 500))
  const rows: RobustRow[] = []
  const add = async (model: string, weights: Weights): Promise<void> => {
    rows.push({
      ...{ of: 'robust', model, task: task.name },
      target: await accuracyOf(site, weights, task, 'test'),
      shifted: noisy ? await accuracyOf(site, weights, noisy, 'test') : null,
      control: await controlOf(site, weights, 'test'),
    })
  }
  const depth = (weights: Weights, alpha: number, beta: number): Weights =>
    scaled(base, weights, factorsOf('lines', [...base.keys()], { alpha, beta, key }))
  await add('pretrained', base)
  await add('fine-tuned', own)
  const wise = mergedWeights({
    ...{ method: 'wise_ft', base, shapes, key, parameters: { alpha: 0.5 } },
    models: [{ weights: own }],
  })
  await add('WiSE-FT, α = 0.5', wise)
  await add('LiNeS, α = β = 0.5', depth(own, 0.5, 0.5))
  did('WiSE-FT')
  if (config.soup < 2) return rows
  const several: { weights: Weights; validation: number }[] = []
  for (let i = 0; i < config.soup; i++) {
    const learningRate = config.learningRate * rates[i % rates.length]!
    const weights = await tuned(site, task, `soup-${i}`, 200 + i, { learningRate })
    several.push({ weights, validation: await accuracyOf(site, weights, task, 'validation') })
  }
  several.sort((a, b) => b.validation - a.validation)
  await add('best of the soup', several[0]!.weights)
  const soup = soupOf(
    site,
    several.map(({ weights }) => weights),
  )
  await add('uniform soup', soup)
  await add('uniform soup, LiNeS α = β = 0.5', depth(soup, 0.5, 0.5))
  // greedy: in the order of validation, each that does not make it worse (Wortsman et al. 2022, algorithm 1)
  let kept = [several[0]!.weights]
  let best = several[0]!.validation
  for (const { weights } of several.slice(1)) {
    const accuracy = await accuracyOf(site, soupOf(site, [...kept, weights]), task, 'validation')
    if (accuracy < best) continue
    kept = [...kept, weights]
    best = accuracy
  }
  const greedy = soupOf(site, kept)
  await add('greedy soup', greedy)
  await add('greedy soup, LiNeS α = β = 0.5', depth(greedy, 0.5, 0.5))
  return rows
}
