/** @file `treeline tokenize`: the tokens of texts, as ids and as people can read them. */
import { Command } from 'commander'
import { fail } from '../../base/index.ts'
import type { Tokenizer } from '../../lm/index.ts'
import { textOrInput } from '../inputText.ts'
import type { Io } from '../io.ts'
import { readTexts } from '../jsonFiles.ts'
import { examples, jsonOption } from '../options.ts'

interface Flags {
  text?: string
  file?: string
  special?: boolean
  json?: boolean
}

/** Text for a terminal: what is no letter, mark or sign is written as an escape, a space as ␣. */
const visible = (text: string): string =>
  text
    .replaceAll(' ', '␣')
    .replaceAll('\n', '⏎')
    .replace(/[\p{C}\p{Z}]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`)

/** Tokens that are no whole characters are shown as their bytes. */
export function pieceText(tokenizer: Tokenizer, id: number): string {
  const bytes = tokenizer.bytes(id)
  try {
    return visible(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch {
    return Array.from(bytes, (byte) => `<${byte.toString(16).toUpperCase().padStart(2, '0')}>`).join('')
  }
}

function show(tokenizer: Tokenizer, ids: readonly number[], io: Io): void {
  const pieces = ids.map((id) => pieceText(tokenizer, id))
  io.out(`${ids.length} tokens: ${ids.join(' ')}\n${pieces.join(' | ')}\n`)
}

/** The command. */
export const tokenizeCommand = (io: Io): Command =>
  new Command('tokenize')
    .description('the tokens of a text, or of a file of texts')
    .argument('<model>', 'a Hugging Face folder or a GGUF file')
    .option('--text <text>', 'the text; - reads standard input')
    .option('--file <strings.json>', 'a JSON list of texts')
    .option('--special', 'recognise special tokens that stand in the text')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        ['treeline tokenize model.gguf --text "Hello!"', 'ids and pieces'],
        ['treeline tokenize model/ --file strings.json --json', 'a list of id lists'],
      ),
    )
    .action(async (path: string, { text, file, special = false, json }: Flags) => {
      if ((text === undefined) === (file === undefined))
        fail('TL_USAGE', 'tokenize: expected one of --text TEXT and --file STRINGS.json')
      const texts = file === undefined ? [await textOrInput(text!, io)] : readTexts(file)
      const { loadTokenizer } = await import('../../lm/index.ts')
      const tokenizer = loadTokenizer(path)
      const ids = texts.map((one) => tokenizer.encode(one, { special }))
      if (json) io.out(`${JSON.stringify(file === undefined ? ids[0] : ids)}\n`)
      else for (const own of ids) show(tokenizer, own, io)
    })
