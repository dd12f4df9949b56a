/**
 * @file LLaVA 1.5: the states of a CLIP tower before its last block, without the place of the class, through two products into the
 * prompt. (Liu et al. 2024, arXiv 2310.03744)
 */
import { fail, isObject, settingsOf } from '../../base/index.ts'
import { activation } from '../../nn/index.ts'
import { add, concatenate, matmul, sliceAxis, type Tensor } from '../../tensor/index.ts'
import {
  activations,
  clipImageShape,
  clipImageStates,
  preprocessor,
  readPreprocessing,
  type WeightReader,
} from '../../vision/index.ts'
import type { Eyes, EyesSource, Layout } from './layout.ts'

/** Which states of the tower are seen, counted from the embedding on, and whether the place of the class is among them. */
interface Chosen {
  readonly layers: readonly number[]
  readonly withClass: boolean
}

function chosenOf({ config, label }: EyesSource, layers: number): Chosen {
  const s = settingsOf(config, label)
  const value = config['vision_feature_layer'] ?? -2
  const list: unknown[] = Array.isArray(value) ? value : [value]
  const places = list.map((one) => (typeof one === 'number' && one < 0 ? layers + 1 + one : one))
  if (
    places.length === 0 ||
    !places.every((one): one is number => Number.isInteger(one) && Number(one) >= 0 && Number(one) <= layers)
  )
    return fail(
      'TL_BAD_FILE',
      `${label}: "vision_feature_layer" is ${JSON.stringify(value)}: expected numbers of layers from ${-layers - 1} to ${layers}`,
    )
  const strategy = s.word('vision_feature_select_strategy', 'default', ['default', 'full'])
  return { layers: places, withClass: strategy === 'full' }
}

/** Two products with an activation between them: x [N, T, inputs] ↦ [N, T, width]. */
function projectorOf({ config, label, read, width }: EyesSource, inputs: number): (x: Tensor) => Tensor {
  const s = settingsOf(config, label)
  const hasBias = s.flag('multimodal_projector_bias', true)
  const between = activation(activations[s.word('projector_hidden_act', 'gelu', Object.keys(activations))]!)
  const map = (name: string, size: number) => {
    const weight = read(`projector.${name}.weight`, width, size)
    const bias = hasBias ? read(`projector.${name}.bias`, width) : undefined
    return (x: Tensor): Tensor => {
      const y = matmul(x, weight, { transposeB: true })
      return bias ? add(y, bias) : y
    }
  }
  const [first, second] = [map('linear_1', inputs), map('linear_2', width)]
  return (x) => second(between(first(x)))
}

function open(source: EyesSource): Eyes {
  const { config, label, folder, read, imageToken } = source
  const vision = isObject(config['vision_config']) ? config['vision_config'] : {}
  const shape = clipImageShape(vision, `${label}, vision_config`)
  const { layers, withClass } = chosenOf(source, shape.layers)
  const project = projectorOf(source, shape.width * layers.length)
  const ofTower: WeightReader = (name, ...sizes) => read(`tower.${name}`, ...sizes)
  // blocks behind the last that is seen are left where they are
  const states = clipImageStates(ofTower, { ...shape, layers: Math.max(...layers) }, '')
  const { side } = shape
  const steps = preprocessor(...readPreprocessing(folder), side, 'clip')
  const tokens = Math.floor(side / shape.patch) ** 2 + (withClass ? 1 : 0)
  return {
    ...{ side, tokens },
    look: (picture) => ({ tiles: [steps.apply(picture)], text: imageToken.repeat(tokens) }),
    features(pixels) {
      const all = states(pixels)
      const seen = layers.map((layer) => {
        const state = all[layer]!
        return withClass ? state : sliceAxis(state, 1, 1, state.shape[1]!)
      })
      return project(seen.length === 1 ? seen[0]! : concatenate(seen, -1))
    },
  }
}

export const llava: Layout = {
  types: ['llava'],
  imageToken: { keys: ['image_token_index', 'image_token_id'], fallback: 32000 },
  open,
}
