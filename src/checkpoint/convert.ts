/** @file A checkpoint in another format or number type, tensor by tensor, rounded once; the output appears when it is complete. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { writeAtomically } from '../base/files.ts'
import { didYouMean, dtypeOf, fail, finish, prettyJson, type Steps, torchName } from '../base/index.ts'
import { checkFile, formatOf, type OutputRule, statusOf, writingOutput } from '../base/outputs.ts'
import { type Checkpoint, type CheckpointTensor, elements } from './checkpoint.ts'
import { encodeF32, isConvertible } from './convertDtype.ts'
import { isStoredDtype, type StoredDtype } from './dtypes.ts'
import { type GgufTensor, ggufChunks, isGguf } from './gguf/index.ts'
import { quoted } from './header.ts'
import { resolveModel } from './model.ts'
import { inputFiles } from './modelFolder.ts'
import { isHead } from './names.ts'
import { safetensorsChunks, type TensorToWrite } from './write.ts'
import { type TensorOfModel, writingModel } from './writeModel.ts'

/** Number types that floating-point tensors can be converted to, with the first magnitude that no longer fits. */
const LIMITS: Readonly<Record<string, number>> = {
  F64: Number.POSITIVE_INFINITY,
  F32: Number.POSITIVE_INFINITY,
  BF16: (2 - 2 ** -8) * 2 ** 127,
  F16: 65_520,
  F8_E4M3: 464 * (1 + 2 ** -23),
  F8_E5M2: 61_440,
}
const FLOATS = Object.keys(LIMITS)

/** `general.file_type` of a GGUF file whose matrices are of this type. */
const GGUF_FILE_TYPES: Readonly<Record<string, number>> = { F32: 0, F16: 1, Q8_0: 7, BF16: 32 }

/** Elements converted at a time. */
const PIECE = 1 << 20

/** How to convert. */
export interface ConvertOptions {
  /** Type for floating-point tensors, in any case, also as PyTorch says it; default: as they are, quantized ones as F32. */
  readonly dtype?: string
  /** Bytes of data in a shard, when the output is a folder. Default 5 GB. */
  readonly shardSize?: number
  /** Replace what is there: the file, or the model of a folder. Never the input. */
  readonly force?: boolean
  /** Text files that go into an output folder, by name, instead of those of the input's folder. */
  readonly companions?: ReadonlyMap<string, string>
  /** Called before each tensor. */
  readonly onTensor?: (tensor: CheckpointTensor, index: number) => void
  /** Called when so many tensors of a folder are finished: they are kept, and the same conversion goes on after them. */
  readonly onKept?: (tensors: number) => void
}

/** What was written. */
export interface Converted {
  format: 'safetensors' | 'gguf' | 'folder'
  tensors: number
  /** How many tensors changed their type. */
  converted: number
  /** Names of what stands in the output folder, or the file. */
  files: string[]
  /** The same output was there already and was left as it is. */
  isUnchanged: boolean
}

/** The dtype that a word means. Throws `TL_USAGE`. */
function parseDtype(word: string, valid: readonly string[]): string {
  const name = dtypeOf(word)
  if (valid.includes(name)) return name
  const lower = valid.map((dtype) => dtype.toLowerCase())
  return fail(
    'TL_USAGE',
    `--dtype ${word}: there is no such type to convert to: ${didYouMean(word.toLowerCase(), lower)}`,
  )
}

const isFloat = (dtype: string): boolean => FLOATS.includes(dtype)

/** Type in the output. Integers and truth values stay what they are; what safetensors has no name for is decoded. */
function targetDtype({ name, dtype }: CheckpointTensor, wanted: string | undefined): string {
  if (isFloat(dtype)) return wanted ?? dtype
  if (isConvertible(dtype)) return dtype
  if (!isStoredDtype(dtype)) return wanted ?? 'F32'
  if (wanted !== undefined)
    fail(
      'TL_UNSUPPORTED',
      `tensor ${quoted(name)}: values of dtype ${dtype} cannot be converted; leave --dtype away to copy them`,
    )
  return dtype
}

/** A value that becomes infinite, or NaN, by the conversion is damage, not rounding. */
function checkRange(values: Float32Array, start: number, name: string, dtype: string): void {
  const limit = LIMITS[dtype]!
  const isInfinityKept = dtype !== 'F8_E4M3'
  for (let i = 0; i < values.length; i++) {
    const magnitude = Math.abs(values[i]!)
    if (
      magnitude < limit ||
      Number.isNaN(magnitude) ||
      (isInfinityKept && magnitude === Number.POSITIVE_INFINITY)
    )
      continue
    fail(
      'TL_NOT_FINITE',
      `tensor ${quoted(name)}: element ${start + i} is ${values[i]}, too large for ${dtype}: choose a type with a wider range, such as bf16`,
    )
  }
}

/** The tensor's bytes in its new type, a piece at a time; untouched when the type stays. */
function* pieces(tensor: CheckpointTensor, dtype: string): Generator<Uint8Array> {
  if (dtype === tensor.dtype) {
    yield tensor.bytes()
    return
  }
  const total = elements(tensor.shape)
  for (let start = 0; start < total; start += PIECE) {
    const values = tensor.f32(start, Math.min(PIECE, total - start))
    checkRange(values, start, tensor.name, dtype)
    yield encodeF32(values, dtype)
  }
}

/** Text metadata of a safetensors file; what other formats say has no place there. */
function textMetadata({ metadata }: Checkpoint): Record<string, string> {
  const pairs = Object.entries(metadata).filter(
    (pair): pair is [string, string] => typeof pair[1] === 'string',
  )
  const isSmall = pairs.every(([key, value]) => key.length + value.length < 100_000)
  return { format: 'pt', ...(isSmall ? Object.fromEntries(pairs) : {}) }
}

/**
 * Write `input` to `out`: a `.safetensors` file, a `.gguf` file (from GGUF, or what `toGguf` of `treeline/lm` made of a
 * folder), or a folder, which gets shards and `companions`, or from a model folder its configuration and tokenizer. Names stay.
 * Memory: one tensor. Throws `TL_USAGE`, also for an output that is the input, `TL_EXISTS` for one that is taken,
 * `TL_UNSUPPORTED`, `TL_NOT_FINITE` for values too large for the type, `TL_IO`.
 */
export const convertCheckpoint = (input: Checkpoint, out: string, options: ConvertOptions = {}): Converted =>
  finish(converting(input, out, options))

type Rule = OutputRule & { readonly inputs: readonly string[] }

/** The same in steps. What ends in between leaves no half file; of a folder the finished tensors are kept for the next run. */
export function* converting(input: Checkpoint, out: string, options: ConvertOptions = {}): Steps<Converted> {
  const format = formatOf(out, ['.safetensors', '.gguf'], { folder: true })
  if (format !== 'folder' && options.shardSize !== undefined)
    fail(
      'TL_USAGE',
      `--shard-size: ${out} is one file; only a folder has shards: leave it out, or name a folder`,
    )
  const rule = { inputs: inputFiles(input.path), ...(options.force ? { force: true } : {}) }
  if (format !== 'folder') checkFile(out, rule)
  if (format === '.gguf') return yield* toGguf(input, out, options, rule)
  const wanted = options.dtype === undefined ? undefined : parseDtype(options.dtype, FLOATS)
  return yield* (format === 'folder' ? toFolder : toFile)(input, out, wanted, options, rule)
}

function* toFile(
  input: Checkpoint,
  out: string,
  wanted: string | undefined,
  { onTensor }: ConvertOptions,
  rule: Rule,
): Steps<Converted> {
  const tensors = new Map<string, TensorToWrite>()
  let converted = 0
  let index = 0
  for (const tensor of input.tensors.values()) {
    const dtype = targetDtype(tensor, wanted) as StoredDtype
    if (dtype !== tensor.dtype) converted++
    const data = function* () {
      onTensor?.(tensor, index++)
      yield* pieces(tensor, dtype)
    }
    tensors.set(tensor.name, { dtype, shape: tensor.shape, data })
  }
  const chunks = safetensorsChunks(tensors, textMetadata(input))
  const isUnchanged = (yield* writingOutput(out, chunks, rule)) === 'unchanged'
  return { format: 'safetensors', tensors: tensors.size, converted, files: [out], isUnchanged }
}

function* toFolder(
  input: Checkpoint,
  out: string,
  wanted: string | undefined,
  { shardSize, companions, onTensor, onKept }: ConvertOptions,
  rule: Rule,
): Steps<Converted> {
  const plan = [...input.tensors.values()].map((tensor) => ({ tensor, dtype: targetDtype(tensor, wanted) }))
  const request = [2, resolve(input.path), wanted, shardSize, companions && [...companions]]
  const { path: from, adapter } = resolveModel(input.path)
  const hasOwnHead = adapter !== undefined && plan.some(({ tensor }) => isHead(tensor.name))
  const tensors = plan.map(({ tensor, dtype }): TensorOfModel => {
    const { name, shape } = tensor
    const data = function* (index: number) {
      onTensor?.(tensor, index)
      yield* pieces(tensor, dtype)
    }
    return { name, dtype, shape, data }
  })
  const written = yield* writingModel(
    out,
    { task: 'convert', request, ...rule },
    {
      ...{ tensors, shardSize, onKept, metadata: textMetadata(input) },
      companions: (folder) => {
        if (companions) return writeCompanions(companions, folder, wanted)
        return statusOf(from)?.isDirectory() ? copyCompanions(from, folder, wanted, hasOwnHead) : []
      },
    },
  )
  const converted = plan.filter(({ tensor, dtype }) => tensor.dtype !== dtype).length
  const { files, isUnchanged } = written
  return { format: 'folder', tensors: plan.length, converted, files: [...files], isUnchanged }
}

/** Larger companions are no configuration. */
const MAX_COMPANION = 200_000_000

/**
 * Configuration, tokenizer, licence of a model folder: whatever is no weight file. The type named in the configuration
 * follows; `hasOwnHead`: the embedding is no longer the head.
 */
export function copyCompanions(
  from: string,
  to: string,
  wanted: string | undefined,
  hasOwnHead = false,
): string[] {
  const copied: string[] = []
  for (const name of readdirSync(from).sort()) {
    const path = join(from, name)
    const status = statSync(path, { throwIfNoEntry: false })
    if (!status?.isFile() || status.size > MAX_COMPANION || name.startsWith('.')) continue
    if (!/\.(json|jinja|txt|model|md)$|^(LICENSE|NOTICE)/.test(name) || name.endsWith('.index.json')) continue
    const content = readFileSync(path)
    const isChanged = name === 'config.json' && (wanted !== undefined || hasOwnHead)
    writeAtomically(join(to, name), isChanged ? changedConfig(content, wanted, hasOwnHead) : content)
    copied.push(name)
  }
  return copied
}

function writeCompanions(
  files: ReadonlyMap<string, string>,
  to: string,
  wanted: string | undefined,
): string[] {
  for (const [name, text] of files)
    writeAtomically(
      join(to, name),
      name === 'config.json' && wanted ? changedConfig(Buffer.from(text), wanted, false) : text,
    )
  return [...files.keys()]
}

/** `torch_dtype` (`dtype` in newer files) and the tie of a config.json after a conversion. */
function changedConfig(content: Buffer, dtype: string | undefined, hasOwnHead: boolean): Uint8Array | string {
  const word = dtype === undefined ? undefined : torchName(dtype)
  try {
    const config = JSON.parse(content.toString('utf8')) as Record<string, unknown>
    for (const key of ['torch_dtype', 'dtype'])
      if (word !== undefined && typeof config[key] === 'string') config[key] = word
    if (hasOwnHead) config['tie_word_embeddings'] = false
    return prettyJson(config)
  } catch {
    // not ours to judge: it is copied as it is
    return content
  }
}

function* toGguf(
  input: Checkpoint,
  out: string,
  { dtype: word, onTensor }: ConvertOptions,
  rule: Rule,
): Steps<Converted> {
  if (!isGguf(input))
    return fail(
      'TL_UNSUPPORTED',
      `${out}: GGUF needs names and hyper-parameters that ${input.path} has not: name the model's Hugging Face folder, and translate it first (toGguf of treeline/lm)`,
    )
  const wanted = word === undefined ? undefined : parseDtype(word, Object.keys(GGUF_FILE_TYPES))
  const metadata = new Map(input.fields)
  if (wanted !== undefined && metadata.has('general.file_type'))
    metadata.set('general.file_type', { type: 'uint32', value: GGUF_FILE_TYPES[wanted]! })
  let converted = 0
  const tensors = [...input.tensors.values()].map((tensor, index): GgufTensor => {
    const { name, shape, dtype } = tensor
    // vectors (norms, biases) and learned positions stay as they are, as llama.cpp keeps them; so do rows that are no whole
    // number of blocks
    const isKept =
      wanted === undefined ||
      shape.length < 2 ||
      name === 'position_embd.weight' ||
      (wanted === 'Q8_0' && shape.at(-1)! % 32 !== 0)
    if (isKept || dtype === wanted || (isConvertible(dtype) && !isFloat(dtype)))
      return {
        name,
        dtype,
        shape,
        bytes: () => {
          onTensor?.(tensor, index)
          return tensor.bytes()
        },
      }
    converted++
    const values = (start: number, count: number): Float32Array => {
      if (start === 0) onTensor?.(tensor, index)
      const part = tensor.f32(start, count)
      if (wanted !== 'Q8_0') checkRange(part, start, name, wanted)
      return part
    }
    return { name, dtype: wanted, shape, values }
  })
  const isUnchanged = (yield* writingOutput(out, ggufChunks(tensors, metadata), rule)) === 'unchanged'
  return { format: 'gguf', tensors: tensors.length, converted, files: [out], isUnchanged }
}
