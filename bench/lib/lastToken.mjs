/** @file The problem of the last-token bench, our networks on it, and the check that PyTorch's are the same functions. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The reference run: v = 16, m = 4, s = 2, L = 4, 128 fresh strings at every step. */
export const setting = { v: 16, m: 4, s: 2, L: 4, batchSize: 128, heads: 16, learningRate: 1e-3 }

const modules = () =>
  Promise.all(['grammar', 'nn', 'tensor'].map((name) => import(`../../dist/${name}/index.js`)))

const grammarOf = async () => {
  const [{ makeGrammar }, , { random }] = await modules()
  return makeGrammar({ ...setting, classes: setting.v }, random.key(1))
}

/** The problem of a file as all sides read it: sizes, and the rules of every level, the root's first. */
export const makeProblem = async () => ({
  ...setting,
  rules: (await grammarOf()).rules.map((table) => [...table]),
})

/** Our network, its grammar, how it is trained, and strings as it sees them. */
export async function ourSide({ network: kind, width, layers }) {
  const [{ lastTokenInputs }, nn, { tensor }] = await modules()
  const grammar = await grammarOf()
  const { v, s, L, d } = grammar
  const isCnn = kind === 'cnn'
  return {
    grammar,
    network: isCnn
      ? nn.hierarchicalCnn({ symbols: v, branching: s, depth: L, width, outputs: v })
      : nn.attentionStack({
          ...{ symbols: v, length: d, features: width, heads: setting.heads },
          ...{ layers, outputs: v },
        }),
    optimizer: isCnn ? nn.sgd({ momentum: 0 }) : nn.adam(),
    learningRate: isCnn ? nn.scaledLearningRate('meanField', 1, width) : setting.learningRate,
    inputs: (leaves, dtype = 'f32') => {
      const { x, last } = lastTokenInputs(leaves, { d, v, width: d })
      return { x: tensor(x, { shape: [last.length, d, v], dtype }), last: tensor(last) }
    },
  }
}

const numbers = ({ data }) => Array.from(data)

/** Weights as PyTorch's side reads them. */
const weightsOf = (parameters) =>
  'embedding' in parameters
    ? {
        embedding: numbers(parameters.embedding),
        positions: numbers(parameters.positions),
        layers: parameters.layers.map(({ query, key, value, out }) =>
          [query, key, value, out].map(({ weight }) => numbers(weight)),
        ),
        readout: numbers(parameters.readout.weight),
      }
    : {
        layers: parameters.layers.map(({ weight }) => numbers(weight)),
        readout: numbers(parameters.readout.weight),
      }

/**
 * Compare a form of PyTorch's network with ours on the same weights and strings, in float64. Returns the largest difference of a
 * logit relative to the largest logit, and throws when it is above 1e-9.
 */
export async function checkPeer(step, { path, python, peer, form, folder }) {
  const [{ sampleTrees }, { castParameters }, { compile, random }] = await modules()
  const { grammar, network, inputs } = await ourSide(step)
  const parameters = castParameters(network.init(random.key(3)), 'f64')
  const leaves = sampleTrees(grammar, random.key(4), 200).levels[grammar.L]
  const program = compile(network.apply)
  // √v is exact here: f32 inputs are those of float64
  const ours = numbers(await program(parameters, inputs(leaves, 'f64').x))
  program.dispose()
  const rows = Array.from({ length: 200 }, (_, i) => [...leaves.slice(i * grammar.d, (i + 1) * grammar.d)])
  const file = join(folder, 'check.json')
  writeFileSync(file, JSON.stringify({ leaves: rows, weights: weightsOf(parameters) }))
  const args = [peer, '--problem', path, '--check', file, '--form', form]
  const sizes = ['--network', step.network, '--width', String(step.width), '--layers', String(step.layers)]
  const theirs = JSON.parse(execFileSync(python, [...args, ...sizes], { maxBuffer: 2 ** 28 }).toString())
  const largest = Math.max(...ours.map(Math.abs))
  const logit = Math.max(...ours.map((x, i) => Math.abs(x - theirs[i]))) / largest
  if (theirs.length !== ours.length || !(logit <= 1e-9))
    throw new Error(
      `PyTorch's ${step.network} (${form}, ${step.width}) is not ours: logits differ by ${logit.toExponential(1)} of the largest; expected at most 1e-9`,
    )
  return { ...step, form, logit }
}
