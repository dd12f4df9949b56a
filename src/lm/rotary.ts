/** @file Tables of rotary angles, computed in float64: cosines and sines by position, with the scalings of longer contexts. */
import { type Tensor, tensor } from '../tensor/index.ts'
import type { ModelConfig, RotaryScaling } from './config.ts'

/** One frequency under a scaling: angles per position, unitless. */
export function scaled(frequency: number, scaling?: RotaryScaling): number {
  if (!scaling) return frequency
  if (scaling.kind === 'linear') return frequency / scaling.factor
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, context } = scaling
  const turns = (context * frequency) / (2 * Math.PI)
  if (turns < low) return frequency / factor
  if (turns > high) return frequency
  const share = (turns - low) / (high - low)
  return frequency * (share + (1 - share) / factor)
}

/** Cosines and sines of p · base^(−2i/D), [positions, slots/2] each; undefined without rotary positions. */
export function rotaryTables(
  { rotary, headWidth, headSlots }: ModelConfig,
  positions: number,
  factors?: Float32Array,
): { cos: Tensor; sin: Tensor } | undefined {
  if (!rotary) return undefined
  const half = headSlots / 2
  const [cos, sin] = [new Float32Array(positions * half), new Float32Array(positions * half)]
  for (let i = 0; i < half; i++) {
    // slots that hold zeros turn by nothing
    const frequency =
      i < headWidth / 2
        ? scaled(rotary.base ** ((-2 * i) / headWidth), rotary.scaling) / (factors?.[i] ?? 1)
        : 0
    for (let p = 0; p < positions; p++) {
      cos[p * half + i] = Math.cos(p * frequency)
      sin[p * half + i] = Math.sin(p * frequency)
    }
  }
  const shape = [positions, half]
  return { cos: tensor(cos, { shape }), sin: tensor(sin, { shape }) }
}
