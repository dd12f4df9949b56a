/** @file A GGUF file as a Hugging Face folder: tensors under the names and in the order of Transformers, and the files around them. */
import { fail, prettyJson, torchName } from '../../base/index.ts'
import {
  type Checkpoint,
  type CheckpointTensor,
  type GgufFile,
  isConvertible,
} from '../../checkpoint/index.ts'
import { readGgufTokenizer } from '../../tokenizer/index.ts'
import { type Architecture, tensorPairs } from '../architectures.ts'
import { type ModelConfig, readConfig } from '../config.ts'
import { configJson, scalingOfFactors } from './configuration.ts'
import { type Templates, tokenizerFiles } from './huggingFaceTokenizer.ts'
import { renamed, type Transposed, transposed, withRowsOf } from './tensors.ts'

/** A model in the other convention: what its tensors are now, and the text files that belong to them. */
export interface Translation {
  readonly checkpoint: Checkpoint
  /** Files by name, for a folder. */
  readonly companions: ReadonlyMap<string, string>
  /** What a user should know: what was chosen, and what the other format has no place for. */
  readonly notes: readonly string[]
}

/** Rows of a head of `width` in the order i, i + half, of rows in pairs. */
const halves = (width: number): number[] =>
  Array.from({ length: width }, (_, at) => (at < width / 2 ? 2 * at : 2 * (at - width / 2) + 1))

/**
 * A GGUF file in the terms of Transformers, opened lazily. Throws `TL_UNSUPPORTED` for an architecture, a tensor or a
 * setting that has no place there, `TL_BAD_FILE`. `dtype` is only for what is said: the type that the user asked for.
 */
export function toHuggingFace(path: string, file: GgufFile, dtype?: string): Translation {
  const config = readConfig(path, file)
  const { tensors, hasBiases, isTied } = translated(path, file, config)
  const factors = file.tensors.get('rope_freqs.weight')?.f32()
  const scaling = factors && config.rotary ? scalingOfFactors(path, config, factors) : config.rotary?.scaling
  const full: ModelConfig = {
    ...config,
    ...(config.rotary && { rotary: { base: config.rotary.base, ...(scaling && { scaling }) } }),
  }
  const { metadata } = file
  const definition = readGgufTokenizer(metadata, path)
  const id = (key: string): number | undefined =>
    metadata[`tokenizer.ggml.${key}_token_id`] as number | undefined
  const ends = [id('eos'), id('eot'), id('eom')].filter((one) => one !== undefined)
  const eos = [...new Set(ends)]
  // written where there is none, too: the reference has ids of its own for what is not said
  const tokens = {
    bos_token_id: id('bos') ?? null,
    eos_token_id: (eos.length > 1 ? eos : eos[0]) ?? null,
    pad_token_id: id('padding') ?? null,
  }
  const known = Object.fromEntries(Object.entries(tokens).filter(([, value]) => value !== null))
  const table = file.tensors.get('token_embd.weight')!.dtype
  const matrices = [...tensors.values()].filter(({ shape }) => shape.length > 1).map(({ dtype }) => dtype)
  const packed = [...new Set(matrices.filter((dtype) => !isConvertible(dtype)))]
  const companions = new Map([
    [
      'config.json',
      configJson(full, {
        ...{ isTied, hasBiases, tokens },
        dtype: packed.length > 0 ? 'float32' : dtypeWord(matrices, table),
        name: String(metadata['general.name'] ?? ''),
      }),
    ],
    ['generation_config.json', prettyJson(known)],
    ...tokenizerFiles(definition, {
      context: config.context,
      addsEos:
        metadata['tokenizer.ggml.add_eos_token'] === true && definition.names['eos_token'] !== undefined,
      templates: otherTemplates(metadata),
    }),
  ])
  const notes =
    packed.length > 0
      ? [`weights of ${packed.join(', ')} are written as ${dtype ?? 'f32 (f16 or bf16 take half the room)'}`]
      : []
  const checkpoint: Checkpoint = {
    path: file.path,
    format: 'Hugging Face tensors of a GGUF file',
    tensors,
    metadata: {},
    close: file.close,
  }
  return { checkpoint, companions, notes }
}

/** The widest type among the matrices: nothing is lost when a model is loaded as this. */
function dtypeWord(matrices: readonly string[], table: string): string {
  const found = new Set([...matrices, table])
  return (found.size === 1 ? torchName(table) : undefined) ?? 'float32'
}

/** `tokenizer.chat_template.NAME` */
const otherTemplates = (metadata: GgufFile['metadata']): Templates =>
  Object.entries(metadata).flatMap(([key, template]) => {
    const name = key.match(/^tokenizer\.chat_template\.(.+)$/)?.[1]
    return name !== undefined && typeof template === 'string' ? [{ name, template }] : []
  })

function translated(path: string, file: GgufFile, config: ModelConfig) {
  const { architecture, headWidth } = config
  const pairs = tensorPairs(architecture, config)
  const last: Transposed = {}
  const tensors = new Map<string, CheckpointTensor>()
  const used = new Set<string>(['rope_freqs.weight'])
  for (const { gguf, huggingFace, interleavedHeads, transposed: isTurned, optional } of pairs) {
    const source = file.tensors.get(gguf)
    if (!source) {
      if (!optional)
        fail('TL_BAD_FILE', `${path}: no tensor "${gguf}", which a ${architecture.name} model has`)
      continue
    }
    used.add(gguf)
    const order = interleavedHeads > 0 ? halves(headWidth) : undefined
    let tensor = renamed(source, huggingFace)
    if (order) tensor = withRowsOf(source, huggingFace, interleavedHeads, order)
    if (isTurned) tensor = transposed(source, huggingFace, last)
    tensors.set(huggingFace, tensor)
  }
  const unknown = [...file.tensors.keys()].filter((name) => !used.has(name))
  if (unknown.length > 0)
    fail(
      'TL_UNSUPPORTED',
      `${path}: ${unknown.length === 1 ? 'a tensor' : `${unknown.length} tensors`} that ${architecture.name} models of Transformers have not: ${unknown.slice(0, 3).join(', ')}${unknown.length > 3 ? ', …' : ''}`,
    )
  return {
    tensors,
    hasBiases: checkBiases(path, file, architecture, config),
    isTied: !file.tensors.has(`${architecture.names.gguf.head}.weight`),
  }
}

/** Transformers has biases in all four projections, in the family's own three, or in none. */
function checkBiases(path: string, file: GgufFile, architecture: Architecture, config: ModelConfig): boolean {
  if (architecture.biases.attention !== 'optional') return false
  const wanted = tensorPairs(architecture, config).filter(({ gguf }) => gguf.endsWith('.bias'))
  const found = wanted.filter(({ gguf }) => file.tensors.has(gguf))
  if (found.length > 0 && found.length < wanted.length)
    fail(
      'TL_UNSUPPORTED',
      `${path}: biases in some projections only (${found[0]!.gguf}, but not ${wanted.find((one) => !found.includes(one))!.gguf}): Transformers has ${architecture.name} models with all of them or with none`,
    )
  return found.length > 0
}
