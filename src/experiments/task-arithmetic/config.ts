/** @file What a run of task arithmetic is told, and the family of tasks that follows from it. */
import { z } from 'zod'
import { fail } from '../../base/index.ts'
import { loadDataset, loadText } from '../../data/index.ts'
import { fetchListeners, type Preparing, seedField } from '../../lab/index.ts'
import { loadModel, loadTokenizer } from '../../lm/index.ts'
import { random } from '../../tensor/index.ts'
import { digitsFamily, lookNames } from '../tasks/digits.ts'
import { checkFamily, type TaskFamily } from '../tasks/family.ts'
import { languageFamily } from '../tasks/language.ts'
import { readRelationFolder } from '../tasks/relationFile.ts'
import { relationTask, textTask } from '../tasks/relations.ts'

const rate = z.union([z.literal('family'), z.number().positive().max(1)]).default('family')

export const config = z.strictObject({
  seed: seedField,
  model: z
    .string()
    .default('')
    .describe(
      'a language model (a Hugging Face folder or a GGUF file) whose top blocks learn relations; default: a perceptron that learns digits',
    ),
  relations: z
    .string()
    .default('')
    .describe('with a model: a folder of relations, NAME.json each with prompt_templates and samples'),
  relationNames: z
    .array(z.string().min(1))
    .min(2)
    .max(40)
    .default([
      'landmark_in_country',
      'person_native_language',
      'person_plays_position_in_sport',
      'product_by_company',
      'person_plays_instrument',
    ])
    .describe('with a model: the relations that are tasks'),
  blocks: z.int().min(1).max(200).default(6).describe('with a model: how many of its last blocks learn'),
  samples: z.int().min(10).max(100_000).default(700).describe('with a model: most samples of a relation'),
  text: z
    .string()
    .min(1)
    .default('moby-dick')
    .describe('with a model: the text whose perplexity is the control, by name or path'),
  controlPieces: z
    .int()
    .min(1)
    .max(1000)
    .default(16)
    .describe('with a model: pieces of 48 tokens of the text to choose with, and as many to test on'),
  dataset: z.string().min(1).default('mnist').describe('without a model: mnist, or a folder of grey images'),
  looks: z
    .array(z.enum(lookNames))
    .min(2)
    .default(lookNames)
    .describe('without a model: looks of digits that are tasks'),
  width: z.int().min(4).max(4096).default(256).describe('without a model: width of the two hidden layers'),
  features: z.int().min(2).max(1024).default(64).describe('without a model: features that the head takes'),
  images: z
    .strictObject({ train: z.int().min(10), validation: z.int().min(5), test: z.int().min(5) })
    .default({ train: 2000, validation: 500, test: 1000 })
    .describe('without a model: images of each task'),
  pretraining: z.int().min(1).max(100_000).default(400).describe('without a model: steps of 128 images'),
  share: z
    .number()
    .min(0)
    .max(1)
    .default(0.03)
    .describe('without a model: share of the pretraining images that look like one of the tasks'),
  steps: z.int().min(1).max(100_000).default(90).describe('of fine-tuning on a task'),
  batchSize: z.int().min(1).max(4096).default(32),
  nonlinearRate: rate.describe(
    'peak learning rate of the nonlinear regime; family: 1e-4 with a model, else 1e-3',
  ),
  linearRate: rate.describe('the same of the linear regime; family: 3e-4 with a model, else 1e-3'),
  tak: z
    .number()
    .min(0)
    .max(1e6)
    .default(0)
    .describe(
      'weight of the penalty of a fourth regime, TAK: about the mean of ‖Jτ‖² on examples of the other tasks, by Kronecker factors; 0: no such regime',
    ),
  alphas: z.int().min(2).max(201).default(21).describe('coefficients from 0 to 1 that are tried'),
  kept: z.number().min(0).max(1).default(0.95).describe('share of the control that negation has to keep'),
  negation: z.boolean().default(true).describe('measure forgetting'),
  mapPoints: z
    .int()
    .max(101)
    .refine((n) => n === 0 || (n >= 3 && n % 2 === 1), 'expected 0 or an odd number from 3 on')
    .default(13)
    .describe('coefficients from −3 to 3 on both axes of a map of disentanglement; 0: no maps'),
  mapPairs: z.int().min(1).max(100).default(2).describe('pairs of neighbouring tasks that are mapped'),
  mapExamples: z.int().min(1).max(10_000).default(100).describe('test examples of each task in a map'),
  kernelExamples: z
    .int()
    .min(0)
    .max(500)
    .default(20)
    .describe(
      'examples of each task, learned and held out, on which the tangent kernel is taken; 0: no kernel',
    ),
  randomStart: z
    .boolean()
    .default(true)
    .describe('the same from parameters that have seen nothing, as a control'),
  replicas: z.int().min(1).max(100).default(3),
})
export type Config = z.infer<typeof config>

/** Tokens of a piece of the control, and the last ones that are asked for. */
const [pieceTokens, askedTokens] = [48, 16]

/** A family with what only its kind can say: peak learning rates, and examples in each call of a program. */
export interface Opened {
  readonly family: TaskFamily
  readonly rates: { readonly nonlinear: number; readonly linear: number }
  readonly callSize: number
}

const ratesOf = (c: Config, nonlinear: number, linear: number): Opened['rates'] => ({
  nonlinear: c.nonlinearRate === 'family' ? nonlinear : c.nonlinearRate,
  linear: c.linearRate === 'family' ? linear : c.linearRate,
})

/** Refuse what does not go together before anything is read. */
export function checkConfig({ model, relations, relationNames, looks }: Config): void {
  if ((model === '') !== (relations === ''))
    fail(
      'TL_BAD_CONFIG',
      model === ''
        ? 'config.model: relations are learned by a language model: name one (--set model=PATH)'
        : 'config.relations: expected a folder of relations for the model to learn (--set relations=FOLDER)',
    )
  for (const [field, names] of Object.entries<readonly string[]>({ relationNames, looks })) {
    const twice = names.find((name, i) => names.indexOf(name) !== i)
    if (twice !== undefined) fail('TL_BAD_CONFIG', `config.${field}: "${twice}" stands there twice`)
  }
}

/** Make the family of a replica: splits, prototypes and pretraining follow from the key. */
export async function openFamily(
  c: Config,
  key: random.Key,
  { threads, signal }: { readonly threads: number; readonly signal: AbortSignal },
): Promise<Opened> {
  const opened = c.model === '' ? await openDigits() : await openLanguage()
  checkFamily(opened.family, c.model === '' ? 'config.looks' : 'config.relationNames')
  return opened

  async function openDigits(): Promise<Opened> {
    const { looks: tasks, images: counts, width, features, pretraining, share } = c
    const set = await loadDataset(c.dataset, { signal })
    const options = { ...{ set, tasks, counts, width, features, pretraining, share, key }, threads, signal }
    return { family: await digitsFamily(options), rates: ratesOf(c, 1e-3, 1e-3), callSize: 250 }
  }

  async function openLanguage(): Promise<Opened> {
    const tokenizer = loadTokenizer(c.model)
    const [forTasks, forText] = random.split(key)
    const tasks = readRelationFolder(c.relations, c.relationNames).map((relation, i) =>
      relationTask(relation, tokenizer, { most: c.samples, key: random.foldIn(forTasks, i) }),
    )
    const { title: textTitle, text } = await loadText(c.text, { signal })
    const pieces = { pieces: c.controlPieces, tokens: pieceTokens, asked: askedTokens }
    const control = textTask(textTitle, text, tokenizer, { ...pieces, key: forText })
    const model = loadModel(c.model, { threads })
    const title = `the last ${c.blocks} of ${model.config.layers} blocks of a language model`
    try {
      const family = await languageFamily({ model, blocks: c.blocks, tasks, control, title, signal })
      return {
        family: { ...family, close: () => model.dispose() },
        rates: ratesOf(c, 1e-4, 3e-4),
        callSize: 16,
      }
    } catch (error) {
      model.dispose()
      throw error
    }
  }
}

/** Fetch what is missing once, before threads ask for it. */
export async function fetchData(c: Config, telling: Preparing): Promise<void> {
  if (c.model === '') await loadDataset(c.dataset, fetchListeners(telling))
  else await loadText(c.text, fetchListeners(telling))
}
