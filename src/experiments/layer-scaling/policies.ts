/**
 * @file Rewarded soups: two policies that name classes are trained from one start for two rewards, and interpolated. (Ramé et al. 2023,
 * arXiv 2306.04488)
 */
import { weightedMean } from '../../nn/index.ts'
import { gather, mul, neg, softmax, sum, type Tensor, tensor } from '../../tensor/index.ts'
import { mergedWeights, type Weights } from '../merging/tensors.ts'
import type { Task } from '../tasks/family.ts'
import type { RewardRow } from './rows.ts'
import { factorsOf, scaled } from './schedules.ts'
import { accuracyOf, type Site, startOf, tuned } from './site.ts'

/** Reward of answer a (column) where the class is y (row). */
type Rewards = readonly (readonly number[])[]

/**
 * 1 for the right class in both. The first reward takes 1 for an answer of the second half of the classes where the class is of the
 * first; the second reward the other way round. Each policy learns to err on its own side.
 */
export function rewardsOf(classes: number): readonly [Rewards, Rewards] {
  const isFirst = (c: number): boolean => c < classes / 2
  const table = (costly: (y: number, a: number) => boolean): Rewards =>
    Array.from({ length: classes }, (_, y) =>
      Array.from({ length: classes }, (_, a) => (a === y ? 1 : 0) - (costly(y, a) ? 1 : 0)),
    )
  return [table((y, a) => isFirst(y) && !isFirst(a)), table((y, a) => !isFirst(y) && isFirst(a))]
}

/** Minus the expected reward of the policy softmax(logits): its gradient is the policy gradient, without sampling. */
function rewardLoss(
  rewards: Rewards,
): (logits: Tensor, batch: { labels: Tensor; weights: Tensor }) => Tensor {
  const classes = rewards.length
  const table = tensor(Float32Array.from(rewards.flat()), { shape: [classes, classes] })
  return (logits, { labels, weights }) =>
    neg(weightedMean(sum(mul(softmax(logits), gather(table, labels)), -1), weights))
}

/** The task that fine-tuning leaves most room on: where rewards can still be earned. */
async function hardest(site: Site, models: ReadonlyMap<string, Weights>): Promise<Task> {
  let found: { task: Task; accuracy: number } | undefined
  for (const task of site.family.tasks) {
    const accuracy = await accuracyOf(site, models.get(task.name)!, task, 'validation')
    if (!found || accuracy < found.accuracy) found = { task, accuracy }
  }
  return found!.task
}

/** Shares of the first policy in a soup. */
const shares = [0, 0.25, 0.5, 0.75, 1]

/** LiNeS of a soup's change from where the policies began: name, α and β. */
const schedules = [
  ['plain', 1, 0],
  ['LiNeS α = β = 0.5', 0.5, 0.5],
  ['LiNeS α = β = 1', 1, 1],
  ['twice everywhere', 2, 0],
] as const

export async function policyRows(site: Site, models: ReadonlyMap<string, Weights>): Promise<RewardRow[]> {
  const { base, shapes, config, key, measures, did } = site
  if (config.policySteps === 0) return []
  const task = await hardest(site, models)
  const both = rewardsOf((task.head as { readonly prototypes: Tensor }).prototypes.shape[0]!)
  const start = models.get(task.name)!
  const policies: Weights[] = []
  for (const [i, rewards] of both.entries())
    policies.push(
      await tuned(site, task, `policy-${i}`, 250 + i, {
        ...{ start: startOf(site, start), steps: config.policySteps, objective: rewardLoss(rewards) },
      }),
    )
  const earned = async (weights: Weights): Promise<[number, number]> => {
    const features = await measures.features(startOf(site, weights), task, 'test')
    const { answers } = await measures.read(task, features)
    return both.map(
      (rewards) =>
        answers.reduce((total, a, n) => total + rewards[features.labels[n]!]![a]!, 0) / answers.length,
    ) as [number, number]
  }
  const rows: RewardRow[] = []
  for (const share of shares) {
    const soup = mergedWeights({
      ...{ method: 'rewarded_soup', shapes, key },
      models: policies.map((weights, i) => ({
        weights,
        parameters: { weight: i === 0 ? share : 1 - share },
      })),
    })
    for (const [scheme, alpha, beta] of schedules) {
      const how = factorsOf(beta === 0 ? 'plain' : 'lines', [...base.keys()], { alpha, beta, key })
      const [first, second] = await earned(scaled(start, soup, how))
      rows.push({ of: 'reward', task: task.name, scheme, share, first, second })
    }
  }
  did('rewarded soups')
  return rows
}
