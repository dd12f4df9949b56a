/** @file The table of executors. */
import { didYouMean, fail } from '../../base/index.ts'
import type { Executor } from './executor.ts'
import { localExecutor } from './local.ts'

/** All executors. A new one is a file and a row here. */
export const executors: readonly Executor[] = [localExecutor()]

/** An executor by name. Throws TL_USAGE with the nearest name. */
export function findExecutor(name: string): Executor {
  const found = executors.find((executor) => executor.name === name)
  if (found) return found
  const names = executors.map((executor) => executor.name)
  return fail('TL_USAGE', `executor "${name}": there is no such executor: ${didYouMean(name, names)}`)
}
