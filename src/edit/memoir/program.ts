/** @file A model and its store as one ONNX program with the routing inside: tokens in, logits out, for any runtime. */
import { writeAtomically } from '../../base/files.ts'
import { fail } from '../../base/index.ts'
import {
  anyLengthAttention,
  applyHead,
  block,
  collapse,
  type LanguageModel,
  rotaryTables,
  type Stream,
} from '../../lm/index.ts'
import {
  abs,
  add,
  argmax,
  cast,
  cumsum,
  div,
  exportDynamicOnnx,
  gather,
  greater,
  greaterEqual,
  less,
  linear,
  matmul,
  max,
  mul,
  oneHot,
  reshape,
  spec,
  sub,
  sum,
  type Tensor,
  tensor,
  topK,
  where,
} from '../../tensor/index.ts'
import { numbersOf, parseMask } from './masks.ts'
import type { Words } from './opened.ts'
import { openOwnStore } from './opening.ts'
import { routerOf } from './router.ts'
import { type Store, statuses } from './store/index.ts'

/** The features of `routers` as tensors: activations f64 [S, hidden], 1 for tokens of the prompt f64 [S, 1], their number f64 [1]. */
const features: Readonly<Record<string, (a: Tensor, inPrompt: Tensor, count: Tensor) => Tensor>> = {
  'mean-centred': (a, inPrompt, count) => div(sum(mul(a, inPrompt), 0), count),
  mean: (a, inPrompt, count) => div(sum(mul(a, inPrompt), 0), count),
  last: (a, _, count) => reshape(gather(a, cast(sub(count, 1), 'i32'), 0), [a.shape[1]!]),
}

interface Routed {
  /** m [hidden]: that of the edit that answers, or zeros. */
  readonly mask: Tensor
  /** Its number i32 [1], or 0. */
  readonly edit: Tensor
  /** R of the nearest edit f32 [1]. */
  readonly overlap: Tensor
}

/** Routing as the store does it: TopHash, shared ones, the nearest of those allowed, threshold. */
function routing({
  config,
  permutation,
  background,
  records,
}: Store): (feature: Tensor, allowed: Tensor | undefined) => Routed {
  const { hidden, ones, router, threshold } = config
  // of edits equally near the later answers: argmax takes the first
  const edits = statuses(records)
    .filter(({ status }) => status.state === 'active')
    .map(({ record }) => record)
    .reverse()
  const bits = new Float32Array(edits.length * hidden)
  for (const [i, { mask }] of edits.entries())
    bits.set(numbersOf(parseMask(mask, hidden, ones)!, hidden), i * hidden)
  const masks = tensor(bits, { shape: [edits.length, hidden] })
  const numbers = tensor(Int32Array.from(edits, ({ number }) => number))
  const places = tensor(Int32Array.from(permutation))
  // the least count of shared ones that is at or above τ, exactly as numbers are compared elsewhere
  let need = 0
  while (need / ones < threshold) need++
  return (feature, allowed) => {
    const centred = routerOf(router).isCentred ? sub(feature, tensor(background)) : feature
    const { indices } = topK(abs(centred), ones)
    const hash = sum(oneHot(gather(places, indices, 0), hidden), 0)
    const shared = reshape(matmul(masks, reshape(hash, [hidden, 1])), [edits.length])
    const counts = allowed ? where(greater(allowed, 0), shared, -1).cast('f32') : shared
    const [best, top] = [reshape(argmax(counts), [1]).cast('i32'), reshape(max(counts), [1])]
    const answers = greaterEqual(top, need)
    return {
      mask: mul(reshape(gather(masks, best, 0), [hidden]), cast(answers, 'f32')),
      edit: where(answers, gather(numbers, best, 0), 0).cast('i32'),
      overlap: mul(top, 1 / ones),
    }
  }
}

export interface Program {
  readonly edits: number
  readonly bytes: number
  /** Inputs and outputs in words. */
  readonly about: string
}

/**
 * Write the program. Inputs: `ids` i64 [tokens], a prompt and what follows it; `prompt` i64 [1], how many of them are the
 * prompt; with the subject gate `allowed` f32 [edits], 1 for active edits (the latest first) whose subject the prompt names.
 * Outputs: `logits` f32 [tokens, vocabulary]; `edit` i32 [1], the number of the edit that answers, 0 for none; `overlap` f32
 * [1] with the nearest, negative when none is allowed. Throws `TL_UNSUPPORTED` for routers that need the model's probabilities, and above 2 GB.
 */
export async function exportProgram(
  model: LanguageModel,
  path: string,
  out: string,
  words?: Words,
): Promise<Program> {
  const store = openOwnStore(model, path, words)
  const { config } = model
  const { layers, width, hidden } = config
  const { layer, routerLayer, router, gate } = store.config
  const edits = statuses(store.records).filter(({ status }) => status.state === 'active')
  if (edits.length === 0) fail('TL_BAD_ARGUMENT', `${path}: no active edit, so nothing to export`)
  const feature =
    (Object.hasOwn(features, router) ? features[router] : undefined) ??
    fail(
      'TL_UNSUPPORTED',
      `export: the router "${router}" cannot be part of a program (these can: ${Object.keys(features).join(', ')})`,
    )
  const route = routing(store)
  const memory = tensor(store.memory, { shape: [hidden, width] })
  const tables = model.weights.tables()
  const rotary = rotaryTables(config, model.context, model.weights.frequencyFactors)
  const blocks = Array.from({ length: layers }, (_, i) => model.weights.block(i))
  const head = model.weights.head()

  const program = ({ ids, prompt, allowed }: { ids: Tensor; prompt: Tensor; allowed?: Tensor }) => {
    const [tokens] = ids.shape as [number]
    const positions = sub(cumsum(add(mul(cast(ids, 'f32'), 0), 1), 0), 1)
    const count = cast(prompt, 'f64')
    const inPrompt = cast(reshape(less(positions, cast(prompt, 'f32')), [tokens, 1]), 'f64')
    const embedded = gather(tables.tokens, ids, 0)
    const x = tables.positions ? add(embedded, gather(tables.positions, cast(positions, 'i32'), 0)) : embedded
    const attention = anyLengthAttention(config, positions, rotary)
    let stream: Stream = { x: reshape(x, [1, tokens, width]) }
    let routed: Routed | undefined
    const look = (a: Tensor): Routed =>
      route(feature(cast(reshape(a, [tokens, hidden]), 'f64'), inPrompt, count), allowed)
    for (const [i, own] of blocks.entries()) {
      const edited = (a: Tensor, plain: (a: Tensor) => Tensor): Tensor => {
        routed ??= look(a)
        return add(plain(a), linear(mul(a, routed.mask), memory))
      }
      const result = block(config, own, stream, i, attention, i === layer ? edited : undefined)
      stream = result.stream
      if (i === routerLayer) routed ??= look(result.a)
    }
    const logits = applyHead(config, head, reshape(collapse(stream), [tokens, width]))
    return { logits, edit: routed!.edit, overlap: routed!.overlap }
  }
  const { chunks, length } = exportDynamicOnnx(
    program as never,
    ({ tokens }) => [
      {
        ids: spec([tokens!], 'i64'),
        prompt: spec([1], 'i64'),
        ...(gate === 'subject' && { allowed: spec([edits.length]) }),
      },
    ],
    {
      name: 'edited model',
      // sizes that no model has, so that they cannot be taken for one of its own
      samples: [{ tokens: 10037 }, { tokens: 10039 }],
      inputNames: ['ids', 'prompt', ...(gate === 'subject' ? ['allowed'] : [])],
      outputNames: ['logits', 'edit', 'overlap'],
      metadata: { model: store.config.model, threshold: String(store.config.threshold) },
    },
  )
  writeAtomically(out, chunks)
  const allowed = gate === 'subject' ? `, allowed f32[${edits.length}]` : ''
  return {
    edits: edits.length,
    bytes: length,
    about: `ids i64[tokens], prompt i64[1]${allowed} → logits f32[tokens, ${config.vocabulary}], edit i32[1], overlap f32[1]`,
  }
}
