/** @file A run that is killed ends with the weights, the checkpoint and the metrics of one that was left alone. */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { readSafetensors } from '../../src/checkpoint/index.ts'

const child = fileURLToPath(new URL('./resume.child.mjs', import.meta.url))
const library = fileURLToPath(new URL('../../dist/nn/index.js', import.meta.url))
let root: string
beforeAll(() => {
  if (!existsSync(library)) throw new Error(`${library} is missing: run \`npm run build\` first`)
  root = mkdtempSync(join(tmpdir(), 'treeline-resume-'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** Run the child; with `at` it kills itself at that step. Resolves with what it said and the signal that ended it. */
const run = (folder: string, at?: number) =>
  new Promise<{ out: string; signal: NodeJS.Signals | null }>((resolve, reject) => {
    const spawned = spawn(process.execPath, [child, folder, ...(at === undefined ? [] : [String(at)])])
    let [out, err] = ['', '']
    spawned.stdout.on('data', (chunk) => (out += chunk))
    spawned.stderr.on('data', (chunk) => (err += chunk))
    spawned.on('close', (code, signal) =>
      code === 0 || code === null ? resolve({ out, signal }) : reject(new Error(err)),
    )
  })

const file = (folder: string, name: string) => readFileSync(join(folder, name))

// every change of a file at which a training run can end is in test/kills/train.test.ts
it('resumes bit for bit after SIGKILL', async () => {
  const [whole, cut] = [join(root, 'whole'), join(root, 'cut')]
  mkdirSync(whole)
  mkdirSync(cut)
  expect(await run(whole)).toMatchObject({ out: expect.stringContaining('finished'), signal: null })

  const resumes: (string | undefined)[] = []
  for (const at of [20, 100, 400, undefined]) {
    const { out, signal } = await run(cut, at)
    expect([signal, out.includes('finished')]).toEqual(at === undefined ? [null, true] : ['SIGKILL', false])
    resumes.push(out.match(/resumed (\d+)/)?.[1])
  }
  // from the last checkpoint before each kill
  expect(resumes).toEqual([undefined, '14', '98', '399'])
  for (const name of ['final.safetensors', 'state.safetensors', 'metrics.jsonl'])
    expect(file(cut, name).equals(file(whole, name)), name).toBe(true)
  expect(file(whole, 'metrics.jsonl').toString().trim().split('\n')).toHaveLength(36)
  // a killed process may leave its temporary file, never a damaged checkpoint
  const { tensors } = readSafetensors(join(cut, 'state.safetensors'))
  expect([...tensors.keys()]).toContain('optimizer.sum.layers.0.weight')
  expect(
    readdirSync(cut)
      .filter((name) => !name.endsWith('.tmp'))
      .sort(),
  ).toEqual(['final.safetensors', 'metrics.jsonl', 'state.safetensors'])
})
