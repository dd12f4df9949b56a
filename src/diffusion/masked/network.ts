/** @file A network for masked strings: a transformer that looks both ways and is told nothing of time. (Shi et al. 2024; Sahoo et al. 2024) */
import { type Layer, type Parameters, type TransformerParameters, transformer } from '../../nn/index.ts'
import {
  add,
  compile,
  crossEntropy,
  less,
  mul,
  oneHot,
  softmax,
  sum,
  type Tensor,
  tensor,
  where,
} from '../../tensor/index.ts'
import { channels, type Noisy } from '../channels.ts'
import { countOf, type Denoiser } from '../denoiser.ts'
import type { MaskedStrings } from './masks.ts'

/** Strings i32 [B, d] with −1 where a symbol is masked ↦ logits of x_0, [B, d, v]. */
export interface MaskedNetwork<P extends Parameters = Parameters> extends Layer<P, [noisy: Tensor]> {
  readonly d: number
  readonly v: number
}

/** Sizes of a transformer for masked strings. */
export interface MaskedTransformerOptions {
  /** Kinds of symbols; the mask is one more, v. */
  readonly v: number
  /** Symbols of a string. */
  readonly d: number
  readonly width: number
  readonly heads: number
  readonly layers: number
}

/**
 * A pre-norm transformer that looks both ways, with rotary positions of base 100. With learned positions it stays at the
 * frequencies of single symbols for hundreds of steps. The number of masks says how much time is left, so time is no input.
 */
export function maskedTransformer({
  v,
  d,
  width,
  heads,
  layers,
}: MaskedTransformerOptions): MaskedNetwork<TransformerParameters> {
  const network = transformer({
    ...{ vocabulary: v + 1, outputs: v, context: d, features: width, heads, layers },
    ...{ causal: false, positions: 'rotary', rotary: { base: 100 }, fusedAttention: true },
  })
  return {
    ...{ d, v, init: network.init },
    apply: (parameters, noisy) => network.apply(parameters, where(less(noisy, 0), v, noisy)),
  }
}

/** Loss of every string [B], in nats a symbol: a part of a program. */
export function maskedLoss<P extends Parameters>(
  network: MaskedNetwork<P>,
  parameters: P,
  { clean, noisy, weight }: MaskedStrings,
): Tensor {
  return sum(mul(crossEntropy(network.apply(parameters, noisy), clean), weight), 1)
}

/** Far above every logit. */
const certain = 1e4

/** A network's program, for any of its parameters. */
export interface MaskedDenoiser<P extends Parameters = Parameters> {
  with(parameters: P): Denoiser
  dispose(): void
}

/** p(x_0 | x_t) by a network; a symbol that is shown is certain. The noise level does not count. */
export function maskedDenoiser<P extends Parameters>(
  network: MaskedNetwork<P>,
  { batchSize = 256, threads = 1 }: { readonly batchSize?: number; readonly threads?: number } = {},
): MaskedDenoiser<P> {
  const { d, v } = network
  const program = compile(
    (parameters: P, noisy: Tensor) =>
      softmax(add(network.apply(parameters, noisy), mul(oneHot(noisy, v, 'f32'), certain))),
    { name: 'masked denoiser', threads },
  )
  const room = new Int32Array(batchSize * d)
  const given = tensor(room, { shape: [batchSize, d] })
  return {
    with(parameters) {
      const denoiser: Denoiser = {
        ...{ channel: channels.masking, d, v },
        async denoise(noisy: Noisy) {
          const count = countOf(denoiser, noisy)
          const clean = new Float32Array(count * d * v)
          for (let from = 0; from < count; from += batchSize) {
            const some = Math.min(batchSize, count - from)
            room.set((noisy as Int32Array).subarray(from * d, (from + some) * d))
            const { data } = (await program(parameters, given)) as Tensor
            clean.set((data as Float32Array).subarray(0, some * d * v), from * d * v)
          }
          return { clean }
        },
      }
      return denoiser
    },
    dispose: () => program.dispose(),
  }
}
