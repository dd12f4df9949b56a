/** @file Threads of the built package that wait for work. */
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'

const built = new URL('../../dist/base/workers.js', import.meta.url)
const folder = mkdtempSync(join(tmpdir(), 'treeline-idle-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const task = { module: built.href, name: 'none' }

test('threads without work do not keep a program from ending', async () => {
  if (!existsSync(built)) throw new Error(`${built.pathname} is missing: run \`npm run build\` first`)
  const program = join(folder, 'idle.mjs')
  writeFileSync(
    program,
    `const { openWorkers } = await import(${JSON.stringify(built.href)})
    openWorkers(2, { readyFor: ${JSON.stringify(task)} })
    console.log('over')`,
  )
  const { stdout } = await promisify(execFile)(process.execPath, [program])
  expect(stdout).toBe('over\n')
})
