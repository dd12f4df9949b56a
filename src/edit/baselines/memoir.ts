/** @file MEMOIR in the harness, with its ablations: rows over the editor's options, each with a store of its own. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defaultTraining, type NewStore, openEditor, publishedTraining } from '../memoir/index.ts'
import type { EditingMethod } from './method.ts'

const source = 'Wang et al. 2025, arXiv 2506.07899'

const row = (name: string, title: string, about: string, create: NewStore): EditingMethod => ({
  name,
  title,
  about,
  source,
  async open(model, tokenizer, { seed = 0, contexts = [], layer } = {}) {
    const folder = mkdtempSync(join(tmpdir(), 'treeline-memoir-'))
    const training = { ...defaultTraining, ...create.training, contexts }
    const editor = await openEditor(model, join(folder, 'store'), {
      tokenizer,
      create: { ...create, training, seed, ...(layer !== undefined && { layer }) },
    })
    return {
      layer: editor.config.layer,
      async teach({ prompt, target, subject }) {
        const { steps, losses } = await editor.add({
          prompt,
          target,
          ...(subject !== undefined && { subject }),
        })
        return { steps, loss: losses.last }
      },
      async reset() {
        for (const { record, status } of editor.list().toReversed())
          if (status.state !== 'undone') await editor.undo(record.number)
      },
      score: (prompt, own) => editor.score(prompt, own),
      generate: (prompt, options) => editor.generate(prompt, options),
      logits: async (prompt) => (await editor.logits(prompt)).logits,
      overlaps: async (prompt, count) => (await editor.why(prompt, count)).nearest,
      dispose: () => {
        editor.dispose()
        rmSync(folder, { recursive: true, force: true })
      },
    }
  },
})

/** Every variant: the method as we run it, as published, and what each of its parts is worth. */
export const memoirMethods: readonly EditingMethod[] = [
  row(
    'memoir',
    'MEMOIR',
    'block 27 of 32, until every token of the target has a loss below 0.1, at most 100 steps; τ = 0.45',
    {},
  ),
  row(
    'memoir-published',
    'MEMOIR, as published',
    '30 steps with the published stop rule and decay; τ = 0.4',
    {
      training: publishedTraining,
      threshold: 0.4,
    },
  ),
  row('memoir-no-routing', 'MEMOIR, no routing', 'the nearest edit answers every prompt', { threshold: -1 }),
  row('memoir-last-token', 'MEMOIR, last token', 'routed by the last token of the prompt alone', {
    router: 'last',
  }),
  row('memoir-not-centred', 'MEMOIR, not centred', 'the mean of background prompts is not taken off', {
    router: 'mean',
  }),
]
