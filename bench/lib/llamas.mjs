/**
 * @file Models with the shapes of larger Llamas and random weights that can be run: a bf16 folder of lib/checkpoints.mjs with the
 * tokenizer of SmolLM2, and the same weights as GGUF, matrices in Q4_0 and the embedding in Q8_0. Needs `npm run build`.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openCheckpoint, openGguf, writeGguf } from '../../dist/checkpoint/index.js'
import { toGguf, toHuggingFace } from '../../dist/lm/index.js'
import { checkpoints } from './checkpoints.mjs'

/** Raise when the file's contents change. */
const version = 1

const block = 32
/** Elements encoded at a time. */
const PIECE = 1 << 20

/** ggml's code of an f16 number, of a positive one that is normal in f16; what is below a half unit is rounded away. */
function f16(value) {
  const exponent = Math.floor(Math.log2(value))
  const mantissa = Math.round((value / 2 ** exponent - 1) * 1024)
  return ((exponent + 15) << 10) + mantissa
}

/** Blocks of 18 bytes: d = the number of largest magnitude / −8, w ≈ d · (q − 8). */
function q4_0(values, out, at) {
  for (let from = 0; from < values.length; from += block, at += 18) {
    let [most, signed] = [0, 0]
    for (let j = from; j < from + block; j++)
      if (Math.abs(values[j]) > most) {
        signed = values[j]
        most = Math.abs(signed)
      }
    const d = signed / -8
    const code = most === 0 ? 0 : f16(most / 8) | (d < 0 ? 0x8000 : 0)
    out[at] = code & 255
    out[at + 1] = code >> 8
    const level = (value) => Math.min(15, Math.floor(value / (d || 1) + 8.5))
    for (let j = 0; j < 16; j++)
      out[at + 2 + j] = level(values[from + j]) | (level(values[from + j + 16]) << 4)
  }
}

const sizeOf = ({ shape }) => shape.reduce((product, n) => product * n, 1)

/** A tensor of the folder as it goes into the file. */
function packed(tensor) {
  const { name, shape } = tensor
  const values = (start, count) => tensor.f32(start, count)
  if (shape.length < 2) return { name, shape, dtype: 'F32', values }
  if (name === 'token_embd.weight') return { name, shape, dtype: 'Q8_0', values }
  const bytes = () => {
    const total = sizeOf(tensor)
    const out = new Uint8Array((total / block) * 18)
    for (let at = 0; at < total; at += PIECE)
      q4_0(tensor.f32(at, Math.min(PIECE, total - at)), out, (at / block) * 18)
    return out
  }
  return { name, shape, dtype: 'Q4_0', bytes }
}

/** The folder of a shape, with the tokenizer of `tokenizerFrom` (a GGUF file). Made where it is missing. */
export function llamaFolder(root, shapeName, tokenizerFrom, say) {
  const { base } = checkpoints(root, shapeName, ['base'], say)
  if (!existsSync(join(base, 'tokenizer.json'))) {
    const file = openGguf(tokenizerFrom)
    for (const [name, text] of toHuggingFace(tokenizerFrom, file, 'bf16').companions)
      if (name !== 'config.json') writeFileSync(join(base, name), text)
    file.close()
  }
  return base
}

/** The same weights as GGUF: path of the file, made where it is missing. */
export function llamaGguf(root, shapeName, tokenizerFrom, say) {
  const path = join(root, `${shapeName}-q4_0.gguf`)
  const marker = `${path}.recipe.json`
  const text = `${JSON.stringify({ version, shapeName })}\n`
  if (existsSync(path) && existsSync(marker) && readFileSync(marker, 'utf8') === text) return path
  mkdirSync(root, { recursive: true })
  rmSync(marker, { force: true })
  const folder = llamaFolder(root, shapeName, tokenizerFrom, say)
  say(`making ${path}`)
  const input = openCheckpoint(folder)
  const { checkpoint } = toGguf(folder, input)
  // 2: mostly Q4_0
  const fields = new Map(checkpoint.fields).set('general.file_type', { type: 'uint32', value: 2 })
  writeGguf(path, [...checkpoint.tensors.values()].map(packed), fields)
  input.close()
  writeFileSync(marker, text)
  return path
}
