/** @file The table of executors. */
import { namedOf } from '../../base/index.ts'
import type { Executor } from './executor.ts'
import { localExecutor } from './local.ts'

/** All executors. A new one is a file and a row here. */
export const executors: readonly Executor[] = [localExecutor()]

/** An executor by name. Throws TL_USAGE with the nearest name. */
export const findExecutor = (name: string): Executor => namedOf('executor', executors, name, 'TL_USAGE')
