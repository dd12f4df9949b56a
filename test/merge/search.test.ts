/** Search over merges: grids without drift, values in the right place of a recipe, one table that outlives any interruption. */
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readSafetensors, writeSafetensors } from '../../src/checkpoint/index.ts'
import {
  type Axis,
  executeMerge,
  gridOf,
  parseAxis,
  parseMergeConfig,
  planSearch,
  type SearchOptions,
  searchMerge,
} from '../../src/merge/index.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-search-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const at = (name: string): string => join(root, `${name}.safetensors`)
let number = 0
const fresh = (): string => join(root, `out-${number++}`)

/** Two layers and an embedding, each of one element. */
const writeModel = (name: string, values: readonly number[]): void =>
  writeSafetensors(
    at(name),
    Object.fromEntries(
      ['model.embed_tokens.weight', 'model.layers.0.w', 'model.layers.1.w'].map((tensor, i) => [
        tensor,
        { dtype: 'F32', shape: [1], data: Float32Array.of(values[i]!) } as const,
      ]),
    ),
  )
beforeAll(() => {
  writeModel('base', [0, 0, 0])
  writeModel('a', [1, 1, 1])
  writeModel('b', [0, 2, 4])
})
const recipe = (more = '') => ({
  path: 'm.yaml',
  text: `# kept\nmerge_method: task_arithmetic\nbase_model: ${at('base')}\nmodels:\n- {model: ${at('a')}, parameters: {weight: 1}}\n- {model: ${at('b')}, parameters: {weight: 0.5}}\n${more}`,
})
const valuesOf = (folder: string): number[] =>
  ['model.embed_tokens.weight', 'model.layers.0.w', 'model.layers.1.w'].map(
    (name) =>
      (readSafetensors(join(folder, 'model.safetensors')).tensors.get(name)!.data as Float32Array)[0]!,
  )
const axes = (...texts: string[]): Axis[] => texts.map(parseAxis)
const options: SearchOptions = { scoreName: 'test', threads: 1 }

describe('grids', () => {
  it('ranges are exact decimals with both ends; lists keep their order', () => {
    expect(parseAxis('beta=0.1..1.0:0.1').values).toEqual([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1])
    expect(parseAxis('x=0..1:0.3').values).toEqual([0, 0.3, 0.6, 0.9])
    expect(parseAxis('x=-1e-3..1e-3:5e-4').values).toEqual([-0.001, -0.0005, 0, 0.0005, 0.001])
    expect(parseAxis('x=3,1..2:1,auto,true')).toEqual({ name: 'x', values: [3, 1, 2, 'auto', true] })
  })

  it('a range is what division by a power of ten gives, whatever the step', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -1000, max: 1000 }),
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 0, max: 40 }),
        fc.integer({ min: 0, max: 6 }),
        (from, step, steps, places) => {
          const text = (n: number): string => `${n}e-${places}`
          const axis = parseAxis(`x=${text(from)}..${text(from + steps * step)}:${text(step)}`)
          // division of two exact numbers is rounded once, as reading a decimal is
          expect(axis.values).toEqual(
            Array.from({ length: steps + 1 }, (_, i) => (from + i * step) / 10 ** places),
          )
        },
      ),
    )
  })

  it('the last axis runs fastest', () => {
    expect(gridOf(axes('x=1,2', 'y=3,4'))).toEqual([
      [1, 3],
      [1, 4],
      [2, 3],
      [2, 4],
    ])
  })

  it.each([
    ['lambda', /expected NAME=FROM\.\.TO:STEP/],
    ['=1', /expected NAME/],
    ['x=', /a value is missing/],
    ['x=1,,2', /a value is missing/],
    ['x=1..2', /a range needs a step/],
    ['x=1..2:0', /step above 0/],
    ['x=2..1:1', /not above the last/],
    ['x=0..1:1e-9', /1000000001 values; at most 100000/],
    ['x=a..b:1', /expected a number, got "a"/],
    ['x=nan', /got "nan"/],
    ['x=1,1.0', /1 is there twice/],
    ['x=1e999', /beyond the range/],
  ])('%s', (text, message) => {
    expect(() => parseAxis(text)).toThrow(message)
  })

  it('a grid too large is refused before it is made', () => {
    const many = 'x=1..100000:1'
    expect(() => gridOf(axes(many, many.replace('x', 'y')))).toThrow(/10000000000 candidates/)
  })
})

describe('values in a recipe', () => {
  const textOf = (more: string, ...words: string[]): string =>
    planSearch(recipe(more), axes(...words)).config(0).text
  it('a parameter of the whole merge; comments stay', () => {
    const text = textOf('', 'lambda=0.3')
    expect(text).toMatch(/^# kept\n/)
    expect(text).toMatch(/\nparameters:\n {2}lambda: 0\.3\n$/)
  })

  it('a parameter for all models replaces what is written under each; one of a single model does not', () => {
    const all = planSearch(recipe(), axes('weight=0.25')).config(0)
    expect(all.text).not.toMatch(/weight: 1/)
    expect([...all.parameters.keys()]).toEqual(['weight'])
    const one = planSearch(recipe(), axes('models[1].weight=0.25')).config(0)
    expect(one.text).toContain('weight: 1 }')
    expect(one.text).toContain('weight: 0.25 }')
    // wide ones first, in whatever order they are given
    const both = planSearch(recipe(), axes('models[1].weight=0.75', 'weight=0.25')).config(0)
    expect([both.text.includes('weight: 0.25'), both.text.includes('weight: 0.75')]).toEqual([true, true])
  })

  it('LiNeS by short names; β alone takes α from norms; auto is a value', () => {
    expect(planSearch(recipe(), axes('beta=0.5')).config(0).lines).toMatchObject({ alpha: 'auto', beta: 0.5 })
    const plan = planSearch(recipe('lines: {alpha: 1, beta: 0}\n'), axes('alpha=auto,0.2', 'lines.beta=2'))
    expect(plan.parameters).toEqual(['lines.alpha', 'lines.beta'])
    expect([0, 1].map((i) => plan.config(i).lines)).toMatchObject([
      { alpha: 'auto', beta: 2 },
      { alpha: 0.2 },
    ])
  })

  it('slices, modules and aliases', () => {
    const text = `merge_method: linear\nx: &p {weight: 1}\nmodules:\n  default:\n    slices:\n    - sources:\n      - {model: a, layer_range: [0, 1], parameters: *p}\n      - {model: b, layer_range: [0, 1], parameters: *p}\n`
    const at = 'modules.default.slices[0].sources[1].weight'
    const { modules } = planSearch(
      { path: 'm.yaml', text: text.replace('x:', 'lenient:') },
      axes(`${at}=9`),
      true,
    ).config(0)
    const weights = modules[0]!.slices[0]!.sources.map((source) => source.parameters.get('weight'))
    expect(weights).toMatchObject([{ value: 1 }, { value: 9 }])
  })

  it.each([
    [
      ['lamda=1'],
      /--search lamda: task_arithmetic has no such parameter: did you mean "lambda"\? \(valid: .*weight.*lines\.beta\)/,
    ],
    [['models[7].weight=1'], /the configuration has no models\[7\]/],
    [['models[0].lambda=1'], /no parameter lambda for a model/],
    [['beta=1', 'lines.beta=2'], /lines\.beta: it is there twice/],
    [['lambda=auto'], /with lambda=auto: m\.yaml:\d+: lambda: expected a number, got "auto"/],
    [['lines.alpha=1'], /with lines\.alpha=1: .*lines\.beta: expected a number/],
  ])('%s', (words, message) => {
    expect(() => planSearch(recipe(), axes(...words))).toThrow(message)
  })

  it('alpha that is both of the method and of lines must say which', () => {
    const text = `merge_method: wise_ft\nbase_model: ${at('base')}\nmodels: [{model: ${at('a')}}]\nlines: {alpha: 1, beta: 0}\n`
    expect(() => planSearch({ path: 'm.yaml', text }, axes('alpha=0.5'))).toThrow(
      /say parameters\.alpha or lines\.alpha/,
    )
    expect(planSearch({ path: 'm.yaml', text }, axes('parameters.alpha=0.5')).parameters).toEqual(['alpha'])
  })

  it('what is no configuration is refused as merge refuses it', () => {
    for (const text of ['', '[1]', 'a: [', 'merge_method: nothing\n', '\0'])
      expect(() => planSearch({ path: 'm.yaml', text }, axes('lambda=1'))).toThrow(/m\.yaml/)
  })
})

describe('a search', () => {
  /** Distance of the first layer (λ · (1 + 0.5 · 2) = 2 λ) from 1.2. */
  const score = (folder: string): number => Math.abs(valuesOf(folder)[1]! - 1.2)

  it('finds the best, merges it, and says how in table and card', async () => {
    const out = fresh()
    const outcome = await searchMerge(recipe(), axes('lambda=0.1..1:0.1'), out, score, {
      ...options,
      direction: 'minimize',
    })
    expect(outcome.best.values).toEqual({ lambda: 0.6 })
    expect(valuesOf(out)).toEqual([1, 2, 3].map((k) => Math.fround(k * Math.fround(0.6))))
    const csv = readFileSync(join(out, 'search.csv'), 'utf8').split('\n')
    expect([csv[0], csv.length]).toEqual(['lambda,score,seconds,error', 12])
    const card = readFileSync(join(out, 'README.md'), 'utf8')
    expect(card).toContain('lambda: 0.6')
    expect(card).toMatch(
      /The best of 10 candidates \(minimize\).*\n\| 0\.6 \| .*\n\| 0\.7 \| .*\n\| 0\.5 \|/s,
    )
    expect(readdirSync(out).sort()).toEqual([
      '.treeline.json',
      'README.md',
      'mergekit_config.yml',
      'model.safetensors',
      'search.csv',
      'search.jsonl',
      'treeline-merge.json',
    ])
  })

  it('of equal scores the first of the grid', async () => {
    const { best } = await searchMerge(recipe(), axes('lambda=0.3,0.1,0.2'), fresh(), () => 1, options)
    expect(best.values).toEqual({ lambda: 0.3 })
  })

  it('goes on where it was cut, at any candidate, to the same result', async () => {
    const whole = fresh()
    await searchMerge(recipe(), axes('lambda=0.1..0.8:0.1'), whole, score, {
      ...options,
      direction: 'minimize',
    })
    for (const stop of [1, 4, 8]) {
      const out = fresh()
      let calls = 0
      const cut = (folder: string): number => {
        if (++calls === stop) throw new Error('the process is gone')
        return score(folder)
      }
      await expect(
        searchMerge(recipe(), axes('lambda=0.1..0.8:0.1'), out, cut, { ...options, direction: 'minimize' }),
      ).rejects.toThrow(/gone/)
      expect(existsSync(join(out, 'model.safetensors'))).toBe(false)
      // what a kill leaves: a torn last line
      appendFileSync(join(out, 'search.jsonl'), '{"candidate":"0')
      let again = 0
      const outcome = await searchMerge(
        recipe(),
        axes('lambda=0.1..0.8:0.1'),
        out,
        (folder) => {
          again++
          return score(folder)
        },
        { ...options, direction: 'minimize' },
      )
      expect([outcome.reused, again]).toEqual([stop - 1, 8 - (stop - 1)])
      expect(readFileSync(join(out, 'model.safetensors'))).toEqual(
        readFileSync(join(whole, 'model.safetensors')),
      )
    }
  })

  it('cut while the best is written, before and after it is complete', async () => {
    const done = fresh()
    await searchMerge(recipe(), axes('lambda=0.1,0.6'), done, score, options)
    const lines = readFileSync(join(done, 'search.jsonl'), 'utf8').trimEnd().split('\n')
    // the last line says that all is done: without it the model stands there already
    writeFileSync(join(done, 'search.jsonl'), `${lines.slice(0, -1).join('\n')}\n`)
    const never = (): number => {
      throw new Error('scored again')
    }
    const outcome = await searchMerge(recipe(), axes('lambda=0.1,0.6'), done, never, options)
    expect([outcome.reused, outcome.merge]).toEqual([2, undefined])
    expect(readFileSync(join(done, 'README.md'), 'utf8').match(/## Search/g)).toHaveLength(1)
    // without the last two it is a model of someone else
    writeFileSync(join(done, 'search.jsonl'), `${lines.slice(0, -2).join('\n')}\n`)
    await expect(searchMerge(recipe(), axes('lambda=0.1,0.6'), done, never, options)).rejects.toThrow(
      /the folder is not empty \(README\.md, mergekit_config\.yml, model\.safetensors/,
    )
  })

  it('a finished search is left as it is; a larger grid uses its scores and, with force, its folder', async () => {
    const out = fresh()
    await searchMerge(recipe(), axes('lambda=0.1,0.6'), out, score, options)
    const again = await searchMerge(recipe(), axes('lambda=0.1,0.6'), out, () => Number.NaN, options)
    expect([again.reused, again.merge, again.best.values]).toEqual([2, undefined, { lambda: 0.1 }])
    await expect(searchMerge(recipe(), axes('lambda=0.1,0.6,2'), out, score, options)).rejects.toThrow(
      /the best of another grid/,
    )
    const larger = await searchMerge(recipe(), axes('lambda=0.1,0.6,2'), out, score, {
      ...options,
      force: true,
    })
    expect([larger.reused, larger.best.values]).toEqual([2, { lambda: 2 }])
    expect(valuesOf(out)[0]).toBe(2)
  })

  it('never mixes scores: another score, recipe, seed or input is refused', async () => {
    const out = fresh()
    const stopped = () => {
      throw new Error('stop')
    }
    await expect(searchMerge(recipe(), axes('lambda=0.1'), out, stopped, options)).rejects.toThrow(/stop/)
    const again = (changed: Partial<SearchOptions>, own = recipe()) =>
      searchMerge(own, axes('lambda=0.1'), out, score, { ...options, ...changed })
    await expect(again({ scoreName: 'other' })).rejects.toThrow(
      /search\.jsonl: its scores belong to another --score command/,
    )
    await expect(again({ seed: 3 })).rejects.toThrow(/another --seed/)
    await expect(again({}, recipe('dtype: bfloat16\n'))).rejects.toThrow(/another configuration/)
    writeModel('b', [0, 2, 4])
    await expect(again({})).rejects.toThrow(/other inputs/)
    expect((await again({ force: true })).reused).toBe(0)
  })

  it('one at a time: the second is told who is there, and no score is of another candidate', async () => {
    const out = fresh()
    let second: unknown
    const slow = async (folder: string): Promise<number> => {
      second ??= await searchMerge(recipe(), axes('lambda=0.5,0.7'), out, score, options).catch(String)
      return score(folder)
    }
    const { candidates } = await searchMerge(recipe(), axes('lambda=0.1,0.9'), out, slow, options)
    expect(second).toContain(`in use by process ${process.pid}`)
    expect(candidates.map((row) => row.values['lambda'])).toEqual([0.1, 0.9])
  })

  it('a candidate that was replaced while it was scored has no score', async () => {
    const out = fresh()
    const replaced = (folder: string): number => {
      writeFileSync(join(folder, 'mergekit_config.yml'), 'of another candidate')
      return 1
    }
    await expect(searchMerge(recipe(), axes('lambda=0.1'), out, replaced, options)).rejects.toThrow(
      /somebody has replaced the candidate/,
    )
    expect(readFileSync(join(out, 'search.jsonl'), 'utf8').trimEnd().split('\n')).toHaveLength(1)
  })

  it('a failed candidate is a row; tried again when the search goes on; all failed is an error', async () => {
    const out = fresh()
    const partly = (folder: string): number => (valuesOf(folder)[0]! > 0.5 ? Number.NaN : 1)
    const first = await searchMerge(recipe(), axes('lambda=0.1,0.9'), out, partly, options)
    expect(first.candidates.map(({ score: one, error }) => [one, error])).toEqual([
      [1, undefined],
      [null, 'the score is NaN; expected a finite number'],
    ])
    const none = fresh()
    await expect(
      searchMerge(recipe(), axes('lambda=0.1,0.9'), none, () => Number.NaN, options),
    ).rejects.toThrow(/none of 2 candidates could be scored; lambda=0\.1: the score is NaN/)
    expect(existsSync(join(none, 'model.safetensors'))).toBe(false)
    expect((await searchMerge(recipe(), axes('lambda=0.1,0.9'), none, () => 1, options)).reused).toBe(0)
  })

  it('keeps candidates when asked; an occupied folder is refused before any score', async () => {
    const out = fresh()
    await searchMerge(recipe(), axes('lambda=0.1,0.9'), out, score, { ...options, keepAll: true })
    expect(readdirSync(join(out, 'candidates')).sort()).toEqual(['lambda=0.1', 'lambda=0.9'])
    expect(valuesOf(join(out, 'candidates', 'lambda=0.9'))[0]).toBe(Math.fround(0.9))
    const occupied = fresh()
    await searchMerge(recipe(), axes('lambda=0.1'), occupied, score, options)
    rmSync(join(occupied, 'search.jsonl'))
    let calls = 0
    await expect(searchMerge(recipe(), axes('lambda=0.1'), occupied, () => ++calls, options)).rejects.toThrow(
      /the folder is not empty \(README\.md, mergekit_config\.yml, model\.safetensors/,
    )
    expect([calls, existsSync(join(occupied, 'search.jsonl'))]).toEqual([0, false])
  })

  it('damaged tables are one line', async () => {
    for (const text of ['', '\n', 'x\n', '{}\n', '[]\n', 'null\n']) {
      const out = fresh()
      await expect(
        searchMerge(
          recipe(),
          axes('lambda=0.1'),
          out,
          () => {
            throw new Error('stop')
          },
          options,
        ),
      ).rejects.toThrow(/stop/)
      writeFileSync(join(out, 'search.jsonl'), text)
      await expect(searchMerge(recipe(), axes('lambda=0.1'), out, score, options)).rejects.toThrow(
        /search\.jsonl.*(expected a line of|no table of)/,
      )
    }
  })
})

describe('arithmetic', () => {
  it('reaches every candidate and the result, and its scores are never mixed with others', async () => {
    // 0.3 + 2 · 0.3, times 0.7, is rounded once or four times
    const text = `${recipe().text.replace(/weight: [\d.]+/g, 'weight: 0.3')}dtype: bfloat16\n`
    const grid = axes('lambda=0.3,0.7')
    const seen = async (arithmetic: 'float32' | 'dtype', out: string): Promise<number[][]> => {
      const scored: number[][] = []
      const score = (model: string): number => scored.push(raw(model))
      await searchMerge({ path: 'm.yaml', text }, grid, out, score, { ...options, arithmetic })
      return [...scored, raw(out)]
    }
    const raw = (folder: string): number[] => [...readFileSync(join(folder, 'model.safetensors'))]
    const merged = async (lambda: number, arithmetic: 'float32' | 'dtype'): Promise<number[]> => {
      const out = fresh()
      const config = parseMergeConfig(
        text.replace('dtype:', `parameters: {lambda: ${lambda}}\ndtype:`),
        'm.yaml',
      )
      await executeMerge(config, out, { threads: 1, arithmetic })
      return raw(out)
    }
    const out = fresh()
    const found = await seen('dtype', out)
    expect(found).toEqual([
      await merged(0.3, 'dtype'),
      await merged(0.7, 'dtype'),
      await merged(0.7, 'dtype'),
    ])
    expect(await merged(0.7, 'float32')).not.toEqual(found[1])
    await expect(seen('float32', out)).rejects.toThrow('another --arithmetic')
  })
})
