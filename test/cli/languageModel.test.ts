/** `treeline generate` and `score` on a real small model, and one line for every mistake. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { treeline } from './caught.ts'

const models =
  process.env['TREELINE_TEST_MODELS'] ?? fileURLToPath(new URL('../../../shared/models', import.meta.url))
const stories = join(models, 'stories260k')
const root = mkdtempSync(join(tmpdir(), 'treeline-lm-cli-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const file = (name: string, value: unknown): string => {
  writeFileSync(join(root, name), typeof value === 'string' ? value : JSON.stringify(value))
  return join(root, name)
}

describe.skipIf(!existsSync(stories))(
  'a model of 260,000 parameters (skipped without the test models)',
  () => {
    it('generate gives the golden text, and the same for ids', async () => {
      const one = await treeline(
        'generate',
        stories,
        '--prompt',
        'Once upon a time',
        '--max-tokens',
        '12',
        '--json',
      )
      expect(one.code).toBe(0)
      const { promptIds, ids, text, finish } = JSON.parse(one.out)
      expect([text, finish]).toEqual([
        expect.stringMatching(/^, there was a little girl named Lily/),
        'length',
      ])
      expect(ids).toHaveLength(12)
      const many = await treeline(
        'generate',
        stories,
        '--file',
        file('p.json', [promptIds]),
        '--max-tokens',
        '12',
        '--json',
      )
      expect(JSON.parse(many.out)).toEqual([{ promptIds, ids, text, finish }])
      const shown = await treeline('generate', stories, '--prompt', 'Once upon a time', '--max-tokens', '12')
      expect(shown.out).toBe(`${text}\n`)
    })

    it('score: a text after a prompt has the tokens and the perplexity of the two together', async () => {
      const score = async (...words: string[]) =>
        JSON.parse((await treeline('score', stories, ...words, '--json')).out)
      const whole = await score('--text', 'Once upon a time')
      expect(await score('--prompt', 'Once upon a', '--text', ' time')).toEqual(whole)
      expect(Math.exp(whole.meanNll)).toBeCloseTo(1.07, 2)
      const inside = await score('--prompt', 'Once upon a ti', '--text', 'me')
      expect(inside.ids).toEqual([1, 403, 407, 261, 259, 417, 423, 411])
    })

    it('edit: a target has the tokens that the model says after the prompt', async () => {
      const store = join(root, 'store')
      const edit = async (...words: string[]) =>
        (await treeline('edit', stories, store, ...words, '--quiet', '--json')).out
      const prompt = 'The dog Rex lives in'
      const added = JSON.parse(await edit('add', '--prompt', prompt, '--target', 'red', '--subject', 'Rex'))
      expect(added[0].targetTokens).toBe(2)
      const known = file('known.json', [
        { prompt: 'Once upon a', target: 'time' },
        { prompt, target: 'red' },
      ])
      const { reliability, generated, perItem } = JSON.parse(await edit('evaluate', known))
      expect([reliability.mean, generated.reliability.mean]).toEqual([1, 1])
      expect(perItem.map(({ texts }: { texts: { reliability: string } }) => texts.reliability)).toEqual([
        ' time',
        ' red',
      ])
    })

    it('a drawn text is the same for the same seed and another for another', async () => {
      const draw = async (seed: string) =>
        (await treeline('generate', stories, '--prompt', 'Once', '--temperature', '1', '--seed', seed)).out
      expect(await draw('1')).toBe(await draw('1'))
      expect(await draw('1')).not.toBe(await draw('2'))
    })

    it('score: log-probabilities whose mean is the loss, and the next tokens in order', async () => {
      const { out } = await treeline('score', stories, '--text', 'Once upon a time', '--top', '5', '--json')
      const { ids, logProbabilities, meanNll, top } = JSON.parse(out) as {
        ids: number[]
        logProbabilities: number[]
        meanNll: number
        top: [number, number][]
      }
      expect(logProbabilities).toHaveLength(ids.length - 1)
      expect(meanNll).toBeCloseTo(
        -logProbabilities.reduce((sum, x) => sum + x, 0) / logProbabilities.length,
        12,
      )
      expect(top.map(([, p]) => p)).toEqual(top.map(([, p]) => p).toSorted((a, b) => b - a))
      const next = await treeline(
        'generate',
        stories,
        '--prompt',
        'Once upon a time',
        '--max-tokens',
        '1',
        '--json',
      )
      expect(top[0]![0]).toBe(JSON.parse(next.out).ids[0])
    })

    it.each([
      [['generate', stories], 2, /expected one of --prompt TEXT, --file/],
      [['score', stories, '--text', 'a', '--file', 'b'], 2, /expected one of --text TEXT and --file/],
      [
        ['generate', stories, '--file', file('bad.json', '[1')],
        1,
        /bad\.json:1: not JSON: expected "," or "]", found the end/,
      ],
      [['generate', stories, '--file', file('odd.json', [{}])], 1, /odd\.json: item 1 is neither/],
      [
        ['generate', stories, '--file', file('late.json', ['Once', [1, 512]])],
        1,
        /prompt 2, token 2: expected an id from 0 to 511, got 512/,
      ],
      [
        ['generate', stories, '--prompt', 'word '.repeat(600)],
        1,
        /prompt 1: \d+ tokens, the context holds \d+: shorten it/,
      ],
      [
        ['score', stories, '--file', file('big.json', [[9e9]])],
        1,
        /token 0: expected an id from 0 to 511, got 9000000000/,
      ],
      [['generate', root, '--prompt', 'a'], 1, /\S/],
    ])('refuses %j in one line', async (words, exit, message) => {
      const { code, err, out } = await treeline(...words)
      expect([code, out]).toEqual([exit, ''])
      expect(err).toMatch(message)
      expect(err.trimEnd().split('\n')).toHaveLength(1)
    })
  },
)
