/** @file Refuse in a study what TypeScript would: modules in JavaScript define studies, too. */
import { fail } from '../../base/index.ts'
import { kindOf } from '../experiment.ts'
import type { AnyStudy, Findings } from './study.ts'

const functions = ['cells', 'replicas', 'measure', 'findings'] as const
const optional = [
  'check',
  'prepare',
  'keyed',
  'open',
  'close',
  'cost',
  'suppose',
  'label',
  'network',
] as const
const presets = ['tiny', 'tour', 'quick', 'paper'] as const

/** Throws TL_BAD_CONFIG for a definition that cannot work. */
function checkDefinition(module: unknown, study: Partial<AnyStudy> | undefined): void {
  if (typeof module !== 'string' || typeof study !== 'object' || study === null)
    fail(
      'TL_BAD_CONFIG',
      `defineStudy: expected the address of the module and a study, got ${kindOf(module)} and ${kindOf(study)} (defineStudy(import.meta.url, { … }))`,
    )
  const refuse = (field: string, expected: string, got: unknown): never =>
    fail('TL_BAD_CONFIG', `study "${study.name}": ${field}: expected ${expected}, got ${kindOf(got)}`)
  for (const field of functions)
    if (typeof study[field] !== 'function') refuse(field, 'a function', study[field])
  for (const field of optional)
    if (study[field] !== undefined && typeof study[field] !== 'function')
      refuse(field, 'a function', study[field])
  for (const preset of presets)
    if (kindOf(study.presets?.[preset]) !== 'an object')
      refuse(`presets.${preset}`, 'an object of fields', study.presets?.[preset])
}

const isObject = (value: unknown): boolean => kindOf(value) === 'an object'
const isList = (value: unknown, of: (item: unknown) => boolean): boolean =>
  Array.isArray(value) && value.every(of)

/** A wrong value in words: short ones as they are, lists by what is in them. */
function inWords(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (Array.isArray(value) && value.length > 0)
    return `a list with ${[...new Set(value.map(kindOf))].join(' and ')} in it`
  return kindOf(value)
}

/** What a function of a study returned; throws TL_MODULE when it is something else. */
export function returned<T>(study: string, field: string, is: boolean, expected: string, value: T): T {
  if (!is)
    fail('TL_MODULE', `study "${study}": ${field}: expected to return ${expected}, got ${inWords(value)}`)
  return value
}

/** The findings of a study, of which every part is what a report can show. */
function checkFindings(study: string, found: Findings): Findings {
  returned(study, 'findings', isObject(found), 'an object { headline, paragraph, claims, charts }', found)
  for (const field of ['headline', 'paragraph'] as const)
    returned(study, `findings.${field}`, typeof found[field] === 'string', 'a text', found[field])
  const isClaim = (value: unknown): boolean => isObject(value) && 'outcome' in (value as object)
  const claims = 'a list of claims (claim(…).equals(…))'
  returned(study, 'findings.claims', isList(found.claims, isClaim), claims, found.claims)
  const isFunction = (value: unknown): boolean => typeof value === 'function'
  const charts = 'a list of functions that draw (chart(…), () => lineChart(…))'
  returned(study, 'findings.charts', isList(found.charts, isFunction), charts, found.charts)
  return found
}

/** The study with what its functions return looked at. Throws TL_BAD_CONFIG for a definition that cannot work. */
export function checkedStudy(module: unknown, study: AnyStudy): AnyStudy {
  checkDefinition(module, study)
  const { name } = study
  const isCount = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 1
  return {
    ...study,
    cells: (...words) => {
      const found = study.cells(...words)
      return returned(name, 'cells', isList(found, isObject), 'a list of objects', found)
    },
    replicas: (...words) => {
      const found = study.replicas(...words)
      return returned(name, 'replicas', isCount(found), 'a whole number ≥ 1', found)
    },
    findings: (...words) => checkFindings(name, study.findings(...words)),
  }
}
