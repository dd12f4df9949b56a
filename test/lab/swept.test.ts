/** Figures of a sweep: every result against every swept field, seeds as bars, theory beside, other fields as lines or panels. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseHTML } from 'linkedom'
import { afterAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { commitOf } from '../../src/lab/commit.ts'
import {
  type AnyExperiment,
  defineExperiment,
  type Figure,
  groupRuns,
  type RunView,
  seedField,
} from '../../src/lab/index.ts'
import { sweptFigures } from '../../src/lab/report/swept.ts'
import { collisions } from './svgText.ts'

const made = defineExperiment({
  name: 'made-up',
  title: 'Made up',
  description: 'Results as they are given.',
  resultNames: { epsStar: 'ε*' },
  config: z.strictObject({
    seed: seedField,
    m: z.int().default(2),
    net: z.strictObject({ width: z.number().default(8) }).prefault({}),
    noise: z.string().default('masking'),
    depths: z.array(z.int()).default([2]),
  }),
  presets: { quick: {}, paper: {} },
  run: () => Promise.resolve({}),
  summary: () => ({ headline: '', paragraph: '' }),
  figures: () => [],
}) satisfies AnyExperiment

type Values = { m?: number; net?: { width: number }; noise?: string; depths?: number[]; seed?: number }

const figuresOf = (
  configs: readonly Values[],
  result: (config: Required<Values>) => Record<string, number | null>,
) => {
  const runs = configs.map((values, i): RunView<{ seed: number }> => {
    const config = made.config.parse(values) as never
    return { folder: '', hash: String(i), config, result: result(config), metrics: [], read: () => null }
  })
  return sweptFigures(made, groupRuns(made, runs))
}

/** Of each line of a figure the places of its points. */
const linesIn = ({ svg }: Figure) =>
  [...parseHTML(`<p>${svg}</p>`).document.querySelectorAll('[aria-label="line"]')].map((line) => ({
    dashed: line.getAttribute('stroke-dasharray') !== null,
    hue: line.getAttribute('stroke'),
    points: (line.querySelector('path')?.getAttribute('d') ?? '').split('L').length,
  }))
const barsIn = ({ svg }: Figure): number =>
  parseHTML(`<p>${svg}</p>`).document.querySelectorAll('[aria-label="rule"] line').length

const seeds = [0, 1, 2]
const grid = [2, 3, 4].flatMap((m) =>
  [8, 16].flatMap((width) => seeds.map((seed) => ({ m, net: { width }, seed }))),
)

describe('figures of a sweep', () => {
  const figures = figuresOf(grid, ({ m, net, seed }) => ({
    epsStar: m + net.width / 100 + 0.01 * seed,
    epsStarTheory: m,
    epsStarError: 0.5,
    same: 7,
    loss: 10 ** -m * net.width,
  }))

  it('are one for each result and field; what is the same everywhere has none, and twins are drawn beside', () => {
    expect(figures.map(({ name }) => name)).toEqual([
      'sweep-eps-star-m',
      'sweep-eps-star-net-width',
      'sweep-loss-m',
      'sweep-loss-net-width',
    ])
    expect(figures[0]!.title).toBe('ε* against m')
    expect(figures[1]!.caption).toBe(
      'Against net.width, a line for each m. Bars: one standard error over 3 seeds. Dashed: theory.',
    )
    for (const { svg } of figures) expect(collisions(svg)).toEqual([])
  })

  it('have a line for each value of the other field, a bar for each spread, theory dashed in the same colour', () => {
    const lines = linesIn(figures[0]!)
    expect(lines.map(({ points }) => points)).toEqual([3, 3, 3, 3])
    expect(lines.map(({ dashed }) => dashed)).toEqual([false, true, false, true])
    expect(lines[0]!.hue).toBe(lines[1]!.hue)
    expect(lines[0]!.hue).not.toBe(lines[2]!.hue)
    expect(barsIn(figures[0]!)).toBe(6)
    // without a spread over seeds there is no bar
    expect(barsIn(figures[2]!)).toBe(0)
  })

  it('a result over more than a decade has a logarithmic axis', () => {
    expect(figures[2]!.svg).toContain('>0.01</text>')
    const [ticks] = figures[2]!.svg.match(/aria-label="y-axis tick label">.*?<\/g>/) ?? []
    expect([...ticks!.matchAll(/>([^<]+)<\/text>/g)].map(([, tick]) => tick)).toEqual(
      expect.arrayContaining(['0.001', '0.01', '0.1']),
    )
  })

  it('one seed takes the error that the run itself states', () => {
    const [one] = figuresOf(
      grid.filter(({ seed }) => seed === 0),
      ({ m }) => ({ x: m, xError: 0.2 }),
    )
    expect(one!.caption).toContain('Bars: one standard error within the run.')
    expect(barsIn(one!)).toBe(6)
  })

  it('more than six lines become panels, with the same colours and the same axis', () => {
    const configs = ['a', 'b'].flatMap((noise) =>
      [1, 2].flatMap((depth) =>
        [2, 3, 4].flatMap((m) => [8, 16, 32].map((width) => ({ noise, depths: [depth], m, net: { width } }))),
      ),
    )
    const many = figuresOf(configs, ({ m, net, noise }) => ({ x: m * net.width + (noise === 'a' ? 0 : 1) }))
    const [byM] = many
    expect(many).toHaveLength(4)
    const { document } = parseHTML(`<p>${byM!.svg}</p>`)
    expect(document.querySelectorAll('svg svg')).toHaveLength(4)
    expect(document.querySelector('svg text')!.textContent).toBe('noise = a, depths = [1]')
    const axes = [...document.querySelectorAll('svg svg')].map(
      (panel) => panel.querySelector('[aria-label="y-axis tick label"]')!.textContent,
    )
    expect(new Set(axes).size).toBe(1)
    for (const { svg } of many) expect(collisions(svg)).toEqual([])
  })

  it('a zipped field tells nothing apart, and fields that are no numbers stand one after another', () => {
    const zipped = figuresOf(
      [
        { m: 2, net: { width: 8 } },
        { m: 3, net: { width: 16 } },
      ],
      ({ m }) => ({ x: m }),
    )
    expect(zipped.map((figure) => linesIn(figure).length)).toEqual([1, 1])
    const [named] = figuresOf(
      [{ noise: 'masking' }, { noise: 'uniform' }, { noise: 'gaussian' }],
      ({ noise }) => ({ x: noise.length }),
    )
    for (const word of ['masking', 'uniform', 'gaussian']) expect(named!.svg).toContain(`>${word}</text>`)
    expect(linesIn(named!)).toEqual([])
  })

  it('null is left out, and one number alone makes no figure', () => {
    expect(figuresOf([{ m: 2 }, { m: 3 }], ({ m }) => ({ x: m === 2 ? null : 1 }))).toEqual([])
    expect(figuresOf([{ m: 2 }], () => ({ x: 1 }))).toEqual([])
  })
})

describe('the commit of a checkout', () => {
  const root = mkdtempSync(join(tmpdir(), 'treeline-commit-'))
  afterAll(() => rmSync(root, { recursive: true, force: true }))
  const git = (folder: string, ...words: string[]): string =>
    execFileSync('git', ['-C', folder, '-c', 'user.name=a', '-c', 'user.email=a@b', ...words], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()

  it('is that of git: on a branch, packed, detached, in a worktree', () => {
    const folder = join(root, 'own')
    mkdirSync(folder)
    expect(commitOf(folder)).toBeUndefined()
    git(folder, 'init', '-q')
    writeFileSync(join(folder, 'a'), 'a')
    git(folder, 'add', '.')
    git(folder, 'commit', '-qm', 'one')
    const head = git(folder, 'rev-parse', 'HEAD').slice(0, 12)
    expect(commitOf(folder)).toBe(head)
    git(folder, 'worktree', 'add', '-q', join(root, 'other'))
    expect(commitOf(join(root, 'other'))).toBe(head)
    git(folder, 'pack-refs', '--all')
    expect(commitOf(folder)).toBe(head)
    expect(commitOf(join(root, 'other'))).toBe(head)
    git(folder, 'checkout', '-q', '--detach')
    expect(commitOf(folder)).toBe(head)
    writeFileSync(join(folder, '.git', 'HEAD'), 'ref: refs/heads/gone\n')
    expect(commitOf(folder)).toBeUndefined()
  })
})
