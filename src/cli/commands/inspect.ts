/** @file `treeline inspect`: the tensors of a weight file or model folder as a tree. */
import { Command } from 'commander'
import { bytes, count, inSteps, prettyJson } from '../../base/index.ts'
import type { Checkpoint, CheckpointTensor, TensorNorms } from '../../checkpoint/index.ts'
import type { Io } from '../io.ts'
import { examples, jsonOption } from '../options.ts'
import { makeDisplay } from '../progress.ts'

interface Flags {
  norms?: boolean
  all?: boolean
  json?: boolean
}

/** A level of dotted names. A name may be both a tensor and a folder of others. */
interface Node {
  tensor?: CheckpointTensor
  readonly children: Map<string, Node>
}

const size = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1)

function makeTree(tensors: Iterable<CheckpointTensor>): Node {
  const root: Node = { children: new Map() }
  for (const tensor of tensors) {
    let node = root
    for (const part of tensor.name.split('.')) {
      const next = node.children.get(part) ?? { children: new Map() }
      node.children.set(part, next)
      node = next
    }
    node.tensor = tensor
  }
  return root
}

/** What two layers must share to be shown once: names, types and shapes of all that is in them. */
function signature({ tensor, children }: Node): string {
  const own = tensor ? `${tensor.dtype}[${tensor.shape.join(',')}]` : ''
  return `${own}{${[...children].map(([name, child]) => JSON.stringify(name) + signature(child)).join(',')}}`
}

/** Children to show; runs of numbered ones that are alike become one, named `0…29`. */
function grouped(node: Node, showAll: boolean): { name: string; node: Node; times: number }[] {
  const rows = [...node.children].map(([name, child]) => ({ name, node: child, times: 1 }))
  // layers in the order of their numbers; a file sorts them as texts
  if (showAll)
    return rows.every(({ name }) => /^\d+$/.test(name))
      ? rows.sort((a, b) => Number(a.name) - Number(b.name))
      : rows
  const numbered = rows
    .filter(({ name }) => /^\d+$/.test(name))
    .sort((a, b) => Number(a.name) - Number(b.name))
  const result = rows.filter(({ name }) => !/^\d+$/.test(name))
  let run: { first: string; last: string; node: Node; signature: string; times: number } | undefined
  const close = (): void => {
    if (run)
      result.push({
        name: run.times === 1 ? run.first : `${run.first}…${run.last}`,
        node: run.node,
        times: run.times,
      })
  }
  for (const { name, node: child } of numbered) {
    const own = signature(child)
    if (run && run.signature === own && Number(name) === Number(run.last) + 1) {
      run.last = name
      run.times++
      continue
    }
    close()
    run = { first: name, last: name, node: child, signature: own, times: 1 }
  }
  close()
  return result
}

/** Names come from files of others: control characters must not reach a terminal. */
const printable = (text: string): string => text.replace(/\p{C}/gu, '�')

type Line = { text: string; tensor?: CheckpointTensor; times: number }

/** The tree as lines; a level with a single child and no tensor shares its line. */
function* treeLines(node: Node, showAll: boolean, indent = '', times = 1): Generator<Line> {
  for (const row of grouped(node, showAll)) {
    let { name, node: child } = row
    let repeated = times * row.times
    for (let only = onlyChild(child, showAll); only; only = onlyChild(child, showAll)) {
      name = `${name}.${only.name}`
      repeated *= only.times
      child = only.node
    }
    yield { text: `${indent}${printable(name)}`, tensor: child.tensor, times: repeated }
    yield* treeLines(child, showAll, `${indent}  `, repeated)
  }
}

function onlyChild(node: Node, showAll: boolean) {
  if (node.tensor) return undefined
  const rows = grouped(node, showAll)
  return rows.length === 1 ? rows[0] : undefined
}

/** Totals by dtype. */
function totals({ tensors }: Checkpoint) {
  const dtypes = new Map<string, { dtype: string; tensors: number; elements: number; bytes: number }>()
  for (const { dtype, shape, byteLength } of tensors.values()) {
    const own = dtypes.get(dtype) ?? { dtype, tensors: 0, elements: 0, bytes: 0 }
    own.tensors++
    own.elements += size(shape)
    own.bytes += byteLength
    dtypes.set(dtype, own)
  }
  return [...dtypes.values()].sort((a, b) => b.bytes - a.bytes)
}

/** Metadata for people and JSON: long lists and texts are cut, as they may be whole vocabularies. */
function shortMetadata(metadata: Checkpoint['metadata']): Record<string, unknown> {
  const short = (value: unknown): unknown => {
    if (typeof value === 'bigint') return value.toString()
    if (typeof value === 'number') return Number.isFinite(value) ? value : null
    if (typeof value === 'string')
      return value.length > 200 ? `${value.slice(0, 200)}… (${value.length} characters)` : value
    if (ArrayBuffer.isView(value) || Array.isArray(value)) {
      const list = Array.from(value as ArrayLike<unknown>)
      return list.length > 8 ? `${list.length} values` : list.map(short)
    }
    if (typeof value === 'object' && value !== null)
      return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, short(entry)]))
    return value
  }
  return short(metadata) as Record<string, unknown>
}

const normText = ({ l2, max, mean, notFinite }: TensorNorms): string =>
  `norm ${l2.toPrecision(4)}  max ${max.toPrecision(4)}  mean ${mean === null ? '–' : mean.toPrecision(3)}` +
  (notFinite > 0 ? `  ${notFinite} not finite` : '')

const tensorsText = (n: number): string => `${n} tensor${n === 1 ? '' : 's'}`

/** What the command prints with `--json`. */
export function inspection(
  checkpoint: Checkpoint,
  normsOf?: (tensor: CheckpointTensor) => TensorNorms | null,
) {
  const dtypes = totals(checkpoint)
  const sum = (key: 'elements' | 'bytes'): number => dtypes.reduce((total, row) => total + row[key], 0)
  return {
    path: checkpoint.path,
    format: checkpoint.format,
    elements: sum('elements'),
    bytes: sum('bytes'),
    dtypes,
    metadata: shortMetadata(checkpoint.metadata),
    tensors: [...checkpoint.tensors.values()].map((tensor) => ({
      name: tensor.name,
      dtype: tensor.dtype,
      shape: tensor.shape,
      bytes: tensor.byteLength,
      ...(normsOf ? { norms: normsOf(tensor) } : {}),
    })),
  }
}

function* text(
  checkpoint: Checkpoint,
  showAll: boolean,
  normsOf?: (tensor: CheckpointTensor) => TensorNorms | null,
) {
  const { path, format, dtypes, metadata, elements, bytes: total } = inspection(checkpoint)
  yield `${path}: ${format}, ${tensorsText(checkpoint.tensors.size)}, ${count(elements)} elements, ${bytes(total)}\n`
  for (const row of dtypes) yield `  ${row.dtype}: ${tensorsText(row.tensors)}, ${bytes(row.bytes)}\n`
  const pairs = Object.entries(metadata)
  for (const [key, value] of pairs.slice(0, 40))
    yield `  ${printable(key)} = ${printable(JSON.stringify(value) ?? '')}\n`
  if (pairs.length > 40) yield `  … ${pairs.length - 40} more (--json shows all)\n`
  yield '\n'
  const lines = [...treeLines(makeTree(checkpoint.tensors.values()), showAll)]
  const rows = lines.map(({ text: name, tensor, times }) => ({
    name,
    tensor,
    cells: tensor ? [tensor.dtype, `[${tensor.shape.join(', ')}]`, bytes(tensor.byteLength)] : [],
    repeat: times > 1 ? ` × ${times}` : '',
  }))
  const widest = (texts: string[], most: number): number =>
    texts.reduce((width, { length }) => Math.max(width, Math.min(most, length)), 0)
  const nameWidth = widest(
    rows.map(({ name }) => name),
    60,
  )
  const [dtypeWidth, shapeWidth, sizeWidth] = [0, 1, 2].map((i) =>
    widest(
      rows.map(({ cells }) => cells[i] ?? ''),
      30,
    ),
  ) as [number, number, number]
  for (const { name, tensor, cells, repeat } of rows) {
    if (!tensor) {
      yield `${name}\n`
      continue
    }
    const [dtype, shape, size] = cells as [string, string, string]
    const norms = normsOf?.(tensor)
    const fields = [
      name.padEnd(nameWidth),
      dtype.padEnd(dtypeWidth),
      shape.padEnd(shapeWidth),
      `${size.padStart(sizeWidth)}${repeat}`,
      ...(norms ? [normText(norms)] : []),
    ]
    yield `${fields.join('  ')}\n`
  }
}

/** The command. */
export const inspectCommand = (io: Io): Command =>
  new Command('inspect')
    .description('the tensors of a weight file or model folder: names, types, shapes, sizes, norms')
    .argument('<path>', 'a safetensors, GGUF, PyTorch, .npz or .npy file, or a model folder')
    .option('--norms', 'read the values too: L2 norm, largest magnitude, mean, and what is not finite')
    .option('--all', 'every layer on lines of its own, also where layers are alike')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        ['treeline inspect model/', 'a Hugging Face folder; reads headers only'],
        ['treeline inspect model.gguf --norms', 'one tensor in memory at a time'],
        ['treeline inspect model/ --json', 'every tensor, for scripts'],
      ),
    )
    .action(async (path: string, flags: Flags) => {
      const { openCheckpoint, tensorNormsSteps } = await import('../../checkpoint/index.ts')
      const { TreelineError } = await import('../../base/index.ts')
      const checkpoint = openCheckpoint(path)
      // a type without number values has no norms; that is no reason to show nothing of the others
      const norms = async (tensor: CheckpointTensor): Promise<TensorNorms | null> => {
        try {
          return await inSteps(tensorNormsSteps(tensor))
        } catch (error) {
          if (error instanceof TreelineError && error.code === 'TL_UNSUPPORTED') return null
          throw error
        }
      }
      const display = makeDisplay('inspect', io, flags.json)
      const measured = new Map<string, TensorNorms | null>()
      try {
        for (const tensor of flags.norms ? checkpoint.tensors.values() : []) {
          display.update({ done: measured.size, total: checkpoint.tensors.size, detail: tensor.name })
          measured.set(tensor.name, await norms(tensor))
        }
        display.end()
        const normsOf = flags.norms
          ? ({ name }: CheckpointTensor): TensorNorms | null => measured.get(name) ?? null
          : undefined
        if (flags.json) io.out(prettyJson(inspection(checkpoint, normsOf)))
        else
          for (const line of text(checkpoint, flags.all === true || flags.norms === true, normsOf))
            io.out(line)
      } finally {
        display.end()
        checkpoint.close()
      }
    })
