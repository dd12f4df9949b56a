/** @file What `treeline merge --select` measures on a merged model: texts, prompts with answers, or any command. */
import { createHash } from 'node:crypto'
import { fail, isObject } from '../base/index.ts'
import { readBytes, readJson } from '../base/read.ts'
import type { Tokenizer } from '../lm/index.ts'
import type { MeasuredScore } from '../merge/index.ts'
import { readTexts } from './jsonFiles.ts'
import { openLanguageModel } from './languageModel.ts'
import { checkScoreCommand, measureByCommand } from './scoreCommand.ts'

/** A prompt and the words that should follow it. */
interface Question {
  readonly prompt: string
  readonly answer: string
}

type Kind =
  | { readonly kind: 'texts'; readonly texts: readonly string[] }
  | { readonly kind: 'answers'; readonly questions: readonly Question[] }
  | { readonly kind: 'command'; readonly command: string }

/** One `--select`. */
type Measure = Kind & {
  readonly name: string
  /** A name for what it measures: other contents, other scores. */
  readonly mark: string
}

const form = "expected texts=FILE.json, answers=FILE.json or command='COMMAND {model}'"

function readQuestions(path: string): Question[] {
  const expected = 'a JSON list of { "prompt": "…", "answer": "…" }'
  const value = readJson(path)
  if (!Array.isArray(value)) return fail('TL_BAD_FILE', `${path}: expected ${expected}`)
  return value.map((one: unknown, i): Question => {
    const [prompt, answer] = isObject(one) ? [one['prompt'], one['answer']] : []
    if (typeof prompt !== 'string' || typeof answer !== 'string' || prompt === '' || answer === '')
      return fail('TL_BAD_FILE', `${path}: item ${i + 1}: expected ${expected}`)
    return { prompt, answer }
  })
}

function readMeasure(word: string): Measure {
  const at = word.indexOf('=')
  const [kind, rest] = [word.slice(0, at), word.slice(at + 1)]
  if (at < 0 || rest === '' || !['texts', 'answers', 'command'].includes(kind))
    return fail('TL_USAGE', `--select ${JSON.stringify(word)}: ${form}`)
  if (kind === 'command') {
    checkScoreCommand(rest)
    return { kind, command: rest, name: 'command', mark: word }
  }
  const hash = createHash('sha256').update(readBytes(rest)).digest('hex').slice(0, 16)
  const measure: Kind =
    kind === 'texts' ? { kind, texts: readTexts(rest) } : { kind: 'answers', questions: readQuestions(rest) }
  const items: readonly unknown[] = measure.kind === 'texts' ? measure.texts : measure.questions
  if (items.length === 0 || items.includes(''))
    fail('TL_BAD_FILE', `${rest}: an empty list or text has no score`)
  return { ...measure, name: kind === 'texts' ? 'log p per token' : 'answers', mark: `${kind}=${hash}` }
}

/** Read every `--select`; measures of one kind are numbered. Throws TL_USAGE, TL_IO, TL_BAD_FILE. */
export function readMeasures(words: readonly string[]): Measure[] {
  const measures = words.map(readMeasure)
  return measures.map((measure, i) => {
    const before = measures.slice(0, i).filter(({ name }) => name === measure.name).length
    return before === 0 ? measure : { ...measure, name: `${measure.name} ${before + 1}` }
  })
}

type Opened = Awaited<ReturnType<typeof openLanguageModel>>

/** Pieces of at most `length` tokens that overlap by one, so that each token but the first is predicted once. */
const piecesOf = (ids: readonly number[], length: number): number[][] =>
  Array.from({ length: Math.max(1, Math.ceil((ids.length - 1) / (length - 1))) }, (_, i) =>
    ids.slice(i * (length - 1), (i + 1) * (length - 1) + 1),
  )

/** Mean log p of the tokens of each text, in nats. */
async function scoreTexts({ model, tokenizer }: Opened, texts: readonly string[]): Promise<number[]> {
  const items: number[] = []
  for (const [i, text] of texts.entries()) {
    const ids = tokenizer.encode(text, { bos: tokenizer.addsBos })
    if (ids.length < 2)
      fail('TL_USAGE', `--select: text ${i + 1} has ${ids.length} tokens; a score needs two`)
    const scores = await model.scoreAll(piecesOf(ids, model.context))
    const all = scores.flatMap((own) => [...own])
    items.push(all.reduce((sum, x) => sum + x, 0) / all.length)
  }
  return items
}

/** 1 where greedy decoding goes on with the answer, else 0: every token of it is the most probable after those before. */
async function scoreAnswers({ model, tokenizer }: Opened, questions: readonly Question[]): Promise<number[]> {
  const { argmaxOf, encodeAfter } = await import('../lm/index.ts')
  const idsOf = ({ prompt, answer }: Question, own: Tokenizer): [number[], number[]] => [
    own.encode(prompt, { bos: own.addsBos }),
    encodeAfter(own, prompt, answer),
  ]
  const items: number[] = []
  for (const question of questions) {
    const [before, answer] = idsOf(question, tokenizer)
    const rows = answer.map((_, t) => before.length - 1 + t)
    const logits = await model.logits([...before, ...answer.slice(0, -1)], rows)
    const width = logits.length / rows.length
    const isRight = answer.every((id, t) => argmaxOf(logits.subarray(t * width, (t + 1) * width)) === id)
    items.push(isRight ? 1 : 0)
  }
  return items
}

/** Measure the model in a folder by all of them; larger is better. Throws as the commands and `loadModel` do. */
export async function measureModel(
  measures: readonly Measure[],
  folder: string,
  options: {
    readonly threads?: number
    readonly timeout?: number
    readonly onError?: (text: string) => void
  },
  signal?: AbortSignal,
): Promise<MeasuredScore[]> {
  const { threads, ...ofCommand } = options
  let opened: Opened | undefined
  const results: MeasuredScore[] = []
  try {
    for (const measure of measures) {
      const { name } = measure
      if (measure.kind === 'command') {
        results.push({ name, ...(await measureByCommand(measure.command, folder, ofCommand, signal)) })
        continue
      }
      opened ??= await openLanguageModel(folder, { precision: 'f32', ...(threads ? { threads } : {}) })
      const items =
        measure.kind === 'texts'
          ? await scoreTexts(opened, measure.texts)
          : await scoreAnswers(opened, measure.questions)
      results.push({ name, score: items.reduce((sum, x) => sum + x, 0) / items.length, items })
    }
  } finally {
    opened?.dispose()
  }
  return results
}
