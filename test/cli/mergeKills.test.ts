/** @file `treeline merge` killed with SIGKILL at fifty moments: nothing half-written has a final name, and the end is the same. */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { writeSafetensors } from '../../src/checkpoint/index.ts'
import { random } from '../../src/tensor/index.ts'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'treeline-kills-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const [layers, size] = [8, 1 << 14]
beforeAll(() => {
  if (!existsSync(main)) throw new Error(`${main} is missing: run \`npm run build\` first`)
  for (const [i, model] of ['base', 'a', 'b'].entries()) {
    const names = Array.from({ length: layers }, (_, n) =>
      ['up', 'gate', 'down'].map((kind) => `model.layers.${n}.mlp.${kind}_proj.weight`),
    ).flat()
    mkdirSync(join(root, model))
    const words = random.sampleIntegers(random.key(i), names.length + size, 1 << 20)
    // every tensor is another window of the same numbers
    const data = Float32Array.from(words, (word) => word / (1 << 20) - 0.5)
    writeSafetensors(
      join(root, model, 'model.safetensors'),
      new Map(
        names.map((name, n) => [name, { dtype: 'F32', shape: [128, 128], data: data.slice(n, n + size) }]),
      ),
    )
    writeFileSync(join(root, model, 'config.json'), JSON.stringify({ num_hidden_layers: layers }))
    writeFileSync(join(root, model, 'tokenizer.json'), JSON.stringify({ model: { vocab: { a: 0 } } }))
  }
  const source = (model: string, density: number) =>
    `- {model: ${model}, parameters: {weight: 1, density: ${density}}}\n`
  writeFileSync(
    join(root, 'merge.yaml'),
    `merge_method: dare_ties\nbase_model: base\nmodels:\n${source('a', 0.5)}${source('b', 0.7)}lines: {alpha: auto, beta: 0.5}\ndtype: bfloat16\n`,
  )
})

/** Begin the merge into `out`, in a process group of its own; `ended` gives the exit code or signal. */
function start(out: string, threads = 1) {
  const words = [main, 'merge', 'merge.yaml', out, '--quiet', '--threads', String(threads)]
  words.push('--shard-size', String(8 * size))
  const child = spawn(process.execPath, words, {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let err = ''
  child.stderr.on('data', (chunk) => (err += chunk))
  const ended = new Promise<{ code: number | null; signal: string | null; err: string }>((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal, err })),
  )
  return { kill: () => process.kill(-child.pid!, 'SIGKILL'), ended }
}

const filesOf = (folder: string): Map<string, Buffer> =>
  new Map(
    readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
      .map(({ name }) => [name, readFileSync(join(folder, name))]),
  )

/** How far a merge has come, from what lies in its folder. */
function phaseOf(out: string): 'before' | 'measuring' | 'merging' | 'publishing' | 'over' {
  const unfinished = join(out, '.treeline-merge')
  if (!existsSync(unfinished)) return existsSync(join(out, 'config.json')) ? 'over' : 'before'
  if (readdirSync(out).some((name) => name.endsWith('.safetensors'))) return 'publishing'
  if (existsSync(join(unfinished, 'alpha.json'))) return 'merging'
  return existsSync(join(unfinished, 'mark.txt')) ? 'measuring' : 'before'
}
const linesIn = (path: string): number =>
  existsSync(path) ? readFileSync(path, 'utf8').split('\n').length - 1 : 0

it('fifty kills: only whole files have final names, and what was resumed is byte-identical', async () => {
  for (const name of ['calm', 'killed']) mkdirSync(join(root, name))
  const whole = join(root, 'calm', 'out')
  expect(await start('calm/out').ended).toEqual({ code: 0, signal: null, err: '' })
  const expected = filesOf(whole)
  expect([...expected.keys()].filter((name) => name.endsWith('.safetensors')).length).toBeGreaterThan(5)

  const out = join(root, 'killed', 'out')
  const draws = random.sampleIntegers(random.key(50), 100, 1 << 16)
  const hits = { before: 0, measuring: 0, merging: 0, publishing: 0, over: 0 }
  const whileRunning = async (until: () => boolean, isOver: () => boolean) => {
    while (!until() && !isOver()) await pause(1)
  }
  const check = (): void => {
    if (!existsSync(out)) return
    for (const [name, bytes] of filesOf(out))
      expect(expected.has(name) && bytes.equals(expected.get(name)!), name).toBe(true)
  }
  /** The merge is complete: the same files as undisturbed, and no others. */
  const complete = (): void => {
    check()
    expect([...filesOf(out).keys()].sort()).toEqual([...expected.keys()].sort())
    expect(readdirSync(out).filter((name) => name.startsWith('.treeline-'))).toEqual([])
    rmSync(out, { recursive: true })
  }
  let kills = 0
  for (let i = 0; kills < 50; i++) {
    if (i === 150) expect.fail(`only ${kills} of 150 attempts hit a running merge`)
    const [first, second] = [draws[(2 * i) % 100]!, draws[(2 * i + 1) % 100]!]
    const before = linesIn(join(out, '.treeline-merge', 'done.txt'))
    const { kill, ended } = start('killed/out', i % 10 === 0 ? 2 : 1)
    let isOver = false
    void ended.then(() => (isOver = true))
    const published = (): number =>
      existsSync(out) ? readdirSync(out).filter((name) => name.endsWith('.safetensors')).length : 0
    const [begun, files] = [phaseOf(out), published()]
    const moments: (() => boolean)[] = [
      () => phaseOf(out) === 'measuring',
      // so many more tensors than before
      () =>
        linesIn(join(out, '.treeline-merge', 'done.txt')) > Math.min(before + (first % 8), layers * 3 - 1),
      () => published() > Math.min(files + (first % 3), expected.size),
    ]
    const kind = begun === 'publishing' ? 2 : begun === 'merging' ? 1 + (i % 2) : i % 3
    await whileRunning(moments[kind]!, () => isOver)
    if (!isOver && kind === 0) await pause(second % 50)
    if (!isOver) kill()
    const { signal, code, err } = await ended
    check()
    if (signal === 'SIGKILL') {
      kills++
      hits[phaseOf(out)]++
    } else expect([code, err]).toEqual([0, ''])
    if (phaseOf(out) === 'over') complete()
  }
  console.log('kills by phase', hits)
  // how many fall into which phase is the machine's; these are certain
  expect(hits.measuring + hits.merging + hits.publishing).toBeGreaterThanOrEqual(30)
  for (const phase of ['merging', 'publishing'] as const) expect(hits[phase], phase).toBeGreaterThan(0)
  expect(await start('killed/out').ended).toEqual({ code: 0, signal: null, err: '' })
  complete()
}, 300_000)
