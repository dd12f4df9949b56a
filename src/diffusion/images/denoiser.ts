/** @file A trained network of noisy images as one thing to ask: the noise in images at a time, in batches of any size. */
import { fail } from '../../base/index.ts'
import { type Compiled, compile, type Tensor, tensor } from '../../tensor/index.ts'
import type { ImageScheduler } from './scheduler.ts'

/** What a network is, before it is compiled. */
export interface ImageNetwork {
  /** One image: [channels, height, width]. */
  readonly shape: readonly [number, number, number]
  /** Labels are whole numbers from 0 to `classes` − 1; absent where the network takes none. */
  readonly classes?: number
  /** The first time it can be asked. */
  readonly firstTime: number
  /** x [B, C, H, W], t [1] (i32), labels [B] (i32) ↦ [B, C, H, W]. Weights are constants of it. */
  readonly apply: (x: Tensor, t: Tensor, labels: Tensor) => Tensor
}

export interface DenoiserOptions {
  /**
   * Images in one call of the runtime; fewer are filled up, so that results do not depend on how many are asked together. Without
   * it the program is made for as many as a call has, up to 16, and made again for another number.
   */
  readonly batchSize?: number
  /** Threads of one call. Default 1. */
  readonly threads?: number
}

/** What undoes noise in images. */
export interface ImageDenoiser {
  /** One image: [channels, height, width]. */
  readonly shape: readonly [number, number, number]
  /** T. */
  readonly steps: number
  /** ᾱ of t = 0 … T − 1. */
  readonly alphaBar: Float32Array
  readonly scheduler: ImageScheduler
  /** Number of classes of a network that is told one. */
  readonly classes?: number
  /**
   * The noise in images: x [N, C, H, W] in [−1, 1] without noise, t an integer in 0 … T − 1, labels [N] where there are classes
   * ↦ ε̂ [N, C, H, W]. Throws `TL_BAD_ARGUMENT`.
   */
  predict(x: Float32Array, t: number, labels?: ArrayLike<number>): Promise<Float32Array>
  /** What the network itself says, of the scheduler's `prediction`. */
  output(x: Float32Array, t: number, labels?: ArrayLike<number>): Promise<Float32Array>
  dispose(): void
}

/** Images in a call when nobody says. */
const mostTogether = 16

type Program = Compiled<[Tensor, Tensor, Tensor], Tensor>

/** A network's answers: x [B, C, H, W], t [1] (i32), labels [B] (i32) ↦ [B, C, H, W]. */
type Answers = (x: Tensor, t: Tensor, labels: Tensor) => Promise<Tensor>

/** Labels of a call as the network takes them. */
function labelsOf(
  network: Pick<ImageNetwork, 'classes'>,
  labels: ArrayLike<number> | undefined,
  count: number,
): Int32Array {
  const { classes } = network
  if (classes === undefined) {
    if (labels !== undefined) fail('TL_BAD_ARGUMENT', 'labels: this network has no classes: leave them out')
    return new Int32Array(count)
  }
  if (labels?.length !== count)
    return fail(
      'TL_BAD_ARGUMENT',
      `labels: this network has ${classes} classes: expected one for each of ${count} images, got ${labels?.length ?? 'none'}`,
    )
  const list = Array.from(labels)
  const bad = list.find((label) => !(Number.isInteger(label) && label >= 0 && label < classes))
  if (bad !== undefined)
    fail('TL_BAD_ARGUMENT', `labels: expected whole numbers from 0 to ${classes - 1}, got ${bad}`)
  return Int32Array.from(list)
}

/** A denoiser of a network whose answers to batches of a size are given. */
export function denoiserBy(
  network: Omit<ImageNetwork, 'apply'>,
  scheduler: ImageScheduler,
  batchSize: number | undefined,
  { answersFor, dispose }: { answersFor(together: number): Answers; dispose(): void },
): ImageDenoiser {
  if (batchSize !== undefined && !(Number.isSafeInteger(batchSize) && batchSize >= 1 && batchSize <= 4096))
    fail('TL_BAD_ARGUMENT', `batchSize: expected a whole number from 1 to 4096, got ${batchSize}`)
  const { shape, classes, firstTime } = network
  const { steps, alphaBar, prediction } = scheduler
  const size = shape.reduce((product, n) => product * n, 1)

  async function output(x: Float32Array, t: number, labels?: ArrayLike<number>): Promise<Float32Array> {
    const count = x.length / size
    if (!Number.isInteger(count))
      fail(
        'TL_BAD_ARGUMENT',
        `x: expected a whole number of images [${shape}] of ${size} numbers, got ${x.length} numbers`,
      )
    if (!(Number.isInteger(t) && t >= firstTime && t < steps))
      fail('TL_BAD_ARGUMENT', `t: expected a whole number from ${firstTime} to ${steps - 1}, got ${t}`)
    const ofImages = labelsOf(network, labels, count)
    const out = new Float32Array(x.length)
    const time = tensor(Int32Array.of(t))
    for (let from = 0; from < count; ) {
      const some = Math.min(batchSize ?? mostTogether, count - from)
      const together = batchSize ?? some
      const images = new Float32Array(together * size)
      images.set(x.subarray(from * size, (from + some) * size))
      const own = new Int32Array(together)
      own.set(ofImages.subarray(from, from + some))
      const { data } = await answersFor(together)(
        tensor(images, { shape: [together, ...shape] }),
        time,
        tensor(own),
      )
      out.set((data as Float32Array).subarray(0, some * size), from * size)
      from += some
    }
    return out
  }

  return {
    ...{ shape, steps, alphaBar, scheduler, output, dispose },
    ...(classes !== undefined && { classes }),
    async predict(x, t, labels) {
      const y = await output(x, t, labels)
      if (prediction === 'epsilon') return y
      const [signal, noise] = [Math.sqrt(alphaBar[t]!), Math.sqrt(Math.fround(1 - alphaBar[t]!))]
      for (let i = 0; i < y.length; i++)
        y[i] = prediction === 'sample' ? (x[i]! - signal * y[i]!) / noise : signal * y[i]! + noise * x[i]!
      return y
    },
  }
}

/** A network and its schedule as a denoiser. */
export function imageDenoiser(
  network: ImageNetwork,
  scheduler: ImageScheduler,
  { batchSize, threads = 1 }: DenoiserOptions = {},
): ImageDenoiser {
  let current: { readonly together: number; readonly program: Program } | undefined
  return denoiserBy(network, scheduler, batchSize, {
    // one program at a time: each holds the weights
    answersFor(together) {
      if (current?.together !== together) {
        current?.program.dispose()
        current = { together, program: compile(network.apply, { name: 'image denoiser', threads }) }
      }
      return current.program
    },
    dispose() {
      current?.program.dispose()
      current = undefined
    },
  })
}
