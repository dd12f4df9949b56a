/** @file Parameters of a network filled from a checkpoint: every tensor has its place and shape, and all numbers are finite. */
import { fail, nearest } from '../../base/index.ts'
import { type Checkpoint, elements } from '../../checkpoint/index.ts'
import type { Parameters, Unet2dOptions } from '../../nn/index.ts'
import { entries, sameShape } from '../../tensor/index.ts'

/** Names of attention in checkpoints from before the library's version 0.13. */
const oldNames: readonly (readonly [RegExp, string])[] = [
  [/\.query\.(weight|bias)$/, '.to_q.$1'],
  [/\.key\.(weight|bias)$/, '.to_k.$1'],
  [/\.value\.(weight|bias)$/, '.to_v.$1'],
  [/\.proj_attn\.(weight|bias)$/, '.to_out.0.$1'],
]

const currentName = (name: string): string =>
  name.includes('attentions.')
    ? oldNames.reduce((own, [pattern, now]) => own.replace(pattern, now), name)
    : name

/** Numbers in a checkpoint. */
const sizeOf = (weights: Checkpoint): number =>
  [...weights.tensors.values()].reduce((sum, { shape }) => sum + elements(shape), 0)

/** Refuse a configuration of a larger network than the weights can be of, before memory is taken for it. */
export function checkSize(weights: Checkpoint, network: Unet2dOptions, label: string): void {
  const { channels, layers, inputs, classes, timeFeatures, time = 4 * channels[0]! } = network
  const count = sizeOf(weights)
  const parts = [
    9 * layers * channels.reduce((sum, width) => sum + width * width, 0),
    9 * inputs * channels[0]!,
    time * time,
    classes?.kind === 'table' ? classes.count * time : 0,
    timeFeatures.kind === 'learned' ? timeFeatures.steps * channels[0]! : 0,
  ]
  const largest = Math.max(...parts)
  if (largest > count)
    fail(
      'TL_BAD_FILE',
      `${label}: describes a part of ${largest} numbers, but ${weights.path} holds ${count} in all: the two do not belong together`,
    )
}

/** The nearest of many names, for the end of a message. */
function hintAt(name: string, names: Iterable<string>): string {
  const hint = nearest(name, [...names])
  return hint === undefined ? '' : `: did you mean "${hint}"?`
}

/** Fill concrete parameters in place. Throws `TL_BAD_FILE` with the name of the tensor, and the nearest name in the file. */
export function fillParameters(parameters: Parameters, weights: Checkpoint): void {
  const found = new Map([...weights.tensors].map(([name, tensor]) => [currentName(name), tensor]))
  const list = entries(parameters)
  const known = new Set(list.map(([name]) => name))
  const extra = [...found.keys()].find((name) => !known.has(name))
  if (extra !== undefined)
    fail(
      'TL_BAD_FILE',
      `${weights.path}: tensor "${extra}" has no place in the network${hintAt(extra, known)}`,
    )
  for (const [name, place] of list) {
    const tensor = found.get(name)!
    if (!found.has(name))
      fail('TL_BAD_FILE', `${weights.path}: no tensor "${name}"${hintAt(name, found.keys())}`)
    if (!sameShape(tensor.shape, place.shape))
      fail(
        'TL_BAD_FILE',
        `${weights.path}: tensor "${name}" is [${tensor.shape}], expected [${place.shape}] by the configuration`,
      )
    const values = tensor.f32()
    const bad = values.findIndex((value) => !Number.isFinite(value))
    if (bad >= 0)
      fail('TL_BAD_FILE', `${weights.path}: tensor "${name}" has ${values[bad]} at element ${bad}`)
    ;(place.data as Float32Array).set(values)
  }
}
