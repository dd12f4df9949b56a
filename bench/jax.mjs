/**
 * @file Training steps of the bench networks in @jax-js/jax on its WebAssembly backend (one thread in Node), the whole step
 * under one `jit`. Needs `npm install --prefix bench`. Started by engine.mjs; speaks the protocol of lib/protocol.mjs.
 *
 * In jax-js a function consumes its arguments: a value used again is passed as `.ref`.
 */
import { parseArgs } from 'node:util'
import { defaultDevice, init, jit, nn, numpy as np, tree, valueAndGrad } from '@jax-js/jax'
import { makeData, normal, oneHot } from './lib/problems.mjs'
import { serve } from './lib/protocol.mjs'

const { values } = parseArgs({ options: { network: { type: 'string' }, width: { type: 'string' } } })
const width = Number(values.width)

await init('wasm')
defaultDevice('wasm')

let seed = 1000
const array = ({ shape, data }) => np.array(data).reshape(shape)
const weight = (inputs, outputs) => {
  const { shape, data } = normal(seed++, [inputs, outputs])
  return np.array(data.map((x) => x / Math.sqrt(inputs))).reshape(shape)
}
const dense = (inputs, outputs) => ({ w: weight(inputs, outputs), b: np.zeros([outputs]) })
const affine = (x, { w, b }) => np.matmul(x, w).add(b)

/** Mean over rows of −log p(target), targets one-hot. */
function crossEntropy(logits, target) {
  const rows = logits.shape.slice(0, -1).reduce((a, b) => a * b, 1)
  return nn
    .logSoftmax(logits, -1)
    .mul(target)
    .sum()
    .mul(-1 / rows)
}

function mlp() {
  const data = makeData('mlp', width)
  return {
    parameters: [dense(width, width), dense(width, width), dense(width, 10)],
    loss: ([a, b, c], x, target) =>
      crossEntropy(affine(nn.relu(affine(nn.relu(affine(x, a)), b)), c), target),
    x: array(data.x),
    targets: data.targets.map((t) => array(oneHot(t, 10))),
  }
}

function hierarchicalCnn() {
  const data = makeData('hierarchical-cnn', width)
  return {
    parameters: [dense(16, width), dense(2 * width, width), dense(2 * width, width), dense(width, 8)],
    loss: ([a, b, c, readout], x, target) => {
      const h1 = nn.relu(affine(x.reshape([128 * 4, 16]), a)).reshape([128 * 2, 2 * width])
      const h2 = nn.relu(affine(h1, b)).reshape([128, 2 * width])
      return crossEntropy(affine(nn.relu(affine(h2, c)), readout), target)
    },
    x: array(oneHot(data.x, 8)),
    targets: data.targets.map((t) => array(oneHot(t, 8))),
    rate: 1,
  }
}

function transformer() {
  const data = makeData('transformer', width)
  const [layers, heads, batch, length] = [4, width / 32, 32, 32]
  const norm = () => ({ scale: np.ones([width]), bias: np.zeros([width]) })
  const normalize = (x, { scale, bias }) => nn.standardize(x, -1, { epsilon: 1e-5 }).mul(scale).add(bias)
  // Not nn.dotProductAttention: version 0.1.25 uses iterator methods there that Node 20 lacks.
  const future = Float32Array.from({ length: length * length }, (_, i) =>
    i % length > Math.floor(i / length) ? -1e9 : 0,
  )
  const attend = (x, p) => {
    const split = (which) =>
      np.transpose(affine(x.ref, which).reshape([batch, length, heads, width / heads]), [0, 2, 1, 3])
    const [q, k, v] = [split(p.q), split(p.k), split(p.v)]
    x.dispose()
    const scores = np.matmul(q, np.transpose(k, [0, 1, 3, 2])).mul((width / heads) ** -0.5)
    const weights = nn.softmax(scores.add(np.array(future).reshape([length, length])), -1)
    const y = np.transpose(np.matmul(weights, v), [0, 2, 1, 3])
    return affine(y.reshape([batch * length, width]), p.out)
  }
  const block = () => ({
    norm1: norm(),
    q: dense(width, width),
    k: dense(width, width),
    v: dense(width, width),
    out: dense(width, width),
    norm2: norm(),
    fc1: dense(width, 4 * width),
    fc2: dense(4 * width, width),
  })
  return {
    parameters: {
      embedding: weight(64, width),
      positions: weight(length, width),
      blocks: Array.from({ length: layers }, block),
      norm: norm(),
      head: weight(width, 64),
    },
    // The embedding is looked up as a product with one-hot rows: its gradient is then a product too.
    loss: (p, x, target) => {
      const embedded = np.matmul(x, p.embedding).reshape([batch, length, width]).add(p.positions)
      let h = embedded.reshape([batch * length, width])
      for (const b of p.blocks) {
        h = h.ref.add(attend(normalize(h, b.norm1), b))
        const inner = nn.gelu(affine(normalize(h.ref, b.norm2), b.fc1), { approximate: false })
        h = h.add(affine(inner, b.fc2))
      }
      return crossEntropy(np.matmul(normalize(h, p.norm), p.head), target)
    },
    x: array(oneHot(data.x, 64)).reshape([batch * length, 64]),
    targets: data.targets.map((t) => array(oneHot(t, 64)).reshape([batch * length, 64])),
  }
}

const build = { mlp, 'hierarchical-cnn': hierarchicalCnn, transformer }[values.network]
if (!build) {
  process.stderr.write(`--network ${values.network}: expected mlp, hierarchical-cnn or transformer\n`)
  process.exit(2)
}
const { parameters, loss, x, targets, rate } = build()
const objective = valueAndGrad(loss)

/** Adam as in PyTorch, or plain descent when a problem gives its own rate. State and gradients are flat lists. */
const step = jit((list, first, second, decay1, decay2, input, target) => {
  const structure = tree.flatten(parameters)[1]
  const [value, gradients] = objective(
    tree.unflatten(
      structure,
      list.map((p) => p.ref),
    ),
    input,
    target,
  )
  const slopes = tree.flatten(gradients)[0]
  if (rate !== undefined) {
    decay1.dispose()
    decay2.dispose()
    return [list.map((p, i) => p.sub(slopes[i].mul(rate))), first, second, value]
  }
  const m = first.map((old, i) => old.mul(0.9).add(slopes[i].ref.mul(0.1)))
  const v = second.map((old, i) => old.mul(0.999).add(np.square(slopes[i]).mul(0.001)))
  const correction1 = np.array(1).sub(decay1)
  const correction2 = np.sqrt(np.array(1).sub(decay2))
  const next = list.map((p, i) => {
    const scaled = np.sqrt(v[i].ref).div(correction2.ref).add(1e-8)
    return p.sub(m[i].ref.mul(1e-3).div(correction1.ref).div(scaled))
  })
  correction1.dispose()
  correction2.dispose()
  return [next, m, v, value]
})

let list = tree.flatten(parameters)[0]
const zeros = () => (rate === undefined ? list.map((p) => np.zeros(p.shape)) : [])
let [first, second] = [zeros(), zeros()]
const count = list.reduce((n, p) => n + p.shape.reduce((a, b) => a * b, 1), 0)

await serve({ variant: 'WebAssembly, one thread, jit', parameters: count }, async (i) => {
  const [d1, d2] = [np.array(0.9 ** (i + 1)), np.array(0.999 ** (i + 1))]
  const result = step(
    list.map((p) => p),
    first,
    second,
    d1,
    d2,
    x.ref,
    targets[i % targets.length].ref,
  )
  let value
  ;[list, first, second, value] = result
  const read = await value.data()
  return () => read[0]
})
