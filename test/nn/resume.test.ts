/** @file A run killed at random moments ends with the weights, the checkpoint and the metrics of one that was left alone. */
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

/** Run the child; kill it `afterMs` after its first step. Resolves with what it said. */
const run = (folder: string, afterMs?: number) =>
  new Promise<string>((resolve, reject) => {
    const spawned = spawn(process.execPath, [child, folder])
    let [out, err] = ['', '']
    let timer: NodeJS.Timeout | undefined
    spawned.stdout.on('data', (chunk) => {
      out += chunk
      if (afterMs !== undefined && out.includes('step'))
        timer ??= setTimeout(() => spawned.kill('SIGKILL'), afterMs)
    })
    spawned.stderr.on('data', (chunk) => (err += chunk))
    spawned.on('close', (code) => {
      clearTimeout(timer)
      code === 0 || code === null ? resolve(out) : reject(new Error(err))
    })
  })

const file = (folder: string, name: string) => readFileSync(join(folder, name))

it('resumes bit for bit after SIGKILL', async () => {
  const [whole, cut] = [join(root, 'whole'), join(root, 'cut')]
  mkdirSync(whole)
  mkdirSync(cut)
  expect(await run(whole)).toMatch(/finished/)

  let kills = 0
  let resumes = 0
  // random moments: not reproducible on purpose, any of them must do
  for (let attempt = 0; ; attempt++) {
    const said = await run(cut, attempt < 12 ? 20 + Math.random() * 200 : undefined)
    const at = said.match(/resumed (\d+)/)
    if (at && Number(at[1]) > 0 && Number(at[1]) < 600) resumes++
    if (said.includes('finished')) break
    kills++
  }
  expect(kills).toBeGreaterThan(0)
  expect(resumes).toBeGreaterThan(0)
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
