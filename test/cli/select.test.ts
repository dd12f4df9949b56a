/** `treeline merge --select`: candidates of several methods on the user's own data, with intervals and a stated rule. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openSafetensorsCheckpoint, writeSafetensors } from '../../src/checkpoint/index.ts'
import { loadModel, loadTokenizer } from '../../src/lm/index.ts'
import { bootstrapMean, comparisons, planSearch, type SearchRow } from '../../src/merge/index.ts'
import { editableModels } from '../edit/editable.ts'
import { treeline } from './caught.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-select-'))
const at = (name: string): string => join(root, name)
let models: Awaited<ReturnType<typeof editableModels>>

/** The base with a change of this share of each value; `seed` undefined replaces the values. */
function tuned(name: string, seed: number, share: number): void {
  cpSync(models.pathOf('llama'), at(name), { recursive: true })
  const checkpoint = openSafetensorsCheckpoint(join(models.pathOf('llama'), 'model.safetensors'))
  const tensors = [...checkpoint.tensors].map(([tensor, one]) => {
    const values = one.f32()
    const data = values.map((x, i) => (1 - share) * x + share * (Math.sin(seed + i) * 0.1 + x * 1.5))
    return [tensor, { dtype: 'F32', shape: one.shape, data }] as const
  })
  checkpoint.close()
  writeSafetensors(join(at(name), 'model.safetensors'), new Map(tensors))
}
const write = (name: string, value: unknown): string => {
  writeFileSync(at(name), typeof value === 'string' ? value : JSON.stringify(value))
  return at(name)
}
const recipe = (other = 'b'): string =>
  write(
    'm.yaml',
    `merge_method: task_arithmetic\nbase_model: ${at('base')}\nmodels:\n- {model: ${at('a')}, parameters: {weight: 1}}\n- {model: ${at(other)}, parameters: {weight: 1}}\n`,
  )
const texts = ['02 24 46', '13 35 57 02', '46 02 13', '24 24 02']
const axes = ['merge_method=task_arithmetic,ties', 'lambda=0.5,1', 'density=0.5'].flatMap((one) => [
  '--search',
  one,
])

beforeAll(async () => {
  models = await editableModels()
  for (const [name, seed, share] of [
    ['base', 0, 0],
    ['a', 1, 0.1],
    ['b', 2, 0.1],
    ['stranger', 3, 8],
  ] as const)
    tuned(name, seed, share)
})
afterAll(() => {
  models.clean()
  rmSync(root, { recursive: true, force: true })
})

describe('--select', () => {
  it('measures texts and answers, says intervals, the rule and what does not beat task arithmetic; goes on', async () => {
    const prompts = texts.map((text) => ({ prompt: text.slice(0, 2), answer: text.slice(2, 5) }))
    const flags = [
      '--select',
      `texts=${write('texts.json', texts)}`,
      '--select',
      `answers=${write('answers.json', prompts)}`,
    ]
    const { code, out, err } = await treeline('merge', recipe(), at('best'), ...axes, ...flags, '--quiet')
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(/rule: the highest mean of log p per token; of equal means the first in the grid/)
    expect(out).toMatch(/ties minus task_arithmetic, both at their best: -?\d/)
    expect(out).toMatch(/-\d\.\d{4} \[-\d\.\d{4}, -\d\.\d{4}\]/)
    const again = await treeline('merge', recipe(), at('best'), ...axes, ...flags, '--quiet', '--json')
    const { candidates, best, reused, comparisons: found } = JSON.parse(again.out)
    // density means nothing to task arithmetic, which leaves it out
    expect([candidates.length, reused]).toEqual([4, 4])
    expect(best.score).toBe(Math.max(...candidates.map(({ score }: SearchRow) => score)))
    expect(found.map(({ family }: { family: string }) => family)).toEqual(['ties'])
    // the scores are those of the model that was written
    const [model, tokenizer] = [
      loadModel(at('best'), { precision: 'f32', threads: 1 }),
      loadTokenizer(at('best')),
    ]
    const items: number[] = []
    for (const text of texts) {
      const scores = await model.score(tokenizer.encode(text, { bos: tokenizer.addsBos }))
      items.push(scores.reduce((sum, x) => sum + x, 0) / scores.length)
    }
    const rightAnswers: number[] = []
    for (const { prompt, answer } of prompts) {
      const before = tokenizer.encode(prompt, { bos: tokenizer.addsBos })
      const wanted = tokenizer.encode(prompt + answer, { bos: tokenizer.addsBos }).slice(before.length)
      const { ids } = await model.generate({ ids: before, maxTokens: wanted.length })
      rightAnswers.push(ids.slice(0, wanted.length).join() === wanted.join() ? 1 : 0)
    }
    model.dispose()
    for (const [i, item] of items.entries()) expect(best.measures[0].items[i]).toBeCloseTo(item, 4)
    expect(best.measures[1].items).toEqual(rightAnswers)
    expect(readFileSync(join(at('best'), 'search.svg'), 'utf8')).toContain('log p per token against answers')
    expect(readFileSync(join(at('best'), 'search.csv'), 'utf8').split('\n')[0]).toBe(
      'merge_method,lambda,density,score,seconds,error,log p per token,log p per token low,log p per token high,answers,answers low,answers high',
    )
  })

  it('takes any command, also one that prints a list of items', async () => {
    const script = write(
      'eval.mjs',
      'console.log("done"); console.log(JSON.stringify([1, 2, process.argv[2].length > 0 ? 3 : 0]))',
    )
    const { code, out } = await treeline(
      'merge',
      recipe(),
      at('listed'),
      ...axes,
      '--select',
      `command=node ${script} {model}`,
      '--quiet',
      '--json',
    )
    expect(code).toBe(0)
    expect(JSON.parse(out).best.measures).toEqual([{ name: 'command', score: 2, items: [1, 2, 3] }])
  })

  it('without --search it tries three methods, five coefficients, with LiNeS and without', async () => {
    const { code, out } = await treeline(
      'merge',
      recipe(),
      at('all'),
      '--select',
      'command=echo 1 {model} 1',
      '--quiet',
      '--json',
    )
    expect(code).toBe(0)
    const { candidates, best } = JSON.parse(out) as { candidates: SearchRow[]; best: SearchRow }
    expect(candidates.map(({ score }) => score)).toEqual(Array.from({ length: 30 }, () => 1))
    expect(best.values).toEqual({
      merge_method: 'task_arithmetic',
      lambda: 0.2,
      'lines.alpha': 1,
      'lines.beta': 0,
    })
  })

  it.each([
    ['prints nothing', 'true {model}', /without a number; it printed nothing/],
    ['prints NaN', 'echo nan {model} nan', /its last number is not finite/],
  ])('a command that %s: one line, and the inputs are as they were', async (_, command, message) => {
    const before = readFileSync(join(at('a'), 'model.safetensors'))
    const { code, err } = await treeline(
      'merge',
      recipe(),
      at('failed'),
      '--search',
      'lambda=1',
      '--select',
      `command=${command}`,
      '--quiet',
    )
    expect(code).toBe(1)
    expect(err.split('\n').filter((line) => /none of 1 candidates could be scored/.test(line))).toHaveLength(
      1,
    )
    expect(err).toMatch(message)
    expect(readFileSync(join(at('a'), 'model.safetensors')).equals(before)).toBe(true)
    rmSync(at('failed'), { recursive: true, force: true })
  })

  it.each([
    [
      'a fine-tune of another base',
      () => recipe('stranger'),
      'texts',
      /stranger is no fine-tune of .*base: its weights differ by/,
      1,
    ],
    ['an unknown measure', () => recipe(), 'images', /--select "images=.*expected texts=FILE/, 2],
  ])('%s: one line, no folder', async (_, config, kind, message, exit) => {
    const { code, err } = await treeline(
      'merge',
      config(),
      at('never'),
      ...axes,
      '--select',
      `${kind}=${write('texts.json', texts)}`,
    )
    expect([code, err]).toEqual([exit, expect.stringMatching(message)])
    expect(err.split('\n')).toHaveLength(2)
  })
})

describe('intervals', () => {
  it('of the bootstrap agree with the normal ones of many items, and are a point for equal items', () => {
    const items = Array.from({ length: 400 }, (_, i) => Math.sin(i * 12.9898) * 2)
    const mean = items.reduce((sum, x) => sum + x, 0) / items.length
    const half =
      (1.96 * Math.sqrt(items.reduce((sum, x) => sum + (x - mean) ** 2, 0) / items.length)) /
      Math.sqrt(items.length)
    const { low, high } = bootstrapMean(items)
    expect(Math.abs(low - (mean - half))).toBeLessThan(0.15 * half)
    expect(Math.abs(high - (mean + half))).toBeLessThan(0.15 * half)
    expect(bootstrapMean([3, 3, 3])).toEqual({ mean: 3, low: 3, high: 3 })
  })

  it('a method that is better on every item beats task arithmetic; one that is better by chance does not', () => {
    const row = (merge_method: string, items: number[]): SearchRow => ({
      candidate: merge_method,
      values: { merge_method },
      score: items.reduce((sum, x) => sum + x, 0) / items.length,
      measures: [{ name: 'm', score: 0, items }],
      seconds: 0,
    })
    const plain = Array.from({ length: 50 }, (_, i) => i % 7)
    const rows = [
      row('task_arithmetic', plain),
      row(
        'ties',
        plain.map((x) => x + 0.1),
      ),
      row(
        'consensus',
        plain.map((x, i) => x + (i === 0 ? 1 : 0)),
      ),
    ]
    const found = comparisons(rows, 'linear')
    expect(found.map(({ family, isBetter }) => [family, isBetter])).toEqual([
      ['ties', true],
      ['consensus', false],
    ])
    expect(found[0]!.difference.mean).toBeCloseTo(0.1, 12)
  })

  it('a method of an axis has only parameters of its own', () => {
    const text = readFileSync(recipe(), 'utf8')
    const plan = planSearch({ path: 'm.yaml', text }, [
      { name: 'merge_method', values: ['task_arithmetic', 'ties'] },
      { name: 'density', values: [0.5] },
    ])
    expect(plan.config(0).text).not.toContain('density')
    expect(plan.config(1).text).toContain('density: 0.5')
  })
})
