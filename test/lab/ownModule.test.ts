/** Modules of the user's own, outside the clone: they run as documented, and what goes wrong in them is theirs, with file and line. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { ownPlace } from '../../src/base/ownModules.ts'

const folder = mkdtempSync(join(tmpdir(), 'treeline-own-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const page = readFileSync(new URL('../../docs/experiments.md', import.meta.url), 'utf8')
const documented = page.match(/```js\n(\/\/ count\.mjs.*?)```/s)![1]!

type Outcome = { code: number; out: string; err: string }
const treeline = (...words: string[]): Promise<Outcome> =>
  new Promise((resolve) => {
    execFile(process.execPath, [main, ...words], { cwd: folder }, (error, out, err) =>
      resolve({ code: error ? Number(error.code) : 0, out, err }),
    )
  })
/** The documented module with one part replaced. */
const changed = (part: string | RegExp, by: string): string => {
  const text = documented.replace(part, by)
  expect(text).not.toBe(documented)
  return text
}
const figures = /figures: \(\[run\]\) => \[.*\n {2}\],/s
const step = 'metric({ step, square: step ** 2 })'
const line = documented.split('\n').findIndex((text) => text.includes(step)) + 1

const mistakes: [name: string, text: string, message: string | RegExp][] = [
  [
    'syntax.mjs',
    'const a = 1\nconst b error\n',
    'syntax.mjs:2: SyntaxError: Missing initializer in const declaration',
  ],
  [
    'imports.mjs',
    "import './syntax.mjs'\n",
    'syntax.mjs:2: SyntaxError: Missing initializer in const declaration',
  ],
  ['brace.cjs', 'module.exports = {', 'brace.cjs:1: SyntaxError: Unexpected end of input'],
  [
    'top.mjs',
    'const a = {}\nexport default a.b.c\n',
    /^top\.mjs:2: TypeError: Cannot read properties of undefined/,
  ],
  ['name.mjs', "import { nope } from 'node:fs'\n", /^name\.mjs:1: SyntaxError: .*'nope'/],
  ['missing.mjs', "import 'left-pad'\n", /^missing\.mjs: Cannot find package 'left-pad'/],
  ['throws.mjs', changed(step, 'undefined.x'), new RegExp(`^throws\\.mjs:${line}: TypeError: Cannot read`)],
  ['text.mjs', changed(step, "throw 'oops'"), 'text.mjs: threw oops'],
  [
    'engine.mjs',
    `import { matmul, ones } from 'treeline/tensor'\n${changed(step, 'matmul(ones([2, 3]), ones([2, 3]))')}`,
    new RegExp(`^matmul: .*engine\\.mjs:${line + 1}\\)$`),
  ],
  [
    'nothing.mjs',
    changed(/return \{ last.*/, ''),
    /^nothing\.mjs: run: expected to return an object .*, got undefined$/,
  ],
  [
    'summary.mjs',
    changed(/result\.last}`,/, 'result.no.last}`,'),
    /^summary\.mjs:\d+: TypeError: Cannot read/,
  ],
  [
    'words.mjs',
    changed(/summary: .*/, 'summary: () => ({}),'),
    /^words\.mjs: summary: expected to return \{ headline, paragraph \}/,
  ],
  [
    'figures.mjs',
    changed(figures, 'figures: {},'),
    /^figures\.mjs:\d+: experiment "count": figures: expected a function, got an object$/,
  ],
  [
    'number.mjs',
    changed(figures, 'figures: () => 5,'),
    'number.mjs: figures: expected to return a list of figures, got a number',
  ],
  [
    'presets.mjs',
    changed(/ {2}presets: .*\n/, ''),
    /^presets\.mjs:\d+: experiment "count": presets\.quick: expected an object of fields, got undefined$/,
  ],
  [
    'schema.mjs',
    changed(/config: z.*/, 'config: {},'),
    /^schema\.mjs:\d+: experiment "count": config: expected a schema of zod/,
  ],
]

describe('a module outside the clone, beside no installed package', () => {
  test('runs as the page says', async () => {
    writeFileSync(join(folder, 'count.mjs'), documented)
    const { code, out, err } = await treeline('run', './count.mjs', '--set', 'to=10', '--quiet', '--report')
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(/^last square 100\n.*report\.html\n$/)
    writeFileSync(join(folder, 'sweep.yaml'), 'experiment: ./count.mjs\ngrid: { to: [2, 3] }\n')
    expect((await treeline('sweep', 'sweep.yaml', '--quiet')).code).toBe(0)
    expect(readdirSync(join(folder, 'runs', 'count'))).toHaveLength(3)
  })

  test('runs in TypeScript where Node does, and says so where it does not', async () => {
    writeFileSync(join(folder, 'count.ts'), changed('let step = 1', 'let step: number = 1'))
    const { code, out, err } = await treeline('run', 'count.ts', '--quiet', '--out', 'typed')
    if ((process.features as { typescript?: unknown }).typescript) {
      expect([code, out, err]).toEqual([0, 'last square 25\n', ''])
      writeFileSync(join(folder, 'enum.ts'), 'const a = 1\nenum E { A }\n')
      expect((await treeline('run', 'enum.ts')).err).toMatch(/^treeline: enum\.ts:2: SyntaxError: .*enum/)
    } else
      expect([code, err]).toEqual([
        1,
        `treeline: count.ts: Node ${process.versions.node} does not run TypeScript: use Node 22.18 or later, or compile it (npx tsc) and run the .js file\n`,
      ])
  })

  test('is named with its line when something in it is wrong', async () => {
    for (const [name, text] of mistakes) writeFileSync(join(folder, name), text)
    const failing = async ([name, , message]: (typeof mistakes)[number]): Promise<void> => {
      const { code, err } = await treeline('run', name, '--quiet', '--report', '--out', `runs-${name}`)
      expect([name, code]).toEqual([
        name,
        name === 'figures.mjs' || name === 'presets.mjs' || name === 'schema.mjs' ? 2 : 1,
      ])
      const said = err.replace(/^treeline: /, '').trimEnd()
      if (typeof message === 'string') expect(said).toBe(message)
      else expect(said).toMatch(message)
    }
    for (let i = 0; i < mistakes.length; i += 4) await Promise.all(mistakes.slice(i, i + 4).map(failing))
  }, 120_000)
})

test('the place of an error is the first frame that is not ours', () => {
  const stack = `Error: no
    at matmul (file://${fileURLToPath(new URL('../../dist/tensor/ops/matmul.js', import.meta.url))}:3:4)
    at node:internal/modules/esm/loader:1:2
    at async Object.run (file:///home/me/a%20b/mine.mjs:12:34)
    at main (file:///home/me/other.mjs:1:1)`
  expect(ownPlace(stack)).toBe('/home/me/a b/mine.mjs:12')
  expect(ownPlace('/home/me/x.cjs:3\nfoo(\n   ^\n\nSyntaxError: no')).toBe('/home/me/x.cjs:3')
  expect(ownPlace('Error: no\n    at x (node:internal/x:1:2)')).toBeUndefined()
})
