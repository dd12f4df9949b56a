/** @file Classification without training: the class whose words lie nearest to the picture. (Radford et al. 2021, section 3.1) */
import { fail } from '../../base/index.ts'
import type { Clip } from './openClip.ts'

/** Logits and probabilities of classes, from nothing but their names. */
export interface ZeroShotClassifier {
  readonly labels: readonly string[]
  /** The vector of each class: the mean over templates of unit vectors, of length 1 again, [labels, dimension]. */
  readonly weights: Float32Array
  /** Pixels [N, 3, side, side] ↦ scale · cosine, [N, labels]. */
  logits(pixels: Float32Array): Promise<Float32Array>
}

export const defaultTemplate = 'a photo of a {}'

/**
 * A classifier of labels; `{}` in a template is the label. Throws `TL_BAD_ARGUMENT` for no label, a label twice, a template without
 * `{}`.
 */
export async function zeroShotClassifier(
  clip: Clip,
  labels: readonly string[],
  templates: readonly string[] = [defaultTemplate],
): Promise<ZeroShotClassifier> {
  const twice = labels.find((label, i) => labels.indexOf(label) !== i)
  if (twice !== undefined) fail('TL_BAD_ARGUMENT', `labels: "${twice}" stands there twice`)
  if (labels.length === 0 || templates.length === 0)
    fail('TL_BAD_ARGUMENT', 'labels: expected at least one label and one template')
  const bare = templates.find((template) => !template.includes('{}'))
  if (bare !== undefined)
    fail('TL_BAD_ARGUMENT', `template: expected {} where the label goes, got ${JSON.stringify(bare)}`)
  const { dimension, scale } = clip
  const texts = labels.flatMap((label) => templates.map((template) => template.replaceAll('{}', label)))
  const rows = await clip.embedTexts(texts)
  const weights = new Float32Array(labels.length * dimension)
  for (let label = 0; label < labels.length; label++) {
    const sum = new Float64Array(dimension)
    for (let t = 0; t < templates.length; t++) {
      const from = (label * templates.length + t) * dimension
      for (let i = 0; i < dimension; i++) sum[i]! += rows[from + i]!
    }
    const length = Math.hypot(...sum)
    for (let i = 0; i < dimension; i++) weights[label * dimension + i] = sum[i]! / length
  }
  return {
    ...{ labels, weights },
    async logits(pixels) {
      const images = await clip.embedImages(pixels)
      const out = new Float32Array((images.length / dimension) * labels.length)
      for (let n = 0; n * dimension < images.length; n++)
        for (let label = 0; label < labels.length; label++) {
          let cosine = 0
          for (let i = 0; i < dimension; i++)
            cosine += images[n * dimension + i]! * weights[label * dimension + i]!
          out[n * labels.length + label] = scale * cosine
        }
      return out
    },
  }
}
