/**
 * The code in README and docs runs: every JavaScript block is extracted and executed against the built package. Counts and names
 * that the pages state are those of the registries. Their prose is nobody's business here.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { experiments } from '../src/experiments/index.ts'
import { mergeMethods } from '../src/merge/index.ts'
import { opNames } from '../src/tensor/index.ts'
import { treeline } from './cli/caught.ts'

const root = resolve(import.meta.dirname, '..')
const pages = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`),
  ...readdirSync(join(root, 'docs/experiments')).map((name) => `docs/experiments/${name}`),
].filter((name) => name.endsWith('.md'))
const scratch = mkdtempSync(join(tmpdir(), 'treeline-docs-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const packageFile = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Record<string, { default: string }>
  scripts: Record<string, string>
}
/** `treeline/nn` ↦ the file that the package exports under that name. */
const resolveImport = (name: string): string => {
  const entry = packageFile.exports[name.replace('treeline', '.')]
  if (!entry) throw new Error(`a page imports ${name}, which the package does not export`)
  return pathToFileURL(join(root, entry.default)).href
}
const blocks = (page: string, language: string): string[] =>
  [
    ...readFileSync(join(root, page), 'utf8').matchAll(
      new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'),
    ),
  ].map((m) => m[1]!)

describe.each(pages)('%s', (page) => {
  test('its JavaScript runs', () => {
    for (const [i, code] of blocks(page, 'js').entries()) {
      const file = join(scratch, `${page.replaceAll('/', '-')}-${i}.mjs`)
      const linked = code
        .replace(/'(treeline(?:\/\w+)?)'/g, (_, name: string) => `'${resolveImport(name)}'`)
        .replace("'zod'", `'${pathToFileURL(join(root, 'node_modules/zod/index.js')).href}'`)
      writeFileSync(file, linked)
      const output = execFileSync('node', [file], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
      // a block that prints a comparison prints that it holds
      expect(output, `${page}, block ${i}`).not.toMatch(/\bfalse\b|NaN/)
    }
  })

  test('its links lead to files', () => {
    for (const [, target] of readFileSync(join(root, page), 'utf8').matchAll(/\]\((?!https?:)([^)#]+)/g))
      expect(existsSync(join(root, dirname(page), target!)), `${page} → ${target}`).toBe(true)
  })
})

const textOf = (page: string): string => readFileSync(join(root, page), 'utf8')
/** What a pattern with one group finds on the pages of today: the page and the word. */
const said = (pattern: RegExp): [page: string, word: string][] =>
  pages
    .filter((page) => page !== 'CHANGELOG.md')
    .flatMap((page) => [...textOf(page).matchAll(pattern)].map((m): [string, string] => [page, m[1]!]))

const words =
  'no one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen'.split(' ')
words[20] = 'twenty'
const numberOf = (word: string): number =>
  /^\d+$/.test(word) ? Number(word) : words.indexOf(word.toLowerCase())

/** Methods of merging that are ours: mergekit has the others (test/merge/mergekit.test.ts). */
const own = ['uniform_soup', 'rewarded_soup', 'wise_ft', 'consensus', 'tall_mask', 'ties_global', 'isotropic']

test.each<[what: string, pattern: RegExp, count: number]>([
  ['primitives', /(\d+) primitives\b/g, opNames().length],
  ['experiments', /\*\*Experiments\*\* \| (\w+),/g, experiments.length],
  ["methods of mergekit's", /(\w+) weight methods/g, Object.keys(mergeMethods).length - own.length],
  ['methods of merging beyond them', /weight methods [^,]*, (\w+) more/g, own.length],
])('the number of %s is said as it is, wherever it is said', (_, pattern, count) => {
  const found = said(pattern)
  expect(found).not.toEqual([])
  for (const [page, word] of found) expect([page, numberOf(word)]).toEqual([page, count])
})

test('the table of README and the pages in docs/experiments are those of the experiments there are', () => {
  const names = experiments.map(({ name }) => name).sort()
  const [, after = ''] = textOf('README.md').split(/^## The experiments$/m)
  const [table = ''] = after.split(/^## /m)
  expect([...table.matchAll(/^\| \[?`([a-z-]+)`/gm)].map(([, name]) => name!).sort()).toEqual(names)
  expect(pages.flatMap((page) => page.match(/^docs\/experiments\/(.*)\.md$/)?.[1] ?? []).sort()).toEqual(
    names,
  )
})

test.each(experiments.map(({ name, presets }) => [name, Object.keys(presets)] as const))(
  'the page of %s names presets that there are',
  (name, presets) => {
    const page = textOf(`docs/experiments/${name}.md`)
    const [, table = ''] = page.split(/^\| preset .*\n\|[-|]+\n/m)
    const rows = [...(table.split(/^(?!\|)/m)[0] ?? '').matchAll(/^\| `(\w+)` \|/gm)]
    const named = [...rows, ...page.matchAll(/--preset (\w+)/g)].map(([, preset]) => preset!)
    expect(named).not.toEqual([])
    expect([...presets, 'default']).toEqual(expect.arrayContaining(named))
  },
)

test('commands and scripts that the pages name are those of the program and the package', async () => {
  const { out } = await treeline('--help')
  const commands = [...out.matchAll(/^ {2}([a-z]+) .*? {2,}/gm)].map(([, name]) => name)
  expect(commands).toContain('doctor')
  const called = new Set(said(/(?:^|`|npx )treeline ([a-z]+)(?=[ `\n])/gm).map(([, name]) => name))
  expect(called.size).toBeGreaterThan(10)
  expect(commands).toEqual(expect.arrayContaining([...called]))
  const scripts = new Set(said(/npm (?:run )?(start|test|(?<=run )[\w:-]+)/g).map(([, name]) => name))
  expect(scripts.size).toBeGreaterThan(1)
  expect(Object.keys(packageFile.scripts)).toEqual(expect.arrayContaining([...scripts]))
})
