/** @file What an experiment is: one record with a config schema, a run, a summary and figures. */
import type { z } from 'zod'
import { fail, type Json } from '../base/index.ts'
import type { RunContext } from './context.ts'
import type { Figure } from './figures/index.ts'
import type { Metric } from './metrics.ts'
import type { Claim } from './study/claim.ts'

/** Every experiment has a seed: all its randomness comes from it. */
export interface BaseConfig {
  seed: number
}

/** Part of a config, at any depth. */
export type PartialConfig<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { [K in keyof T]?: PartialConfig<T[K]> }
    : T

/** A claim put to the test: what was measured, with its error, beside what theory or the paper predicts. */
export interface Verdict {
  claim: string
  measured: number | null
  /** One standard error (or the half width named in the claim), null when there is none. */
  error: number | null
  predicted: number | null
  pass: boolean
  /** True for a control: a case that must come out the other way. */
  control: boolean
}

/** What a finished run says. */
export interface Conclusion {
  /** The one line a terminal shows last, such as `test accuracy 99.12 %`. */
  headline: string
  /** One paragraph in words. */
  paragraph: string
  /** Key numbers, formatted for people. */
  numbers?: readonly { label: string; value: string; note?: string }[]
  claims?: readonly Claim[]
  /** Claims of an experiment that is no study yet: held or not. */
  verdicts?: readonly Verdict[]
}

/** A finished run as summary, figures and tables see it: everything comes from its folder. */
export interface RunView<Config = Record<string, unknown>, Result = Record<string, Json>> {
  readonly folder: string
  readonly hash: string
  readonly config: Config
  readonly result: Result
  readonly metrics: readonly Metric[]
  /** A JSON file that the run wrote with `context.write(name, value)`. */
  readonly read: (name: string) => Json
}

/** Finished runs that differ only in their seed: what error bars are drawn from (see `overSeeds`). */
export interface RunGroup<Config = Record<string, unknown>, Result = Record<string, Json>> {
  /** What sets it apart from the other groups, such as `m=3 L=4`; empty when there is one group. */
  readonly label: string
  /** The config they share; its seed is that of the first. */
  readonly config: Config
  readonly runs: readonly RunView<Config, Result>[]
}

/** A table of the report. Cells are shown as they are; numbers are aligned to the right. */
export interface ReportTable {
  title: string
  columns: readonly string[]
  rows: readonly (readonly (string | number)[])[]
  /** Only its title is seen until it is unfolded. */
  folded?: boolean
  /** Columns of texts that are data: a single letter in them is no variable. */
  verbatim?: readonly string[]
}

/** One experiment; `defineExperiment` makes it, the table `experiments` lists it. */
export interface Experiment<
  Config extends BaseConfig = BaseConfig,
  Result extends object = Record<string, Json>,
> {
  /** The word on the command line, such as `digits`. */
  name: string
  /** Raised when the same config would give other numbers than before; part of the hash. */
  version: number
  title: string
  description: string
  /** Every field with a default; `.describe()` texts appear in messages and tables. */
  config: z.ZodType<Config>
  presets: Record<'quick' | 'paper', PartialConfig<Config>> &
    Partial<Record<'tiny' | 'tour', PartialConfig<Config>>>
  /** Config fields whose default is empty because only a user can fill them: without one a run is refused, and no tour goes there. */
  requires?: readonly (keyof Config & string)[]
  /** What results are called in figures, in plain notation: `{ epsStar: 'ε*' }`. Without a name they are called by their keys. */
  resultNames?: Readonly<Record<string, string>>
  /** Estimated seconds of a run on one core: weighs the runs of a sweep. Only ratios matter once some runs are timed. */
  cost?: (config: Config) => number
  /** Measure; return what was measured, as plain data. Called again with `resumed` after an interruption. */
  run: (context: RunContext<Config>) => Promise<Result>
  /** Put one finished run into words. Pure: `treeline report` calls it again years later. */
  summary: (run: RunView<Config, Result>) => Conclusion
  /** Put runs into words that differ only in their seed; without it their claims are averaged. */
  together?: (runs: readonly RunView<Config, Result>[]) => Conclusion
  /**
   * What one call of `figures` or `tables` can show: all runs together (the default), the runs of one config, which differ only
   * in their seed, or one run. The report calls as often as it takes, and says under each figure what made it.
   */
  draws?: 'all' | 'config' | 'run'
  /** Draw one or several finished runs of this experiment; `groups` are the same runs, by config without the seed. */
  figures: (
    runs: readonly RunView<Config, Result>[],
    groups: readonly RunGroup<Config, Result>[],
  ) => readonly Figure[]
  /** The trained network of a finished run: a whole ONNX file, and its inputs and outputs in words. */
  network?: (run: RunView<Config, Result>) => Promise<{ onnx: Uint8Array; about: string }>
  /** Optional tables for the report. */
  tables?: (
    runs: readonly RunView<Config, Result>[],
    groups: readonly RunGroup<Config, Result>[],
  ) => readonly ReportTable[]
}

/** An experiment whose config and result types have been forgotten, as the table holds it. */
export type AnyExperiment = Experiment<BaseConfig, Record<string, Json>>

/** What a value is, in words. */
export const kindOf = (value: unknown): string => {
  if (value === null || value === undefined) return String(value)
  return Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

const functions = ['run', 'summary', 'figures'] as const
const optional = ['cost', 'tables', 'network', 'together'] as const

/** Refuse what TypeScript would: JavaScript modules define experiments too. */
export function checkDefinition(definition: Partial<AnyExperiment>): void {
  const refuse = (field: string, expected: string, got: unknown): never =>
    fail(
      'TL_BAD_CONFIG',
      `experiment "${definition.name}": ${field}: expected ${expected}, got ${kindOf(got)}`,
    )
  if (typeof definition.config?.safeParse !== 'function')
    refuse('config', 'a schema of zod (z.strictObject({ … }))', definition.config)
  for (const field of functions)
    if (typeof definition[field] !== 'function') refuse(field, 'a function', definition[field])
  for (const field of optional)
    if (definition[field] !== undefined && typeof definition[field] !== 'function')
      refuse(field, 'a function', definition[field])
  for (const preset of ['quick', 'paper'] as const)
    if (typeof definition.presets?.[preset] !== 'object')
      refuse(`presets.${preset}`, 'an object of fields', definition.presets?.[preset])
}

/**
 * Define an experiment. The config schema must accept `{}` (all fields have defaults) and have a whole-number `seed`.
 * Throws TL_BAD_CONFIG when it does not: a mistake in the experiment, found when the table is loaded.
 */
export function defineExperiment<Config extends BaseConfig, Result extends object>(
  definition: Omit<Experiment<Config, Result>, 'version'> & { version?: number },
): AnyExperiment {
  const { name, config } = definition
  if (!/^[a-z][a-z0-9-]*$/.test(name))
    fail('TL_BAD_CONFIG', `experiment "${name}": expected a name of small letters, digits and hyphens`)
  checkDefinition(definition as unknown as Partial<AnyExperiment>)
  const defaults = config.safeParse({})
  if (!defaults.success)
    fail(
      'TL_BAD_CONFIG',
      `experiment "${name}": every config field needs a default (${defaults.error.message})`,
    )
  if (!Number.isInteger(defaults.data.seed))
    fail(
      'TL_BAD_CONFIG',
      `experiment "${name}": the config needs a whole number \`seed\` (use \`seedField\`)`,
    )
  return { version: 1, ...definition } as unknown as AnyExperiment
}
