/** @file The training steps that are timed: sizes, targets of the project, and the same kind of data for every side. */

/** Draws of the targets for the same inputs; see the top of peers/torch_steps.py for the reason. */
export const draws = 16

/**
 * `most`: the ratio (ours / PyTorch's faster ordinary mode) that the project allows itself. `jax`: also timed with jax-js.
 * `stepsPerCall`: how many of our steps one call of the runtime does (1), more where a call costs as much as a step.
 * `peers`: PyTorch's ways, each a mode and a variant of torch_steps.py; `rewritten` marks those that no user would write first.
 */
const ordinary = [
  { label: 'eager', mode: 'eager', variant: 'fused' },
  { label: 'compiled', mode: 'compile', variant: 'fused' },
]
const whole = { label: 'one function', mode: 'compile', variant: 'whole,cpp', rewritten: true }
const matmul = [
  { label: 'eager matmul', mode: 'eager', variant: 'matmul,fused', rewritten: true },
  { label: 'one function matmul', mode: 'compile', variant: 'matmul,whole', rewritten: true },
]

export const problems = [
  { network: 'mlp', width: 64, most: 0.6, jax: true, stepsPerCall: 4, peers: [...ordinary, whole] },
  { network: 'mlp', width: 256, most: 0.85, jax: true, peers: [...ordinary, whole] },
  { network: 'mlp', width: 512, most: 0.85, jax: true, peers: [...ordinary, whole] },
  {
    network: 'hierarchical-cnn',
    width: 64,
    most: 0.6,
    jax: true,
    stepsPerCall: 4,
    peers: [...ordinary, ...matmul],
  },
  { network: 'hierarchical-cnn', width: 256, most: 0.85, jax: true, peers: [...ordinary, ...matmul] },
  { network: 'transformer', width: 128, most: 0.85, jax: true, peers: [...ordinary, whole] },
  { network: 'transformer', width: 256, most: 0.85, jax: false, peers: [...ordinary, whole] },
  { network: 'unet', width: 32, most: 1.1, jax: false, peers: ordinary },
].map((problem) => ({ ...problem, name: `${problem.network}-${problem.width}` }))

/** Numbers in [0, 1) from a seed: a 32-bit xorshift, enough for filling a benchmark's arrays. */
function uniform(seed) {
  let x = Math.imul(seed, 0x9e3779b9) >>> 0 || 1
  const next = () => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return (x >>> 0) / 2 ** 32
  }
  // Neighbouring seeds begin alike.
  for (let i = 0; i < 20; i++) next()
  return next
}

/** { shape, data } of standard normal numbers, f32. */
export function normal(seed, shape) {
  const next = uniform(seed)
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - next()))
    return radius * Math.cos(2 * Math.PI * next())
  })
  return { shape, data }
}

/** { shape, data } of integers in [0, high), i32. */
export function integers(seed, high, shape) {
  const next = uniform(seed)
  const data = Int32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => Math.floor(next() * high))
  return { shape, data }
}

/** Adds axis of one-hot vectors at the end. */
export function oneHot({ shape, data }, classes) {
  const out = new Float32Array(data.length * classes)
  for (const [i, k] of data.entries()) out[i * classes + k] = 1
  return { shape: [...shape, classes], data: out }
}

const many = (make) => Array.from({ length: draws }, (_, i) => make(100 + i))

/**
 * Inputs that stay and `targets` that take turns.
 *   mlp               x [128, width]; labels [128] below 10
 *   hierarchical-cnn  symbols [128, 8] below 8; labels [128] below 8
 *   transformer       tokens [32, 32] below 64; the following tokens [32, 32]
 *   unet              x [32, 1, 28, 28], t [32] below 1000; noise [32, 1, 28, 28]
 */
export function makeData(network, width) {
  if (network === 'mlp')
    return { x: normal(1, [128, width]), targets: many((seed) => integers(seed, 10, [128])) }
  if (network === 'hierarchical-cnn')
    return { x: integers(1, 8, [128, 8]), targets: many((seed) => integers(seed, 8, [128])) }
  if (network === 'transformer')
    return { x: integers(1, 64, [32, 32]), targets: many((seed) => integers(seed, 64, [32, 32])) }
  return {
    x: normal(1, [32, 1, 28, 28]),
    t: integers(2, 1000, [32]),
    targets: many((seed) => normal(seed, [32, 1, 28, 28])),
  }
}
