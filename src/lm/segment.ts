/**
 * @file Programs for a range of blocks, with their part of the cache. One program serves every number of sequences and tokens
 * and every capacity: weights are held once.
 */
import { fail } from '../base/index.ts'
import {
  cachedAttention,
  compileDynamic,
  type DynamicProgram,
  gather,
  mul,
  openArena,
  reshape,
  type Sizes,
  type Spec,
  spec,
  type Tensor,
  type TypedArray,
} from '../tensor/index.ts'
import { applyHead, block, collapse, type Down, type Stream } from './block.ts'
import type { ModelConfig } from './config.ts'
import type { KvCache } from './kvCache.ts'
import { rotaryTables } from './rotary.ts'
import type { BlockWeights, HeadWeights, ModelWeights } from './weights.ts'

export interface SegmentOptions {
  /** First block. Default 0. */
  readonly from?: number
  /** The block after the last. Default all. */
  readonly to?: number
  /** Final normalization and head on chosen rows, after the last block. Default: when `to` is the end. */
  readonly head?: boolean
  /** Return the input of this block's down projection for every token, [B, S, hidden] (the last block of the range at most). */
  readonly feature?: number
  /** Return the hidden states that enter this block, [B, S, width] (not the first of the range, to which they are given). */
  readonly hiddenStates?: number
  /** What else the program does at its blocks' down projections. */
  readonly hook?: SegmentHook
  /**
   * Bytes of dense weights from which on the runtime reads them where they are made instead of copying and packing them: a third
   * of the memory, other last bits. Default 2 GiB.
   */
  readonly mostPacked?: number
}

/** Something at down projections (a residual memory, and what finds the edit that answers), with inputs and results of its own. */
export interface SegmentHook {
  /** Axes of its inputs whose size is left open, beside B sequences of S tokens. */
  readonly axes?: readonly string[]
  readonly inputs: (sizes: Sizes) => Readonly<Record<string, Spec>>
  /** Called once for a program, before its blocks; `entering` and `down` then for each block, in order; `results` after the last. */
  readonly begin: (inputs: Readonly<Record<string, Tensor>>) => {
    /** May look at the hidden states [B, S, width] that enter a block. */
    readonly entering?: (layer: number, hiddenStates: () => Tensor) => void
    readonly down: (layer: number) => Down | undefined
    readonly results?: () => readonly Tensor[]
  }
}

/** What a hook is given at a call: sizes of its axes, its inputs in their order, and arrays that its results are written to. */
export interface HookInputs {
  readonly sizes?: Sizes
  readonly inputs: readonly TypedArray[]
  readonly results?: readonly TypedArray[]
}

export interface SegmentInputs {
  /** The tokens of each sequence, one sequence after the other, for a segment from block 0; or */
  readonly ids?: readonly number[]
  /** the hidden states that enter: [B, S, width]. */
  readonly x?: Float32Array
  /** What the sequences have taken in so far: written in place, and longer by S afterwards. */
  readonly kvCache: KvCache
  /** Index of the last token of each sequence once these are in, [B], where sequences are padded on the right. */
  readonly last?: Int32Array
  /** Rows b · S + s that reach the head. */
  readonly rows?: ArrayLike<number>
  /** For a segment with a hook. */
  readonly hook?: HookInputs
}

export interface SegmentOutputs {
  /** The hidden states that leave, [B, S, width], of a segment without head. */
  readonly x?: Float32Array
  /** [R, vocabulary] */
  readonly logits?: Float32Array
  /** [B, S, hidden] */
  readonly feature?: Float32Array
  /** [B, S, width] */
  readonly hiddenStates?: Float32Array
}

export interface Segment {
  readonly from: number
  readonly to: number
  /** An empty cache for this range. */
  kvCache(batch: number, capacity: number): KvCache
  run(inputs: SegmentInputs): Promise<SegmentOutputs>
  dispose(): void
}

interface Inputs {
  [name: string]: Tensor | readonly Tensor[]
}

interface Range {
  readonly from: number
  readonly to: number
  readonly head: boolean
  readonly feature: number | undefined
  readonly hiddenStates: number | undefined
  readonly hook: SegmentHook | undefined
  readonly most: number
}

/** Most bytes of dense weights that the runtime may copy and pack: while it does, they take three times as many. */
const mostPacked = 2 ** 31

/** Bytes of the dense weights of a range. */
function denseBytes(blocks: readonly BlockWeights[], head: HeadWeights | undefined): number {
  const maps = [
    ...blocks.flatMap(({ qkv, out, up, down }) => [qkv, out, up, down]),
    ...(head ? [head.head] : []),
  ]
  return maps.reduce((n, { weight }) => n + ('bits' in weight ? 0 : weight.data.byteLength), 0)
}

/** The program of a range. What it closes over, the weights, is the runtime's alone once it is compiled. */
function compileRange(
  config: ModelConfig,
  weights: ModelWeights,
  positions: number,
  threads: number,
  { from, to, head, feature, hiddenStates: asked, hook, most }: Range,
): Promise<DynamicProgram> {
  const { width, hidden, vocabulary, keyValueHeads, headWidth, headSlots } = config
  const count = to - from
  // in f32, a block as four matrices of the feed-forward's size
  const arena = openArena(4 * width * (4 * count * hidden + (head ? vocabulary : 0)))
  const running = weights.forRunning(arena)
  const blocks = Array.from({ length: count }, (_, i) => running.block(from + i))
  const headWeights = head ? running.head() : undefined
  const tables = rotaryTables(config, positions, weights.frequencyFactors)

  const { heads, window } = config
  const attentionOptions = { heads, keyValueHeads, window, scale: 1 / Math.sqrt(headWidth) }

  const program = (inputs: Inputs): Inputs => {
    const { x, last, total, keys, values } = inputs as unknown as Record<'x' | 'last' | 'total', Tensor> &
      Record<'keys' | 'values', readonly Tensor[]>
    const newKeys: Tensor[] = []
    const newValues: Tensor[] = []
    // as between two blocks of one segment, so that a model in pieces gives the same bits as the whole
    let stream: Stream = from > 0 ? { x, y: mul(x, 0) } : { x }
    let input: Tensor | undefined
    let entering: Tensor | undefined
    const own = hook?.begin(inputs['hook'] as unknown as Record<string, Tensor>)
    for (const [i, blockWeights] of blocks.entries()) {
      const layer = from + i
      if (layer === asked) entering = collapse(stream)
      const before = stream
      own?.entering?.(layer, () => collapse(before))
      const attention = (qkv: Tensor): Tensor => {
        const result = cachedAttention(
          { qkv, keys: keys[i]!, values: values[i]!, last, total, ...tables },
          attentionOptions,
        )
        newKeys.push(result.keys)
        newValues.push(result.values)
        return result.mixed
      }
      const result = block(config, blockWeights, stream, layer, attention, own?.down(layer))
      stream = result.stream
      if (layer === feature) input = result.a
    }
    const result: Record<string, Tensor | readonly Tensor[]> = {}
    if (headWeights) {
      const whole = collapse(stream)
      const flat = reshape(whole, [whole.shape[0]! * whole.shape[1]!, width])
      result['logits'] = applyHead(config, headWeights, gather(flat, inputs['rows'] as Tensor, 0))
    } else result['x'] = collapse(stream)
    if (input) result['feature'] = input
    if (entering) result['hiddenStates'] = entering
    return { ...result, keys: newKeys, values: newValues, results: own?.results?.() ?? [] }
  }
  const specsAt = (sizes: Sizes): Record<string, unknown>[] => {
    const { B, S, C, R } = sizes
    const cache = Array.from({ length: count }, () => spec([B!, keyValueHeads, C!, headSlots]))
    return [
      {
        x: spec([B!, S!, width]),
        last: spec([B!], 'i32'),
        total: spec([1], 'i32'),
        keys: cache,
        values: cache,
        ...(head && { rows: spec([R!], 'i64') }),
        ...(hook && { hook: hook.inputs(sizes) }),
      },
    ]
  }
  const places = 1 + (feature === undefined ? 0 : 1) + (asked === undefined ? 0 : 1)
  const inPlace = new Map(Array.from({ length: 2 * count }, (_, i) => [places + i, 3 + i]))
  const more = (size: number): Sizes =>
    Object.fromEntries((hook?.axes ?? []).map((axis, i) => [axis, size + 1000 * i]))
  return compileDynamic(program as never, specsAt as never, {
    name: `blocks ${from} to ${to - 1}`,
    // sizes that no model has, so that they cannot be taken for one of its own
    samples: [
      { B: 10007, S: 10037, C: 10061, R: 10067, ...more(10091) },
      { B: 10009, S: 10039, C: 10069, R: 10079, ...more(10093) },
    ],
    ...{ inPlace, threads, arena },
    ...(denseBytes(blocks, headWeights) > most && { given: 2 ** 12 }),
  })
}

/** Compile a segment. Its weights are read from the file now, and kept only by the runtime. */
export async function compileSegment(
  config: ModelConfig,
  weights: ModelWeights,
  positions: number,
  threads: number,
  options: SegmentOptions = {},
): Promise<Segment> {
  const { layers, width, hidden, keyValueHeads, headSlots, vocabulary } = config
  const { from = 0, to = layers, feature, hiddenStates, hook, mostPacked: most = mostPacked } = options
  const { head = to === layers } = options
  if (!(Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from < to && to <= layers))
    fail('TL_BAD_ARGUMENT', `segment: expected blocks from < to within 0 … ${layers}, got ${from} to ${to}`)
  if (head && to !== layers)
    fail('TL_BAD_ARGUMENT', `segment: the head follows block ${layers - 1}, not block ${to - 1}`)
  for (const [what, layer, first] of [
    ['feature', feature, from],
    ['hiddenStates', hiddenStates, from + 1],
  ] as const)
    if (layer !== undefined && !(layer >= first && layer < to))
      fail('TL_BAD_ARGUMENT', `segment: ${what} of block ${layer}, the segment has ${first} to ${to - 1}`)
  const range: Range = { from, to, head, feature, hiddenStates, hook, most }
  const dynamic = await compileRange(config, weights, positions, threads, range)
  const embed = (ids: readonly number[], tokens: number, before: number): Float32Array =>
    from === 0
      ? weights.embed(
          ids,
          ids.map((_, i) => before + (i % tokens)),
        )
      : fail('TL_BAD_ARGUMENT', `segment: tokens enter at block 0, hidden states at block ${from}: give x`)
  return {
    from,
    to,
    kvCache: (batch, capacity) => {
      const size = batch * keyValueHeads * capacity * headSlots
      const make = (): Float32Array[] =>
        Array.from({ length: to - from }, () => dynamic.allocate('f32', size) as Float32Array)
      return { batch, capacity, length: 0, keys: make(), values: make() }
    },
    async run({ ids, x: entered, kvCache, last: given, rows = [], hook: forHook }) {
      const { batch, capacity, length } = kvCache
      const tokens = (ids ? ids.length : entered!.length / width) / batch
      const total = length + tokens
      const R = rows.length
      if (head && R === 0) fail('TL_BAD_ARGUMENT', 'segment: expected at least one row for the head')
      if (total > capacity) fail('TL_BAD_ARGUMENT', `segment: ${total} tokens, the cache holds ${capacity}`)
      if (total > positions)
        fail('TL_BAD_ARGUMENT', `segment: ${total} tokens, the context holds ${positions}`)
      if (tokens > 1 && batch > 1 && length > 0)
        fail('TL_BAD_ARGUMENT', 'segment: several tokens of several sequences only at their beginning')
      if (hook && !forHook) fail('TL_BAD_ARGUMENT', 'segment: expected the inputs of its hook')
      const x = entered ?? embed(ids!, tokens, length)
      const last = given ?? new Int32Array(batch).fill(total - 1)
      const caches = [...kvCache.keys, ...kvCache.values]
      const first = head ? new Float32Array(R * vocabulary) : new Float32Array(x.length)
      const input = feature === undefined ? undefined : new Float32Array(batch * tokens * hidden)
      const entering = hiddenStates === undefined ? undefined : new Float32Array(batch * tokens * width)
      const inputs: TypedArray[] = [x, last, Int32Array.of(total), ...caches]
      if (head) inputs.push(BigInt64Array.from({ length: R }, (_, i) => BigInt(rows[i]!)))
      const own = hook ? forHook : undefined
      inputs.push(...(own?.inputs ?? []))
      const sizes = { B: batch, S: tokens, C: capacity, R, ...own?.sizes }
      const between = [input, entering].filter((array) => array !== undefined)
      await dynamic.run(sizes, inputs, [first, ...between, ...caches, ...(own?.results ?? [])])
      kvCache.length = total
      return {
        ...(head ? { logits: first } : { x: first }),
        ...(input && { feature: input }),
        ...(entering && { hiddenStates: entering }),
      }
    },
    dispose: dynamic.dispose,
  }
}
