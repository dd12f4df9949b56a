/** @file Unit tests need nothing that is built, and start no program of the package. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { built, cluster } from '../vitest.config.ts'

const root = resolve(import.meta.dirname, '..')
const all = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' }).map(
  (name) => `test/${name}`,
)

it('the list of tests of the built package names files that there are, and each that reads it', () => {
  const tests = all.filter(
    (name) =>
      name.endsWith('.test.ts') && name !== 'test/projects.test.ts' && !name.startsWith('test/cluster/'),
  )
  expect(tests.length).toBeGreaterThan(150)
  expect(cluster).toEqual(['test/cluster/*.test.ts'])
  for (const name of built) expect(tests).toContain(name)
  const readers = tests.filter((name) =>
    /\bdist\/|Toy\.mjs|toy\.mjs|sweepHelp/.test(readFileSync(join(root, name), 'utf8')),
  )
  expect(built).toEqual(expect.arrayContaining(readers))
})
