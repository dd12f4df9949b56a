/** @file How the next token is chosen: options of the commands that make text. */
import { type Command, Option } from 'commander'
import { fail } from '../base/index.ts'
import { integerOption } from './options.ts'

/** Sampling as flags give it. */
export interface SamplingFlags {
  greedy?: boolean
  temperature?: number
  topK?: number
  topP?: number
  minP?: number
  repetitionPenalty?: number
  seed?: number
}

function numberOption(flags: string, description: string, low: number, high: number): Option {
  const name = flags.split(' ')[0]!
  return new Option(flags, description).argParser((word: string) => {
    const value = Number(word)
    if (word.trim() === '' || !(value >= low && value <= high))
      fail('TL_USAGE', `${name}: expected a number from ${low} to ${high}, got ${word}`)
    return value
  })
}

/** Add the options to a command. */
export const withSampling = (command: Command): Command =>
  command
    .addOption(new Option('--greedy', 'always the most probable token').conflicts('temperature'))
    .addOption(numberOption('--temperature <t>', 'divides the logits; 0 is greedy', 0, 100))
    .addOption(integerOption('--top-k <k>', 'draw among the k most probable tokens', 1, 1e9))
    .addOption(numberOption('--top-p <p>', 'draw among the most probable tokens that sum to p', 1e-9, 1))
    .addOption(
      numberOption('--min-p <p>', 'draw among tokens at least p times as probable as the first', 0, 1),
    )
    .addOption(numberOption('--repetition-penalty <r>', 'divide the logits of tokens seen before', 1e-3, 1e3))
    .addOption(integerOption('--seed <n>', 'all draws come from it (default 0)', 0, 0xffff_ffff))

/** Options that say how a token is drawn, and say nothing where the most probable one is taken. */
const ofDraws = { topK: '--top-k', topP: '--top-p', minP: '--min-p', seed: '--seed' } as const

/**
 * The flags as sampling options; `temperature` where none is given. Throws `TL_USAGE` for an option that has no effect, since
 * nothing is drawn.
 */
export function samplingOf(flags: SamplingFlags, temperature: number) {
  const { topK, topP, minP, repetitionPenalty } = flags
  const used = flags.greedy ? 0 : (flags.temperature ?? temperature)
  const idle = used === 0 ? Object.entries(ofDraws).filter(([key]) => Object.hasOwn(flags, key)) : []
  if (idle.length > 0)
    fail(
      'TL_USAGE',
      `${idle.map(([, name]) => name).join(', ')}: no effect, because the most probable token is always taken: draw with a temperature, such as --temperature 1`,
    )
  return {
    temperature: used,
    ...(topK === undefined ? {} : { topK }),
    ...(topP === undefined ? {} : { topP }),
    ...(minP === undefined ? {} : { minP }),
    ...(repetitionPenalty === undefined ? {} : { repetitionPenalty }),
  }
}
