/** @file A vision-language model as commands open it, and how they show that it looks at a picture. */
import { Option } from 'commander'
import type { VisionLanguageModel } from '../vlm/index.ts'
import type { Io } from './io.ts'
import { type RuntimeFlags, tellNotes, threadsOf } from './languageModel.ts'
import { makeDisplay } from './progress.ts'

export interface VisionFlags extends Omit<RuntimeFlags, 'edits'> {
  tiles: boolean
}

/** `--no-tiles` */
export const tilesOption = (): Option =>
  new Option('--no-tiles', 'see each picture once, as a whole, where the model would cut it into tiles')

export async function openVisionLanguage(path: string, flags: VisionFlags): Promise<VisionLanguageModel> {
  const { openVisionLanguageModel } = await import('../vlm/index.ts')
  const { runtime } = await import('../tensor/index.ts')
  const model = openVisionLanguageModel(path, {
    ...{ precision: flags.precision, threads: threadsOf(flags), tiles: flags.tiles },
    ...(flags.precision === 'auto' && { runtime: (await runtime()).name }),
  })
  tellNotes(model.language)
  return model
}

/** Progress of looking at a picture, on a terminal; removed when all of it is seen. */
export function looking(io: Io, label: string, quiet = false): { onTile?: (n: number, of: number) => void } {
  if (quiet || !io.terminal) return {}
  const display = makeDisplay(`looking at ${label}`, io)
  return {
    onTile: (done, total) => {
      display.update({ done, total })
      if (done === total) display.end()
    },
  }
}
