/** @file `node bench/chart.mjs`: the speed chart of the README, drawn from committed results (the files are named in it). */
import { readFileSync, writeFileSync } from 'node:fs'
import { barChart, posterSvg, svgToPng } from '../dist/lab/index.js'

const results = new URL('./results/', import.meta.url)
const read = (name) => JSON.parse(readFileSync(new URL(`${name}.json`, results), 'utf8'))
const faster = (peers) => Math.min(...peers.map((timing) => timing?.median ?? Number.POSITIVE_INFINITY))

const engine = read('engine-2026-11-23T050641').rows.filter(({ threads }) => threads === 1)
const step = (name) => {
  const { timings } = engine.find((row) => row.name === name)
  return faster([timings.eager, timings.compiled]) / timings.treeline.median
}
const merges = read('merge-2026-11-26T145717').rows
const merge = (method) => {
  const { timings } = merges.find((row) => row.method === method)
  return timings.mergekit.seconds / timings.treeline.seconds
}
const lm = read('lm-2026-11-27T031958').rows
const token = (label) => lm.find((row) => row.label === label).median
const [inference] = read('inference-2026-11-23T075002').rows
const numpy = faster([inference.timings['numpy rows'].wall, inference.timings['numpy columns'].wall])

const bars = [
  ['merge two models by TIES, against mergekit', merge('ties')],
  ['merge two models linearly, against mergekit', merge('linear')],
  ['train a hierarchical CNN, against PyTorch', step('hierarchical-cnn-64')],
  ['a token of SmolLM2 in f32, against Transformers', token('Transformers f32') / token('treeline f32')],
  ['exact inference in a grammar, against NumPy', numpy / inference.timings.treeline.wall.median],
  ['train an MLP of width 64, against PyTorch', step('mlp-64')],
  ['train a U-Net, against PyTorch', step('unet-32')],
  ['a token of SmolLM2 in 4 bits, against llama.cpp', token('llama.cpp') / token('treeline q4')],
  ['train a transformer of width 256, against PyTorch', step('transformer-256')],
].map(([label, value]) => ({ label, value, hue: value >= 1 ? 0 : 1 }))

const figure = barChart({
  name: 'speed',
  title: 'Times as fast as the tool people use',
  caption:
    'Time of the other tool over Treeline’s, medians of interleaved rounds on the same two cores; below 1 Treeline is slower. The PyTorch figure is the faster of eager and compiled, NumPy’s the fastest way we found.',
  xLabel: 'times as fast',
  format: (value) => `${value.toFixed(value < 2 ? 2 : 1)} ×`,
  bars,
})
const made = 'AMD EPYC (AVX-512 for training, inference and merging, AVX2 for tokens), Node 20; bench/results'
writeFileSync(new URL('../docs/images/speed.png', import.meta.url), svgToPng(posterSvg(figure, made)))
