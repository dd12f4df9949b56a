/**
 * @file Frozen heads of class prototypes: a fixed unit vector for each name, in place of the text tower of CLIP. Networks that learn
 * with them answer for every name they have seen, and tasks that share names share their directions.
 */
import { fail } from '../../base/index.ts'
import { div, matmul, mul, random, sqrt, square, sum, type Tensor, tensor } from '../../tensor/index.ts'

/** A key that follows from a name. */
const keyOfName = (name: string): random.Key =>
  [...name].reduce((key, letter) => random.foldIn(key, letter.codePointAt(0)!), random.key(0x70726f74))

/**
 * Unit vectors [names, size], each drawn evenly from the sphere by its name alone: the same name has the same vector everywhere.
 * Throws TL_BAD_ARGUMENT for no name or a name twice.
 */
export function prototypes(names: readonly string[], size: number): Tensor {
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (names.length === 0 || twice !== undefined)
    fail(
      'TL_BAD_ARGUMENT',
      `classes: expected names that differ, got ${twice === undefined ? 'none' : `"${twice}" twice`}`,
    )
  if (!(Number.isSafeInteger(size) && size >= 2))
    fail('TL_BAD_ARGUMENT', `prototypes: expected a size of at least 2, got ${size}`)
  const out = new Float32Array(names.length * size)
  for (const [i, name] of names.entries()) {
    const row = random.sampleNormal(keyOfName(name), size)
    const length = Math.hypot(...row)
    for (let k = 0; k < size; k++) out[i * size + k] = row[k]! / length
  }
  return tensor(out, { shape: [names.length, size] })
}

/** scale · cosine of features [B, size] and prototypes [classes, size]: logits [B, classes]. */
export function prototypeLogits(features: Tensor, heads: Tensor, scale: number): Tensor {
  const size = features.shape.at(-1)
  if (heads.shape[1] !== size)
    fail(
      'TL_SHAPE_MISMATCH',
      `prototypes: expected vectors of ${size} numbers as the features have, got ${heads.shape[1]}`,
    )
  // the root of a square that is 0 has no gradient
  const length = sqrt(sum(square(features), -1, { keepDims: true }).add(1e-12))
  return mul(matmul(div(features, length), heads, { transposeB: true }), scale)
}
