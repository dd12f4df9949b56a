/** @file What every floor may use: errors, suggestions, numbers for people, keys of randomness, symmetric matrices. Files are in `./files.ts` (Node only). */
export { breathe } from './breathe.ts'
export { dtypeOf, dtypeWord, torchName } from './dtypeWords.ts'
export { type ErrorCode, fail, oneLine, TreelineError } from './errors.ts'
export {
  isObject,
  type Json,
  type JsonObject,
  type Placed,
  parseJson,
  parseJsonBytes,
  parseRecords,
  prettyJson,
  scanJson,
  toJson,
} from './json.ts'
export {
  foldIn,
  type Key,
  key,
  split,
  threefry2x32,
  threefryBlock,
  threefryParity,
  threefryRotations,
  threefryWords,
} from './keys.ts'
export { native } from './native.ts'
export { needsNode } from './needsNode.ts'
export { type NotFinite, notFiniteIn, notFiniteText } from './notFinite.ts'
export { bytes, count, duration, fixed, formatMeasured, formatNumber, percent, plusMinus } from './numbers.ts'
export { isFiniteNumber, isSize, isText, type Settings, settingsOf } from './settings.ts'
export { sha256 } from './sha256.ts'
export { finish, inSteps, type Steps } from './steps.ts'
export { didYouMean, editDistance, entryOf, namedOf, nearest } from './suggest.ts'
export { cholesky, eigenOf, solveCholesky, timesVector } from './symmetric.ts'
export { wilson } from './wilson.ts'
