/**
 * Numbers to meet: survival at v = 32, m = 8, s = 2, found once with another program (a batched belief propagation in NumPy,
 * one grammar or a few), to two or three decimals.
 */
import type { ChannelName } from '../../src/diffusion/index.ts'

interface Reference {
  channel: ChannelName
  depth: number
  level: 'root' | 'leaf' | 'prior'
  /** What is known of the reference's own error; at least half a unit of its last decimal. */
  error: number
  /** Noise level and the value found there. */
  values: readonly (readonly [noise: number, value: number])[]
}

/** 1 − ᾱ where ᾱ/(1 − ᾱ) is the signal-to-noise ratio. */
const ofSnr = (ratio: number): number => 1 / (1 + ratio)

export const references: readonly Reference[] = [
  {
    channel: 'epsilon',
    depth: 9,
    level: 'root',
    error: 0.0005,
    values: [
      [0.65, 0.976],
      [0.7, 0.87],
      [0.72, 0.63],
      [0.74, 0.151],
      [0.76, 0.038],
      [0.8, 0.031],
    ],
  },
  {
    channel: 'epsilon',
    depth: 9,
    level: 'leaf',
    error: 0.005,
    values: [
      [0.65, 0.94],
      [0.7, 0.89],
      [0.72, 0.85],
      [0.74, 0.73],
      [0.76, 0.61],
      [0.8, 0.44],
    ],
  },
  {
    channel: 'epsilon',
    depth: 6,
    level: 'root',
    error: 0.0005,
    values: [
      [0.4, 0.983],
      [0.6, 0.916],
      [0.7, 0.622],
      [0.72, 0.456],
      [0.74, 0.268],
      [0.76, 0.128],
    ],
  },
  {
    channel: 'uniform',
    depth: 7,
    level: 'root',
    error: 0.04,
    values: [
      [0.05, 0.99],
      [0.1, 0.81],
      [0.15, 0.61],
      [0.2, 0.26],
      [0.25, 0.1],
    ],
  },
  {
    channel: 'gaussian',
    depth: 7,
    level: 'root',
    error: 0.04,
    values: [
      [ofSnr(16), 1],
      [ofSnr(8), 0.86],
      [ofSnr(4), 0.06],
    ],
  },
  {
    channel: 'gaussian',
    depth: 7,
    level: 'prior',
    error: 0.005,
    values: [
      [ofSnr(16), 0.94],
      [ofSnr(8), 0.66],
      [ofSnr(4), 0.34],
    ],
  },
  {
    channel: 'masking',
    depth: 9,
    level: 'root',
    error: 0.005,
    values: [
      [0.2, 0.91],
      [0.25, 0.7],
      [0.3, 0.31],
      [0.35, 0.08],
    ],
  },
]
