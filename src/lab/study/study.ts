/** @file What a study is: a question, a grid of cells, a pure measurement, and findings made from its rows. */
import type { z } from 'zod'
import type { Grammar } from '../../grammar/index.ts'
import type { random } from '../../tensor/index.ts'
import type { RunContext } from '../context.ts'
import type { BaseConfig, PartialConfig, ReportTable, RunView } from '../experiment.ts'
import type { Figure } from '../figures/index.ts'
import type { Claim } from './claim.ts'
import type { Measured } from './rows.ts'

/** A value of a cell or a row. */
export type Value = number | string | boolean | null | readonly Value[] | { readonly [name: string]: Value }

/** What `measure` is given besides its cell. */
export interface Bench<Config, Resource, Prepared = undefined> {
  /** All randomness of this replica of this cell comes from it (see `Study.keyed`). */
  readonly key: random.Key
  readonly config: Config
  /** 0, 1, … */
  readonly replica: number
  /** What `prepare` returned for the run. */
  readonly prepared: Prepared
  /** What `open` returned on this thread. */
  readonly resource: Resource
  /** Aborted: stop as soon as it is safe. */
  readonly signal: AbortSignal
  /** How much of this cell is done, 0 … 1, and what it is at. */
  readonly progress: (share: number, detail?: string) => void
  /** Threads that this measurement may use for itself: all of the run's when it is the only one. */
  readonly threads: number
  /** A folder of this replica of this cell alone, kept over interruptions: for checkpoints of long measurements. */
  readonly folder: string
  /** A folder of the whole run that is cleared when the run ends, however it ends: for files of resources. */
  readonly scratch: string
}

/** What `prepare` may use besides the config. */
export type Preparing = Pick<RunContext<unknown>, 'threads' | 'signal' | 'log' | 'progress'>

/** A key number of the report. */
export interface KeyNumber {
  readonly label: string
  readonly value: string
  readonly note?: string
}

/** What the rows say. */
export interface Findings {
  /** The one line that a terminal shows last. */
  readonly headline: string
  /** A few sentences: what was asked, what was found. */
  readonly paragraph: string
  readonly numbers?: readonly KeyNumber[]
  readonly claims: readonly Claim[]
  /** Figures, drawn when they are wanted. */
  readonly charts: readonly (() => Figure)[]
  readonly tables?: readonly ReportTable[]
  /**
   * Numbers of a run by name, for `collect` and for sweeps (`result.*`). `NAMETheory` is what theory says of `NAME`, `NAMEError` its
   * standard error: a sweep's figures draw them with it.
   */
  readonly result?: Readonly<Record<string, number | string | boolean | null>>
}

/** An experiment as data. `defineStudy` makes it one that can be run. */
export interface Study<
  Config extends BaseConfig,
  Cell extends object,
  Row extends object,
  Resource = void,
  Prepared extends object | undefined = undefined,
> {
  /** The word on the command line, such as `plateaus`. */
  readonly name: string
  readonly title: string
  /** What is asked, in one sentence. */
  readonly question: string
  /** Where the theory is from: paper and equation. */
  readonly source?: string
  /** Raised when the same config would give other numbers than before; part of the hash. */
  readonly version?: number
  /** Every field with a default and a description. */
  readonly config: z.ZodType<Config>
  /** tiny: seconds, for tests; tour: the headline in about 20 s; quick: about 90 s; paper: as published. */
  readonly presets: Readonly<Record<'tiny' | 'tour' | 'quick' | 'paper', PartialConfig<Config>>>
  /** Fields that only a user can fill: without them a run is refused, and no tour goes there. */
  readonly requires?: readonly (keyof Config & string)[]
  /** Throws TL_BAD_CONFIG for a config that no schema can refuse. */
  readonly check?: (config: Config) => void
  /**
   * Once a run, before its cells: fetch what is missing, look into files of the user's, refuse what cannot work. Returns plain
   * data that every thread is given; rows are kept under it, so it names what they depend on (fingerprints of files).
   */
  readonly prepare?: (config: Config, preparing: Preparing) => Promise<Prepared> | Prepared
  /**
   * The grid. Called again with the rows so far until it adds no cell. Without `prepared` only the cost of a run that nobody
   * has begun is asked for.
   */
  readonly cells: (
    config: Config,
    rowsSoFar: readonly Measured<Cell, Row>[],
    prepared: Prepared | undefined,
  ) => readonly Cell[]
  /** Independent draws of each cell: grammars, seeds. */
  readonly replicas: (config: Config, cell: Cell) => number
  /** What randomness depends on besides seed and replica; by default every number of the cell, in order. */
  readonly keyed?: (cell: Cell) => readonly number[]
  /** The grammars that a replica of a cell draws, as `measure` draws them: the report names them by their hashes. */
  readonly grammarsOf?: (
    cell: Cell,
    draw: Pick<Bench<Config, Resource, Prepared>, 'key' | 'config' | 'replica'>,
  ) => readonly Grammar[]
  /** Once a thread: a model, a checkpoint. */
  readonly open?: (config: Config, prepared: Prepared) => Resource | Promise<Resource>
  /** Gives back what `open` returned. */
  readonly close?: (resource: Awaited<Resource>) => void | Promise<void>
  /** Pure. Runs on a thread; its rows are kept as soon as they are there. */
  readonly measure: (
    cell: Cell,
    bench: Bench<Config, Awaited<Resource>, Prepared>,
  ) => readonly Row[] | Promise<readonly Row[]>
  /** What numbers of `result` are called in figures, in plain notation: `{ epsStar: 'ε*' }`. */
  readonly resultNames?: Readonly<Record<string, string>>
  /** Seconds on one core; only ratios matter once some runs are timed. */
  readonly cost?: (cell: Cell, config: Config) => number
  /** Rows as a cell may give them, only to know before a run how many cells will follow from them. */
  readonly suppose?: (cell: Cell, config: Config) => readonly Row[]
  /** What a cell is, beside the bar. */
  readonly label?: (cell: Cell) => string
  /** Pure: all that the report says. Rows of several seeds come together. */
  readonly findings: (rows: readonly Measured<Cell, Row>[], config: Config) => Findings
  /** The trained network of a finished run: a whole ONNX file, and its inputs and outputs in words. */
  readonly network?: (run: RunView<Config>) => Promise<{ onnx: Uint8Array; about: string }>
}

// biome-ignore lint/suspicious/noExplicitAny: a study whose types have been forgotten, as the lab holds it
export type AnyStudy = Study<any, any, any, any, any>
