/** @file `treeline score`: how probable a language model finds texts. */
import { Command } from 'commander'
import { fail, type NotFinite, notFiniteIn, notFiniteText, prettyJson } from '../../base/index.ts'
import type { Tokenizer } from '../../lm/index.ts'
import { textOrInput } from '../inputText.ts'
import type { Io } from '../io.ts'
import { readPrompts } from '../jsonFiles.ts'
import { editsOption, openLanguageModel, type RuntimeFlags, withRuntime } from '../languageModel.ts'
import { examples, integerOption, jsonOption } from '../options.ts'

interface Flags extends RuntimeFlags {
  text?: string
  file?: string
  prompt?: string
  top?: number
  json?: boolean
}

interface Scored {
  ids: readonly number[]
  /** Of each token but the first, in nats. */
  logProbabilities: number[]
  /** Mean of −log p; null for a single token. */
  meanNll: number | null
  /** The most probable next tokens. */
  top?: [id: number, logProbability: number][]
  /** With a store of edits: the one that answered. */
  edit?: number | null
  /** Places of these numbers that are not finite, null in JSON. */
  notFinite?: NotFinite
}

/** The most probable tokens by logits [vocabulary]. */
async function nextTokens(logits: Float32Array, count: number) {
  const { logProbabilities } = await import('../../lm/index.ts')
  const next = logProbabilities(logits)
  return [...next.keys()]
    .sort((a, b) => next[b]! - next[a]! || a - b)
    .slice(0, count)
    .map((id): [number, number] => [id, next[id]!])
}

interface Score {
  readonly logProbabilities: readonly number[]
  readonly edit?: number | null
  /** Logits after the last token. */
  readonly next: () => Promise<Float32Array>
}

/** A text as ids, and the text that decides which edit answers, where there is one. */
interface Given {
  readonly ids: readonly number[]
  readonly routed: string | undefined
}

/** What scores token ids, all of them or those after the first `before`, which are the prompt. */
interface Scorer {
  score(texts: readonly Given[], before: number): Promise<Score[]>
  readonly tokenizer: Tokenizer
  dispose(): void
}

async function openScorer(path: string, flags: Flags): Promise<Scorer> {
  const { model, tokenizer, editor, dispose } = await openLanguageModel(path, flags)
  return {
    async score(texts, before) {
      if (!editor)
        return (await model.scoreAll(texts.map(({ ids }) => ids))).map((own, i) => ({
          logProbabilities: [...own],
          next: () => model.logits(texts[i]!.ids),
        }))
      const scores: Score[] = []
      for (const { ids, routed } of texts) {
        const { logProbabilities, edit, next } = await editor.scoreText(ids, before || undefined, routed)
        scores.push({ logProbabilities, edit, next: async () => next })
      }
      return scores
    },
    tokenizer,
    dispose,
  }
}

function show({ ids, logProbabilities, meanNll, top, edit }: Scored, tokenizer: Tokenizer, io: Io): void {
  /** A token as it stands in the text: the space in front is its own, but for that of the very first. */
  const text = (id: number, t = 1): string =>
    // models may have more rows than their tokenizer has tokens
    tokenizer.token(id) === undefined
      ? `(token ${id}, not in the tokenizer)`
      : JSON.stringify(tokenizer.decode([id], { skipSpecial: false, continues: t > 0 }))
  for (const [t, id] of ids.entries())
    io.out(`${t === 0 ? '       ' : logProbabilities[t - 1]!.toFixed(3).padStart(7)}  ${text(id, t)}\n`)
  if (meanNll !== null)
    io.out(
      `${ids.length} tokens, mean −log p ${meanNll.toFixed(4)}, perplexity ${Math.exp(meanNll).toPrecision(4)}\n`,
    )
  if (edit !== undefined) io.out(edit === null ? 'no edit answers\n' : `edit ${edit} answers\n`)
  for (const [id, p] of top ?? []) io.out(`next ${p.toFixed(3).padStart(7)}  ${text(id)}\n`)
}

/** The command. */
export const scoreCommand = (io: Io): Command =>
  withRuntime(
    new Command('score')
      .description('log-probabilities and perplexity of texts, and the most probable next tokens')
      .argument('<model>', 'a Hugging Face folder or a GGUF file'),
    'f32',
  )
    .option('--text <text>', 'the text; - reads standard input')
    .option('--file <texts.json>', 'a JSON list of texts, or of lists of token ids')
    .option('--prompt <text>', 'what comes before the texts; with edits it alone decides which one answers')
    .addOption(editsOption())
    .addOption(integerOption('--top <k>', 'also the k most probable tokens after the text', 1, 1e6))
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        ['treeline score model.gguf --text "The capital of France is Paris."', 'token by token'],
        ['treeline score model/ --file texts.json --top 20 --json', 'many, for a script'],
      ),
    )
    .action(async (path: string, flags: Flags) => {
      const { text, file, prompt, top, json } = flags
      if ((text === undefined) === (file === undefined))
        fail('TL_USAGE', 'score: expected one of --text TEXT and --file TEXTS.json')
      const texts = file === undefined ? [await textOrInput(text!, io)] : readPrompts(file)
      const { encodeAfter } = await import('../../lm/index.ts')
      const { score, tokenizer, dispose } = await openScorer(path, flags)
      try {
        const bos = tokenizer.addsBos
        const before = prompt === undefined ? [] : tokenizer.encode(prompt, { bos })
        const idsOf = (one: string): number[] =>
          prompt === undefined ? tokenizer.encode(one, { bos }) : encodeAfter(tokenizer, prompt, one)
        const all = texts.map(
          (one): Given => ({
            ids: [...before, ...(typeof one === 'string' ? idsOf(one) : one)],
            routed: prompt ?? (typeof one === 'string' ? one : undefined),
          }),
        )
        const empty = all.findIndex(({ ids }) => ids.length === 0)
        if (empty >= 0) fail('TL_BAD_ARGUMENT', `text ${empty + 1}: no tokens, expected a text to score`)
        const results: Scored[] = []
        for (const [i, { logProbabilities: scores, edit, next }] of (
          await score(all, before.length)
        ).entries()) {
          const result: Scored = {
            ids: all[i]!.ids,
            logProbabilities: [...scores],
            meanNll: scores.length ? -scores.reduce((sum, x) => sum + x, 0) / scores.length : null,
            ...(top === undefined ? {} : { top: await nextTokens(await next(), top) }),
            ...(edit === undefined ? {} : { edit }),
          }
          const notFinite = notFiniteIn(result)
          results.push(notFinite ? { ...result, notFinite } : result)
          if (notFinite)
            io.err(
              `text ${i + 1}: not finite: ${notFiniteText(notFinite)}: some weights of the model, or what it computes with them, are not finite\n`,
            )
        }
        if (json) io.out(prettyJson(file === undefined ? results[0] : results))
        else for (const one of results) show(one, tokenizer, io)
      } finally {
        dispose()
      }
    })
