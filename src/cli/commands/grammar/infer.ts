/** @file `treeline grammar infer`: what evidence about a string's symbols says of the whole tree. */
import { Command } from 'commander'
import type { Answer, Grammar } from '../../../grammar/index.ts'
import type { Io } from '../../io.ts'
import { examples, integerOption, jsonOption } from '../../options.ts'
import { loadGrammar, readText, seedFlag } from './files.ts'

interface InferFlags {
  json?: boolean
  samples: number
  seed: number
  threads: number
}

/** Data whose answers are held at once: about 2^24 marginals. */
const dataAtOnce = ({ d, v }: Grammar): number => Math.max(1, Math.floor(2 ** 23 / (d * v)))

/** Rows of one datum in a batch's array of rows. */
function rowsAt(all: ArrayLike<number>, i: number, rows: number, width: number): number[][] {
  return Array.from({ length: rows }, (_, n) =>
    Array.from({ length: width }, (_, x) => all[(i * rows + n) * width + x]!),
  )
}

/** The answer for one datum, as the format says. */
function datumJson(grammar: Grammar, answer: Answer, i: number, samples: number): object {
  if (answer.impossible[i]) return { impossible: true, logEvidence: null }
  const { s, L, d, classes, v } = grammar
  const { trees, logPosterior } = answer.map!
  return {
    logEvidence: answer.logEvidence[i],
    marginals: answer.marginals!.map((all, level) => rowsAt(all, i, s ** level, level === 0 ? classes : v)),
    map: rowsAt(trees.levels[L]!, i, 1, d)[0],
    mapLogPosterior: logPosterior[i],
    ...(samples > 0 && { samples: rowsAt(answer.samples!.levels[L]!, i, samples, d) }),
  }
}

/** Symbols beyond which a string is cut in messages for people. */
const shown = 32

const stringText = (symbols: Int32Array): string =>
  `${symbols.subarray(0, shown).join(' ')}${symbols.length > shown ? ' …' : ''}`

/** A few lines for people. */
function datumText(grammar: Grammar, answer: Answer, i: number, number: number, samples: number): string {
  if (answer.impossible[i]) return `${number}: impossible: no string of the grammar fits\n`
  const { L, d, classes } = grammar
  const root = answer.marginals![0]!.subarray(i * classes, (i + 1) * classes)
  const likely = Array.from(root, (p, y) => ({ p, y }))
    .sort((a, b) => b.p - a.p || a.y - b.y)
    .slice(0, 3)
    .map(({ p, y }) => `${y} (${p.toPrecision(3)})`)
  const { trees, logPosterior } = answer.map!
  const lines = [
    `${number}: ln evidence ${answer.logEvidence[i]!.toPrecision(8)}`,
    `   class ${likely.join(', ')}${classes > 3 ? ', …' : ''}`,
    `   most probable string (posterior ${Math.exp(logPosterior[i]!).toPrecision(3)}): ${stringText(trees.levels[L]!.subarray(i * d, (i + 1) * d))}`,
  ]
  for (let t = i * samples; t < (i + 1) * samples; t++)
    lines.push(`   sample: ${stringText(answer.samples!.levels[L]!.subarray(t * d, (t + 1) * d))}`)
  return `${lines.join('\n')}\n`
}

/** The command. */
export const inferCommand = (io: Io): Command =>
  new Command('infer')
    .description(
      'exact inference: evidence, posterior of every node, most probable string, posterior samples',
    )
    .argument('<grammar>', 'a *.grammar.json file')
    .argument(
      '<evidence>',
      'JSON: { "likelihood": d rows of v numbers } or { "tokens": [3, null, …] }, or a list of these; - for standard input',
    )
    .addOption(
      integerOption('--samples <n>', 'also draw strings from the posterior', 0, 1_000_000).default(0),
    )
    .addOption(seedFlag())
    .addOption(
      integerOption('--threads <n>', 'threads for many data; results are the same', 1, 1024).default(1),
    )
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        ['treeline grammar infer g.grammar.json evidence.json', 'class and string that fit best'],
        ['treeline grammar infer g.grammar.json evidence.json --json', 'marginals of every node'],
      ),
    )
    .action(async (path: string, evidencePath: string, { json, samples, seed, threads }: InferFlags) => {
      const { evidenceFromText, inferInWorkers } = await import('../../../grammar/index.ts')
      const { random } = await import('../../../tensor/index.ts')
      const grammar = await loadGrammar(path)
      const { count, likelihood, list } = evidenceFromText(grammar, readText(evidencePath), evidencePath)
      const size = grammar.d * grammar.v
      const piece = dataAtOnce(grammar)
      if (json && list) io.out('[')
      for (let first = 0; first < count; first += piece) {
        const batch = Math.min(piece, count - first)
        const part = likelihood.subarray(first * size, (first + batch) * size)
        const key = random.key(seed)
        const question = {
          marginals: true,
          map: true,
          ...(samples > 0 && { samples: { count: samples, key } }),
        }
        const answer = await inferInWorkers(grammar, part, batch, question, { threads, first })
        for (let i = 0; i < batch; i++)
          if (!json) io.out(datumText(grammar, answer, i, first + i, samples))
          else
            io.out(
              `${first + i > 0 ? ',' : ''}${list ? '\n' : ''}${JSON.stringify(datumJson(grammar, answer, i, samples))}`,
            )
      }
      if (json) io.out(list ? '\n]\n' : '\n')
    })
