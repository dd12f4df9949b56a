/** @file Is a model a fine-tune of its base? Told from a sample of its weights. */
import { fail, percent } from '../../base/index.ts'
import { elements, openCheckpoint } from '../../checkpoint/index.ts'
import type { MergeConfig } from '../config/index.ts'

/** Matrices that are looked at, and values of each. */
const [matrices, sample] = [4, 1 << 16]

/** A fine-tune changes weights by a few per cent of their norm, two trainings from scratch by about 140. */
const mostChange = 0.7

/** ‖θ − θ₀‖ / ‖θ₀‖ over a sample of the largest tensors that both have; undefined when there are none. */
function relativeChange(base: string, tuned: string): number | undefined {
  const [from, to] = [openCheckpoint(base), openCheckpoint(tuned)]
  try {
    const common = [...from.tensors.values()].filter(
      ({ name, shape, dtype }) =>
        shape.length > 1 &&
        !/^[IUB]\d|^BOOL/.test(dtype) &&
        to.tensors.get(name)?.shape.join() === shape.join(),
    )
    const largest = common.sort((a, b) => elements(b.shape) - elements(a.shape)).slice(0, matrices)
    let [change, norm] = [0, 0]
    for (const { name, shape } of largest) {
      const count = Math.min(sample, elements(shape))
      const [a, b] = [from, to].map((one) => one.tensors.get(name)!.f32(0, count)) as [
        Float32Array,
        Float32Array,
      ]
      for (const [i, x] of a.entries()) {
        change += (b[i]! - x) ** 2
        norm += x ** 2
      }
    }
    return norm > 0 ? Math.sqrt(change / norm) : undefined
  } finally {
    from.close()
    to.close()
  }
}

/** Throws TL_BAD_ARGUMENT for a model that was not trained from the base. */
export function requireFineTunes({ baseModel, models }: MergeConfig): void {
  if (baseModel === undefined) return
  for (const model of models) {
    const change = model === baseModel ? undefined : relativeChange(baseModel, model)
    if (change !== undefined && !(change <= mostChange))
      fail(
        'TL_BAD_ARGUMENT',
        `${model} is no fine-tune of ${baseModel}: its weights differ by ${percent(change)} of the base's norm, where fine-tuning changes a few per cent; name the base that it was trained from (--lenient lets it pass)`,
      )
  }
}
