/** @file `treeline grammar import`: rules as others keep them – tables in JSON, PyTorch, NumPy or safetensors files. */
import { Command } from 'commander'
import { fail } from '../../../base/index.ts'
import { checkFile, writeOutput } from '../../../base/outputs.ts'
import type { CheckpointTensor } from '../../../checkpoint/index.ts'
import type { Grammar } from '../../../grammar/index.ts'
import type { Io } from '../../io.ts'
import { checkForce, examples, forceOption, integerOption, jsonOption } from '../../options.ts'
import { readText } from './files.ts'
import { describeGrammar, describeRules } from './words.ts'

/** Whole numbers of a file. */
const arrays = {
  I64: BigInt64Array,
  U64: BigUint64Array,
  I32: Int32Array,
  U32: Uint32Array,
  I16: Int16Array,
  U16: Uint16Array,
  I8: Int8Array,
  U8: Uint8Array,
} as const

/** Elements beyond which a table is not read: the most that a grammar can have. */
const mostElements = 2 ** 30

/** A tensor [parents, m, s] as nested lists. */
function tableOf({ name, dtype, shape, bytes }: CheckpointTensor, path: string): number[][][] {
  const kind = Object.hasOwn(arrays, dtype) ? arrays[dtype as keyof typeof arrays] : undefined
  if (!kind || shape.length !== 3)
    return fail(
      'TL_BAD_FILE',
      `${path}: ${name}: expected a table [parents, m, s] of whole numbers, got ${dtype} [${shape.join(', ')}]`,
    )
  const [parents, m, s] = shape as [number, number, number]
  if (parents * m * s > mostElements)
    fail('TL_BAD_FILE', `${path}: ${name}: [${shape.join(', ')}] is too large for rules of a grammar`)
  const flat = Array.from(new kind(bytes().slice().buffer as ArrayBuffer), Number)
  const tuple = (i: number): number[] => flat.slice(i * s, (i + 1) * s)
  return Array.from({ length: parents }, (_, parent) =>
    Array.from({ length: m }, (_, k) => tuple(parent * m + k)),
  )
}

/** The tables of a file of tensors by level: names that end in 0, 1, …, all with the same beginning. */
async function tablesFromTensors(path: string): Promise<Record<string, number[][][]>> {
  const { openCheckpoint } = await import('../../../checkpoint/index.ts')
  const checkpoint = openCheckpoint(path)
  try {
    const found = [...checkpoint.tensors.values()].map((tensor) => ({
      tensor,
      parts: /^(.*?)(\d+)$/.exec(tensor.name),
    }))
    const beginnings = new Set(found.map(({ parts }) => parts?.[1]))
    if (beginnings.size !== 1 || beginnings.has(undefined))
      fail(
        'TL_BAD_FILE',
        `${path}: expected a table for each level, named by its number (0 the root's), got ${found
          .slice(0, 8)
          .map(({ tensor }) => tensor.name)
          .join(', ')}`,
      )
    return Object.fromEntries(found.map(({ tensor, parts }) => [Number(parts![2]), tableOf(tensor, path)]))
  } finally {
    checkpoint.close()
  }
}

/** Rules from a file of any kind. */
async function importRules(path: string, v: number | undefined): Promise<Grammar> {
  const { readRules, rulesFromText } = await import('../../../grammar/index.ts')
  const isText = path === '-' || /\.json$/i.test(path)
  return isText ? rulesFromText(readText(path), path, v) : readRules(await tablesFromTensors(path), path, v)
}

interface Flags {
  v?: number
  out?: string
  force?: boolean
  json?: boolean
}

/** The command. */
export const importCommand = (io: Io): Command =>
  new Command('import')
    .description('read rules that another program has written: a table [parents, m, s] for each level')
    .argument(
      '<rules>',
      'JSON (nested lists, also under "rules"), .pt or .pth of torch.save, .npz, .safetensors; - for JSON on standard input',
    )
    .addOption(integerOption('--v <n>', 'symbols of a level, where one table does not tell', 1, 2 ** 26))
    .option('--out <file>', 'write the grammar there')
    .addOption(forceOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        ['treeline grammar import rules.pt --out g.grammar.json', 'the dict of levels of the authors’ code'],
        ['treeline grammar import rules.json --json', 'nested lists'],
      ),
    )
    .action(async (path: string, flags: Flags) => {
      const rule = { inputs: [path], force: flags.force === true }
      checkForce(flags.force, flags.out, '--out')
      if (flags.out !== undefined) checkFile(flags.out, rule)
      const { grammarToText } = await import('../../../grammar/index.ts')
      const grammar = await importRules(path, flags.v)
      const text = flags.json || flags.out !== undefined ? grammarToText(grammar) : ''
      if (flags.out !== undefined) writeOutput(flags.out, text, rule)
      if (flags.json) {
        io.out(text)
        return
      }
      io.out(await describeGrammar(grammar))
      io.out(
        flags.out ? `\n${flags.out}\n` : `\n${describeRules(grammar)}\nkeep it with --out g.grammar.json\n`,
      )
    })
