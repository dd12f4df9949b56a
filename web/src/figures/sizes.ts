/** @file The sliders of a grammar, the same in every figure. */
import { impossible, type Sizes } from '../compute/trees.ts'
import { type Slider, slider } from '../ui/frame.ts'

export interface SizeSliders {
  readonly elements: HTMLElement[]
  /** The sizes; as many rules as fit. */
  sizes(): Sizes
}

interface Range {
  readonly v?: readonly [least: number, greatest: number, value: number]
  readonly m: readonly [least: number, greatest: number, value: number]
  readonly L: readonly [least: number, greatest: number, value: number]
}

/** Sliders for v, m, L and the seed; tuples have two symbols. */
export function sizeSliders(
  figure: string,
  { v = [4, 16, 8], m, L }: Range,
  onChange: () => void,
): SizeSliders {
  const of = (
    name: string,
    label: string,
    [least, greatest, value]: readonly [number, number, number],
  ): Slider => slider(figure, name, label, { least, greatest, step: 1, value }, onChange)
  const sliders = [
    of('v', 'symbols v', v),
    of('m', 'rules of a symbol m', m),
    of('L', 'levels L', L),
    of('seed', 'grammar number', [0, 99, 1]),
  ] as const
  return {
    elements: sliders.map(({ element }) => element),
    sizes: () => {
      const [ownV, ownM, ownL, seed] = sliders.map((one) => one.value()) as [number, number, number, number]
      const sizes = { v: ownV, m: ownM, s: 2, L: ownL, seed }
      return impossible(sizes) === undefined ? sizes : { ...sizes, m: ownV }
    },
  }
}
