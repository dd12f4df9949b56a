/** @file `treeline grammar sample`: strings of a grammar. */
import { Command } from 'commander'
import { checkFile, writeOutput } from '../../../base/outputs.ts'
import type { Io } from '../../io.ts'
import { checkForce, examples, forceOption, integerOption, jsonOption } from '../../options.ts'
import { jsonText, loadGrammar, seedFlag } from './files.ts'

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
      const { checkCount, sampleDistinct, sampleTrees, stringsOf } = await import('../../../grammar/index.ts')
      const { random } = await import('../../../tensor/index.ts')
      const grammar = await loadGrammar(path)
      const key = random.foldIn(random.key(flags.seed), samplingStream)
      checkCount(grammar, flags.count)
      const trees = (flags.replace ? sampleTrees : sampleDistinct)(grammar, key, flags.count)
      const strings = stringsOf(trees)
      const classes = [...trees.levels[0]!]
      const text = flags.json || flags.out !== undefined ? jsonText({ classes, strings }) : ''
      if (flags.out !== undefined) writeOutput(flags.out, text, rule)
      if (flags.json) io.out(text)
      else if (flags.out) io.out(`${flags.out}: ${trees.count} strings\n`)
      else {
        const width = String(Math.max(grammar.v, grammar.classes) - 1).length
        const cell = (symbol: number): string => String(symbol).padStart(width)
        for (const [i, string] of strings.entries())
          io.out(`${cell(classes[i]!)}: ${string.map(cell).join(' ')}\n`)
      }
    })
