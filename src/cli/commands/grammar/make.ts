/** @file `treeline grammar make`: draw a grammar. */
import { Command, Option } from 'commander'
import { fail } from '../../../base/index.ts'
import { checkFile, writeOutput } from '../../../base/outputs.ts'
import type { Io } from '../../io.ts'
import { checkForce, examples, forceOption, integerOption, jsonOption } from '../../options.ts'
import { seedFlag } from './files.ts'
import { describeGrammar, describeRules } from './words.ts'

interface Flags {
  v: number
  m: number
  s: number
  L: number
  classes?: number
  rules: 'random' | 'uncorrelated'
  zipf?: number
  seed: number
  authorsSeed?: number
  out?: string
  force?: boolean
  json?: boolean
}

const sizeOption = (flags: string, description: string, low: number): Option =>
  integerOption(flags, description, low, 2 ** 26)

/** The command. */
export const makeCommand = (io: Io): Command =>
  new Command('make')
    .description('draw the rules of a grammar')
    .addOption(sizeOption('--v <n>', 'symbols of a level', 1).makeOptionMandatory())
    .addOption(sizeOption('--m <n>', 'rules (synonyms) of each symbol', 1).makeOptionMandatory())
    .addOption(sizeOption('--s <n>', 'symbols of a tuple', 2).default(2))
    .addOption(sizeOption('--L <n>', 'levels of rules', 1).makeOptionMandatory())
    .addOption(sizeOption('--classes <n>', 'root symbols (default: v)', 1))
    .addOption(
      new Option('--rules <kind>', 'uncorrelated: no node below the root says anything of the class')
        .choices(['random', 'uncorrelated'])
        .default('random'),
    )
    .addOption(
      new Option('--zipf <a>', 'rules are used with probability ∝ rank^−a (default: all alike)').argParser(
        (word: string) => {
          const value = Number(word)
          if (word.trim() === '' || !Number.isFinite(value) || value < 0)
            fail('TL_USAGE', `--zipf: expected a number ≥ 0, got ${word}`)
          return value
        },
      ),
    )
    .addOption(seedFlag())
    .addOption(
      integerOption(
        '--authors-seed <n>',
        'the rules that the published code draws with this seed (see docs/grammar.md)',
        0,
        Number.MAX_SAFE_INTEGER,
      ).conflicts(['seed', 'rules', 'zipf']),
    )
    .option('--out <file>', 'write the grammar there')
    .addOption(forceOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        ['treeline grammar make --v 8 --m 3 --s 2 --L 3 --classes 8 --seed 1', 'draw one and look at it'],
        ['treeline grammar make --v 16 --m 4 --L 4 --out g.grammar.json', 'keep it'],
        ['treeline grammar make --v 8 --m 8 --L 3 --rules uncorrelated --json', 'the parity-like control'],
        [
          'treeline grammar make --v 8 --m 3 --L 3 --authors-seed 42',
          'the grammar of a seed of the papers’ code',
        ],
      ),
    )
    .action(async (flags: Flags) => {
      const rule = { inputs: [], force: flags.force === true }
      checkForce(flags.force, flags.out, '--out')
      if (flags.out !== undefined) checkFile(flags.out, rule)
      const { authorsGrammar, grammarToText, makeGrammar } = await import('../../../grammar/index.ts')
      const { random } = await import('../../../tensor/index.ts')
      const { v, m, s, L, classes = v, rules, zipf, seed, authorsSeed } = flags
      const shape = { v, classes, m, s, L }
      const probabilities = zipf === undefined ? 'uniform' : { zipf }
      const grammar =
        authorsSeed === undefined
          ? makeGrammar(shape, random.key(seed), { rules, probabilities })
          : authorsGrammar(shape, authorsSeed)
      const text = flags.json || flags.out !== undefined ? grammarToText(grammar) : ''
      if (flags.out !== undefined) writeOutput(flags.out, text, rule)
      if (flags.json) {
        io.out(text)
        return
      }
      io.out(await describeGrammar(grammar))
      if (flags.out) io.out(`\n${flags.out}\n`)
      else io.out(`\n${describeRules(grammar)}\nkeep it with --out g.grammar.json\n`)
    })
