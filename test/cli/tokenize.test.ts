/** @file `treeline tokenize` as people and scripts meet it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { randomStrings } from '../tokenizer/strings.ts'
import { treeline } from './caught.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-tokenize-'))
const at = (name: string): string => join(root, name)
afterAll(() => rmSync(root, { recursive: true, force: true }))

const fixture = JSON.parse(
  gunzipSync(readFileSync(new URL('../fixtures/tokenizers.json.gz', import.meta.url))).toString(),
) as { seed: number; cases: { name: string; tokenizer: unknown; samples: number[][] }[] }
const gpt2 = fixture.cases.find(({ name }) => name === 'gpt2')!
beforeAll(() => writeFileSync(at('tokenizer.json'), JSON.stringify(gpt2.tokenizer)))

test('a file of strings gives a list of id lists', async () => {
  writeFileSync(at('strings.json'), JSON.stringify(randomStrings(fixture.seed, gpt2.samples.length)))
  const { code, out, err } = await treeline('tokenize', root, '--file', at('strings.json'), '--json')
  expect([code, err]).toEqual([0, ''])
  expect(JSON.parse(out)).toEqual(gpt2.samples)
})

test('a text gives ids and readable pieces; special tokens only where asked', async () => {
  const text = 'the é\n<|im_end|>'
  const plain = await treeline('tokenize', root, '--text', text)
  expect(plain.out).toMatch(/^\d+ tokens: [\d ]+\nt \| he \| ␣ \| é \| ⏎ \| .*im.*\n$/)
  expect(plain.out).not.toContain('<|im_end|>')
  const special = await treeline('tokenize', root, '--text', text, '--special')
  expect(special.out).toMatch(/^6 tokens: \d+ \d+ \d+ \d+ \d+ 2\nt \| he \| ␣ \| é \| ⏎ \| <\|im_end\|>\n$/)
  const ids = await treeline('tokenize', root, '--text', text, '--special', '--json')
  expect(JSON.parse(ids.out)).toHaveLength(6)
  const half = await treeline('tokenize', root, '--text', '\u{10ffff}')
  expect(half.out).toMatch(/<F4>/)
})

test.each([
  [[], 'tokenize: expected one of --text TEXT and --file STRINGS.json', 2],
  [['--file', at('none.json')], `cannot read ${at('none.json')}: no such file`, 1],
  [['--file', at('bad.json')], `${at('bad.json')}: item 2 is no text; expected a JSON list of texts`, 1],
])('%j is refused', async (words, message, exit) => {
  writeFileSync(at('bad.json'), '["a", 3]')
  const { code, out, err } = await treeline('tokenize', root, ...words)
  expect([code, out]).toEqual([exit, ''])
  expect(err).toContain(message)
  expect(err.trim().split('\n')).toHaveLength(1)
})
