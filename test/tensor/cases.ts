/** @file Cases for every primitive: random attributes and inputs, and what the result should be, written with plain indices. */
import { type Dtype, isFloat } from '../../src/tensor/dtype.ts'
import { type Case, type CaseMaker, range } from './cases/case.ts'
import { compositeCases } from './cases/composites.ts'
import { elementwiseCases } from './cases/elementwise.ts'
import { graphCases } from './cases/graph.ts'
import { indexingCases } from './cases/indexing.ts'
import { languageCases } from './cases/language.ts'
import { productCases } from './cases/products.ts'
import { reductionCases } from './cases/reductions.ts'
import { shapeCases } from './cases/shapes.ts'
import { drawFrom, seedOf } from './draw.ts'

export type { Case, Input } from './cases/case.ts'

/** Every primitive by name. A primitive without an entry here fails a test. */
export const generators: Readonly<Record<string, CaseMaker>> = {
  ...elementwiseCases,
  ...reductionCases,
  ...shapeCases,
  ...indexingCases,
  ...productCases,
  ...compositeCases,
  ...graphCases,
  ...languageCases,
}

/** Other cases, to look for rare mistakes: TREELINE_TEST_SEED=7 npx vitest run test/tensor/primitives.test.ts */
const otherSeed = process.env['TREELINE_TEST_SEED'] ?? ''

/** All cases of a primitive for one element type. */
export function casesOf(op: string, dtype: Dtype): Case[] {
  const generator = generators[op]!
  return range(generator.count).map((i) => {
    // the float types share their draws, so that one can be checked against the other
    const { attributes, ...rest } = generator.make(
      drawFrom(seedOf(`${op}/${isFloat(dtype) ? 'float' : dtype}/${i}${otherSeed}`)),
      dtype,
      i,
    )
    const shown = rest.inputs.map((x) => `${x.dtype}[${x.shape}]`).join(' ')
    return { op, label: `${op} #${i} ${shown}${attributes ? ` ${JSON.stringify(attributes)}` : ''}`, ...rest }
  })
}
