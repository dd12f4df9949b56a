/** @file A command as work that throws when it fails. */
import { treeline } from '../cli/caught.ts'

/** The command in this process. Throws its message unless it ends with exit code 0. */
export const command =
  (...words: string[]) =>
  async (): Promise<void> => {
    const { code, err } = await treeline(...words)
    if (code !== 0) throw new Error(`exit ${code}: ${err}`)
  }
