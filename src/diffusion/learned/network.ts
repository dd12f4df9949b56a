/** @file A trained network as a denoiser, and the losses of its strings. Time enters only through what each token's x_t says of x_0. */
import {
  type Layer,
  overTable,
  type Parameters,
  type TransformerParameters,
  type TreeUnetOptions,
  type TreeUnetParameters,
  transformer,
  treeUnet,
} from '../../nn/index.ts'
import {
  add,
  compile,
  gather,
  mul,
  oneHot,
  reshape,
  softmax,
  sub,
  type Tensor,
  tensor,
} from '../../tensor/index.ts'
import { checkNoise, type Noisy } from '../channels.ts'
import { countOf, type Denoiser } from '../denoiser.ts'
import { inputDeviation, type NoiseProcess } from './noiseProcess.ts'
import { type NoisyStrings, ownEvidence } from './objectives.ts'

/** A network of the size of its strings: inputs [B, d, v] of mean 0 and variance 1 ↦ logits of x̂_0 [B, d, v]. */
export interface DenoisingNetwork<P extends Parameters = Parameters> extends Layer<P> {
  readonly d: number
  readonly v: number
  /** The same of strings whose tokens are rows [n, v] of a table of inputs, i32 [B, d]; where the network has a faster way. */
  readonly applyRows?: (parameters: P, rows: Tensor, tokens: Tensor) => Tensor
  /** Hidden layers, for probes; each [B, ·, width]. */
  readonly activations: (parameters: P, x: Tensor) => Tensor[]
}

/** Sizes of the grammar that a network is made for. */
interface GrammarSizes {
  readonly v: number
  readonly s: number
  readonly L: number
}

/** The tree U-Net of a grammar. */
export function treeUnetFor(
  { v, s, L }: GrammarSizes,
  options: Pick<TreeUnetOptions, 'width' | 'activation' | 'parametrization'>,
): DenoisingNetwork<TreeUnetParameters> {
  const network = treeUnet({ symbols: v, branching: s, depth: L, ...options })
  return { d: s ** L, v, ...network }
}

/**
 * A transformer that looks both ways, for strings of d tokens; its inputs are weights of the vocabulary in place of tokens. Positions
 * are learned by default: windows of a tree begin at fixed places, which distances alone do not tell.
 */
export function transformerFor(
  { d, v }: { readonly d: number; readonly v: number },
  {
    width,
    heads,
    layers,
    positions = 'learned',
  }: {
    readonly width: number
    readonly heads: number
    readonly layers: number
    readonly positions?: 'learned' | 'rotary'
  },
): DenoisingNetwork<TransformerParameters> {
  const network = transformer({
    ...{ vocabulary: v, context: d, features: width, heads, layers, positions, causal: false },
    ...(positions === 'rotary' && { rotary: { base: 100 } }),
  })
  return { d, v, ...network }
}

/** What a network is given of x_t. */
const inputOf = (share: Tensor, v: number, deviation: number): Tensor => mul(sub(share, 1 / v), 1 / deviation)

/** Logits of x̂_0 of strings, as a program. */
export function logitsOf<P extends Parameters>(
  network: DenoisingNetwork<P>,
  noising: NoiseProcess,
): (parameters: P, strings: Pick<NoisyStrings, 'noisy' | 'noise'>) => Tensor {
  const { v } = network
  const deviation = inputDeviation(noising, v)
  return (parameters, strings) =>
    network.apply(parameters, inputOf(ownEvidence(noising.channel.name, strings, v).share, v, deviation))
}

/** p(x_0 | x_t) of strings, as a program. */
function posteriorOf<P extends Parameters>(network: DenoisingNetwork<P>, noising: NoiseProcess) {
  const logits = logitsOf(network, noising)
  return (parameters: P, strings: Pick<NoisyStrings, 'noisy' | 'noise'>): Tensor =>
    softmax(add(logits(parameters, strings), ownEvidence(noising.channel.name, strings, network.v).log))
}

/**
 * The same of tokens that are all at one noise level [1], bit for bit: what depends on single tokens is computed once for each
 * symbol that there is, −1 among them where the channel masks.
 */
function posteriorOfTokens<P extends Parameters>(
  { v, applyRows }: DenoisingNetwork<P> & Required<Pick<DenoisingNetwork<P>, 'applyRows'>>,
  noising: NoiseProcess,
) {
  const deviation = inputDeviation(noising, v)
  const { name } = noising.channel
  const least = name === 'masking' ? -1 : 0
  const symbols = tensor(
    Int32Array.from({ length: v - least }, (_, i) => i + least),
    { shape: [1, v - least] },
  )
  return (parameters: P, { noisy, noise }: Pick<NoisyStrings, 'noisy' | 'noise'>): Tensor => {
    const own = ownEvidence(name, { noisy: symbols, noise }, v)
    const rows = (x: Tensor): Tensor => reshape(x, [symbols.size, v])
    const tokens = sub(noisy, least)
    const logits = applyRows(parameters, rows(inputOf(own.share, v, deviation)), tokens)
    return softmax(add(logits, gather(rows(own.log), tokens)))
  }
}

/** Options of a network at work. */
interface Working {
  /** Strings in one call of the runtime. Default 256. */
  readonly batchSize?: number
  readonly threads?: number
}

/** A network's program, for any of its parameters. */
export interface NetworkDenoiser<P extends Parameters = Parameters> {
  with(parameters: P): Denoiser
  dispose(): void
}

/** p(x_0 | x_t) by a network. */
export function networkDenoiser<P extends Parameters>(
  network: DenoisingNetwork<P>,
  noising: NoiseProcess,
  { batchSize = 256, threads = 1 }: Working = {},
): NetworkDenoiser<P> {
  const { d, v } = network
  const { channel } = noising
  const isVector = channel.name === 'gaussian'
  const { applyRows } = network
  const isTabled = applyRows !== undefined && !isVector
  const posterior = isTabled
    ? posteriorOfTokens({ ...network, applyRows }, noising)
    : posteriorOf(network, noising)
  const program = compile(posterior, { name: 'denoiser', threads })
  const each = isVector ? d * v : d
  const room = isVector ? new Float32Array(batchSize * each) : new Int32Array(batchSize * each)
  const strings = {
    noisy: tensor(room, { shape: isVector ? [batchSize, d, v] : [batchSize, d] }),
    noise: tensor(new Float32Array(isTabled ? 1 : batchSize), { shape: [isTabled ? 1 : batchSize] }),
  }
  return {
    with(parameters) {
      const denoiser: Denoiser = {
        ...{ channel, d, v },
        async denoise(noisy: Noisy, noise: number) {
          checkNoise(noise)
          const count = countOf(denoiser, noisy)
          const clean = new Float32Array(count * d * v)
          ;(strings.noise.data as Float32Array).fill(noise)
          for (let from = 0; from < count; from += batchSize) {
            const some = Math.min(batchSize, count - from)
            room.set(noisy.subarray(from * each, (from + some) * each))
            const { data } = (await program(parameters, strings)) as Tensor
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

/** Losses of strings by a network, the mean over the tokens of each; for any of its parameters. */
export function stringLosses<P extends Parameters>(
  network: DenoisingNetwork<P>,
  noising: NoiseProcess,
  { batchSize = 256, threads = 1 }: Working = {},
): { of(parameters: P, strings: NoisyStrings): Promise<Float32Array>; dispose(): void } {
  const logits = logitsOf(network, noising)
  const table = overTable<P, NoisyStrings>(
    (parameters, strings) => ({
      loss: noising.objective.loss(logits(parameters, strings), strings).mean(1),
    }),
    { batchSize, threads },
  )
  return {
    of: async (parameters, strings) => (await table.all(parameters, strings))['loss']!.data as Float32Array,
    dispose: () => table.dispose(),
  }
}

/** Hidden layers of a network for `count` strings without noise, in its order: the tree U-Net's go up from the leaves and down again. */
export function hiddenLayers<P extends Parameters>(
  network: DenoisingNetwork<P>,
  noising: NoiseProcess,
  count: number,
): { of(parameters: P, leaves: Int32Array): Promise<Float32Array[]>; dispose(): void } {
  const { d, v } = network
  const deviation = inputDeviation(noising, v)
  const program = compile(
    (parameters: P, clean: Tensor) =>
      network.activations(parameters, inputOf(oneHot(clean, v), v, deviation)),
    { name: 'hidden layers', threads: 1 },
  )
  return {
    async of(parameters, leaves) {
      const layers = (await program(parameters, tensor(leaves.slice(), { shape: [count, d] }))) as Tensor[]
      return layers.map(({ data }) => (data as Float32Array).slice())
    },
    dispose: () => program.dispose(),
  }
}
