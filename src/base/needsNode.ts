/** @file What twins of files that only Node loads say in a browser: `package.json` names the twins under `browser`. */
import { fail } from './errors.ts'

/** A function of Node that a browser does not have. Throws `TL_UNSUPPORTED`. */
export const needsNode = (what: string) => (): never =>
  fail('TL_UNSUPPORTED', `${what}: needs Node, and this is a browser`)
