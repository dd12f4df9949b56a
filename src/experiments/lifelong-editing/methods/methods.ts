/** @file The table of methods. A new one is a file here and a row. */
import { namedOf } from '../../../base/index.ts'
import { alphaEdit } from './alphaEdit.ts'
import { ftL, ftM } from './fineTuning.ts'
import { grace } from './grace.ts'
import { memit } from './memit.ts'
import { memoirMethods } from './memoir.ts'
import type { EditingMethod } from './method.ts'
import { none } from './none.ts'
import { rome } from './rome.ts'
import { wise } from './wise.ts'

/** Every method, in the order in which reports list them. */
export const editingMethods: readonly EditingMethod[] = [
  none,
  ftL,
  ftM,
  rome,
  memit,
  alphaEdit,
  grace,
  wise,
  ...memoirMethods,
]

/** The method of a name. Throws `TL_BAD_ARGUMENT` with the nearest name. */
export const methodOf = (name: string): EditingMethod => namedOf('method', editingMethods, name)
