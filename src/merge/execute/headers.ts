/** @file Headers of models whose names may have prefixes that others have not. */
import { alignedNames } from '../../checkpoint/index.ts'
import type { Headers } from '../plan/index.ts'

/** A model's headers under the names of the first model, which may have a prefix that this one has not. */
export function headersAs(tensors: Headers, first: Headers | undefined): Headers {
  if (!first) return tensors
  const names = alignedNames(tensors.keys(), first)
  return new Map([...tensors].map(([name, header]) => [names.get(name)!, header]))
}
