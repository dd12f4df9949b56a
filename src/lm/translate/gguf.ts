/** @file A Hugging Face folder as GGUF: names and row order of llama.cpp, hyper-parameters and tokenizer as metadata. */
import { existsSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { fail, isObject } from '../../base/index.ts'
import { readObject } from '../../base/read.ts'
import type { Checkpoint, CheckpointTensor, GgufField, GgufFile } from '../../checkpoint/index.ts'
import { readHuggingFace } from '../../tokenizer/index.ts'
import { tensorPairs } from '../architectures.ts'
import { type ModelConfig, readConfig } from '../config.ts'
import { hasOwnHead } from '../weightSource.ts'
import { frequencyFactors, ggufSettings } from './configuration.ts'
import { ggufTokenizer } from './ggufTokenizer.ts'
import type { Translation } from './huggingFace.ts'
import { asF32, ofValues, renamed, type Transposed, transposed, withRowsOf } from './tensors.ts'

/** Rows of a head of `width` in pairs i, i + half, of rows in order. */
const pairsOfRows = (width: number): number[] =>
  Array.from({ length: width }, (_, at) => (at % 2) * (width / 2) + Math.floor(at / 2))

/** `general.file_type` by the type of the matrices. */
const FILE_TYPES: Readonly<Record<string, number>> = { F32: 0, F16: 1, BF16: 32 }

/** Buffers that older versions of PyTorch models saved beside their weights, and llama.cpp leaves out, too. */
const BUFFERS = /\.(rotary_emb\.inv_freq|attn\.masked_bias|attn\.bias)$/

/**
 * A model folder in the terms of GGUF, opened lazily; the checkpoint has `fields`, so that it can be written as any other
 * GGUF file. Matrices keep their types where GGUF has them, norms and biases become F32, as llama.cpp wants them.
 * Throws `TL_UNSUPPORTED` for a model or tokenizer that GGUF has no words for, `TL_BAD_FILE`, `TL_IO`.
 */
export function toGguf(path: string, folder: Checkpoint): Translation & { readonly checkpoint: GgufFile } {
  const config = readConfig(path, folder)
  if (!existsSync(join(path, 'tokenizer.json')))
    fail(
      'TL_UNSUPPORTED',
      `${path}: no tokenizer.json: a GGUF file holds its tokenizer: save the model with transformers, tokenizer included`,
    )
  const { tensors, notes } = translated(path, folder, config)
  const settings = readObject(join(path, 'config.json')) ?? {}
  const tokenizerSettings = readObject(join(path, 'tokenizer_config.json')) ?? {}
  const generation = readObject(join(path, 'generation_config.json')) ?? {}
  const ends = [generation['eos_token_id'], settings['eos_token_id']]
    .flat()
    .filter((one): one is number => Number.isInteger(one) && (one as number) >= 0)
  const named = tokenizerSettings['chat_template']
  const templates = (Array.isArray(named) ? named.filter(isObject) : []).flatMap(({ name, template }) =>
    typeof name === 'string' && typeof template === 'string' && name !== 'default'
      ? [{ name, template }]
      : [],
  )
  const words = ggufTokenizer(readHuggingFace(path), {
    rows: config.vocabulary,
    ends: [...new Set(ends)],
    addsEos: tokenizerSettings['add_eos_token'] === true,
    ids: settings,
    templates,
  })
  const matrices = [...tensors.values()].filter(({ shape }) => shape.length > 1)
  const dtype = matrices[0]?.dtype ?? 'F32'
  const fileType = matrices.every((one) => one.dtype === dtype) ? FILE_TYPES[dtype] : undefined
  const name = settings['_name_or_path']
  const fields = new Map<string, GgufField>([
    ['general.architecture', { type: 'string', value: config.architecture.ggufName }],
    ['general.type', { type: 'string', value: 'model' }],
    [
      'general.name',
      { type: 'string', value: typeof name === 'string' && name !== '' ? name : basename(resolve(path)) },
    ],
    ...ggufSettings(config),
    ['general.file_type', { type: 'uint32', value: fileType ?? 0 }],
    ['general.quantization_version', { type: 'uint32', value: 2 }],
    ...words.fields,
  ])
  const checkpoint: GgufFile = {
    ...{ path: folder.path, format: 'gguf', version: 3, alignment: 32, dataStart: 0 },
    ...{ fields, tensors, close: folder.close },
    metadata: Object.fromEntries([...fields].map(([key, { value }]) => [key, value])),
  }
  return { checkpoint, companions: new Map(), notes: [...notes, ...words.notes] }
}

function translated(path: string, folder: Checkpoint, config: ModelConfig) {
  const { architecture, headWidth } = config
  const { prefix } = architecture.huggingFace
  const last: Transposed = {}
  const tensors = new Map<string, CheckpointTensor>()
  const used = new Set<string>()
  const find = (name: string): CheckpointTensor | undefined =>
    folder.tensors.get(name) ?? folder.tensors.get(name.slice(prefix.length))
  const head = find(`${architecture.names.huggingFace.head}.weight`)
  const table = find(`${prefix}${architecture.names.huggingFace.embedding}.weight`)
  const isOwn = head !== undefined && table !== undefined && hasOwnHead(config, table, head)
  if (head && !isOwn) used.add(head.name)
  const factors = frequencyFactors(config)
  if (factors) tensors.set('rope_freqs.weight', ofValues('rope_freqs.weight', factors))
  for (const pair of tensorPairs(architecture, config)) {
    const { gguf, huggingFace, interleavedHeads, optional } = pair
    const source = find(huggingFace)
    if (!source) {
      if (!optional || (gguf === `${architecture.names.gguf.head}.weight` && config.tied === false))
        fail('TL_BAD_FILE', `${path}: no tensor "${huggingFace}", which a ${architecture.name} model has`)
      continue
    }
    if (source === head && !isOwn) continue
    used.add(source.name)
    let tensor = renamed(source, gguf)
    if (interleavedHeads > 0) tensor = withRowsOf(source, gguf, interleavedHeads, pairsOfRows(headWidth))
    if (pair.transposed) tensor = transposed(source, gguf, last)
    const isKept = source.shape.length > 1 && Object.hasOwn(FILE_TYPES, source.dtype)
    tensors.set(gguf, isKept ? tensor : asF32(tensor))
  }
  const unknown = [...folder.tensors.keys()].filter((name) => !used.has(name) && !BUFFERS.test(name))
  if (unknown.length > 0)
    fail(
      'TL_UNSUPPORTED',
      `${path}: ${unknown.length === 1 ? 'a tensor' : `${unknown.length} tensors`} that GGUF has no name for in ${architecture.name} models: ${unknown.slice(0, 3).join(', ')}${unknown.length > 3 ? ', …' : ''}`,
    )
  const notes =
    isOwn && config.tied === true
      ? [
          `${path}: the configuration says that the head is the embedding, but "${head.name}" has other values: it is written, too`,
        ]
      : []
  return { tensors, notes }
}
