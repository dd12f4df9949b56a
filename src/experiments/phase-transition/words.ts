/** @file Names of noise processes and numbers for people. */
import { plusMinus as formatted } from '../../base/index.ts'
import type { ChannelName } from '../../diffusion/index.ts'
import type { Estimate } from './curves.ts'

/** Titles and axes of the noise processes. */
export const words: Record<ChannelName, { title: string; noise: string }> = {
  epsilon: { title: 'ε-process', noise: 'ε' },
  gaussian: { title: 'Gaussian noise', noise: 'share of the signal’s power that is lost' },
  uniform: { title: 'Uniform flips', noise: 'share of tokens drawn anew' },
  masking: { title: 'Masking', noise: 'share of masked tokens' },
}

/** ± for people: two digits of the error, as many of the value. */
export function plusMinus({ value, error }: Estimate, digits = 4): string {
  const places =
    error !== null && error > 0 ? Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(error)))) : digits
  return formatted(value, error, places)
}
