/** @file What the figures share: points with error bars, words on axes. */
import type { Measured } from './curves.ts'

/** A point with one standard error on both sides. */
export const point = (x: number, { value, error }: Measured, scale = 1) => ({
  x,
  y: value / scale,
  low: (value - error) / scale,
  high: (value + error) / scale,
})

export const scaled = 'P / (n_c·m^L)'
export const errorBars = 'Bands: one standard error over grammars.'
