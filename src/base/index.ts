/** @file What every floor may use: errors, suggestions, numbers for people, keys of randomness, symmetric matrices. Files are in `./files.ts` (Node only). */
export { type ErrorCode, fail, TreelineError } from './errors.ts'
export { type Placed, parseJson, parseJsonBytes, parseRecords, scanJson } from './json.ts'
export { foldIn, type Key, key, split, threefry2x32, threefryParity, threefryRotations } from './keys.ts'
export { native } from './native.ts'
export { bytes, count, duration } from './numbers.ts'
export { finish, inSteps, type Steps } from './steps.ts'
export { didYouMean, editDistance, nearest } from './suggest.ts'
export { cholesky, eigenOf, solveCholesky, timesVector } from './symmetric.ts'
