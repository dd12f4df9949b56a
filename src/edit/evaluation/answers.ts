/** @file What evaluation asks of a model, whatever has edited it. */
import type { AnswerMode } from '../memoir/answering.ts'
import type { Kind } from './questions.ts'

/** A target after a prompt, teacher-forced. */
export interface Scored {
  /** The edit that answered (from 1), 0 where all edits answer together, null: the model as it was. */
  readonly edit: number | null
  readonly targetIds: readonly number[]
  /** The most probable token in the place of each token of the target. */
  readonly best: readonly number[]
  /** log p of each token of the target, in nats. */
  readonly logProbabilities: readonly number[]
  /** Where they are asked for: logits in the place of each token, [vocabulary] each. */
  readonly logits?: readonly Float32Array[]
}

/** A model that can be asked. */
export interface Answers {
  /** Whether an edit's answer may go on after the prompt that it was taught with. */
  readonly canAnswerAsTaught?: boolean
  /**
   * Whom to ask a question of this kind about the fact that edit `edit` taught (from 1, in the order of teaching), where the
   * method is told what a question is about. Default the model itself, which has to find out.
   */
  readonly of?: (edit: number, kind: Kind) => Answers
  score(prompt: string, target: string, options?: { readonly logits?: boolean }): Promise<Scored>
  /** Greedy continuation; `answer`: what an edit's answer goes on after, where the method can choose. */
  generate(
    prompt: string,
    options: {
      readonly maxTokens: number
      readonly stopAtEos?: boolean
      readonly answer?: AnswerMode
    },
  ): Promise<{ readonly ids: readonly number[]; readonly text: string }>
  /** Greedy answer to a message of a user, `ids` being its conversation in the model's chat template. */
  inChat?(
    message: string,
    ids: readonly number[],
    options: { readonly maxTokens: number },
  ): Promise<{ readonly text: string }>
}
