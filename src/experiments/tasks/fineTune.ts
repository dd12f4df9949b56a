/** @file Fine-tuning the encoder of a family on one task, as it is or in its tangent space; the head stays frozen. */
import { adamW, cosine, crossEntropyLoss, linearize, type Parameters, train } from '../../nn/index.ts'
import { mapTree, random, reshape, type Tensor, type Tree, tensor } from '../../tensor/index.ts'
import type { Batch, Task, TaskFamily } from './family.ts'

/** `nonlinear`: the encoder itself. `linear`: its tangent model at the start. */
type Training = 'nonlinear' | 'linear'

export interface FineTuneOptions {
  readonly training: Training
  /** θ₀: where training begins, and in the linear regime where the encoder is linearized. */
  readonly start: Parameters
  readonly steps: number
  readonly batchSize: number
  /** Peak; a cosine to 0 after a warm-up of a tenth. */
  readonly learningRate: number
  readonly weightDecay?: number
  /** Order of examples. */
  readonly key: random.Key
  readonly threads?: number
  readonly signal?: AbortSignal
  readonly progress?: (share: number) => void
  /** In place of the mean cross-entropy: the loss of logits [rows, classes] and what a batch says of its rows. */
  readonly objective?: (logits: Tensor, batch: Pick<Batch, 'labels' | 'weights'>) => Tensor
  /** A term that is added to the loss, of the change θ − θ₀ (a regularizer). */
  readonly penalty?: (parameters: Parameters) => Tensor
}

/** Groups of examples in an endless shuffled order: an epoch may end within a group, the next one fills it up. */
export function shuffledGroups(key: random.Key, count: number, size: number, groups: number): number[][] {
  const order: number[] = []
  for (let epoch = 0; order.length < size * groups; epoch++)
    order.push(...random.samplePermutation(random.foldIn(key, epoch), count))
  return Array.from({ length: groups }, (_, g) => order.slice(g * size, (g + 1) * size))
}

/** A batch is one example of the training loop, which asks for one first axis everywhere. */
const wrapped = (batch: Batch): Tree<Tensor> =>
  mapTree(batch as unknown as Tree<Tensor>, ({ data, shape }) => tensor(data, { shape: [1, ...shape] }))
const unwrapped = (tree: Tree<Tensor>): Batch =>
  mapTree(tree, (t) => reshape(t, t.shape.slice(1))) as unknown as Batch

/** θ after fine-tuning on the task's training examples, by AdamW with gradients clipped to norm 1. (Ortiz-Jimenez et al. 2023, app. B) */
export async function fineTune(
  { features, logits }: Pick<TaskFamily, 'features' | 'logits'>,
  task: Task,
  options: FineTuneOptions,
): Promise<Parameters> {
  const { training, start, steps, batchSize, learningRate, weightDecay = 0, key, penalty, progress } = options
  const size = Math.min(batchSize, task.counts.train)
  const batch = task.batches('train', shuffledGroups(key, task.counts.train, size, steps))
  const encoder = training === 'linear' ? linearize({ apply: features }, start) : { apply: features }
  const { parameters } = await train({
    parameters: start,
    loss: (own, given) => {
      const { inputs, labels, weights } = unwrapped(given)
      const rows = logits(encoder.apply(own, inputs), task.head)
      const loss =
        options.objective?.(rows, { labels, weights }) ?? crossEntropyLoss(rows, labels, { weights })
      return penalty ? loss.add(penalty(own)) : loss
    },
    data: (step: number) => wrapped(batch(Math.min(step, steps - 1))),
    optimizer: adamW({ weightDecay }),
    learningRate: cosine({ peak: learningRate, warmup: Math.ceil(steps / 10) }),
    clipNorm: 1,
    steps,
    seed: 0,
    ...(options.threads !== undefined && { threads: options.threads }),
    ...(options.signal && { signal: options.signal }),
    ...(progress && { onProgress: ({ step }) => progress(step / steps) }),
  })
  return parameters
}
