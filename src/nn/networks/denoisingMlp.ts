/** @file A perceptron that is told a time: residual layers after LayerNorm, for denoising small images and other vectors. */
import { fail } from '../../base/index.ts'
import { add, type FloatDtype, reshape, showSpec, silu, type Tensor } from '../../tensor/index.ts'
import type { Initializer } from '../initializers.ts'
import { initAll, type Key, type Layer, requirePositive } from '../layer.ts'
import { type DenseParameters, dense } from '../layers/dense.ts'
import { sinusoidalFeatures } from '../layers/embedding.ts'
import { layerNorm, type NormParameters } from '../layers/normalization.ts'

export interface DenoisingMlpOptions {
  /** Numbers of one example: C · H · W of an image. */
  readonly size: number
  /** Default 256. */
  readonly width?: number
  /** Residual layers. Default 3. */
  readonly layers?: number
  /** Sinusoidal features of a time. Default 64. */
  readonly time?: number
  /** Default 'torch'. From 'glorot', whose weights are √3 times as large, Adam takes about four times as long to fit details of MNIST. */
  readonly init?: Initializer
}

/** `embed`, `readout`: into the width and out of it. `time.0`, `time.1`: [width, time], [width, width]. */
export type DenoisingMlpParameters = {
  embed: DenseParameters
  time: DenseParameters[]
  blocks: { norm: NormParameters; dense: DenseParameters }[]
  readout: DenseParameters
}

/**
 * x [B, …] of `size` numbers each, t [B] (i32) ↦ like x. h ← h + W silu(LN(h) + e(t)), the same e in every layer:
 * e = W₁ silu(W₀ s(t)) of sinusoidal features s.
 */
export function denoisingMlp({
  size,
  width = 256,
  layers = 3,
  time = 64,
  init = 'torch',
}: DenoisingMlpOptions): Layer<DenoisingMlpParameters, [x: Tensor, t: Tensor]> {
  requirePositive('denoisingMlp: size, width, layers, time', size, width, layers, time)
  const [embed, readout] = [dense(size, width, { init }), dense(width, size, { init })]
  const times = [dense(time, width, { init }), dense(width, width, { init })] as const
  const block = { norm: layerNorm(width), dense: dense(width, width, { init }) }
  const blocks = Array.from({ length: layers }, () => ({ init: (key: Key) => initAll(key, block) }))
  return {
    init: (key) =>
      initAll(key, {
        ...{ embed, readout },
        time: { init: (own: Key) => initAll(own, times) as DenseParameters[] },
        blocks: { init: (own: Key) => initAll(own, blocks) },
      }),
    apply: (p, x, t) => {
      const count = x.shape[0]!
      if (x.size !== count * size)
        fail('TL_SHAPE_MISMATCH', `denoisingMlp: expected ${size} numbers an example, got ${showSpec(x)}`)
      const features = sinusoidalFeatures(t, time, { dtype: x.dtype as FloatDtype })
      const e = times[1].apply(p.time[1]!, silu(times[0].apply(p.time[0]!, features)))
      const h = p.blocks.reduce(
        (own, { norm, dense: weights }) =>
          add(own, block.dense.apply(weights, silu(add(block.norm.apply(norm, own), e)))),
        embed.apply(p.embed, reshape(x, [count, size])),
      )
      return reshape(readout.apply(p.readout, h), x.shape)
    },
  }
}
