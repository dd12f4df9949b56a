/** @file MEMOIR in the harness, with its ablations: rows over the editor's options, each with a store of its own. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Answers,
  type Asked,
  asksForFact,
  createStore,
  defaultTraining,
  type Editor,
  type NewStore,
  openEditor,
  openStore,
  publishedTraining,
  type ScopeLevel,
  type Words,
} from '../../../edit/index.ts'
import type { EditedModel, EditingMethod } from './method.ts'

const source = 'Wang et al. 2025, arXiv 2506.07899'

/** Edits that a reset takes back one by one. */
const fewEdits = 5

/** A new store at `to` like the empty one at `from`, whose masks are the places of the largest features themselves. */
async function withoutPermutation(from: string, to: string): Promise<void> {
  const { config, background } = openStore(from)
  const permutation = Uint32Array.from({ length: config.hidden }, (_, i) => i)
  await createStore(to, config, { permutation, background })
}

/** An edit that is told to answer does so in a chat as `chat` has it: after the prompt that it was taught with. */
const toldOf = (answers: Answers): Answers => ({
  ...answers,
  inChat: (message, _, options) => answers.generate(message, { ...options, answer: 'as-taught' }),
})

/** What a store says to a message, as `chat` has it. */
async function chat(
  editor: Editor,
  words: Words,
  ...[message, ids, { maxTokens }]: Parameters<NonNullable<EditedModel['inChat']>>
): Promise<{ readonly text: string }> {
  const made = await editor.thread().answer(message, { ids, maxTokens, stopIds: words.eosIds })
  return { text: words.decode(made.ids, { continues: true, cut: true }) }
}

/** Take some edits back; whether that left nothing of them. */
async function areUndone(editor: Editor, numbers: readonly number[]): Promise<boolean> {
  let isClean = true
  for (const number of numbers) isClean = (await editor.undo(number)).memory === 'restored' && isClean
  return isClean
}

const row = (
  name: string,
  title: string,
  about: string,
  create: NewStore,
  { isPermuted = true } = {},
): EditingMethod => ({
  name,
  title,
  about,
  source,
  async open(
    model,
    tokenizer,
    { seed = 0, contexts = [], layer, steps, threshold, ones, folder: root = tmpdir() } = {},
  ) {
    const folder = mkdtempSync(join(root, 'treeline-memoir-'))
    const limit = steps === undefined ? {} : { maxSteps: steps }
    const training = { ...defaultTraining, ...create.training, ...limit, contexts }
    let stores = 0
    async function begin(): Promise<Editor> {
      const path = join(folder, `${stores++}`)
      const options = {
        tokenizer,
        create: {
          ...create,
          ...{ training, seed },
          ...(layer !== undefined && { layer }),
          ...(threshold !== undefined && { threshold }),
          ...(ones !== undefined && { ones }),
        },
      }
      if (isPermuted) return openEditor(model, path, options)
      const other = join(folder, `${stores++}`)
      const editor = await openEditor(model, other, options)
      editor.dispose()
      await withoutPermutation(other, path)
      return openEditor(model, path, options)
    }
    let editor = await begin()
    /** Edits that were taken back: numbers go on counting. */
    let before = 0
    const numberOf = (edit: number | null): number | null => (edit === null ? null : edit - before)
    /** Whoever is asked, by the numbers of edits that stand. */
    const answersOf = (asked: () => Asked): Answers => ({
      canAnswerAsTaught: true,
      async score(prompt, target, options) {
        const scored = await asked().score(prompt, target, options)
        return { ...scored, edit: numberOf(scored.edit) }
      },
      generate: (prompt, options) => asked().generate(prompt, options),
    })
    return {
      layer: editor.config.layer,
      threshold: editor.config.threshold,
      async teach({ prompt, target, subject }) {
        const { steps, losses } = await editor.add({
          prompt,
          target,
          ...(subject !== undefined && { subject }),
        })
        return { steps, loss: losses.last }
      },
      async reset() {
        const edits = editor.list().map(({ record }) => record.number)
        const own = edits.filter((number) => number > before).toReversed()
        before = edits.length
        // taking back a few edits is cheaper than compiling anew
        if (own.length <= fewEdits && (await areUndone(editor, own))) return
        editor.dispose()
        editor = await begin()
        before = 0
      },
      ...answersOf(() => editor),
      inChat: (...message) => chat(editor, tokenizer, ...message),
      answeredBy: (edit) => toldOf(answersOf(() => editor.answeredBy(edit === null ? null : before + edit))),
      logits: async (prompt) => (await editor.logits(prompt)).logits,
      overlaps: async (prompt, count) =>
        (await editor.nearest(prompt, count)).map(({ number, overlap, scope }) => ({
          number: number - before,
          overlap,
          ...(scope && { asks: scope.score - scope.need }),
        })),
      rescope: (level) => editor.rescope(level),
      dispose: () => {
        editor.dispose()
        rmSync(folder, { recursive: true, force: true })
      },
    }
  },
})

/** The edits of a method, asked otherwise. */
const askedOtherwise = (
  method: EditingMethod,
  naming: Pick<EditingMethod, 'name' | 'title' | 'about'>,
  asked: (edited: EditedModel) => EditedModel,
): EditingMethod => ({
  ...{ ...method, ...naming, asked },
  editsOf: method.name,
  open: async (...given) => asked(await method.open(...given)),
})

const widely =
  (level: ScopeLevel) =>
  (edited: EditedModel): EditedModel => {
    edited.rescope!(level)
    return edited
  }

/** Behind a router that is never wrong: a question for a fact is answered by the fact's own edit, any other by none. */
const behindOracle = ({ answeredBy, overlaps, threshold, ...edited }: EditedModel): EditedModel => ({
  ...edited,
  of: (edit, kind) => answeredBy!(asksForFact(kind) ? edit : null),
})

const byDefault: EditingMethod = {
  ...row('memoir-default', 'MEMOIR, our defaults', 'what a new store of `treeline edit` does by itself', {}),
  asked: widely('balanced'),
}

/** The paper's routing and descent, whatever a new store does by default, but until it is learned, and nothing fades. */
const paper: NewStore = {
  ...{ router: 'mean-centred', gate: 'none', threshold: 0.45 },
  training: { ...publishedTraining, maxSteps: 100, stop: defaultTraining.stop, decay: defaultTraining.decay },
}

/** Every variant: the method as we run it, as published, and what each of its parts is worth. */
export const memoirMethods: readonly EditingMethod[] = [
  row(
    'memoir',
    'MEMOIR',
    'block 27 of 32, until every token of the target has a loss below 0.1, at most 100 steps; τ = 0.45',
    paper,
  ),
  row(
    'memoir-published',
    'MEMOIR, as published',
    '30 steps with the published stop rule and decay; τ = 0.4',
    { ...paper, training: publishedTraining, threshold: 0.4 },
  ),
  row(
    'memoir-unprotected',
    'MEMOIR, our defaults without protection',
    'what a new store does, but earlier edits are not spared',
    { training: { ...defaultTraining, protection: 0 } },
  ),
  byDefault,
  askedOtherwise(
    byDefault,
    {
      name: 'memoir-oracle',
      title: 'MEMOIR, our defaults, oracle router',
      about:
        'the same edits, but each question for a fact is answered by the fact’s own edit, any other by none: what memoir-default lacks beside it is the error of routing',
    },
    behindOracle,
  ),
  askedOtherwise(
    byDefault,
    {
      name: 'memoir-narrow',
      title: 'MEMOIR, our defaults, narrow',
      about: 'the same, but of other questions about its subject an edit answers at most one in fifty',
    },
    widely('narrow'),
  ),
  askedOtherwise(
    byDefault,
    {
      name: 'memoir-wide',
      title: 'MEMOIR, our defaults, wide',
      about: 'the same, but an edit answers every question about its subject that is near enough',
    },
    widely('wide'),
  ),
  row(
    'memoir-gated',
    'MEMOIR, subject named',
    'an edit answers only prompts that name its subject; τ = 0.3 (not in the paper)',
    { ...paper, gate: 'subject', threshold: 0.3, scope: 'wide' },
  ),
  row(
    'memoir-surprisal',
    'MEMOIR, by surprisal',
    'routed by tokens weighted with their surprisal (not in the paper)',
    { ...paper, router: 'surprisal' },
  ),
  row('memoir-no-routing', 'MEMOIR, no routing', 'the nearest edit answers every prompt', {
    ...paper,
    threshold: -1,
  }),
  row('memoir-last-token', 'MEMOIR, last token', 'routed by the last token of the prompt alone', {
    ...paper,
    router: 'last',
  }),
  row('memoir-not-centred', 'MEMOIR, not centred', 'the mean of background prompts is not taken off', {
    ...paper,
    router: 'mean',
  }),
  row(
    'memoir-no-permutation',
    'MEMOIR, no permutation',
    'masks are the places of the largest features themselves',
    paper,
    { isPermuted: false },
  ),
  row('memoir-random-masks', 'MEMOIR, random masks', 'a mask of its own for every prompt, whatever it says', {
    ...paper,
    router: 'random',
  }),
]
