/**
 * @file Convolutions whose windows do not overlap, the layers of hierarchical networks: features stay on the last axis, so that
 * a window is a reshape and the layer one matrix product. Signals are [N, T, C] here, not [N, C, T].
 */
import { fail } from '../../base/index.ts'
import { concatenate, pad, reshape, showSpec, slice, type Tensor, transpose } from '../../tensor/index.ts'
import type { Layer } from '../layer.ts'
import { type DenseOptions, type DenseParameters, dense } from './dense.ts'

/** Join each `window` neighbours of a signal: [N, T, C] ↦ [N, T / window, window · C], position before channel. */
export function joinWindows(x: Tensor, window: number): Tensor {
  const [n, length, channels] = x.shape as [number, number, number]
  if (x.rank !== 3 || length % window !== 0)
    fail(
      'TL_SHAPE_MISMATCH',
      `joinWindows: expected [N, T, C] with T a multiple of the window ${window}, got ${showSpec(x)}`,
    )
  return reshape(x, [n, length / window, window * channels])
}

/** Inverse of `joinWindows`: [N, T, window · C] ↦ [N, T · window, C]. */
export function splitWindows(x: Tensor, window: number): Tensor {
  const [n, length, channels] = x.shape as [number, number, number]
  if (x.rank !== 3 || channels % window !== 0)
    fail(
      'TL_SHAPE_MISMATCH',
      `splitWindows: expected [N, T, C] with C a multiple of the window ${window}, got ${showSpec(x)}`,
    )
  return reshape(x, [n, length * window, channels / window])
}

/** Cut images into tiles: [N, H, W, C] ↦ [N, H / tile, W / tile, tile · tile · C], row before column before channel. */
export function joinTiles(x: Tensor, tile: number): Tensor {
  const [n, height, width, channels] = x.shape as [number, number, number, number]
  if (x.rank !== 4 || height % tile !== 0 || width % tile !== 0)
    fail(
      'TL_SHAPE_MISMATCH',
      `joinTiles: expected [N, H, W, C] with H and W multiples of the tile ${tile}, got ${showSpec(x)}`,
    )
  const [rows, columns] = [height / tile, width / tile]
  const open = reshape(x, [n, rows, tile, columns, tile * channels])
  return reshape(transpose(open, [0, 1, 3, 2, 4]), [n, rows, columns, tile * tile * channels])
}

/** Each place with its eight neighbours (zeros outside): [N, H, W, C] ↦ [N, H, W, 9 · C], row before column before channel. */
export function joinNeighbours(x: Tensor): Tensor {
  const [n, height, width, channels] = x.shape as [number, number, number, number]
  if (x.rank !== 4) fail('TL_SHAPE_MISMATCH', `joinNeighbours: expected [N, H, W, C], got ${showSpec(x)}`)
  const wide = pad(x, { low: [0, 1, 1, 0], high: [0, 1, 1, 0] })
  const shifted = Array.from({ length: 9 }, (_, k) => {
    const [row, column] = [Math.floor(k / 3), k % 3]
    return slice(wide, [0, row, column, 0], [n, row + height, column + width, channels])
  })
  return concatenate(shifted, 3)
}

/** Convolution with kernel and stride `window`: [N, T, inputs] ↦ [N, T / window, outputs]; weight [outputs, window · inputs]. */
export function hierarchicalConv(
  inputs: number,
  outputs: number,
  window: number,
  options: DenseOptions = {},
): Layer<DenseParameters> {
  const map = dense(window * inputs, outputs, { init: 'he', ...options })
  return { init: map.init, apply: (parameters, x) => map.apply(parameters, joinWindows(x, window)) }
}

/** Transposed convolution with kernel and stride `window`: [N, T, inputs] ↦ [N, T · window, outputs]; weight [window · outputs, inputs]. */
export function hierarchicalConvTranspose(
  inputs: number,
  outputs: number,
  window: number,
  options: DenseOptions = {},
): Layer<DenseParameters> {
  const map = dense(inputs, window * outputs, { init: 'he', ...options })
  return { init: map.init, apply: (parameters, x) => splitWindows(map.apply(parameters, x), window) }
}

/** Convolution of images with square kernel and stride `tile`: [N, H, W, inputs] ↦ [N, H / tile, W / tile, outputs]. */
export function hierarchicalConv2d(
  inputs: number,
  outputs: number,
  tile: number,
  options: DenseOptions = {},
): Layer<DenseParameters> {
  const map = dense(tile * tile * inputs, outputs, { init: 'he', ...options })
  return { init: map.init, apply: (parameters, x) => map.apply(parameters, joinTiles(x, tile)) }
}

/** The weight of a `Conv1d` with kernel = stride, [O, C, window], as that of `hierarchicalConv`, [O, window · C]. */
export function fromConvWeight(weight: Tensor): Tensor {
  const [outputs, channels, window] = weight.shape as [number, number, number]
  return reshape(transpose(weight, [0, 2, 1]), [outputs, window * channels])
}
