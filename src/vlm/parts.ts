/** @file The parts of a vision-language model in one checkpoint, by names that do not depend on who wrote it. */
import type { Checkpoint, CheckpointTensor } from '../checkpoint/index.ts'

/** Beginnings of names, as files of Transformers 4 and 5 have them, and ours. */
const beginnings: readonly (readonly [RegExp, string])[] = [
  [/^language_model\.lm_head\./, 'lm_head.'],
  [/^(?:language_model\.model|model\.language_model|model\.text_model)\./, 'model.'],
  [/^(?:model\.)?vision_tower\.(?:vision_model\.)?/, 'tower.'],
  [/^model\.vision_model\./, 'tower.'],
  [/^(?:model\.)?multi_modal_projector\./, 'projector.'],
  [/^model\.connector\./, 'projector.'],
]

function ownName(name: string): string {
  const found = beginnings.find(([lead]) => lead.test(name))
  return found ? name.replace(found[0], found[1]) : name
}

/** The same weights as `model.` and `lm_head.` (the language model alone), and `tower.` and `projector.` (what sees). */
export function partsOf(weights: Checkpoint): { readonly language: Checkpoint; readonly eyes: Checkpoint } {
  const language = new Map<string, CheckpointTensor>()
  const eyes = new Map<string, CheckpointTensor>()
  for (const [name, tensor] of weights.tensors) {
    const own = ownName(name)
    ;(/^(tower|projector)\./.test(own) ? eyes : language).set(own, tensor)
  }
  return { language: { ...weights, tensors: language }, eyes: { ...weights, tensors: eyes } }
}
