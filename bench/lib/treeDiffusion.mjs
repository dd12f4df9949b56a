/** @file The setting of the diffusion bench, and whether PyTorch's network of it is ours: the same weights, logits and loss. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Favero et al. (2025): the example of the authors' code. */
export const setting = {
  ...{ v: 8, classes: 8, m: 3, s: 2, L: 3 },
  ...{ P: 1024, batchSize: 64, T: 200, learningRate: 1e-4, samples: 1024 },
}

const modules = () =>
  Promise.all(['diffusion', 'grammar', 'nn', 'tensor'].map((name) => import(`../../dist/${name}/index.js`)))

/** The problem of a file as all sides read it: sizes, ᾱ of steps 0 … T, what inputs are divided by, strings [P][d]. */
export async function makeProblem() {
  const [{ makeNoiseProcess }, { makeGrammar, sampleDistinct }, , { random }] = await modules()
  const { inputDeviation } = await import('../../dist/diffusion/learned/noiseProcess.js')
  const noising = makeNoiseProcess({ steps: setting.T })
  const grammar = makeGrammar(setting, random.key(1))
  const leaves = sampleDistinct(grammar, random.key(2), setting.P).levels[setting.L]
  const { d } = grammar
  return {
    ...setting,
    alphaBar: Array.from({ length: setting.T + 1 }, (_, t) => noising.schedule.alphaBar(t)),
    deviation: inputDeviation(noising, setting.v),
    leaves: Array.from({ length: setting.P }, (_, i) => [...leaves.slice(i * d, (i + 1) * d)]),
  }
}

/** Our network of a width, its noise process and its strings. */
export async function ourSide(problem, width) {
  const [diffusion] = await modules()
  const { v, s, L, T, leaves } = problem
  return {
    noising: diffusion.makeNoiseProcess({ steps: T }),
    network: diffusion.treeUnetFor({ v, s, L }, { width }),
    strings: { leaves: Int32Array.from(leaves.flat()), d: s ** L, v },
  }
}

/** Numbers of a tensor, as JSON has them. */
const numbers = (x) => Array.from(x.data)

/** Weights in f64. LayerNorm has numbers as training leaves them, not the 1 and 0 that would hide a mistake. */
async function weightsOf(network) {
  const [, , { castParameters }, { random, tensor }] = await modules()
  const parameters = castParameters(network.init(random.key(3)), 'f64')
  const drawn = (seed, x, mean) =>
    tensor(
      Float64Array.from(random.sampleNormal(random.key(seed), x.size), (z) => mean + 0.2 * z),
      { shape: x.shape },
    )
  const changed = (block, i) => ({
    conv: block.conv,
    norm: { weight: drawn(10 + i, block.norm.weight, 1), bias: drawn(30 + i, block.norm.bias, 0) },
  })
  return {
    ...parameters,
    down: parameters.down.map(changed),
    up: parameters.up.map((block, i) => changed(block, 10 + i)),
  }
}

/**
 * Compare a form of PyTorch's network with ours on the same weights and noisy strings. Returns the largest difference of a logit
 * and that of the loss, each relative to the largest of it, and throws when the first is above 1e-9 or the second above 1e-5.
 */
export async function checkPeer({ problem, path, python, peer, form, folder, width = 64 }) {
  const [{ fixedStrings }, , , { compile, random, tensor }] = await modules()
  const { logitsOf } = await import('../../dist/diffusion/learned/network.js')
  const { network, noising, strings } = await ourSide(problem, width)
  const some = { ...strings, leaves: strings.leaves.slice(0, 200 * strings.d) }
  const fixed = fixedStrings(noising, some, 1, random.key(4))
  const parameters = await weightsOf(network)
  const apply = logitsOf(network, noising)
  const program = compile((p, noisy) => {
    const logits = apply(p, noisy)
    return { logits, loss: noising.objective.loss(logits, noisy).mean() }
  })
  const noise = Float64Array.from(fixed.times, (t) => 1 - problem.alphaBar[t])
  const before = Float64Array.from(fixed.times, (t) => 1 - problem.alphaBar[t - 1])
  const alpha = noise.map((level, i) => (1 - level) / (1 - before[i]))
  const exact = Object.fromEntries(
    Object.entries({ noise, before, alpha }).map(([key, x]) => [key, tensor(x)]),
  )
  const { logits, loss } = await program(parameters, { ...fixed.strings, ...exact })
  const ours = { logits: numbers(logits), loss: loss.data[0] }
  program.dispose()
  const blocks = [...parameters.down, ...parameters.up]
  const rows = ({ data }) =>
    Array.from({ length: data.length / strings.d }, (_, i) => [
      ...data.slice(i * strings.d, (i + 1) * strings.d),
    ])
  const given = {
    clean: rows(fixed.strings.clean),
    noisy: rows(fixed.strings.noisy),
    times: [...fixed.times],
    weights: {
      embed: numbers(parameters.embed.weight),
      readout: numbers(parameters.readout.weight),
      down: parameters.down.map(({ conv }) => numbers(conv.weight)),
      up: parameters.up.map(({ conv }) => numbers(conv.weight)),
      norms: blocks.map(({ norm }) => ({ weight: numbers(norm.weight), bias: numbers(norm.bias) })),
    },
  }
  const file = join(folder, `check-${form}.json`)
  writeFileSync(file, JSON.stringify(given))
  const args = [peer, '--problem', path, '--width', String(width), '--form', form, '--check', file]
  const theirs = JSON.parse(execFileSync(python, args, { maxBuffer: 2 ** 28 }).toString())
  const largest = Math.max(...ours.logits.map(Math.abs))
  const logit = Math.max(...ours.logits.map((x, i) => Math.abs(x - theirs.logits[i]))) / largest
  const lossDifference = Math.abs(ours.loss / theirs.loss - 1)
  if (theirs.logits.length !== ours.logits.length || !(logit <= 1e-9 && lossDifference <= 1e-5))
    throw new Error(
      `PyTorch's network (${form}) is not ours: logits differ by ${logit.toExponential(1)} of the largest, the loss by ${lossDifference.toExponential(1)} (${ours.loss} and ${theirs.loss}); expected at most 1e-9 and 1e-5`,
    )
  return { form, logit, loss: lossDifference }
}
