/** A tiny Llama as a folder with a tokenizer of single characters, as commands open it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tinyModels } from '../lm/fixtures.ts'

/** Printable characters, the space as byte-level tokenizers write it, and an end. */
const characters = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i).replace(' ', 'Ġ'))

const tokenizerJson = {
  version: '1.0',
  added_tokens: [
    {
      id: 95,
      content: '<|end|>',
      special: true,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
    },
  ],
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
  post_processor: null,
  decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
  model: {
    type: 'BPE',
    vocab: Object.fromEntries(characters.map((c, i) => [c, i])),
    merges: [],
  },
}

/** Folders of the tiny models of these names, each with the tokenizer. */
export async function editableModels(): Promise<{ pathOf: (name: string) => string; clean: () => void }> {
  const { models, clean } = await tinyModels()
  for (const { path } of models) {
    writeFileSync(join(path, 'tokenizer.json'), JSON.stringify(tokenizerJson))
    writeFileSync(
      join(path, 'tokenizer_config.json'),
      JSON.stringify({ tokenizer_class: 'PreTrainedTokenizerFast', eos_token: '<|end|>' }),
    )
  }
  return { pathOf: (name) => models.find((m) => m.name === name)!.path, clean }
}
