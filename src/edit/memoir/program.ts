/** @file A model and its store as one ONNX program with the routing inside: tokens in, logits out, for any runtime. */
import { fail, inSteps, type Steps } from '../../base/index.ts'
import { checkFile, writingOutput } from '../../base/outputs.ts'
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
  add,
  cast,
  cumsum,
  equal,
  exportDynamicOnnx,
  gather,
  less,
  mul,
  reshape,
  spec,
  sub,
  type Tensor,
  tensor,
  where,
} from '../../tensor/index.ts'
import { askingAlong, scopeArrays, scopeTable } from '../scope/routed.ts'
import { type EditRecord, type Store, statuses } from '../store/index.ts'
import { leastOnesOf } from './asking.ts'
import { parseMask } from './masks.ts'
import { openOwnStore } from './opening.ts'
import type { Words } from './requests.ts'
import { type Choice, candidatesOf, centred, choose, meanFeature, neededOnes, remembered } from './routed.ts'
import { routerOf } from './router.ts'

/** Weights of tokens at positions 0, 1, … of which the first `count` are the prompt, f64, as those of `routers`. */
const weightsOf: Readonly<Record<string, (positions: Tensor, count: Tensor) => Tensor>> = {
  'mean-centred': (positions, count) => cast(less(positions, count), 'f64'),
  mean: (positions, count) => cast(less(positions, count), 'f64'),
  last: (positions, count) => cast(equal(positions, sub(count, 1)), 'f64'),
}

interface ProgramInputs {
  readonly ids: Tensor
  readonly prompt: Tensor
  readonly allowed?: Tensor
  readonly outside?: Tensor
}

/** What a store's scope adds to a program: where it looks, the least shared ones of each edit, and what prompts are compared with. */
function scopeOf({ scope: map, config, records, asksAt }: Store, edits: readonly { record: EditRecord }[]) {
  const { scope, threshold, ones, hidden } = config
  if (!map || !scope || scope.level === 'wide') return undefined
  // the latest first, as candidates are
  const own = edits
    .map(({ record }) => ({ number: record.number, asks: asksAt(records.indexOf(record)) }))
    .sort((a, b) => b.number - a.number)
    .map(({ asks }) => (asks ? { asks } : {}))
  const { means, vectors, needs } = scopeTable(map, own, scope.thresholds[scope.level])
  const { width, dimensions, looks } = map
  const arrays = scopeArrays(map)
  const count = own.length
  return {
    looks,
    needs,
    least: Float32Array.from(own, ({ asks }) => leastOnesOf(asks !== undefined, { threshold, ones, hidden })),
    inputs: () => ({
      scopeMeans: tensor(means, { shape: [looks.length, count, dimensions] }),
      scopeVectors: tensor(vectors, { shape: [looks.length, count, dimensions] }),
      scopeNeeds: tensor(needs),
      scopeMap: tensor(arrays.map, { shape: [looks.length, width, dimensions] }),
      scopeQuestions: tensor(arrays.questions, {
        shape: [looks.length, dimensions, arrays.questions.length / looks.length / dimensions],
      }),
    }),
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
 * prompt; with the subject gate `allowed` f32 [edits], 1 for active edits (the latest first) whose subject the prompt names;
 * with a scope `outside` f32 [edits, tokens], how much each token counts for each edit (`outsideWeights`, 0 behind the prompt).
 * Outputs: `logits` f32 [tokens, vocabulary]; `edit` i32 [1], the number of the edit that answers, 0 for none; `overlap` f32
 * [1] with the nearest, negative when none is allowed. Throws `TL_UNSUPPORTED` for routers that need the model's probabilities, and above 2 GB.
 */
export const exportProgram = async (
  model: LanguageModel,
  path: string,
  out: string,
  words?: Words,
  options: { readonly force?: boolean } = {},
): Promise<Program> => inSteps(exportingProgram(model, path, out, words, options))

/** What it does, in steps. */
function* exportingProgram(
  model: LanguageModel,
  path: string,
  out: string,
  words?: Words,
  { force = false }: { readonly force?: boolean } = {},
): Steps<Program> {
  const rule = { inputs: [path, model.path], force }
  checkFile(out, rule)
  const store = openOwnStore(model, path, words)
  const { config } = model
  const { layers, width, hidden } = config
  const { layer, routerLayer, router, gate, ones, threshold } = store.config
  const edits = statuses(store.records).filter(({ status }) => status.state === 'active')
  if (edits.length === 0) fail('TL_BAD_ARGUMENT', `${path}: no active edit, so nothing to export`)
  const weights =
    (Object.hasOwn(weightsOf, router) ? weightsOf[router] : undefined) ??
    fail(
      'TL_UNSUPPORTED',
      `export: the router "${router}" cannot be part of a program (these can: ${Object.keys(weightsOf).join(', ')})`,
    )
  const known = edits.map(({ record: { number, mask } }) => ({
    number,
    mask: parseMask(mask, hidden, ones)!,
  }))
  const candidates = candidatesOf(known, ones, store.permutation)
  const table = tensor(candidates.table, { shape: [hidden, edits.length] })
  const places = tensor(candidates.places, { shape: [edits.length, ones] })
  const numbers = tensor(Int32Array.from(candidates.numbers))
  const scope = scopeOf(store, edits)
  const need = scope ? 0 : neededOnes(threshold, ones)
  const memory = tensor(store.memory, { shape: [hidden, width] })
  const tables = model.weights.tables()
  const rotary = rotaryTables(config, model.context, model.weights.frequencyFactors)
  const blocks: ReturnType<typeof model.weights.block>[] = []
  for (let i = 0; i < layers; i++) {
    yield
    blocks.push(model.weights.block(i))
  }
  yield
  const head = model.weights.head()
  yield

  const program = ({ ids, prompt, allowed, outside }: ProgramInputs) => {
    const [tokens] = ids.shape as [number]
    const positions = sub(cumsum(add(mul(cast(ids, 'f32'), 0), 1), 0), 1)
    const own = reshape(weights(positions, cast(prompt, 'f32')), [1, 1, tokens])
    const embedded = gather(tables.tokens, ids, 0)
    const x = tables.positions ? add(embedded, gather(tables.positions, cast(positions, 'i32'), 0)) : embedded
    const attention = anyLengthAttention(config, positions, rotary)
    let stream: Stream = { x: reshape(x, [1, tokens, width]) }
    let choice: Choice | undefined
    const asking = scope && askingAlong(scope.looks)
    const askingInputs = () => ({
      ...scope!.inputs(),
      outside: reshape(outside!, [1, edits.length, tokens]),
      ending: reshape(cast(weightsOf['last']!(positions, cast(prompt, 'f32')), 'f32'), [1, 1, tokens]),
    })
    const look = (a: Tensor): Choice => {
      const mean = meanFeature(a, own)
      const feature = routerOf(router).isCentred ? centred(mean, tensor(store.background)) : mean
      if (!scope) return choose(feature, ones, { table, places, ...(allowed && { allowed }) }, need)
      const asked = mul(allowed!, cast(asking!.same(tensor(scope.needs)), 'f32'))
      return choose(feature, ones, { table, places, allowed: asked, least: tensor(scope.least) }, need)
    }
    for (const [i, blockWeights] of blocks.entries()) {
      const entering = stream
      asking?.enter(i, () => collapse(entering), askingInputs)
      const edited = (a: Tensor, plain: (a: Tensor) => Tensor): Tensor => {
        choice ??= look(a)
        return remembered(a, plain, choice, memory)
      }
      const result = block(config, blockWeights, stream, i, attention, i === layer ? edited : undefined)
      stream = result.stream
      if (i === routerLayer) choice ??= look(result.a)
    }
    const logits = applyHead(config, head, reshape(collapse(stream), [tokens, width]))
    const { nearest, shared, answers } = choice!
    const edit = where(answers, gather(numbers, nearest, 0), 0).cast('i32')
    return { logits, edit, overlap: mul(shared, 1 / ones) }
  }
  const { chunks, length } = exportDynamicOnnx(
    program as never,
    ({ tokens }) => [
      {
        ids: spec([tokens!], 'i64'),
        prompt: spec([1], 'i64'),
        ...(gate === 'subject' && { allowed: spec([edits.length]) }),
        ...(scope && { outside: spec([edits.length, tokens!]) }),
      },
    ],
    {
      name: 'edited model',
      // sizes that no model has, so that they cannot be taken for one of its own
      samples: [{ tokens: 10037 }, { tokens: 10039 }],
      inputNames: [
        'ids',
        'prompt',
        ...(gate === 'subject' ? ['allowed'] : []),
        ...(scope ? ['outside'] : []),
      ],
      outputNames: ['logits', 'edit', 'overlap'],
      metadata: { model: store.config.model, threshold: String(store.config.threshold) },
    },
  )
  yield
  yield* writingOutput(out, chunks, rule)
  const own = scope ? `, outside f32[${edits.length}, tokens]` : ''
  const allowed = gate === 'subject' ? `, allowed f32[${edits.length}]${own}` : ''
  return {
    edits: edits.length,
    bytes: length,
    about: `ids i64[tokens], prompt i64[1]${allowed} → logits f32[tokens, ${config.vocabulary}], edit i32[1], overlap f32[1]`,
  }
}
