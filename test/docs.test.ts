/** The code in README and docs runs: every JavaScript block is extracted and executed against the built package. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { experiments } from '../src/experiments/index.ts'
import { opNames } from '../src/tensor/index.ts'

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

test('README: the two commands are scripts of the package, the number of primitives is true', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const commands = blocks('README.md', 'sh').slice(0, 2)
  expect(commands).toEqual(['npm ci && npm start\n', 'npm ci && npm test\n'])
  expect(Object.keys(packageFile.scripts)).toEqual(expect.arrayContaining(['start', 'test']))
  expect(readme).toContain(`${opNames().length} primitives`)
  expect(readme.split('\n').length).toBeLessThanOrEqual(120)
})

test('README and docs name every experiment there is, and no other', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const table = readme.slice(readme.indexOf('## The experiments'), readme.indexOf('## The library'))
  const named = [...table.matchAll(/^\| \[?`([a-z-]+)`/gm)].map(([, name]) => name!)
  expect(named.sort()).toEqual(experiments.map(({ name }) => name).sort())
  const limits = readFileSync(join(root, 'docs/limits.md'), 'utf8')
  expect(limits).toContain(
    `**Experiments** | ${['No', 'One', 'Two', 'Three', 'Four', 'Five', 'Six', 'Seven', 'Eight', 'Nine', 'Ten'][experiments.length]},`,
  )
})
