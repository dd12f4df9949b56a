/** @file One claim of several, by a part of its text. */
import type { Claim } from '../../src/lab/index.ts'

/** The first claim whose text has the words; fails the test where there is none. */
export function claimWith(claims: readonly Claim[], text: string): Claim {
  const found = claims.find(({ claim }) => claim.includes(text))
  if (!found) throw new Error(`no claim "${text}" among: ${claims.map(({ claim }) => claim).join('; ')}`)
  return found
}
