/** @file What every editing method is in the harness: opened on a model, taught facts one after another, asked. */
import type { Answers, Fact, ScopeLevel, Words } from '../../../edit/index.ts'
import type { LanguageModel } from '../../../lm/index.ts'

/** What a method may learn from: the fact, and a text that has nothing to do with it (WISE). */
export type Lesson = Pick<Fact, 'prompt' | 'target' | 'subject' | 'unrelated'>

export interface Taught {
  readonly steps: number
  /** Mean cross-entropy of the target's tokens after the prompt as the method last measured it, in nats. */
  readonly loss: number
}

/** How near a prompt is to an edit. */
interface Near {
  readonly number: number
  readonly overlap: number
  /** By how much the prompt asks what the edit was taught, at least 0 where it does; absent where nobody looked. */
  readonly asks?: number
}

/** A method at work on one model. */
export interface EditedModel extends Answers {
  /** The edited block, or the first of them. Undefined for no edit. */
  readonly layer: number | undefined
  teach(lesson: Lesson): Promise<Taught>
  /**
   * For methods that learn facts together: what is made of each, in order. `progress` is told the share that is done from time
   * to time; what it throws ends the teaching. Facts are taught one after another where this is absent.
   */
  teachAll?(lessons: readonly Lesson[], progress: (share: number) => void): Promise<readonly Taught[]>
  /** Forget every edit: the model as it was, bit for bit. */
  reset(): Promise<void>
  /** Logits after the last token of a prompt, [vocabulary]. */
  logits(prompt: string): Promise<Float32Array>
  /** For methods that route by overlap of masks: the least overlap at which an edit answers, and edits by overlap, the nearest first. */
  readonly threshold?: number
  readonly overlaps?: (prompt: string, count: number) => Promise<readonly Near[]>
  /** For methods that can be told who answers: the edit of this number (from 1, in the order of teaching), or none. */
  readonly answeredBy?: (edit: number | null) => Answers
  /** For methods with a scope: how widely edits answer from now on. */
  readonly rescope?: (level: ScopeLevel) => void
  dispose(): void
}

export interface MethodOptions {
  readonly seed?: number
  /** Texts put in front of the prompt while it is taught (the field draws ten from the model). Default none. */
  readonly contexts?: readonly string[]
  /** The edited block, of MEMIT and AlphaEdit the last of theirs; default the published one, by its share of the depth. */
  readonly layer?: number
  /** Most steps of an edit; default the published number. */
  readonly steps?: number
  /** MEMIT, AlphaEdit: the text whose keys are to be left alone; default what the model writes by itself. */
  readonly text?: string
  /** MEMIT: λ, how many tokens of that text weigh against a fact; default the published number. */
  readonly weight?: number
  /** MEMOIR: least overlap τ at which an edit answers, and ones k of a mask; default those of the row. */
  readonly threshold?: number
  readonly ones?: number
  /** MEMOIR: an existing folder for its stores, which are removed on `dispose`. Default the system's for temporary files. */
  readonly folder?: string
}

/** A row of the table of methods. */
export interface EditingMethod {
  /** The word on the command line. */
  readonly name: string
  readonly title: string
  /** The rule and its constants in one line. */
  readonly about: string
  /** Where rule and constants are from. */
  readonly source: string
  open(model: LanguageModel, tokenizer: Words, options?: MethodOptions): Promise<EditedModel>
  /** The method that teaches these edits, where only the asking differs: the two may share them. Default itself. */
  readonly editsOf?: string
  /** Whom to ask once it is taught. Default the model as it was opened. */
  readonly asked?: (edited: EditedModel) => EditedModel
}

/**
 * The block at the same share of the depth as block `of32` of 32 (0 … 31); never the last, behind which there would be
 * nothing to train through.
 */
export const scaledLayer = (of32: number, layers: number): number =>
  Math.max(0, Math.min(layers - 2, Math.round((of32 * (layers - 1)) / 31)))
