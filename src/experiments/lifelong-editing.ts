/** @file Lifelong editing: facts taught to a language model one after another, by MEMOIR and by the field's other methods. */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { explainSystemError } from '../base/files.ts'
import { fail } from '../base/index.ts'
import {
  modelFingerprint,
  type Reference,
  type Result,
  resultBefore,
  type Summary,
  summarize,
} from '../edit/index.ts'
import { contentHash, defineExperiment, type RunContext, runJobs, seedField, toJson } from '../lab/index.ts'
import { loadModel } from '../lm/index.ts'
import { drawContexts } from './lifelong-editing/contexts.ts'
import { editingMethods, type MethodOptions } from './lifelong-editing/methods/index.ts'
import { showingNotes } from './lifelong-editing/notes.ts'
import { editingFigures, editingTables } from './lifelong-editing/pictures.ts'
import type { Overlaps } from './lifelong-editing/routing.ts'
import { concludeEditing } from './lifelong-editing/verdicts.ts'
import {
  contentsOf,
  type Example,
  editTask,
  type Found,
  factsOf,
  forget,
  type Inputs,
  type Job,
  storesIn,
  type Taught,
} from './lifelong-editing/work.ts'

const names = editingMethods.map(({ name }) => name) as [string, ...string[]]
const baselines = ['none', 'ft-l', 'ft-m', 'rome', 'memit', 'alphaedit', 'grace', 'wise', 'memoir']
/** Methods that look at ordinary text before they edit. */
const reading: readonly string[] = ['memit', 'alphaedit']

/** A number in the place of the published one: for sweeps. */
const published = (number: z.ZodNumber) => z.union([z.literal('published'), number]).default('published')

const config = z.strictObject({
  seed: seedField,
  model: z.string().default('').describe('a Hugging Face folder or a GGUF file; required'),
  facts: z
    .string()
    .default('')
    .describe('a file of facts: ZsRE, CounterFact or any other that `treeline edit` reads; required'),
  onePerSubject: z.boolean().default(true).describe('teach the first fact of each subject only'),
  edits: z
    .array(z.int().min(1).max(100_000))
    .min(1)
    .default([1, 10, 100])
    .describe('T: how many facts are taught one after another before they are asked for'),
  items: z
    .int()
    .min(1)
    .max(100_000)
    .default(100)
    .describe(
      'facts of each T, taught in groups of T that each begin with the unedited model; at least one group',
    ),
  methods: z.array(z.enum(names)).min(1).default(baselines).describe('the methods, by name'),
  contexts: z
    .int()
    .min(0)
    .max(20)
    .default(0)
    .describe(
      'texts drawn from the model that are put in front of a prompt while it is taught (the field: 10)',
    ),
  text: z
    .string()
    .default('')
    .describe(
      'a text file whose keys MEMIT and AlphaEdit are to leave alone; default: text that the model writes',
    ),
  layer: published(z.int().min(0).max(1000)).describe(
    'the edited block, of MEMIT and AlphaEdit the last, for all methods',
  ),
  steps: published(z.int().min(1).max(10_000)).describe('most steps of an edit, for all methods'),
  weight: published(z.number().positive().max(1e12)).describe(
    'λ of MEMIT: how many tokens of ordinary text weigh against a fact',
  ),
  threshold: published(z.number().min(-1).max(2)).describe('τ of MEMOIR'),
  ones: published(z.int().min(1).max(1_000_000)).describe('k of MEMOIR: ones of a mask'),
  hardLocality: z
    .union([z.literal('all'), z.int().min(0).max(100_000)])
    .default('all')
    .describe(
      'how many facts, evenly spread, are also asked for hard locality, which takes most of the asking',
    ),
  examples: z
    .int()
    .min(0)
    .max(100)
    .default(12)
    .describe('facts of each method and T that are shown as texts'),
})
export type EditingConfig = z.infer<typeof config>

/** One line of the table: a method after T edits. */
export interface Row {
  readonly method: string
  readonly title: string
  readonly edits: number
  readonly groups: number
  readonly summary: Summary
  readonly secondsPerEdit: number | null
  readonly stepsPerEdit: number | null
  readonly layer: number | null
  readonly threshold: number | null
}

export interface ShownExample extends Example {
  readonly method: string
  readonly edits: number
  readonly result: Result
}

/** The rest is in items.json, overlaps.json, examples.json and before.json. */
export interface EditingResult {
  readonly fingerprint: string
  /** Facts in the file, and those that were taught at the largest T. */
  readonly facts: number
  readonly taught: number
  readonly rows: readonly Row[]
}

/** Facts of a T, in groups that each begin with the unedited model. */
export function groupsOf(edits: number, items: number, facts: number): number[][] {
  const groups = Math.max(1, Math.floor(Math.min(items, facts) / edits))
  return Array.from({ length: groups }, (_, g) => Array.from({ length: edits }, (_, i) => g * edits + i))
}

/** Relative time of an edit. */
const weights: Readonly<Record<string, number>> = {
  ...{ rome: 8, memit: 8, alphaedit: 8 },
  ...{ grace: 2, wise: 2, 'ft-m': 2, 'ft-l': 2 },
}
const asking = 1

/** Options of the methods where the config has other than the published numbers. */
function optionsOf(c: EditingConfig): Omit<MethodOptions, 'seed' | 'contexts' | 'folder'> {
  const { layer, steps, weight, threshold, ones } = c
  return Object.fromEntries(
    Object.entries({ layer, steps, weight, threshold, ones }).filter(([, value]) => value !== 'published'),
  )
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    return explainSystemError(error, `cannot read ${path}`)
  }
}

/** Refuse what the model does not have, before it is asked anything. */
function checkModel({ model: path, layer, ones }: EditingConfig): void {
  const model = loadModel(path)
  const { layers, hidden } = model.config
  model.dispose()
  if (layer !== 'published' && layer >= layers)
    fail('TL_BAD_CONFIG', `config.layer: expected a block from 0 to ${layers - 1} of ${path}, got ${layer}`)
  if (ones !== 'published' && ones > hidden)
    fail(
      'TL_BAD_CONFIG',
      `config.ones: expected at most ${hidden}, the features of a block of ${path}, got ${ones}`,
    )
}

async function prepare({ config: c, threads, log }: RunContext<EditingConfig>) {
  checkModel(c)
  const base: Omit<Inputs, 'hardEvery'> = {
    model: c.model,
    fingerprint: modelFingerprint(c.model),
    facts: c.facts,
    contents: contentsOf(c.facts),
    onePerSubject: c.onePerSubject,
    seed: c.seed,
  }
  const facts = factsOf({ ...base, hardEvery: 1 })
  const most = Math.max(...c.edits)
  if (most > facts.length)
    fail(
      'TL_BAD_CONFIG',
      `config.edits: ${most} edits, but ${c.facts} has ${facts.length} facts${c.onePerSubject ? ' with one for each subject; see onePerSubject' : ''}`,
    )
  const taught = Math.max(...c.edits.flatMap((edits) => groupsOf(edits, c.items, facts.length).flat())) + 1
  const hardEvery = c.hardLocality === 'all' ? 1 : c.hardLocality && Math.ceil(taught / c.hardLocality)
  const contexts = c.contexts > 0 ? await drawContexts(c.model, c.contexts, c.seed, threads) : []
  if (contexts.length) log(`contexts: ${contexts.map((text) => JSON.stringify(text)).join(' ')}`)
  const text = c.text === '' ? undefined : readText(c.text)
  return { inputs: { ...base, hardEvery }, facts, contexts, text }
}

export const lifelongEditing = defineExperiment<EditingConfig, EditingResult>({
  name: 'lifelong-editing',
  title: 'Editing a language model for life',
  description:
    'Facts taught to a language model one after another, by MEMOIR, its ablations, fine-tuning, ROME, MEMIT, AlphaEdit, GRACE and WISE: what is learned, and what else changes.',
  config,
  requires: ['model', 'facts'],
  presets: {
    quick: { edits: [1, 5], items: 5, methods: ['none', 'ft-m', 'grace', 'memoir'], examples: 5 },
    paper: { edits: [1, 10, 100, 700], items: 700, onePerSubject: false, contexts: 10, methods: names },
  },
  cost: ({ edits, items, methods, contexts }) =>
    edits.reduce((sum, T) => sum + Math.max(items, T), 0) *
    methods.reduce((sum, name) => sum + (weights[name] ?? 2) * (1 + contexts) + asking, 0),

  async run(context) {
    const { config: c, folder, log, write } = context
    const { inputs, facts, contexts, text } = await prepare(context)
    const sizes = [...new Set(c.edits)].sort((a, b) => a - b)
    const parts = sizes.map((edits) => ({ edits, groups: groupsOf(edits, c.items, facts.length) }))
    const taught = Math.max(...parts.flatMap(({ groups }) => groups.flat())) + 1
    const titleOf = (name: string): string => editingMethods.find((one) => one.name === name)!.title
    try {
      const all = Array.from({ length: taught }, (_, i) => i)
      const chunks = Array.from({ length: Math.ceil(taught / 10) }, (_, i) => all.slice(10 * i, 10 * i + 10))
      const label = (job: Job): string =>
        job.kind === 'before' ? 'before any edit' : `${titleOf(job.method)}, T = ${job.edits}`
      const cost = (job: Job): number =>
        job.facts.length *
        (job.kind === 'before' ? asking : (weights[job.method] ?? 2) * (1 + contexts.length) + asking)
      const run = (jobs: Job[]) =>
        showingNotes(context, (progress) =>
          runJobs<Job, Found>({ ...context, progress }, editTask, jobs, { label, cost }),
        )

      const found = (await run(chunks.map((list): Job => ({ kind: 'before', inputs, facts: list })))) as {
        before: Reference[]
      }[]
      const references = found.flatMap(({ before }) => before)
      const before = references.map((reference, fact) => ({ fact, reference }))
      write('before.json', before)

      const methods = c.methods.filter((name) => name !== 'none')
      const jobs = methods.flatMap((method) =>
        parts.flatMap(({ edits, groups }) =>
          groups.map(
            (list, g): Job => ({
              kind: 'edit',
              inputs,
              method,
              facts: list,
              edits,
              options: {
                ...optionsOf(c),
                contexts,
                ...(text !== undefined && reading.includes(method) && { text }),
              },
              before: join(folder, 'before.json'),
              beforeContents: contentHash(toJson(before)),
              examples: g === 0 ? c.examples : 0,
            }),
          ),
        ),
      )
      log(`${jobs.length} parts: ${methods.length} methods, ${sizes.join(', ')} edits`)
      const done = (await run(jobs)) as Taught[]
      const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length

      const rows: Row[] = []
      const items: { method: string; edits: number; facts: number[]; results: readonly Result[] }[] = []
      const overlaps: { method: string; edits: number; overlaps: readonly Overlaps[] }[] = []
      const examples: ShownExample[] = []
      for (const { edits, groups } of parts) {
        if (c.methods.includes('none')) {
          const results = groups.flat().map((i) => resultBefore(references[i]!))
          items.push({ method: 'none', edits, facts: groups.flat(), results })
          const none = { secondsPerEdit: null, stepsPerEdit: null, layer: null, threshold: null }
          const summary = summarize(results)
          rows.push({
            method: 'none',
            title: titleOf('none'),
            edits,
            groups: groups.length,
            summary,
            ...none,
          })
        }
        for (const method of methods) {
          const own = done.filter((_, i) => {
            const job = jobs[i]!
            return job.kind === 'edit' && job.method === method && job.edits === edits
          })
          const results = own.flatMap((part) => part.results)
          items.push({ method, edits, facts: groups.flat(), results })
          overlaps.push({ method, edits, overlaps: own.flatMap((part) => part.overlaps) })
          for (const part of own)
            for (const [i, example] of part.examples.entries())
              examples.push({ method, edits, ...example, result: part.results[i]! })
          rows.push({
            method,
            title: titleOf(method),
            edits,
            groups: groups.length,
            summary: summarize(results),
            secondsPerEdit: mean(own.map((part) => part.secondsPerEdit)),
            stepsPerEdit: mean(own.flatMap((part) => part.steps)),
            layer: own[0]!.layer,
            threshold: own[0]!.threshold,
          })
        }
      }
      write('items.json', items)
      write(
        'overlaps.json',
        overlaps.filter((one) => one.overlaps.length > 0),
      )
      write(
        'examples.json',
        examples.map((one) => {
          const { prompt, target, rephrase, locality } = facts[one.fact]!
          return { ...one, asked: { prompt, target, rephrase: rephrase ?? null, locality: locality ?? null } }
        }),
      )
      return { fingerprint: inputs.fingerprint, facts: facts.length, taught, rows }
    } finally {
      forget()
      rmSync(storesIn(folder), { recursive: true, force: true })
    }
  },

  summary: concludeEditing,
  draws: 'run',
  figures: editingFigures,
  tables: editingTables,
})
