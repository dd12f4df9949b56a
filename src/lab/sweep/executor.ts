/** @file What an executor is: something that carries out one run elsewhere and tells how it ended. A row in a table. */
import type { Progress } from '../context.ts'

/** One run to be carried out. Plain data: it crosses to other processes, and may one day cross to other machines. */
export interface RunOrder {
  readonly experiment: string
  /** The module that exports the experiment, when it is none of Treeline's own. */
  readonly module?: string
  /** A module whose `loadExperiment(name)` gives the experiment otherwise, as a file: URL. */
  readonly registry?: string
  readonly config: Readonly<Record<string, unknown>>
  /** The folder that holds all runs. */
  readonly root: string
  /** The run's own folder. */
  readonly folder: string
  readonly threads: number
}

/** How a run ended, as its executor saw it. Whether it is finished is said by its folder alone. */
export type Ending =
  | { readonly kind: 'finished' }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'interrupted' }
  /** Another process works in its folder. */
  | { readonly kind: 'busy'; readonly message: string }
  /** It goes on elsewhere; nobody here waits for it any more. */
  | { readonly kind: 'left' }
  /** Something ended it from outside; it can go on. */
  | { readonly kind: 'killed'; readonly message: string }

/** Who listens to one run. */
export interface RunEvents {
  readonly onProgress: (progress: Progress) => void
  readonly onLog: (line: string) => void
}

/** A run at work. */
export interface Handle {
  /** Ask it to stop at the next good moment and keep what it has. */
  readonly interrupt: () => void
  /** Never rejects. */
  readonly ended: Promise<Ending>
}

/** One way to carry out runs. */
export interface Executor {
  readonly name: string
  readonly description: string
  /** How many runs at once, when nobody says, with so many threads each. */
  readonly parallel: (threads: number) => number
  readonly start: (order: RunOrder, events: RunEvents) => Handle
  /** Runs are on other machines: locks are theirs to look at. */
  readonly isElsewhere?: boolean
  /** Give back what waits for the next run. Called when a sweep has ended. */
  readonly close?: () => Promise<void>
}
