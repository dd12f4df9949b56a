/**
 * @file Noise schedules of image models as the `diffusers` library configures them (0.35, `DDPMScheduler` and `DDIMScheduler`): ᾱ of
 * every time, what the network predicts, how an estimate of the clean image is bounded, and which times a strided chain visits.
 */
import { fail, isFiniteNumber, type Settings, settingsOf } from '../../base/index.ts'

/** What a network's output is: the noise, the clean image, or v = √ᾱ ε − √(1 − ᾱ) x₀ (Salimans & Ho 2022). */
export type Prediction = 'epsilon' | 'sample' | 'v_prediction'

/** Variance of an ancestral step: that of q(x_{t−1} | x_t, x₀), or β. */
type StepVariance = 'fixed_small' | 'fixed_large'

/** How `n` of the times are chosen. */
type Spacing = 'leading' | 'trailing' | 'linspace'

/** A noise schedule and what belongs to it. */
export interface ImageScheduler {
  /** The way back that the file names. */
  readonly sampler: 'ddpm' | 'ddim'
  /** T. */
  readonly steps: number
  /** ᾱ of t = 0 … T − 1, rounded to f32 as the library has it. */
  readonly alphaBar: Float32Array
  readonly prediction: Prediction
  /** Estimates of the clean image are held in [−clip, clip]; infinite without a bound. */
  readonly clip: number
  /** Dynamic thresholding (Saharia et al. 2022): the quantile of |x₀| that is brought to 1, and the largest it may be. */
  readonly threshold?: { readonly quantile: number; readonly most: number }
  readonly variance: StepVariance
  /** ᾱ after the last step of DDIM. */
  readonly finalAlphaBar: number
  readonly spacing: Spacing
  /** Added to the times of `leading`. */
  readonly offset: number
}

const linear = (first: number, last: number, steps: number): Float32Array => {
  const [a, b] = [Math.fround(first), Math.fround(last)]
  const step = Math.fround(Math.fround(b - a) / (steps - 1))
  // PyTorch counts from the nearer end
  return Float32Array.from({ length: steps }, (_, i) =>
    steps === 1 ? a : i < Math.floor(steps / 2) ? a + step * i : b - step * (steps - 1 - i),
  )
}

const cosineAt = (share: number): number => Math.cos(((share + 0.008) / 1.008) * (Math.PI / 2)) ** 2

/** β of every time; a new schedule is a row. */
const betaSchedules: Readonly<Record<string, (steps: number, first: number, last: number) => Float32Array>> =
  {
    linear: (steps, first, last) => linear(first, last, steps),
    scaled_linear: (steps, first, last) =>
      linear(Math.sqrt(first), Math.sqrt(last), steps).map((root) => root * root),
    squaredcos_cap_v2: (steps) =>
      Float32Array.from({ length: steps }, (_, i) =>
        Math.min(1 - cosineAt((i + 1) / steps) / cosineAt(i / steps), 0.999),
      ),
    sigmoid: (steps, first, last) =>
      linear(-6, 6, steps).map((x) => Math.fround(1 / (1 + Math.exp(-x))) * (last - first) + first),
  }

/** Π (1 − β): the product in double precision, every factor and every result in single. */
function cumulative(betas: Float32Array): Float32Array {
  let product = 1
  return betas.map((beta) => {
    product *= Math.fround(1 - beta)
    return product
  })
}

/** The last ᾱ becomes 0 and the first stays (Lin et al. 2024, algorithm 1). */
function withZeroSignal(betas: Float32Array): Float32Array {
  const roots = cumulative(betas).map(Math.sqrt)
  const [first, last] = [roots[0]!, roots.at(-1)!]
  const factor = Math.fround(first / Math.fround(first - last))
  const alphaBar = roots.map((root) => Math.fround(Math.fround(root - last) * factor) ** 2)
  return alphaBar.map((own, i) => 1 - Math.fround(i === 0 ? own : own / alphaBar[i - 1]!))
}

function betasOf(s: Settings, steps: number): Float32Array {
  if (!s.has('trained_betas')) {
    const schedules = Object.keys(betaSchedules)
    const schedule = s.word('beta_schedule', 'linear', schedules)
    return betaSchedules[schedule]!(steps, s.number('beta_start', 1e-4), s.number('beta_end', 0.02))
  }
  const betas = Float32Array.from(s.list<number>('trained_betas', [], isFiniteNumber))
  if (betas.length !== steps)
    fail(
      'TL_BAD_FILE',
      `${s.label}: "trained_betas" has ${betas.length} numbers for ${steps} times ("num_train_timesteps")`,
    )
  return betas
}

function thresholdOf(s: Settings): ImageScheduler['threshold'] {
  if (!s.flag('thresholding', false)) return undefined
  const quantile = s.number('dynamic_thresholding_ratio', 0.995)
  const most = s.number('sample_max_value', 1)
  if (!(quantile >= 0 && quantile <= 1 && most >= 1))
    fail(
      'TL_BAD_FILE',
      `${s.label}: expected "dynamic_thresholding_ratio" in [0, 1] and "sample_max_value" of at least 1, got ${quantile} and ${most}`,
    )
  return { quantile, most }
}

/** The rule for the variance of ancestral steps. `_log` of the small one is the same number; of the large one it is not a number. */
function varianceOf(s: Settings): StepVariance {
  const words = ['fixed_small', 'fixed_small_log', 'fixed_large'] as const
  return s.word('variance_type', 'fixed_small', words) === 'fixed_large' ? 'fixed_large' : 'fixed_small'
}

/**
 * A scheduler from its configuration. Throws `TL_BAD_FILE` for settings that are none, `TL_UNSUPPORTED` for those that no sampler
 * here knows, each with the setting's name and what is supported.
 */
export function parseScheduler(value: unknown, label: string): ImageScheduler {
  const s = settingsOf(value, label)
  if (!s.has('_class_name'))
    fail('TL_BAD_FILE', `${label}: no "_class_name": expected DDPMScheduler or DDIMScheduler`)
  const name = s.word('_class_name', 'DDPMScheduler', ['DDPMScheduler', 'DDIMScheduler'])
  // before the library's version 0.9 this stood for a prediction of the clean image
  if (s.fields['predict_epsilon'] === false && !s.has('prediction_type'))
    fail(
      'TL_UNSUPPORTED',
      `${label}: "predict_epsilon" is false, a setting that was replaced: write "prediction_type": "sample" in its place`,
    )
  const steps = s.whole('num_train_timesteps', 1000)
  const prediction = s.word('prediction_type', 'epsilon', ['epsilon', 'sample', 'v_prediction'])
  const given = betasOf(s, steps)
  const isBeta = (beta: number): boolean => beta >= 0 && beta < 1
  if (!given.every(isBeta))
    fail('TL_BAD_FILE', `${label}: expected betas in [0, 1), got ${given.find((beta) => !isBeta(beta))}`)
  const rescaled = s.flag('rescale_betas_zero_snr', false)
  if (rescaled && prediction === 'epsilon')
    fail(
      'TL_UNSUPPORTED',
      `${label}: "rescale_betas_zero_snr" leaves no signal at the last time, where predicted noise says nothing of the image: expected "prediction_type" "v_prediction" or "sample"`,
    )
  const alphaBar = cumulative(rescaled ? withZeroSignal(given) : given)
  if (!(alphaBar.at(-1)! < 1))
    fail('TL_BAD_FILE', `${label}: expected noise at the last time, got betas that are all 0`)
  const range = s.number('clip_sample_range', 1)
  if (range <= 0) fail('TL_BAD_FILE', `${label}: expected "clip_sample_range" above 0, got ${range}`)
  const threshold = thresholdOf(s)
  return {
    sampler: name === 'DDPMScheduler' ? 'ddpm' : 'ddim',
    ...{ steps, alphaBar, prediction },
    clip: s.flag('clip_sample', true) ? range : Number.POSITIVE_INFINITY,
    ...(threshold && { threshold }),
    variance: name === 'DDPMScheduler' ? varianceOf(s) : 'fixed_small',
    finalAlphaBar: s.flag('set_alpha_to_one', true) ? 1 : alphaBar[0]!,
    spacing: s.word('timestep_spacing', 'leading', ['leading', 'trailing', 'linspace']),
    offset: s.whole('steps_offset', 0, 0),
  }
}

/** To the nearest whole number, halves to the even one, as NumPy rounds. */
const nearest = (x: number): number => {
  const up = Math.round(x)
  return up - x === 0.5 && up % 2 !== 0 ? up - 1 : up
}

/** `count` of the times, falling, as the library spaces them. Throws `TL_BAD_ARGUMENT`. */
export function spacedTimes({ steps, spacing, offset }: ImageScheduler, count: number): number[] {
  if (!(Number.isSafeInteger(count) && count >= 1 && count <= steps))
    fail('TL_BAD_ARGUMENT', `steps: expected a whole number from 1 to ${steps}, got ${count}`)
  const times = {
    leading: () => Array.from({ length: count }, (_, i) => i * Math.floor(steps / count) + offset).reverse(),
    linspace: () =>
      Array.from({ length: count }, (_, i) =>
        count === 1 ? 0 : nearest((i * (steps - 1)) / (count - 1)),
      ).reverse(),
    trailing: () => {
      const stride = steps - (steps - steps / count)
      return Array.from(
        { length: Math.ceil(steps / (steps / count)) },
        (_, i) => nearest(steps - i * stride) - 1,
      )
    },
  }[spacing]()
  if (times[0]! >= steps)
    fail(
      'TL_BAD_ARGUMENT',
      `steps: ${count} steps with an offset of ${offset} begin at t = ${times[0]}, beyond the last time ${steps - 1}: take fewer steps`,
    )
  return times
}
