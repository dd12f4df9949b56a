/** @file Serves our own inference to inference.mjs: `run K` makes K calls of an upward pass and posterior samples. */
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { inferUp, samplePosterior } from '../dist/grammar/index.js'
import { random } from '../dist/tensor/index.js'

const { values } = parseArgs({ options: { problem: { type: 'string' }, precision: { type: 'string' } } })
const { shape, rules, leaves, eps, samples } = JSON.parse(readFileSync(values.problem, 'utf8'))
const { v, s, L } = shape
const d = s ** L
const grammar = { ...shape, d, rules: rules.map((table) => Int32Array.from(table.flat(2))) }
const batch = leaves.length
const clean = leaves.flat()
const Floats = values.precision === 'f32' ? Float32Array : Float64Array
const likelihood = new Floats(batch * d * v).fill(eps / v)
for (const [i, symbol] of clean.entries()) likelihood[i * v + symbol] = 1 - eps + eps / v

let seed = 0
const cpuSeconds = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

function run(calls) {
  const [wall, cpu] = [performance.now(), cpuSeconds()]
  let up
  let drawn
  for (let k = 0; k < calls; k++) {
    up = inferUp(grammar, likelihood, batch)
    drawn = samplePosterior(grammar, up, random.key(seed++), samples)
  }
  const seconds = (performance.now() - wall) / 1000
  const used = cpuSeconds() - cpu
  let kept = 0
  const found = drawn.levels[L]
  for (let i = 0; i < found.length; i++)
    if (found[i] === clean[Math.floor(i / (d * samples)) * d + (i % d)]) kept++
  const logEvidence = up.logEvidence.reduce((a, x) => a + x, 0) / batch
  return { seconds, cpu: used, calls, logEvidence, kept: kept / found.length }
}

const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)
run(12)
print({ ready: true })
for await (const line of createInterface({ input: process.stdin })) {
  const [word, number] = line.trim().split(/\s+/)
  if (word === 'quit') break
  if (word === 'run' && /^[1-9]\d*$/.test(number ?? '')) print(run(Number(number)))
  else print({ error: `${JSON.stringify(line)}: expected "run K" with K at least 1, or "quit"` })
}
process.exit(0)
