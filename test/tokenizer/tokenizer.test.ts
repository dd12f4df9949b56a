/** @file Token ids against Hugging Face's tokenizers (test/fixtures/make_tokenizer.py). */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
import { loadTokenizer, type Tokenizer } from '../../src/tokenizer/index.ts'
import { randomStrings } from './strings.ts'

interface Case {
  name: string
  tokenizer: Record<string, unknown> | null
  plain: string[]
  special: string[]
  samples: number[][]
  withAll: number[][]
  decoded: string[]
}

const fixture = JSON.parse(
  gunzipSync(readFileSync(new URL('../fixtures/tokenizers.json.gz', import.meta.url))).toString(),
) as { seed: number; count: number; strings: string; cases: Case[] }
const models = process.env['TREELINE_TEST_MODELS'] ?? resolve('../shared/models')
const strings = randomStrings(fixture.seed, fixture.count)
const block = fixture.count / fixture.cases[0]!.plain.length

const digest = (value: unknown): string =>
  createHash('sha256')
    // Python writes ASCII only
    .update(
      JSON.stringify(value).replace(
        /[\x7f-\uffff]/g,
        (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
      ),
    )
    .digest('hex')

const root = mkdtempSync(join(tmpdir(), 'treeline-tokenizer-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

function load({ name, tokenizer }: Case): Tokenizer | undefined {
  if (tokenizer) {
    const folder = join(root, name)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer))
    writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify({ bos_token: '<s>' }))
    return loadTokenizer(folder)
  }
  return existsSync(join(models, name)) && readdirSync(join(models, name)).length > 0
    ? loadTokenizer(join(models, name))
    : undefined
}

test('the strings are those of the fixture', () => {
  expect(strings).toHaveLength(10_000)
  expect(digest(strings)).toBe(fixture.strings)
})

describe.each(fixture.cases.map((one) => [one.name, one] as const))('%s', (name, one) => {
  const tokenizer = load(one)
  const run = tokenizer ? test : test.skip
  const title = tokenizer ? '' : ` (no ${name} in ${models})`

  // real models on all strings, those made for the fixture on enough of them to be quick
  const count = one.tokenizer ? 6000 : fixture.count
  run(`ids equal the reference on ${count} strings${title}`, () => {
    for (const [i, ids] of one.samples.entries()) expect(tokenizer!.encode(strings[i]!)).toEqual(ids)
    for (const special of [false, true]) {
      const ids = strings.slice(0, count).map((text) => tokenizer!.encode(text, { special }))
      const wrong = one[special ? 'special' : 'plain']
        .slice(0, count / block)
        .flatMap((sha, i) => (digest(ids.slice(i * block, (i + 1) * block)) === sha ? [] : [i]))
      expect(wrong).toEqual([])
    }
  })

  run(`BOS stands in front where the reference puts it${title}`, () => {
    for (const [i, ids] of one.withAll.entries())
      expect(tokenizer!.encode(strings[i]!, { special: true, bos: tokenizer!.addsBos })).toEqual(ids)
  })
})
