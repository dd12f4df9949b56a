/** @file The table of methods. A new one is a file here and a row. */
import { namedOf } from '../../../base/index.ts'
import { alphaEdit } from './alphaEdit.ts'
import { memitAnchored, romeAnchored } from './anchored.ts'
import { ftL, ftM } from './fineTuning.ts'
import { grace } from './grace.ts'
import { locFt } from './locFt.ts'
import { memit } from './memit.ts'
import { memoirMethods } from './memoir.ts'
import type { EditingMethod } from './method.ts'
import { none } from './none.ts'
import { rome } from './rome.ts'
import { ultraEdit } from './ultraEdit.ts'
import { wise } from './wise.ts'

/** Every method, in the order in which reports list them. */
export const editingMethods: readonly EditingMethod[] = [
  none,
  ftL,
  ftM,
  locFt,
  rome,
  romeAnchored,
  memit,
  memitAnchored,
  alphaEdit,
  grace,
  wise,
  ultraEdit,
  ...memoirMethods,
]

/** The method of a name. Throws `TL_BAD_ARGUMENT` with the nearest name. */
export const methodOf = (name: string): EditingMethod => namedOf('method', editingMethods, name)
