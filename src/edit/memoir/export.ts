/** @file A store as one file of safetensors: what another program needs to answer as the store does. */
import { finish, type Steps } from '../../base/index.ts'
import { checkFile, type OutputRule, writingOutput } from '../../base/outputs.ts'
import { safetensorsChunks } from '../../checkpoint/index.ts'
import { openStore, statuses } from '../store/index.ts'
import { numbersOf, parseMask } from './masks.ts'

/**
 * Write the memory [hidden, width] (rows are inputs of the down projection), the masks of the active edits [edits, hidden], their
 * numbers, the permutation and the background mean; settings and texts as metadata. Gives the number of edits. Throws as
 * `writeOutput` does for what is there.
 */
export const exportEdits = (path: string, out: string, rule: OutputRule = {}): number =>
  finish(exportingEdits(path, out, rule))

/** The same in steps. */
export function* exportingEdits(
  path: string,
  out: string,
  { inputs = [], force }: OutputRule = {},
): Steps<number> {
  const rule = { inputs: [path, ...inputs], ...(force ? { force } : {}) }
  checkFile(out, rule)
  const { config, memory, permutation, background, records } = openStore(path)
  const { hidden, width, ones } = config
  const active = statuses(records).filter(({ status }) => status.state === 'active')
  const masks = new Uint8Array(active.length * hidden)
  for (const [i, { record }] of active.entries())
    masks.set(numbersOf(parseMask(record.mask, hidden, ones)!, hidden), i * hidden)
  const texts = active.map(({ record: { number, prompt, target, subject } }) => ({
    number,
    prompt,
    target,
    subject,
  }))
  const chunks = safetensorsChunks(
    {
      memory: { dtype: 'F32', shape: [hidden, width], data: memory },
      masks: { dtype: 'U8', shape: [active.length, hidden], data: masks },
      numbers: {
        dtype: 'I32',
        shape: [active.length],
        data: Int32Array.from(active, ({ record }) => record.number),
      },
      permutation: { dtype: 'U32', shape: [hidden], data: permutation },
      background: { dtype: 'F64', shape: [hidden], data: background },
    } as never,
    { config: JSON.stringify(config), edits: JSON.stringify(texts) },
  )
  yield* writingOutput(out, chunks, rule)
  return active.length
}
