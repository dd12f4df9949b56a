/** @file Fields of a config that studies of masked diffusion on a text share. */
import { z } from 'zod'

/** Which text, and which of its characters are told apart: what `readCorpus` takes. */
export const textFields = {
  text: z
    .string()
    .min(1)
    .default('state-of-the-union')
    .describe('a text of treeline data (state-of-the-union, moby-dick), or the path of a file'),
  alphabet: z
    .enum(['letters', 'all'])
    .default('letters')
    .describe('letters: a to z and the space, in place of all else; all: every character'),
  symbols: z.int().min(2).max(1024).default(64).describe('kinds of symbols; the rarest together are one'),
}

/** Symbols that a network sees. */
export const windowField = z.int().min(8).max(512)

export const networkFields = {
  width: z.int().min(8).max(1024).default(96).describe('width of the transformer'),
  heads: z.int().min(1).max(64).default(4),
  layers: z.int().min(1).max(24).default(3).describe('blocks of the transformer'),
  batchSize: z.int().min(1).max(1024).default(32).describe('windows of each step'),
}

export const perStepField = z
  .int()
  .min(1)
  .max(64)
  .default(2)
  .describe('symbols of a window that are drawn at once')

export const validationField = z
  .int()
  .min(16)
  .max(65536)
  .default(512)
  .describe('held-out windows, with the same masks at every look')
