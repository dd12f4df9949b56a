/** @file What the commands on task vectors share: options, and files that are closed whatever happens. */
import { Option } from 'commander'
import { fail, inSteps, type Steps } from '../../../base/index.ts'
import type { OnTensor } from '../../../merge/index.ts'
import type { Io } from '../../io.ts'
import { dtypeOption as typeOption } from '../../options.ts'
import { makeDisplay } from '../../progress.ts'

/** Something open. */
interface Closable {
  readonly close: () => void
}

/** Run with a way to open things; everything that was opened is closed at the end. */
export async function withOpen<Result>(
  work: (keep: <Thing extends Closable>(thing: Thing) => Thing) => Result | Promise<Result>,
): Promise<Result> {
  const open: Closable[] = []
  try {
    return await work((thing) => {
      open.push(thing)
      return thing
    })
  } finally {
    for (const { close } of open.reverse()) close()
  }
}

/** Do steps, showing the tensor they are at. */
export async function shown<Result>(
  io: Io,
  isQuiet: boolean | undefined,
  steps: (onTensor: OnTensor) => Steps<Result>,
): Promise<Result> {
  const display = makeDisplay('vector', io, isQuiet)
  try {
    return await inSteps(steps((detail, done, total) => display.update({ done, total, detail })))
  } finally {
    display.end()
  }
}

/** A finite number of the command line. */
export function numberOf(word: string, what: string): number {
  const value = Number(word)
  if (word.trim() === '' || !Number.isFinite(value))
    fail('TL_USAGE', `${what}: expected a number, got ${word}`)
  return value
}

/** `--dtype` */
export const dtypeOption = (): Option =>
  typeOption('number type of the file', ['f32', 'bf16', 'f16']).default('f32')

/** `--base` as an open checkpoint. */
export const baseOption = (): Option =>
  new Option('--base <model>', 'the base model, when some are checkpoints and not vectors')

/** `--any-base` */
export const anyBaseOption = (what: string): Option => new Option('--any-base', what)

/** For an output that a command has found as it would have written it. */
export const before = ({ isUnchanged }: { isUnchanged: boolean }): string =>
  isUnchanged ? 'was there already: ' : ''

/** A vector file is one file of safetensors. */
export function checkOut(out: string): void {
  if (!out.endsWith('.safetensors'))
    fail('TL_USAGE', `${out}: a task vector is one file: expected a name that ends in .safetensors`)
}
