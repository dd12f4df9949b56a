/** @file `treeline grammar show`: one of a grammar's trees, in the terminal and as SVG, also through noise. */
import { Command, Option } from 'commander'
import pc from 'picocolors'
import { fail, percent } from '../../../base/index.ts'
import { checkFile, formatOf, writeOutput } from '../../../base/outputs.ts'
import type { Derivation, Noise } from '../../../lab/index.ts'
import type { Io } from '../../io.ts'
import { checkForce, examples, forceOption, jsonOption } from '../../options.ts'
import { loadGrammar, seedFlag } from './files.ts'
import { treeText } from './treeText.ts'

interface Flags {
  seed: number
  svg?: string
  epsilon?: number
  channel?: string
  noise?: number
  force?: boolean
  json?: boolean
}

const noiseOption = (flags: string, description: string): Option =>
  new Option(flags, description).argParser((word: string) => {
    const value = Number(word)
    if (word.trim() === '' || !(value >= 0 && value <= 1))
      fail(
        'TL_USAGE',
        `${flags.split(' ')[0]}: expected a number from 0 (clean) to 1 (nothing left), got ${word}`,
      )
    return value
  })

/** Which noise the flags ask for. */
async function noiseFrom({ epsilon, channel, noise }: Flags): Promise<Noise | undefined> {
  if (epsilon !== undefined && (channel !== undefined || noise !== undefined))
    fail('TL_USAGE', '--epsilon: expected either --epsilon, or --channel with --noise, got both')
  if (epsilon !== undefined) return { channel: 'epsilon', noise: epsilon }
  if (channel === undefined && noise === undefined) return undefined
  if (channel === undefined || noise === undefined)
    fail(
      'TL_USAGE',
      `${channel === undefined ? '--noise' : '--channel'}: expected --channel and --noise together`,
    )
  const { channelNames } = await import('../../../lab/index.ts')
  const { didYouMean } = await import('../../../base/index.ts')
  const found = channelNames.find((name) => name === channel)
  return {
    channel:
      found ??
      fail(
        'TL_USAGE',
        `--channel "${channel}": there is no such channel: ${didYouMean(channel, channelNames)}`,
      ),
    noise,
  }
}

/** Notes below the tree. */
function notes(name: string, { levels, logProbability, posterior }: Derivation): string {
  const own = `grammar ${name}; ln probability of this tree ${logProbability.toFixed(3)}\n`
  if (!posterior) return own
  const { channel, noise, seen, truth, map, logEvidence } = posterior
  const wrong = map.map((level, i) => level.filter((symbol, node) => symbol !== levels[i]![node]).length)
  const shares = truth.map((level) => percent(level.reduce((a, b) => a + b, 0) / level.length, 0))
  return [
    `${own}${channel} noise ${noise}; ln evidence ${logEvidence.toFixed(3)}`,
    ...(seen ? [`seen: ${seen.map((symbol) => symbol ?? '?').join(' ')}`] : []),
    `posterior of the true symbol, mean of each level, root first: ${shares.join(', ')}`,
    `the most probable tree is wrong at ${wrong.join(', ')} nodes of these levels`,
    '',
  ].join('\n')
}

/** The command. */
export const showCommand = (io: Io): Command =>
  new Command('show')
    .description('draw one of the trees of a grammar, and what is still known of it through noise')
    .argument('<grammar>', 'a *.grammar.json file, - for standard input')
    .addOption(seedFlag())
    .option('--svg <file>', 'write a drawing there, with its rules')
    .addOption(noiseOption('--epsilon <e>', 'noise of the ε-process: posterior of every true symbol'))
    .option('--channel <name>', 'another noise: uniform, masking, gaussian, epsilon')
    .addOption(noiseOption('--noise <x>', 'its level, from 0 (clean) to 1 (nothing left)'))
    .addOption(forceOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        ['treeline grammar show g.grammar.json --seed 3', 'a tree in the terminal'],
        ['treeline grammar show g.grammar.json --svg tree.svg', 'a drawing, with the rules it used'],
        ['treeline grammar show g.grammar.json --epsilon 0.3', 'what noise leaves of every symbol'],
        ['treeline grammar show g.grammar.json --channel masking --noise 0.5 --svg tree.svg', ''],
      ),
    )
    .action(async (path: string, flags: Flags) => {
      const noise = await noiseFrom(flags)
      const rule = { inputs: [path], force: flags.force === true }
      checkForce(flags.force, flags.svg, '--svg')
      if (flags.svg !== undefined) {
        formatOf(flags.svg, ['.svg'])
        checkFile(flags.svg, rule)
      }
      const lab = await import('../../../lab/index.ts')
      const { grammarName } = await import('../../../grammar/index.ts')
      const { random } = await import('../../../tensor/index.ts')
      const grammar = await loadGrammar(path)
      const derivation = lab.growDerivation(grammar, random.key(flags.seed), noise)
      if (flags.svg !== undefined) {
        const svg = lab.posterSvg(lab.derivationFigure(grammar, derivation), `seed ${flags.seed}`)
        writeOutput(flags.svg, `${svg}\n`, rule)
      }
      if (flags.json) {
        io.out(`${JSON.stringify(derivation)}\n`)
        return
      }
      if (flags.svg !== undefined) {
        io.out(`${flags.svg}\n`)
        return
      }
      // colours are for the stream they go to: messages may be on a terminal while results are piped
      const colors = process.stdout.isTTY === true ? io.colors : pc.createColors(false)
      const tree = { levels: derivation.levels, posterior: derivation.posterior?.truth }
      io.out(`${treeText(tree, io.columns(), colors)}\n${notes(grammarName(grammar), derivation)}`)
    })
