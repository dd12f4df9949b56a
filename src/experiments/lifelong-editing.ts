/** @file Lifelong editing: facts taught to a language model one after another, by MEMOIR and by the field's other methods. */
import { z } from 'zod'
import { fail } from '../base/index.ts'
import { modelFingerprint, parseRelations, relationQuestionsOf } from '../edit/index.ts'
import { defineStudy, type Preparing, seedField } from '../lab/index.ts'
import { loadModel } from '../lm/index.ts'
import { editingCharts, routedOf } from './lifelong-editing/charts.ts'
import { claimsOf, editingFindings } from './lifelong-editing/claims.ts'
import { drawContexts } from './lifelong-editing/contexts.ts'
import { damageTexts, mostTexts } from './lifelong-editing/damage.ts'
import { editingMethods, type MethodOptions, methodOf } from './lifelong-editing/methods/index.ts'
import { type Cell, linesOf, type Row } from './lifelong-editing/rows.ts'
import { editingTables } from './lifelong-editing/tables.ts'
import {
  type Bench,
  closeBench,
  factsIn,
  measureGroup,
  openBench,
  readText,
} from './lifelong-editing/teaching.ts'

const names = editingMethods.map(({ name }) => name) as [string, ...string[]]
const baselines = ['none', 'ft-l', 'ft-m', 'rome', 'memit', 'alphaedit', 'grace', 'wise', 'memoir']
/** Methods that look at ordinary text before they edit. */
const reading: readonly string[] = ['memit', 'memit-anchored', 'alphaedit']

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
  relations: z
    .string()
    .default('')
    .describe(
      'a file of relations as `treeline edit … calibrate` reads it: each fact is also asked in another wording of its relation, and another relation of its subject; default: what other facts ask, where it shares no word with the fact',
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
  asked: z
    .union([z.literal('all'), z.int().min(1).max(100_000)])
    .default('all')
    .describe('how many facts of a group, evenly spread, are asked for after all of them are taught'),
  hardLocality: z
    .union([z.literal('all'), z.int().min(0).max(100_000)])
    .default('all')
    .describe(
      'how many facts, evenly spread, are also asked for hard locality, which takes most of the asking',
    ),
  wild: z
    .union([z.literal('all'), z.int().min(0).max(100_000)])
    .default(100)
    .describe(
      'how many facts, evenly spread, are also asked for freely: until the model stops by itself, at most 20 tokens more than the target has',
    ),
  damage: z
    .int()
    .min(0)
    .max(mostTexts)
    .default(mostTexts)
    .describe(
      'texts that no edit is about, and as many about subjects of edits, that are read for each T by the edited model and the unedited one',
    ),
  examples: z
    .int()
    .min(0)
    .max(100)
    .default(12)
    .describe('facts of each method and T that are shown as texts'),
})
type Config = z.infer<typeof config>

/** What a run's numbers depend on besides its config. */
interface Prepared {
  /** Of the model's weights, and SHA-256 of the files of facts, of text and of relations. */
  readonly model: string
  readonly factsFile: string
  readonly textFile: string | null
  readonly relationsFile: string | null
  /** Facts in the file. */
  readonly facts: number
  /** Texts put in front of prompts. */
  readonly contexts: readonly string[]
}

/** Facts of a T, in groups that each begin with the unedited model. */
export function groupsOf(edits: number, items: number, facts: number): number[][] {
  const groups = Math.max(1, Math.floor(Math.min(items, facts) / edits))
  return Array.from({ length: groups }, (_, g) => Array.from({ length: edits }, (_, i) => g * edits + i))
}

/** Relative time of an edit. */
const weights: Readonly<Record<string, number>> = {
  ...{ rome: 8, memit: 8, alphaedit: 8, 'rome-anchored': 8, 'memit-anchored': 8 },
  ...{ grace: 2, wise: 2, 'ft-m': 2, 'ft-l': 2, 'locft-bf': 2, ultraedit: 0.2 },
}
/** Options of the methods where the config has other than the published numbers. */
function optionsOf(c: Config): Omit<MethodOptions, 'seed' | 'contexts' | 'folder'> {
  const { layer, steps, weight, threshold, ones } = c
  return Object.fromEntries(
    Object.entries({ layer, steps, weight, threshold, ones }).filter(([, value]) => value !== 'published'),
  )
}

/** The relations of the config's file, which must be the one that is expected. Throws `TL_BAD_FILE`. */
const relationsIn = ({ relations }: Config, hash: string) =>
  parseRelations(readText(relations, hash).text, relations)

/** Refuse what the model does not have, before it is asked anything. */
function checkModel({ model: path, layer, ones }: Config): void {
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

async function prepare(c: Config, { threads, log }: Preparing): Promise<Prepared> {
  checkModel(c)
  const file = readText(c.facts)
  const facts = factsIn(file.text, c.facts, c.onePerSubject).length
  const most = Math.max(...c.edits)
  if (most > facts)
    fail(
      'TL_BAD_CONFIG',
      `config.edits: ${most} edits, but ${c.facts} has ${facts} facts${c.onePerSubject ? ' with one for each subject; see onePerSubject' : ''}`,
    )
  const textFile = c.text === '' ? null : readText(c.text).hash
  const relationsFile = c.relations === '' ? null : readText(c.relations).hash
  if (relationsFile !== null) relationsIn(c, relationsFile)
  const contexts = c.contexts > 0 ? await drawContexts(c.model, c.contexts, c.seed, threads) : []
  if (contexts.length) log(`contexts: ${contexts.map((text) => JSON.stringify(text)).join(' ')}`)
  return { model: modelFingerprint(c.model), factsFile: file.hash, textFile, relationsFile, facts, contexts }
}

/** What a thread holds, and the text that some methods read. */
interface Resource {
  readonly bench: Bench
  readonly text: string | undefined
}

function open(c: Config, prepared: Prepared): Resource {
  const facts = factsIn(readText(c.facts, prepared.factsFile).text, c.facts, c.onePerSubject)
  const taught = Math.max(...c.edits.flatMap((edits) => groupsOf(edits, c.items, facts.length).flat())) + 1
  const every = (count: 'all' | number) => (count === 'all' ? 1 : count && Math.ceil(taught / count))
  const text = prepared.textFile === null ? undefined : readText(c.text, prepared.textFile).text
  const [hardEvery, wildEvery] = [every(c.hardLocality), every(c.wild)]
  const mostAsked = c.asked === 'all' ? Number.POSITIVE_INFINITY : c.asked
  const relations = prepared.relationsFile === null ? undefined : relationsIn(c, prepared.relationsFile)
  const relationQuestions = relationQuestionsOf(facts, relations)
  const bench = openBench(c.model, { facts, mostAsked, hardEvery, wildEvery, relationQuestions })
  return { bench, text }
}

/** Relative time of teaching a fact, where asking takes 1. */
const teachingCost = (method: string, contexts: number): number =>
  method === 'none' ? 0 : (weights[method] ?? 2) * (1 + contexts)

export const lifelongEditing = defineStudy<Config, Cell, Row, Resource, Prepared>(import.meta.url, {
  name: 'lifelong-editing',
  title: 'Editing a language model for life',
  question:
    'How many facts does a language model know that it was taught one after another (by MEMOIR, fine-tuning, ROME, MEMIT, AlphaEdit, GRACE or WISE), and what else changes?',
  source: 'MEMOIR: Wang et al. 2025, arXiv 2506.07899',
  version: 4,
  config,
  requires: ['model', 'facts'],
  presets: {
    tiny: {
      edits: [1, 2],
      items: 2,
      methods: ['none', 'ft-m', 'grace', 'memoir'],
      examples: 1,
      steps: 10,
      damage: 0,
    },
    tour: {
      edits: [3],
      items: 3,
      methods: ['none', 'grace', 'memoir'],
      examples: 3,
      hardLocality: 0,
      wild: 0,
      damage: 0,
    },
    quick: { edits: [1, 5], items: 5, methods: ['none', 'ft-m', 'grace', 'memoir'], examples: 5, damage: 5 },
    paper: { edits: [1, 10, 100, 700], items: 700, onePerSubject: false, contexts: 10, methods: names },
  },
  prepare,
  cells({ edits, items, methods }, _, prepared) {
    const facts = prepared?.facts ?? Math.max(items, ...edits)
    const sizes = [...new Set(edits)].sort((a, b) => a - b)
    const named = [...new Set(methods)]
    const teacherOf = (name: string): string => methodOf(name).editsOf ?? name
    // what shares edits, or goes on from fewer, comes one after another: a thread then teaches them once
    return [...new Set(named.map(teacherOf))].flatMap((teacher) =>
      sizes.flatMap((T) =>
        groupsOf(T, items, facts).flatMap((_, group) =>
          named
            .filter((name) => teacherOf(name) === teacher)
            .map((method): Cell => ({ method, edits: T, group })),
        ),
      ),
    )
  },
  // methods draw from the seed of the run alone; groups of facts are cells
  replicas: () => 1,
  cost: ({ method, edits }, { contexts }) => edits * (teachingCost(method, contexts) + 1),
  label: ({ method, edits, group }) => `${methodOf(method).title}, T = ${edits}, group ${group + 1}`,
  open,
  close: ({ bench }) => closeBench(bench),

  measure({ method, edits, group }, { config: c, prepared, resource, signal, progress, scratch }) {
    const { bench, text } = resource
    const teaching = teachingCost(method, c.contexts)
    const groups = groupsOf(edits, c.items, bench.facts.length)
    const facts = groups[group]!
    const subjects = facts.map((index) => bench.facts[index]!.subject)
    return measureGroup(bench, {
      method,
      facts,
      damage: damageTexts(c.damage, { group, groups: groups.length, subjects }),
      options: {
        ...{ seed: c.seed, ...optionsOf(c), contexts: prepared.contexts, folder: scratch },
        ...(text !== undefined && reading.includes(method) && { text }),
      },
      examples: group === 0 ? c.examples : 0,
      teaching: teaching / (teaching + 1),
      signal,
      progress,
    })
  },

  findings(rows) {
    const lines = linesOf(rows)
    const routed = routedOf(lines, rows)
    return {
      ...editingFindings(lines),
      claims: claimsOf(lines),
      charts: editingCharts(lines, routed),
      tables: editingTables(lines, routed, rows),
    }
  },
})
