/** Lifelong editing as a study: groups, claims on made-up lines, several seeds, refusals, a small run cut and gone on with. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { experiments } from '../../src/experiments/index.ts'
import { claimsOf, editingFindings } from '../../src/experiments/lifelong-editing/claims.ts'
import { damageTexts } from '../../src/experiments/lifelong-editing/damage.ts'
import {
  type AnswerRow,
  type Line,
  linesOf,
  type Rows,
  resultsOf,
} from '../../src/experiments/lifelong-editing/rows.ts'
import { groupsOf } from '../../src/experiments/lifelong-editing.ts'
import { composeConfig, executeRun, loadRun, type RunView, tour, writeReport } from '../../src/lab/index.ts'
import { type Tiny, tinyModels } from '../lm/fixtures.ts'
import { writeCharacterTokenizer } from './characterTokenizer.ts'

const editing = experiments.find(({ name }) => name === 'lifelong-editing')!
let all: { models: Tiny[]; clean: () => void }
let root: string
let values: { model: string; facts: string }

const facts = ['abc', 'Zoe', 'q2', 'X-9'].map((subject, i) => ({
  prompt: `who is ${subject}?`,
  target: ['me', 'no', 'yes', 'it'][i],
  subject,
  rephrase: `${subject} is who?`,
  locality: { prompt: `what time ${i}`, answer: 'now' },
}))

beforeAll(async () => {
  all = await tinyModels()
  root = mkdtempSync(join(tmpdir(), 'treeline-editing-'))
  const { path } = all.models.find(({ name }) => name === 'llama')!
  writeCharacterTokenizer(path)
  writeFileSync(
    join(path, 'tokenizer_config.json'),
    JSON.stringify({ chat_template: '<{{ messages[0].content }}> ' }),
  )
  values = { model: path, facts: join(root, 'facts.json') }
  writeFileSync(values.facts, JSON.stringify([...facts, { ...facts[0], target: 'again' }]))
})
afterAll(() => {
  all.clean()
  rmSync(root, { recursive: true, force: true })
})

describe('the protocol', () => {
  test('texts for damage are shared out over the groups of a T, each about a subject of its group', () => {
    const groups = (count: number, total: number, subjects: (string | undefined)[]) =>
      Array.from({ length: total }, (_, group) => damageTexts(count, { group, groups: total, subjects }))
    const [one] = groups(20, 1, ['Ann', undefined, 'Bob'])
    const prompts = one!.map(({ prompt }) => prompt)
    expect(new Set(prompts).size).toBe(prompts.length)
    expect(one!.filter(({ about }) => about === 'unrelated')).toHaveLength(20)
    const about = one!.filter((text) => text.about === 'subject')
    // four sentences about each of two subjects
    expect(about.map(({ place }) => place)).toEqual([0, 2, 0, 2, 0, 2, 0, 2])
    for (const { place, prompt } of about) expect(prompt).toContain(place === 0 ? 'Ann' : 'Bob')
    const many = groups(5, 100, ['Ann'])
    expect(many.map((texts) => texts.length)).toEqual([...Array(5).fill(2), ...Array(95).fill(0)])
    expect(new Set(many.flat().filter((text) => text.about === 'unrelated')).size).toBe(5)
    expect(groups(0, 1, ['Ann'])).toEqual([[]])
  })

  test('groups of T cover the facts once, the largest T at least once', () => {
    expect(groupsOf(1, 3, 10)).toEqual([[0], [1], [2]])
    expect(groupsOf(2, 5, 10)).toEqual([
      [0, 1],
      [2, 3],
    ])
    expect(groupsOf(7, 5, 10)).toEqual([[0, 1, 2, 3, 4, 5, 6]])
  })

  test('claims hold, fail, or are undecided where the intervals over facts are too wide', () => {
    let half = 0.02
    const at = (mean: number) => ({ mean, low: mean - half, high: mean + half, count: 10 })
    const row = (method: string, edits: number, r: number, g: number, l: number, silent = true) => {
      const scores = {
        reliability: at(r),
        generalization: at(g),
        locality: at(l),
        average: at((r + g + l) / 3),
        sameSubject: null,
        ...{ neighbour: null, otherRelation: null, wording: null },
        sameRelation: null,
        ...{ negation: null, former: null, formerRephrase: null },
      }
      const formerIsLikelier = { edit: null, rephrase: null }
      const rest = { perplexity: { edit: null, rephrase: null }, silentIsIdentical: silent, formerIsLikelier }
      const identical = { locality: 1, sameSubject: null, sameRelation: null }
      const none = { contains: null, begins: null, ends: null }
      const [wild, chat] = [
        { edit: none, rephrase: none },
        { edit: null, rephrase: null },
      ]
      const summary = { forced: scores, generated: scores, asTaught: scores, wild, chat, identical, ...rest }
      const cost = { secondsPerEdit: 1, stepsPerEdit: 1, layer: 0, threshold: null }
      return { method, title: method, edits, groups: 1, summary, ...cost }
    }
    const outcomes = (lines: readonly Line[]) => claimsOf(lines).map(({ outcome }) => outcome)
    const good = () => [
      row('none', 10, 0.1, 0.1, 1),
      row('memoir', 1, 1, 0.9, 1),
      row('memoir', 10, 0.95, 0.9, 1),
      row('grace', 10, 1, 0.3, 1),
      row('rome', 1, 0.9, 0.9, 0.9),
      row('rome', 10, 0.2, 0.2, 0.2),
      row('memoir-no-routing', 10, 0.95, 0.9, 0.5),
    ]
    expect(outcomes(good())).toEqual(new Array(8).fill('holds'))
    const bad = () => [
      row('none', 10, 0.9, 0.1, 1),
      row('memoir', 1, 1, 0.9, 1),
      row('memoir', 10, 0.5, 0.4, 0.9, false),
      row('grace', 10, 1, 0.9, 1),
      row('rome', 1, 0.2, 0.2, 0.2),
      row('rome', 10, 0.9, 0.9, 0.9),
      row('memoir-no-routing', 10, 0.95, 0.9, 0.98),
    ]
    expect(outcomes(bad())).toEqual(new Array(8).fill('fails'))
    half = 1
    // only that no bit changes is free of error
    for (const [lines, exact] of [
      [good(), 'holds'],
      [bad(), 'fails'],
    ] as const)
      expect(outcomes(lines)).toEqual([
        ...new Array(3).fill('undecided'),
        exact,
        ...new Array(4).fill('undecided'),
      ])
    half = 0.02
    expect(claimsOf(good())[0]).toMatchObject({
      measured: 0.95,
      interval: [0.95 - 0.02, 0.95 + 0.02],
      tolerance: [0.9, null],
    })
    expect(editingFindings(good()).headline).toMatch(
      /^10 edits: memoir reliability 0.95, .*highest average: memoir \(0.95\)$/,
    )
  })
})

test('another seed teaches the same facts: intervals stay over facts', () => {
  const cell = { method: 'ft-m', edits: 1, group: 0, replica: 0 } as const
  const answer = (seed: number, fact: number, forced: number, rest: Partial<AnswerRow> = {}) => ({
    ...{ ...cell, seed, part: 'answer' as const, fact, kind: 'edit' as const },
    ...{ forced, exact: Number(forced === 1), loss: 1 as number | null, isIdentical: false },
    ...{ edit: 1 as number | null, ...rest },
  })
  const rows = [
    answer(0, 0, 1),
    answer(0, 1, 0.5),
    answer(1, 0, 0.5, { loss: 3 }),
    answer(1, 1, 0, { loss: null }),
  ]
  const results = resultsOf(rows)
  expect(results.get(0)!.edit).toEqual({ forced: 0.75, exact: 0.5, loss: 2, isIdentical: false, edit: 1 })
  expect(results.get(1)!.edit).toMatchObject({ forced: 0.25, loss: null })
  const summary = (list: typeof rows) => linesOf(list as unknown as Rows)[0]!.summary
  expect(summary(rows).forced.reliability).toMatchObject({ mean: 0.5, count: 2 })
  expect(summary(rows).silentIsIdentical).toBe(true)
  // a silent answer with other bits is seen whatever other seeds say
  expect(summary([...rows, answer(2, 0, 1, { edit: null })]).silentIsIdentical).toBe(false)
})

/** Lines of a finished run. */
const linesIn = ({ result }: Pick<RunView, 'result'>): Line[] => linesOf(result['rows'] as unknown as Rows)

describe('runs', () => {
  test('without a model or facts a run is refused in one line, and the tour leaves it out', async () => {
    const run = (own: object) =>
      executeRun(editing, composeConfig(editing, { values: { ...own } }), { root, threads: 1 })
    await expect(run({})).rejects.toThrow(/config\.model: lifelong-editing needs it.*--set model=/)
    await expect(run({ model: values.model })).rejects.toThrow(/config\.facts: .*--set facts=/)
    const missing = { model: values.model, facts: join(root, 'none.json') }
    await expect(run(missing)).rejects.toThrow(/cannot read .*none\.json/)
    await expect(run({ ...values, edits: [9] })).rejects.toThrow(
      /9 edits, but .* has 4 facts with one for each subject/,
    )
    await expect(run({ ...values, edits: [1], text: join(root, 'none.txt') })).rejects.toThrow(
      /cannot read .*none\.txt/,
    )
    expect(() => composeConfig(editing, { set: ['methods=grace,romeo'] })).toThrow(/romeo/)
    const [stop] = await tour([editing], { root, threads: 1 })
    expect(stop!.error).toMatch(/needs it/)
  })

  test('MEMIT: the text that is given and λ decide what is written', { timeout: 60_000 }, async () => {
    const text = join(root, 'text.txt')
    writeFileSync(
      text,
      'It was a bright cold day in April, and the clocks were striking 13. Call me Zoe! '.repeat(2),
    )
    const learned = async (set: string[]) => {
      const config = composeConfig(editing, {
        set: ['methods=none,memit', 'edits=1', 'items=1', ...set],
        values,
      })
      const { summary } = await executeRun(editing, config, { root: join(root, 'memit'), threads: 1 })
      return linesIn(summary).map((line) => line.summary.perplexity.edit!.mean)
    }
    const [before, own] = await learned([`text=${text}`, 'weight=1'])
    const [, written] = await learned(['weight=1'])
    const [same, heavy] = await learned([`text=${text}`, 'weight=1e9'])
    expect(same).toBe(before)
    expect(Math.abs(own! / before! - 1)).toBeGreaterThan(0.1)
    expect(written).not.toBe(own)
    expect(Math.abs(heavy! / before! - 1)).toBeLessThan(1e-3)
  })

  test('a block or a mask that the model does not have is refused at once', async () => {
    const refused = async (set: string): Promise<void> => {
      const config = composeConfig(editing, { set: ['edits=3', 'items=3', 'methods=none', set], values })
      await executeRun(editing, config, { root: join(root, 'refused'), threads: 1 })
    }
    await expect(refused('layer=99')).rejects.toThrow(
      /config\.layer: expected a block from 0 to \d+ of .*, got 99/,
    )
    await expect(refused('ones=100000')).rejects.toThrow(/config\.ones: expected at most \d+, .*, got 100000/)
  })

  test('hard locality, and free answers, are asked of all facts, of some, or of none', async () => {
    const counts: unknown[] = []
    for (const hard of ['all', '2', '0']) {
      const set = ['edits=3', 'items=3', 'methods=none', `hardLocality=${hard}`, `wild=${hard}`]
      const config = composeConfig(editing, { set, values })
      const { summary } = await executeRun(editing, config, { root: join(root, 'hard'), threads: 1 })
      const lines = linesIn(summary)
      const { forced, wild } = lines[0]!.summary
      const { sameSubject, sameRelation, reliability } = forced
      counts.push([reliability?.count, sameSubject?.count, sameRelation?.count])
      expect(wild.rephrase.contains?.count).toBe(sameSubject?.count)
      const { paragraph } = editingFindings(lines)
      expect(paragraph.includes('Something else said of the same subject')).toBe(hard !== '0')
    }
    expect(counts).toEqual([
      [3, 3, 3],
      [3, 2, 2],
      [3, undefined, undefined],
    ])
  })

  test('in chat an edit that is found answers as it was taught; other methods go on after the template', {
    timeout: 60_000,
  }, async () => {
    const methods = ['none', 'ft-m', 'memoir-default', 'memoir-oracle']
    const set = ['edits=2', 'items=2', `methods=${methods}`, 'hardLocality=0', 'damage=0', 'ones=12']
    const config = composeConfig(editing, { set, values })
    const { summary } = await executeRun(editing, config, { root: join(root, 'chat'), threads: 1 })
    const rows = (summary.result['rows'] as unknown as Rows).filter((row) => row.part === 'answer')
    for (const method of methods) {
      const own = rows.filter((row) => row.method === method && row.kind === 'edit')
      expect(own.map(({ chat }) => chat === 0 || chat === 1)).toEqual([true, true])
      if (method.startsWith('memoir')) expect(own.map(({ chat }) => chat)).toEqual([1, 1])
    }
    const [line] = linesIn(summary)
    expect(line!.summary.chat.rephrase!.count).toBe(2)
  })

  test('of many facts some are asked for, evenly spread, and all of them are taught', async () => {
    const set = ['edits=4', 'items=1', 'methods=none,ft-m', 'asked=2', 'hardLocality=0', 'wild=0', 'steps=2']
    const config = composeConfig(editing, { set, values })
    const { summary } = await executeRun(editing, config, { root: join(root, 'asked'), threads: 1 })
    const rows = summary.result['rows'] as unknown as Rows
    for (const method of ['none', 'ft-m']) {
      const own = rows.filter((row) => row.method === method)
      const asked = own.flatMap((row) => (row.part === 'answer' && row.kind === 'edit' ? [row.fact] : []))
      expect(asked).toEqual([0, 2])
      if (method === 'ft-m') expect(own.filter(({ part }) => part === 'steps')).toHaveLength(4)
    }
  })

  test('behind an oracle router each question for a fact reaches its own edit, any other none', {
    timeout: 60_000,
  }, async () => {
    const set = ['edits=2', 'items=4', 'examples=1', 'methods=memoir-default,memoir-oracle', 'ones=12']
    const config = composeConfig(editing, { set, values })
    const { summary } = await executeRun(editing, config, { root: join(root, 'oracle'), threads: 1 })
    const rows = summary.result['rows'] as unknown as Rows
    const answers = rows.filter((row) => row.part === 'answer')
    const of = (wanted: string) => answers.filter(({ method }) => method === wanted)
    const [routed, told] = [of('memoir-default'), of('memoir-oracle')]
    expect(told.length).toBe(routed.length)
    expect(told.length).toBeGreaterThan(4 * 5)
    for (const [i, { fact, kind, edit, isIdentical, ...rest }] of told.entries()) {
      // groups of two facts, numbered from 1
      expect([fact, kind, edit]).toEqual([
        fact,
        kind,
        kind === 'edit' || kind === 'rephrase' ? (fact % 2) + 1 : null,
      ])
      if (edit === null) expect(isIdentical).toBe(true)
      const other = routed[i]!
      expect([other.fact, other.kind]).toEqual([fact, kind])
      // the very same edits: who is answered alike is answered the same
      if (other.edit === edit)
        expect({ ...other, method: rest.method }).toEqual({ fact, kind, edit, isIdentical, ...rest })
    }
    expect(told.some(({ edit }, i) => edit === routed[i]!.edit && edit !== null)).toBe(true)
    const [line] = linesIn(summary).filter(({ method }) => method === 'memoir-oracle')
    expect(line!.summary.forced.locality!.mean).toBe(1)
    expect(line!.threshold).toBeNull()
  })

  test('methods that share edits, and more edits after fewer, are taught once: the rows are those of each alone', {
    timeout: 90_000,
  }, async () => {
    const methods = 'methods=ft-m,memoir-oracle,memoir-default,memoir-wide'
    const rowsAt = async (edits: string, name: string) => {
      const details: string[] = []
      const set = [`edits=${edits}`, 'items=1', methods, 'examples=1', 'ones=12', 'steps=5', 'damage=2']
      const { summary } = await executeRun(editing, composeConfig(editing, { set, values }), {
        ...{ root: join(root, name), threads: 1 },
        onProgress: ({ detail }) => details.push(detail ?? ''),
      })
      const rows = (summary.result['rows'] as unknown as Rows).map((row) => ({
        ...row,
        ...(row.part === 'taught' && { secondsPerEdit: 0 }),
      }))
      return { rows, taught: details.filter((detail) => / of \d+ taught/.test(detail)).length }
    }
    const together = await rowsAt('1,2,4', 'together-in-turn')
    // fine-tuning and MEMOIR, four facts each
    expect(together.taught).toBe(2 * 4)
    for (const edits of [2, 4]) {
      const alone = await rowsAt(`${edits}`, `alone-${edits}`)
      expect(alone.taught).toBe(2 * edits)
      expect(alone.rows.length).toBeGreaterThan(4 * 10)
      expect(together.rows.filter((row) => row.edits === edits)).toEqual(alone.rows)
    }
  })

  test('a method that learns facts together is taught all of a group at once, and can be cut', async () => {
    const set = ['edits=3', 'items=3', 'methods=none,ultraedit', 'hardLocality=0', 'examples=0']
    const config = composeConfig(editing, { set, values })
    const details: string[] = []
    const options = { root: join(root, 'together'), threads: 1 }
    const controller = new AbortController()
    const cut = executeRun(editing, config, {
      ...options,
      signal: controller.signal,
      onProgress: ({ detail }) => {
        if (detail?.includes('3 taught together, 0 %')) controller.abort()
      },
    })
    await expect(cut).rejects.toThrow(/interrupted/)
    const { summary } = await executeRun(editing, config, {
      ...options,
      onProgress: ({ detail }) => details.push(detail ?? ''),
    })
    expect(details.some((detail) => detail.includes('3 taught together, 100 %'))).toBe(true)
    const own = linesIn(summary).find(({ method }) => method === 'ultraedit')!
    expect([own.stepsPerEdit, own.summary.forced.reliability!.count]).toEqual([1, 3])
  })

  test('small, end to end, cut and gone on with', { timeout: 120_000 }, async () => {
    const set = [
      'edits=1,3',
      'items=3',
      'examples=2',
      'methods=none,ft-m,grace,memoir,memoir-no-routing',
      'steps=40',
      'ones=12',
    ]
    const config = composeConfig(editing, { set, values })
    const controller = new AbortController()
    const cut = executeRun(editing, config, {
      root: join(root, 'runs'),
      threads: 1,
      signal: controller.signal,
      onProgress: ({ detail }) => {
        if (detail?.startsWith('FT-M, T = 1, group 2, draw 1, 1 of 1 taught')) controller.abort()
      },
    })
    await expect(cut).rejects.toThrow(/interrupted/)
    const { folder, summary, resumed } = await executeRun(editing, config, {
      root: join(root, 'runs'),
      threads: 1,
    })
    expect(resumed).toBe(true)
    expect(existsSync(join(folder, 'cells', '0-0'))).toBe(false)
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
    const rows = linesIn(summary)
    expect(rows.map(({ method, edits, groups }) => [method, edits, groups].join())).toEqual(
      [1, 3].flatMap((edits) =>
        ['none', 'ft-m', 'grace', 'memoir', 'memoir-no-routing'].map((m) => [m, edits, 3 / edits].join()),
      ),
    )
    // a limit of steps for all, below GRACE's fifty
    expect(rows.find(({ method }) => method === 'grace')!.stepsPerEdit).toBe(40)
    for (const { summary: own } of rows) {
      expect(own.silentIsIdentical).toBe(true)
      // the tokenizer has no token that ends a text
      expect(own.wild.edit.ends).toMatchObject({ mean: 0, count: 3 })
      expect(own.forced.reliability!.count).toBe(3)
    }
    const damage = (summary.result['rows'] as unknown as Rows).filter((row) => row.part === 'damage')
    for (const method of ['ft-m', 'grace', 'memoir', 'memoir-no-routing'])
      for (const edits of [1, 3]) {
        const own = damage.filter((row) => row.method === method && row.edits === edits)
        expect(own.filter(({ about }) => about === 'unrelated')).toHaveLength(20)
        expect(own.filter(({ about }) => about === 'subject')).toHaveLength(12)
        for (const { edit, isIdentical, divergence, lossBefore, lossAfter } of own) {
          // no bit moves where no edit answers, and it is seen where one does
          expect(isIdentical).toBe(edit === null)
          expect(divergence === 0).toBe(edit === null)
          expect(lossAfter === lossBefore).toBe(edit === null)
          expect(divergence).toBeGreaterThanOrEqual(0)
        }
        if (method === 'ft-m' || method === 'memoir-no-routing')
          expect(own.every(({ edit }) => edit !== null)).toBe(true)
        if (method === 'grace') expect(own.every(({ edit }) => edit === null)).toBe(true)
      }
    const of = (method: string) => rows.find((row) => row.method === method && row.edits === 1)!.summary
    expect(of('none').forced.locality!.mean).toBe(1)
    expect(of('none').identical.locality).toBe(1)
    expect(of('memoir').perplexity.edit!.mean).toBeLessThan(of('none').perplexity.edit!.mean)
    // without routing no prompt is left alone
    expect(of('memoir-no-routing').identical.locality).toBe(0)
    const { html } = writeReport([loadRun(folder)], experiments, folder)
    const page = readFileSync(html, 'utf8')
    for (const text of [
      'How near prompts are to edits',
      'The paper’s averages',
      'Routing after 3 edits',
      'Damage after 3 edits',
      'who is abc?',
    ])
      expect(page.toLowerCase()).toContain(text.toLowerCase())
    // the paper's averages, then ours at each number of edits, once
    const table = page.slice(page.indexOf('The paper’s averages'))
    const cells = (html: string): string[] =>
      [...html.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/g)].map(([, text]) => text!.replace(/<[^>]*>/g, ''))
    const [head, ...body] = [...table.slice(0, table.indexOf('</table>')).matchAll(/<tr>(.*?)<\/tr>/g)]
    expect(cells(head![1]!).slice(1, -1)).toEqual([
      ...[1, 100, 1000].map((T) => `paper, T = ${T}`),
      ...[1, 3].map((T) => `here, T = ${T}`),
    ])
    const grace = body.map(([, row]) => cells(row!)).find(([title]) => title === 'GRACE')!
    expect(grace.slice(4, 6)).toEqual(
      [1, 3].map((T) =>
        rows
          .find(({ method, edits }) => method === 'grace' && edits === T)!
          .summary.forced.average!.mean.toFixed(2),
      ),
    )
  })
})
