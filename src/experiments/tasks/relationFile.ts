/** @file Files of one relation each: a template with {} for the subject, and subjects with their objects. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { explainSystemError } from '../../base/files.ts'
import { didYouMean, fail, isObject, parseJson } from '../../base/index.ts'
import { readText } from '../../base/read.ts'

export interface Relation {
  readonly name: string
  /** The first wording, with {} where the subject stands. */
  readonly template: string
  readonly samples: readonly { readonly subject: string; readonly object: string }[]
}

const place = '{}'
const isWord = (value: unknown): value is string => typeof value === 'string' && value.trim() !== ''
const shown = (value: unknown): string =>
  value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 60)

/**
 * A relation: `{ "prompt_templates": ["{} plays the"], "samples": [{ "subject": "…", "object": "…" }] }`, other members ignored
 * (the format of Hernandez et al. 2024). Throws `TL_BAD_FILE` with the place.
 */
export function parseRelation(text: string, file: string): Omit<Relation, 'name'> {
  const value = parseJson(text, file)
  const refuse = (where: string, expected: string, found: unknown): never =>
    fail('TL_BAD_FILE', `${file}: ${where}: expected ${expected}, got ${shown(found)}`)
  if (!isObject(value)) return refuse('the file', 'an object with "prompt_templates" and "samples"', value)
  const templates = value['prompt_templates']
  const template: unknown = Array.isArray(templates) ? templates[0] : undefined
  if (!isWord(template) || template.split(place).length !== 2)
    return refuse(
      '"prompt_templates"',
      'a list whose first text has {} once, where the subject stands',
      templates,
    )
  const samples = value['samples']
  if (!Array.isArray(samples) || samples.length === 0)
    return refuse('"samples"', 'a list of one or more { "subject", "object" }', samples)
  return {
    template,
    samples: samples.map((sample: unknown, i) => {
      const { subject, object } = isObject(sample) ? sample : {}
      if (!isWord(subject) || !isWord(object))
        return refuse(`sample ${i + 1}`, 'two texts, "subject" and "object"', sample)
      return { subject, object }
    }),
  }
}

/** The files NAME.json of a folder, by the names that are asked for. Throws `TL_IO`, `TL_BAD_FILE`, `TL_BAD_CONFIG` for a name without a file. */
export function readRelationFolder(folder: string, names: readonly string[]): Relation[] {
  let files: string[]
  try {
    files = readdirSync(folder).filter((name) => name.endsWith('.json'))
  } catch (error) {
    return explainSystemError(error, `cannot read ${folder}`)
  }
  const there = files.map((file) => file.slice(0, -'.json'.length)).sort()
  if (there.length === 0)
    fail('TL_BAD_FILE', `${folder}: the folder has no relation: expected files NAME.json, one for each task`)
  return names.map((name) => {
    if (!there.includes(name))
      fail(
        'TL_BAD_CONFIG',
        `config.relationNames: ${folder} has no "${name}.json", ${didYouMean(name, there)}`,
      )
    const file = join(folder, `${name}.json`)
    return { name, ...parseRelation(readText(file), file) }
  })
}
