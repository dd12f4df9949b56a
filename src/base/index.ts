/** @file What every floor may use: errors, suggestions, numbers for people. Files are in `./files.ts` (Node only). */
export { type ErrorCode, fail, TreelineError } from './errors.ts'
export { bytes, count, duration } from './numbers.ts'
export { didYouMean, editDistance, nearest } from './suggest.ts'
