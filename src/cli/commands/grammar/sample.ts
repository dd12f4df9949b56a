/** @file `treeline grammar sample`: strings of a grammar. */
import { Command } from 'commander'
import { inSteps, type Steps } from '../../../base/index.ts'
import { checkFile, writingOutput } from '../../../base/outputs.ts'
import type { Grammar, Trees } from '../../../grammar/index.ts'
import type { Io } from '../../io.ts'
import { checkForce, examples, forceOption, integerOption, jsonOption } from '../../options.ts'
import { loadGrammar, seedFlag } from './files.ts'

interface Flags {
  count: number
  replace?: boolean
  seed: number
  out?: string
  force?: boolean
  json?: boolean
}

/** Keys of sampling are apart from those of rules, so that one seed may serve both. */
const samplingStream = 0x5a3b1e

/** Strings of one piece of text. */
const block = 1 << 12

/** Pieces of text: what `text` gives for numbers from one to another, a separator between them. */
function* pieces(count: number, separator: string, text: (i: number) => string): Generator<string> {
  for (let from = 0; from < count; from += block) {
    const some = Array.from({ length: Math.min(block, count - from) }, (_, i) => text(from + i))
    yield `${from === 0 ? '' : separator}${some.join(separator)}`
  }
}

/** Symbols of one string. */
function stringAt({ count, levels }: Trees, i: number): Int32Array {
  const leaves = levels.at(-1)!
  const d = leaves.length / count
  return leaves.subarray(i * d, (i + 1) * d)
}

/** `classes` and `strings` as JSON, in pieces: no string of JavaScript is long enough for all that a grammar gives. */
function* jsonOf(trees: Trees): Generator<string> {
  const { count } = trees
  yield '{\n  "classes": ['
  yield* pieces(count, ',', (i) => String(trees.levels[0]![i]))
  yield `],\n  "strings": [${count > 0 ? '\n' : ''}`
  yield* pieces(count, ',\n', (i) => `    [${stringAt(trees, i).join(',')}]`)
  yield `${count > 0 ? '\n  ' : ''}]\n}\n`
}

/** A line for each string: class and symbols. */
function* linesOf({ v, classes }: Grammar, trees: Trees): Generator<string> {
  const width = String(Math.max(v, classes) - 1).length
  const cell = (symbol: number): string => String(symbol).padStart(width)
  yield* pieces(
    trees.count,
    '',
    (i) => `${cell(trees.levels[0]![i]!)}: ${Array.from(stringAt(trees, i), cell).join(' ')}\n`,
  )
}

function* encoded(text: Iterable<string>): Generator<Uint8Array> {
  const encoder = new TextEncoder()
  for (const piece of text) yield encoder.encode(piece)
}

function* printing(io: Io, text: Iterable<string>): Steps<void> {
  for (const piece of text) {
    io.out(piece)
    yield
  }
}

/** The command. */
export const sampleCommand = (io: Io): Command =>
  new Command('sample')
    .description('draw strings of a grammar, all different unless --replace')
    .argument('<grammar>', 'a *.grammar.json file, - for standard input')
    .addOption(integerOption('--count <n>', 'how many', 0, 2 ** 24 - 1).default(10))
    .option('--replace', 'draw independently: strings may be equal')
    .addOption(seedFlag())
    .option('--out <file>', 'write them there, as JSON')
    .addOption(forceOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        ['treeline grammar sample g.grammar.json --count 100 --seed 1', 'class and symbols, a line each'],
        [
          'treeline grammar sample g.grammar.json --count 1000 --out strings.json',
          'for treeline grammar parse',
        ],
      ),
    )
    .action(async (path: string, flags: Flags) => {
      const rule = { inputs: [path], force: flags.force === true }
      checkForce(flags.force, flags.out, '--out')
      if (flags.out !== undefined) checkFile(flags.out, rule)
      const { checkCount, samplingDistinct, samplingTrees } = await import('../../../grammar/index.ts')
      const { random } = await import('../../../tensor/index.ts')
      const grammar = await loadGrammar(path)
      const key = random.foldIn(random.key(flags.seed), samplingStream)
      checkCount(grammar, flags.count)
      const trees = await inSteps(
        (flags.replace ? samplingTrees : samplingDistinct)(grammar, key, flags.count),
      )
      if (flags.out !== undefined) await inSteps(writingOutput(flags.out, encoded(jsonOf(trees)), rule))
      if (flags.json) await inSteps(printing(io, jsonOf(trees)))
      else if (flags.out) io.out(`${flags.out}: ${trees.count} strings\n`)
      else await inSteps(printing(io, linesOf(grammar, trees)))
    })
