/**
 * @file Checkpoints with the shapes of real language models and random weights: a base and two "fine-tuned" ones, made once
 * and kept. Needs `npm run build`.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { shardedWriter } from '../../dist/checkpoint/index.js'

/** Sizes of SmolLM2-135M, Llama-3.2-1B and Llama-3.2-3B, all with tied embeddings. */
export const shapes = {
  '135m': { layers: 30, hidden: 576, ffn: 1536, heads: 9, kvHeads: 3, headDim: 64, vocabulary: 49152 },
  '1b': { layers: 16, hidden: 2048, ffn: 8192, heads: 32, kvHeads: 8, headDim: 64, vocabulary: 128256 },
  '3b': { layers: 28, hidden: 3072, ffn: 8192, heads: 24, kvHeads: 8, headDim: 128, vocabulary: 128256 },
}

export const models = ['base', 'a', 'b']

/**
 * What the values are, and a number to raise when the maker changes. Weights of matrices are normal with standard deviation
 * 0.03, those of norms 1 with 0.1; the tuned ones are the base plus normal noise of 0.001, all rounded to bf16, where
 * numbers near 0.03 are 0.00012 or 0.00024 apart.
 */
const recipe = { version: 1, seed: 5, deviation: 0.03, normDeviation: 0.1, noise: 0.001 }

/** Names and shapes in the order of a Hugging Face file. */
export function tensorsOf({ layers, hidden, ffn, heads, kvHeads, headDim, vocabulary }) {
  const list = [['model.embed_tokens.weight', [vocabulary, hidden]]]
  for (let i = 0; i < layers; i++)
    for (const [name, shape] of [
      ['input_layernorm', [hidden]],
      ['mlp.down_proj', [hidden, ffn]],
      ['mlp.gate_proj', [ffn, hidden]],
      ['mlp.up_proj', [ffn, hidden]],
      ['post_attention_layernorm', [hidden]],
      ['self_attn.k_proj', [kvHeads * headDim, hidden]],
      ['self_attn.o_proj', [hidden, heads * headDim]],
      ['self_attn.q_proj', [heads * headDim, hidden]],
      ['self_attn.v_proj', [kvHeads * headDim, hidden]],
    ])
      list.push([`model.layers.${i}.${name}.weight`, shape])
  return [...list, ['model.norm.weight', [hidden]]]
}

const size = (shape) => shape.reduce((product, n) => product * n, 1)

/** Bytes of weights of one checkpoint. */
export const weightBytes = (shape) => tensorsOf(shape).reduce((sum, [, s]) => sum + 2 * size(s), 0)

const configuration = ({ layers, hidden, ffn, heads, kvHeads, headDim, vocabulary }) => ({
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_act: 'silu',
  hidden_size: hidden,
  intermediate_size: ffn,
  num_hidden_layers: layers,
  num_attention_heads: heads,
  num_key_value_heads: kvHeads,
  head_dim: headDim,
  vocab_size: vocabulary,
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-5,
  rope_theta: 100000,
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
})

/** Inverse of the normal distribution function by bisection of its integral; used for 65536 values, once. */
function normalQuantiles(count) {
  const table = new Float32Array(count)
  const step = 1e-4
  let [x, p] = [-8, 0]
  const density = (t) => Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI)
  for (let i = 0; i < count; i++) {
    const wanted = (i + 0.5) / count
    while (p < wanted) {
      p += step * density(x + step / 2)
      x += step
    }
    table[i] = x
  }
  return table
}

const quantiles = normalQuantiles(65536)

/** 32 well-mixed bits of a number and a seed. */
function mix(i, seed) {
  let x = (i ^ seed) | 0
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
  return x ^ (x >>> 16)
}

const seedOf = (text) => [...text].reduce((h, c) => mix(h, c.charCodeAt(0) + 0x9e3779b9), recipe.seed)

const PIECE = 1 << 22
const scratch = new Float32Array(1)
const scratchBits = new Uint32Array(scratch.buffer)

function bf16(value) {
  scratch[0] = value
  const bits = scratchBits[0]
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16
}

/** The tensor's bytes, in pieces. */
function* values(name, shape, model) {
  const isNorm = shape.length === 1
  const total = size(shape)
  const [seed, noiseSeed] = [seedOf(name), seedOf(`${model} ${name}`)]
  const table = quantiles.map((q) => (isNorm ? 1 + recipe.normDeviation * q : recipe.deviation * q))
  const codes = Uint16Array.from(table, bf16)
  const noise = quantiles.map((q) => recipe.noise * q)
  // the base as it is stored, that noise is added to
  const stored = table.map((_, i) => {
    scratchBits[0] = codes[i] << 16
    return scratch[0]
  })
  for (let start = 0; start < total; start += PIECE) {
    const piece = new Uint16Array(Math.min(PIECE, total - start))
    for (let i = 0; i < piece.length; i++) {
      const at = mix(start + i, seed) >>> 16
      piece[i] = model === 'base' ? codes[at] : bf16(stored[at] + noise[mix(start + i, noiseSeed) >>> 16])
    }
    yield new Uint8Array(piece.buffer)
  }
}

/**
 * Folders of the models named, made where they are missing. Returns { base, a, b } as far as asked. A folder is complete
 * when it has the marker file, which is written last.
 */
export function checkpoints(root, shapeName, wanted, say) {
  const shape = shapes[shapeName]
  const folders = {}
  for (const model of wanted) {
    const folder = join(root, shapeName, model)
    folders[model] = folder
    const marker = join(folder, 'bench-recipe.json')
    const text = `${JSON.stringify({ ...recipe, model, shape })}\n`
    if (existsSync(marker) && readFileSync(marker, 'utf8') === text) continue
    say(`making ${folder} (${(weightBytes(shape) / 1e9).toFixed(2)} GB)`)
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'config.json'), `${JSON.stringify(configuration(shape), null, 2)}\n`)
    const writer = shardedWriter(folder, { metadata: { format: 'pt' } })
    for (const [name, dimensions] of tensorsOf(shape))
      writer.write(name, 'BF16', dimensions, values(name, dimensions, model))
    writer.finish()
    writeFileSync(marker, text)
  }
  return folders
}
