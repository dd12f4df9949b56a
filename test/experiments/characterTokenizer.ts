/** @file A tokenizer for the tiny models: a token for each printable character, and one more; and room for texts of it. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const characters = `${String.fromCharCode(...Array.from({ length: 95 }, (_, i) => 32 + i))}é`
const tokenizer = {
  model: { type: 'BPE', vocab: Object.fromEntries([...characters].map((c, i) => [c, i])), merges: [] },
  decoder: { type: 'Fuse' },
}

/** Write it into the folder of a tiny model, whose context grows to 256 tokens. */
export function writeCharacterTokenizer(path: string): void {
  writeFileSync(join(path, 'tokenizer.json'), JSON.stringify(tokenizer))
  const config = JSON.parse(readFileSync(join(path, 'config.json'), 'utf8')) as object
  writeFileSync(join(path, 'config.json'), JSON.stringify({ ...config, max_position_embeddings: 256 }))
}
