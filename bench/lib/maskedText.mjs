/** @file The problem of the masked bench, our network on it, and the check that PyTorch's is the same function. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** 3 layers of width 96 on windows of 64 of 27 symbols, 32 windows a step. */
export const setting = {
  ...{ v: 27, d: 64, width: 96, heads: 4, layers: 3, batchSize: 32, learningRate: 2e-3 },
}

const modules = () =>
  Promise.all(['diffusion', 'nn', 'tensor'].map((name) => import(`../../dist/${name}/index.js`)))

/** The problem of a file as all sides read it: sizes, and a random sequence. */
export async function makeProblem() {
  const [, , { random }] = await modules()
  return { ...setting, sequence: [...random.sampleIntegers(random.key(1), 100_000, setting.v)] }
}

const numbers = ({ data }) => Array.from(data, Number)
const worst = (ours, theirs) => {
  const largest = Math.max(...theirs.map(Math.abs), 1e-30)
  return Math.max(...ours.map((x, i) => Math.abs(x - theirs[i]))) / largest
}

/**
 * Compare PyTorch's network with ours on the same weights and masks, in float64. Returns the largest difference of logits and of
 * gradients relative to the largest, and throws when one is above 1e-9.
 */
export async function checkPeer({ path, python, peer, attention, folder }) {
  const [
    { fixedMasks, maskedLoss, maskedTransformer },
    { castParameters },
    { compile, entries, random, valueAndGrad },
  ] = await modules()
  const network = maskedTransformer(setting)
  const parameters = castParameters(network.init(random.key(3)), 'f64')
  const strings = fixedMasks(
    random.sampleIntegers(random.key(4), 8 * setting.d, setting.v),
    setting.d,
    random.key(5),
  )
  const f64 = { ...strings, weight: castParameters({ weight: strings.weight }, 'f64').weight }
  const program = compile((p) => ({
    logits: network.apply(p, f64.noisy),
    gradient: valueAndGrad((q) => maskedLoss(network, q, f64).mean())(p).gradient,
  }))
  const { logits, gradient } = await program(parameters)
  program.dispose()
  const file = join(folder, 'check.json')
  const weights = Object.fromEntries(entries(parameters).map(([name, t]) => [name, numbers(t)]))
  const rows = (t) =>
    Array.from({ length: 8 }, (_, b) => numbers(t).slice(b * setting.d, (b + 1) * setting.d))
  const noisy = rows(f64.noisy).map((row) => row.map((x) => (x < 0 ? setting.v : x)))
  writeFileSync(file, JSON.stringify({ weights, clean: rows(f64.clean), noisy, weight: rows(f64.weight) }))
  const args = [peer, '--problem', path, '--check', file, '--attention', attention]
  const theirs = JSON.parse(execFileSync(python, args, { maxBuffer: 2 ** 28 }).toString())
  const found = {
    attention,
    logit: worst(numbers(logits), theirs.logits),
    gradient: Math.max(...entries(gradient).map(([name, t]) => worst(numbers(t), theirs.gradients[name]))),
  }
  if (!(found.logit <= 1e-9 && found.gradient <= 1e-9))
    throw new Error(
      `PyTorch's network (${attention}) is not ours: logits differ by ${found.logit.toExponential(1)}, gradients by ${found.gradient.toExponential(1)}; expected at most 1e-9`,
    )
  return found
}
