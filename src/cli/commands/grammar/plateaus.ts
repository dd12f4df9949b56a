/** @file `treeline grammar plateaus`: the exact loss of the last token of a grammar by the length of the context. */
import { Command } from 'commander'
import { fixed, formatMeasured, formatNumber, inSteps } from '../../../base/index.ts'
import type { Grammar, Plateau } from '../../../grammar/index.ts'
import { columnsText } from '../../columns.ts'
import type { Io } from '../../io.ts'
import { examples, integerOption, jsonOption } from '../../options.ts'
import { jsonText, loadGrammar, seedFlag } from './files.ts'

interface Flags {
  samples: number
  seed: number
  json?: boolean
}

/** Keys of the contexts are apart from those of rules and strings, so that one seed may serve all. */
const contextStream = 0x91a7ea

/** The plateaus beside what theory says of grammars of this shape. */
async function describePlateaus(
  grammar: Grammar,
  plateaus: readonly Plateau[],
  samples: number,
): Promise<string> {
  const { exponents, grammarName, levelThreshold, plateauBound, plateauLimit } = await import(
    '../../../grammar/index.ts'
  )
  const { s, probabilities } = grammar
  const threshold = (learner: 'transformer' | 'cnn', height: number): string =>
    height === 0 ? '–' : formatNumber(Math.round(levelThreshold(grammar, learner, height)))
  const rows = plateaus.map(({ loss, exact, standardError }, height) => [
    String(height),
    formatNumber(s ** height - 1),
    exact ? fixed(loss, 4) : formatMeasured(loss, standardError),
    fixed(plateauBound(grammar, height), 4),
    fixed(plateauLimit(grammar, height), 4),
    threshold('transformer', height),
    threshold('cnn', height),
  ])
  const { beta, gamma, alphaTransformer, alphaCnn } = exponents(grammar)
  const all = plateaus.every(({ exact }) => exact)
  return [
    `grammar ${grammarName(grammar)}: cross-entropy of the last token given the s^ℓ − 1 before it, in nats\n`,
    columnsText([
      ['ℓ', 'tokens', all ? 'exact' : 'loss', 'bound ln N', 'limit', 'P transformer', 'P CNN'],
      ...rows,
    ]),
    all ? '' : `± one standard error: the mean over ${formatNumber(samples)} contexts; the rest is exact\n`,
    `exponents: β = ${formatNumber(beta)}, γ = ${formatNumber(gamma)}, ` +
      `α = ${formatNumber(alphaTransformer ?? null)} (transformer), ${formatNumber(alphaCnn ?? null)} (CNN)\n`,
    'bound, limit, P and exponents are those of random grammars of this shape' +
      `${probabilities ? ', with equally likely rules' : ''}; P: strings from which a learner knows the level\n`,
  ].join('')
}

/** The command. */
export const plateausCommand = (io: Io): Command =>
  new Command('plateaus')
    .description('the lowest loss of the last token for each length of context, and what theory says of it')
    .argument('<grammar>', 'a *.grammar.json file, - for standard input')
    .addOption(
      integerOption('--samples <n>', 'contexts to draw where there are too many to list', 2, 2 ** 20).default(
        4096,
      ),
    )
    .addOption(seedFlag())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        ['treeline grammar plateaus g.grammar.json', 'a table with bounds, thresholds and exponents'],
        ['treeline grammar plateaus g.grammar.json --samples 65536 --json', 'nats and their errors'],
      ),
    )
    .action(async (path: string, { samples, seed, json }: Flags) => {
      const { findingPlateau } = await import('../../../grammar/index.ts')
      const { random } = await import('../../../tensor/index.ts')
      const grammar = await loadGrammar(path)
      const key = random.foldIn(random.key(seed), contextStream)
      const plateaus: Plateau[] = []
      for (let height = 0; height <= grammar.L; height++)
        plateaus.push(
          await inSteps(findingPlateau(grammar, height, { samples, key: random.foldIn(key, height) })),
        )
      if (json)
        io.out(
          jsonText({
            nats: plateaus.map(({ loss }) => loss),
            exact: plateaus.every(({ exact }) => exact),
            error: plateaus.map(({ standardError }) => standardError),
          }),
        )
      else io.out(await describePlateaus(grammar, plateaus, samples))
    })
