/** @file One fact to be taught to a model, whatever file it came from. */

export interface Fact {
  /** What is asked or begun. */
  readonly prompt: string
  /** What the model is to answer, without the space in front. */
  readonly target: string
  /** What the fact is about. */
  readonly subject?: string
  /** The same asked in other words: generalization. */
  readonly rephrase?: string
  /** Something else, whose answer must not change. */
  readonly locality?: { readonly prompt: string; readonly answer: string }
  /** A text without a right answer, whose continuation must not change. */
  readonly unrelated?: string
  /** The answer before the edit. */
  readonly before?: string
  readonly source: FactSource
}

/** Where a fact stands: the file, its shape, the record from 1 and its line, and which fact of the record where it has several. */
export interface FactSource {
  readonly file: string
  readonly shape: string
  readonly record: number
  readonly line: number
  readonly part?: number
}
