/** @file The layer rule holds for the sources, and its check finds what breaks it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, it } from 'vitest'
import { violations } from '../scripts/check-layers.mjs'

const root = mkdtempSync(join(tmpdir(), 'treeline-layers-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let count = 0

/** Violations of a tree of files given as text. */
function check(files: Record<string, string>): string[] {
  const source = join(root, String(count++))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(source, name)), { recursive: true })
    writeFileSync(join(source, name), text)
  }
  return violations(source)
}

it('holds for the sources', () => {
  expect(violations(fileURLToPath(new URL('../src', import.meta.url)))).toEqual([])
})

it('allows imports downwards through an index, inside a floor, and of packages', () => {
  expect(
    check({
      'index.ts': "export * from './nn/layers/dense.ts'\n",
      'base/index.ts': 'export const a = 1\n',
      'base/files.ts': "import { a } from './index.ts'\n",
      'tensor/index.ts':
        "import { a } from '../base/index.ts'\nimport type { b } from '../base/files.ts'\n// process.env\n",
      'checkpoint/index.ts': "import { b } from '../base/files.ts'\nimport x from 'node:fs'\n",
      'tensor/ops/add.ts': "import { c } from '../index.ts'\nimport type { D } from '../../base/index.ts'\n",
      'lab/index.ts': "export { c } from '../tensor/index.ts'\nconst later = import('../nn/index.ts')\n",
      'nn/index.ts': "import 'zod'\n",
      'nn/notes.md': "from '../lab/index.ts'\n",
    }),
  ).toEqual([])
})

it.each([
  [
    'upwards',
    { 'tensor/a.ts': "import { b } from '../nn/index.ts'\n" },
    /^tensor\/a\.ts: tensor may not import nn/,
  ],
  [
    'upwards, types only',
    { 'base/a.ts': "import type { b } from '../tensor/index.ts'\n" },
    /^base\/a\.ts: base may not import tensor/,
  ],
  [
    'upwards, later',
    { 'nn/a.ts': "const b = await import('../lab/index.ts')\n" },
    /^nn\/a\.ts: nn may not import lab/,
  ],
  [
    'upwards, again exported',
    { 'nn/a.ts': "export * from '../cli/index.ts'\n" },
    /^nn\/a\.ts: nn may not import cli/,
  ],
  [
    'upwards, for its effects',
    { 'nn/a.ts': "import '../cli/main.ts'\n" },
    /^nn\/a\.ts: nn may not import cli/,
  ],
  [
    'upwards, in double quotes',
    { 'nn/a.ts': 'import { b } from "../cli/index.ts"\n' },
    /^nn\/a\.ts: nn may not import cli/,
  ],
  [
    'upwards, over several lines',
    { 'nn/a.ts': "import {\n  b,\n  c,\n} from '../cli/index.ts'\n" },
    /^nn\/a\.ts: nn may not import cli/,
  ],
  [
    'past an index',
    { 'nn/deep/a.ts': "import { b } from '../../tensor/ops/conv.ts'\n" },
    /^nn\/deep\/a\.ts: imports tensor\/ops\/conv\.ts, an internal of tensor; use tensor\/index\.ts/,
  ],
  [
    'outside',
    { 'nn/a.ts': "import { b } from '../../elsewhere/b.ts'\n" },
    /^nn\/a\.ts: imports \.\.\/\.\.\/elsewhere\/b\.ts, which lies outside src/,
  ],
  [
    'an unknown floor',
    { 'attic/a.ts': 'export const a = 1\n' },
    /^attic\/a\.ts: unknown floor "attic" \(known: base, tensor/,
  ],
  [
    'of Node where a browser runs',
    { 'grammar/a.ts': "import { readFileSync } from 'node:fs'\n" },
    /^grammar\/a\.ts: uses node:fs, which no browser has/,
  ],
  [
    'of a door of Node where a browser runs',
    { 'nn/a.ts': "import { b } from '../base/files.ts'\n" },
    /^nn\/a\.ts: uses base\/files\.ts, which no browser has/,
  ],
  [
    'without a name, of Node’s globals where a browser runs',
    { 'tensor/a.ts': 'export const a = Buffer.from([1])\n' },
    /^tensor\/a\.ts: uses Buffer, which no browser has/,
  ],
] as const)('finds an import %s', (_, files, message) => {
  const found = check(files as Record<string, string>)
  expect(found).toHaveLength(1)
  expect(found[0]).toMatch(message)
})
