/** @file The check of the house finds circles, spare exports, long files and functions, and exceptions that are no longer needed. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { findings } from '../scripts/check-house.mjs'

const root = mkdtempSync(join(tmpdir(), 'treeline-house-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let count = 0

const none = { longFiles: {}, longFunctions: {}, spareExports: {} }

/** Findings in a tree of files given as text. */
function check(files: Record<string, string>, exceptions: Partial<typeof none> = {}): string[] {
  const source = join(root, String(count++))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(source, name)), { recursive: true })
    writeFileSync(join(source, name), text)
  }
  return findings(source, [], { ...none, ...exceptions })
}

const long = (lines: number) => 'let x = 0\n'.repeat(lines)

it('is content with files that use each other one way', () => {
  expect(
    check({
      'index.ts': "export * from './a/index.ts'\n",
      'a/index.ts': "export { one } from './one.ts'\n",
      'a/one.ts': "import { two } from './two.ts'\nexport const one = two\n",
      'a/two.ts': 'export const two = 2\n',
      'a/task.ts': "export function work() {}\nexport const task = { module: '', name: 'work' }\n",
      'a/user.ts': "import { task } from './task.ts'\nconsole.log(task, await import('./lazy.ts'))\n",
      'a/lazy.ts': 'export const lazy = 1\n',
    }),
  ).toEqual([])
})

it('finds circles, also of types and of more than two', () => {
  expect(
    check({
      'a.ts': "import type { B } from './b.ts'\nexport type A = B\n",
      'b.ts': "import { c } from './c.ts'\nexport type B = typeof c\n",
      'c.ts': "export const c = 1 as unknown as import('./a.ts').A\n",
    }),
  ).toEqual(['circle: a.ts, b.ts, c.ts'])
})

it('finds exports that nobody uses, with their lines', () => {
  expect(
    check({
      'a.ts': '\nexport const used = 1\nexport type Spare = 2\n',
      'b.ts': "import { used } from './a.ts'\n",
    }),
  ).toEqual(['a.ts:3: exports Spare, which nobody uses'])
})

it('finds long files and functions, unless there is a reason, and reasons that are no longer needed', () => {
  const files = {
    'long.ts': long(351),
    'short.ts': long(350),
    'f.ts': `function f() {\n${long(80)}}\nconst g = () => {\n${long(78)}}\n`,
  }
  expect(check(files)).toEqual(['f.ts: f has 82 lines, more than 80', 'long.ts: 351 lines, more than 350'])
  const reasons = { longFiles: { 'long.ts': 'a table' }, longFunctions: { 'f.ts f': 'a list' } }
  expect(check(files, reasons)).toEqual([])
  expect(check({ 'short.ts': long(3) }, { longFiles: { 'short.ts': 'was long' } })).toEqual([
    'house-exceptions.mjs: longFiles: short.ts is short or gone',
  ])
})
