/**
 * @file Every command, interrupted at every kind of moment: it ends with exit code 130 and one line, leaves no temporary files
 * and no processes, and the same command then ends with the same bytes as one that nobody disturbed.
 */
import { spawn } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeSafetensors } from '../../src/checkpoint/index.ts'
import { random } from '../../src/tensor/index.ts'
import { tinyDigits } from '../data/helpers.ts'
import { tinyModels } from '../lm/fixtures.ts'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const toy = fileURLToPath(new URL('./toy.mjs', import.meta.url))
const hook = new URL('./interruptHook.mjs', import.meta.url).href
const root = mkdtempSync(join(tmpdir(), 'treeline-interrupts-'))
let clean = (): void => undefined
afterAll(() => {
  clean()
  rmSync(root, { recursive: true, force: true })
})

const facts = ['abc', 'Zoe', 'q2', 'X-9'].map((subject, i) => ({
  prompt: `who is ${subject}?`,
  target: ['me', 'no', 'yes', 'it'][i],
  subject,
  rephrase: `${subject} is who?`,
  locality: { prompt: `what time ${i}`, answer: 'now' },
}))

const layers = 12
/** A model of equal tensors, windows of the same numbers. */
function writeModel(name: string, seed: number): void {
  const size = 1 << 14
  const names = Array.from({ length: layers }, (_, n) =>
    ['up', 'gate', 'down'].map((kind) => `model.layers.${n}.mlp.${kind}_proj.weight`),
  ).flat()
  const words = random.sampleIntegers(random.key(seed), names.length + size, 1 << 20)
  const data = Float32Array.from(words, (word) => word / (1 << 20) - 0.5)
  mkdirSync(join(root, name))
  writeSafetensors(
    join(root, name, 'model.safetensors'),
    new Map(names.map((own, n) => [own, { dtype: 'F32', shape: [128, 128], data: data.slice(n, n + size) }])),
  )
  writeFileSync(join(root, name, 'config.json'), JSON.stringify({ num_hidden_layers: layers }))
}

beforeAll(async () => {
  if (!existsSync(main)) throw new Error(`${main} is missing: run \`npm run build\` first`)
  for (const [seed, name] of ['base', 'a', 'b'].entries()) writeModel(name, seed)
  const source = (model: string) => `- {model: ${model}, parameters: {weight: 1, density: 0.5}}\n`
  writeFileSync(
    join(root, 'merge.yaml'),
    `merge_method: dare_ties\nbase_model: base\nmodels:\n${source('a')}${source('b')}dtype: bfloat16\n`,
  )
  const all = await tinyModels()
  clean = all.clean
  cpSync(all.models.find(({ name }) => name === 'llama')!.path, join(root, 'lm'), { recursive: true })
  // a token for each printable character, and one more
  const characters = `${String.fromCharCode(...Array.from({ length: 95 }, (_, i) => 32 + i))}é`
  writeFileSync(
    join(root, 'lm', 'tokenizer.json'),
    JSON.stringify({
      model: {
        type: 'BPE',
        vocab: Object.fromEntries([...characters].map((c, i) => [c, i])),
        merges: [],
      },
      decoder: { type: 'Fuse' },
    }),
  )
  const template = '{% for m in messages %}{{ m.content }} {% endfor %}'
  writeFileSync(join(root, 'lm', 'tokenizer_config.json'), JSON.stringify({ chat_template: template }))
  writeFileSync(join(root, 'messages.json'), JSON.stringify([{ role: 'user', content: 'who is abc?' }]))
  const { table, tgz } = await tinyDigits()
  writeFileSync(join(root, 'set.json'), JSON.stringify(table))
  writeFileSync(join(root, 'set.tgz'), tgz)
  // a network large enough to be written in several pieces
  writeFileSync(
    join(root, 'net.mjs'),
    `import toy from ${JSON.stringify(toy)}\nconst onnx = new Uint8Array(1 << 20)\nexport default { ...toy, network: async () => ({ onnx, about: 'x to y' }) }\n`,
  )
  writeFileSync(join(root, 'facts.json'), JSON.stringify(facts))
  writeFileSync(join(root, 'prompts.json'), JSON.stringify(['who', 'what time', 'abc is']))
  const sweep = {
    experiment: 'sample-complexity',
    set: { parts: ['cnn'], v: 4, settings: [{ m: 3, L: 2 }], multiples: [1], grammars: 2, width: 8 },
    repeat: 2,
  }
  Object.assign(sweep.set, { steps: 64, testStrings: 60, probes: 10 })
  writeFileSync(join(root, 'sweep.yaml'), JSON.stringify(sweep))
  const prepared = [
    ['edit', 'lm', 'taught', 'add', 'facts.json', '--steps', '3'],
    ['vector', 'extract', 'base', 'a', 'given.safetensors'],
    ['grammar', 'make', '--v', '8', '--m', '4', '--s', '2', '--L', '4', '--out', 'grammar.json'],
    ['run', toy, '--out', 'toys'],
    [...smallest, '--threads', '1', '--out', 'given-runs'],
  ]
  for (const { code, err } of await Promise.all(prepared.map((words) => run(words))))
    expect(code, err).toBe(0)
  const [made] = readdirSync(join(root, 'toys', 'counting')).filter((name) => !name.startsWith('.'))
  cpSync(join(root, 'toys', 'counting', made!), join(root, 'toy'), { recursive: true })
}, 120_000)

/** The smallest run of sample-complexity. */
const smallest = [
  ...['run', 'sample-complexity', '--quiet', '--set'],
  'v=4,parts=cnn,settings=[{"m":3,"L":2}],multiples=1,grammars=2,width=8,steps=64,testStrings=60,probes=10',
]

interface Hook {
  readonly at?: number
  readonly send?: readonly NodeJS.Signals[]
  readonly full?: boolean
  readonly count?: string
  readonly native?: true | 'worker'
  readonly lines?: true
  readonly group?: true
  readonly hold?: number
  readonly set?: string
  readonly env?: Readonly<Record<string, string>>
}

interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly out: string
  readonly err: string
  readonly orphans: readonly string[]
}

let mark = 0

/** Processes with this mark in their environment. */
const marked = (own: string): string[] =>
  readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(own)
    } catch {
      return false
    }
  })

/** As many programs at a time as there are cores. */
let free = Math.max(2, availableParallelism())
const waiting: (() => void)[] = []

/** Run the program in the folder of the tests; what it leaves behind is waited for, but not long. */
async function run(words: readonly string[], { env = {}, ...hooked }: Hook = {}): Promise<Ended> {
  if (free-- <= 0) await new Promise<void>((resolve) => waiting.push(resolve))
  try {
    const own = `TREELINE_TEST_MARK=${process.pid}-${++mark};`
    const child = spawn(process.execPath, ['--import', hook, main, ...words], {
      cwd: root,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        ...env,
        ORT_DISABLE_TELEMETRY: '1',
        TREELINE_TEST_MARK: own.slice('TREELINE_TEST_MARK='.length),
        TREELINE_TEST_HOOK: JSON.stringify({ root: `${root}/`, ...hooked }),
      },
    })
    let [out, err] = ['', '']
    child.stdout.on('data', (text) => (out += text))
    child.stderr.on('data', (text) => (err += text))
    const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
      child.on('exit', (...how) => resolve(how)),
    )
    let orphans = marked(own)
    for (let tries = 0; orphans.length > 0 && tries < 100; tries++) {
      await pause(50)
      orphans = marked(own)
    }
    return { code, signal, out, err, orphans }
  } finally {
    free++
    waiting.shift()?.()
  }
}

/** All files below a path but locks and logs, by name. */
function filesOf(path: string, ignored: RegExp): Map<string, string> {
  if (!existsSync(path)) return new Map()
  if (statSync(path).isFile()) return new Map([['', readFileSync(path, 'latin1')]])
  return new Map(
    readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !ignored.test(entry.name))
      .map((entry): [string, string] => {
        const whole = join(entry.parentPath, entry.name)
        return [whole.slice(path.length + 1), readFileSync(whole, 'latin1')]
      })
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )
}

interface Row {
  /** The command, with OUT for what it writes. */
  readonly words: readonly string[]
  /** Its environment, with OUT as well. */
  readonly env?: Readonly<Record<string, string>>
  /** The name of the output; none for commands that only print. */
  readonly out?: string
  /** Prepare a fresh output. */
  readonly before?: (out: string) => void
  /** Files that are not the same twice. */
  readonly ignored?: RegExp
  /** What else counts as a moment, and who gets the signals. */
  readonly more?: Pick<Hook, 'native' | 'lines' | 'group' | 'set'>
  /** An interrupted one is gone on with: what it is met at depends on what came before. */
  readonly goesOn?: true
  /** So short that an interrupt may find it at its end. */
  readonly isShort?: true
  /** Two at once are begun here; what else writes is begun so in `outputs.test.ts`. */
  readonly isShared?: true
  /** What the output holds, where its bytes are not the same twice. */
  readonly reading?: (out: string) => unknown
}

const runFiles = /^(sessions\.json|log\.txt|lock|summary\.json|state\.safetensors)$/
const summaryOf = (out: string): unknown => {
  const found = [...filesOf(out, /^$/)].filter(([name]) => /(^|\/)summary\.json$/.test(name))
  return found.map(([name, text]) => [name, (JSON.parse(text) as { result: unknown }).result])
}
const storeFiles = (out: string): unknown => {
  // records and audits name the time
  const lists = ['edits.jsonl', 'audits.jsonl'].map((name) =>
    readFileSync(join(out, name), 'utf8').replace(/"at":"[^"]*"/g, ''),
  )
  return [lists, [...filesOf(out, /^((edits|audits)\.jsonl|lock)$/)]]
}

const rows: Readonly<Record<string, Row>> = {
  'convert to a file': { words: ['convert', 'a', 'OUT', '--dtype', 'bf16'], out: 'c.safetensors' },
  'convert to a folder': {
    words: ['convert', 'a', 'OUT', '--dtype', 'f16', '--shard-size', '500kB'],
    out: 'folder',
    goesOn: true,
    ignored: /^\.treeline\.json$/,
  },
  'vector extract': { words: ['vector', 'extract', 'base', 'a', 'OUT'], out: 'v.safetensors' },
  'vector apply': {
    words: ['vector', 'apply', 'base', 'given.safetensors', 'OUT'],
    out: 'applied',
    goesOn: true,
    ignored: /^\.treeline\.json$/,
  },
  diff: { words: ['diff', 'a', 'b', '--json'] },
  'vector cosine': { words: ['vector', 'cosine', '--base', 'base', 'a', 'b', '--json'] },
  'inspect --norms': { words: ['inspect', 'a', '--norms', '--json'] },
  merge: {
    words: ['merge', 'merge.yaml', 'OUT', '--quiet', '--threads', '2', '--shard-size', '500000'],
    out: 'merged',
    goesOn: true,
    ignored: /^\.treeline\.json$/,
  },
  lines: {
    words: ['lines', 'base', 'a', 'OUT', '--alpha', '0.3', '--quiet', '--threads', '1'],
    out: 'lined',
    goesOn: true,
    ignored: /^\.treeline\.json$/,
  },
  'merge --search': {
    words: [
      ...['merge', 'merge.yaml', 'OUT', '--quiet', '--threads', '1', '--search', 'weight=0.5,1'],
      ...['--score', 'printf %s {model} | wc -c'],
    ],
    out: 'searched',
    goesOn: true,
    reading: (out) => [...filesOf(out, /^(search\..*|README\.md|\.treeline.*|lock)$/)],
  },
  run: {
    words: [...smallest, '--threads', '1', '--out', 'OUT'],
    out: 'runs',
    isShared: true,
    goesOn: true,
    more: { native: true },
    ignored: runFiles,
    reading: summaryOf,
  },
  sweep: {
    words: ['sweep', 'sweep.yaml', '--out', 'OUT', '--parallel', '2'],
    out: 'sweep',
    isShared: true,
    goesOn: true,
    more: { lines: true, group: true },
    reading: summaryOf,
  },
  'edit add': {
    words: ['edit', 'lm', 'OUT', 'add', 'facts.json', '--steps', '3', '--quiet'],
    out: 'store',
    isShared: true,
    goesOn: true,
    more: { native: true },
    reading: storeFiles,
  },
  'edit evaluate': {
    words: ['edit', 'lm', 'OUT', 'evaluate', 'facts.json', '--json'],
    out: 'asked',
    isShared: true,
    goesOn: true,
    before: (out) => cpSync(join(root, 'taught'), out, { recursive: true }),
    more: { native: true },
  },
  'edit replay': {
    words: ['edit', 'lm', 'OUT', 'replay', '--json'],
    out: 'replayed',
    isShared: true,
    before: (out) => cpSync(join(root, 'taught'), out, { recursive: true }),
    more: { native: true },
  },
  'edit export': { words: ['edit', 'lm', 'taught', 'export', 'OUT'], out: 'edits.onnx' },
  generate: {
    words: ['generate', 'lm', '--file', 'prompts.json', '--max-tokens', '8', '--json'],
    more: { native: true },
  },
  score: { words: ['score', 'lm', '--file', 'prompts.json', '--json'], more: { native: true } },
  chat: {
    words: ['chat', 'lm', '--file', 'messages.json', '--max-tokens', '8', '--json'],
    more: { native: true },
  },
  export: {
    words: ['export', 'toy', 'OUT', '--experiment', 'net.mjs'],
    out: 'net.onnx',
    isShort: true,
  },
  report: { words: ['report', 'given-runs', '--out', 'OUT'], out: 'report' },
  collect: { words: ['collect', 'given-runs', '--out', 'OUT'], out: 'table.parquet' },
  'data get': {
    words: ['data', 'get', 'tiny', '--from', 'set.tgz', '--quiet'],
    env: { TREELINE_CACHE: 'OUT' },
    out: 'cache',
    isShared: true,
    more: { set: 'set.json' },
  },
  'grammar sample': {
    words: ['grammar', 'sample', 'grammar.json', '--count', '12000', '--seed', '1', '--out', 'OUT'],
    out: 'sampled.json',
  },
}

/** Everything that a user could take for a result or for rubbish. */
function temporaries(): string[] {
  for (let again = 0; ; again++)
    try {
      return readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) =>
        /\.tmp$|\.tmp\//.test(name),
      )
    } catch (error) {
      // a folder went while it was read: another look
      if (again === 5 || (error as { code?: string }).code !== 'ENOENT') throw error
    }
}

const isCalm = ({ code, signal, err, orphans }: Ended, name: string): void => {
  expect(err, name).not.toMatch(/terminate called|Napi::Error|\n\s+at .*:\d+|mistake in treeline/)
  expect(signal, `${name}: ${err}`).toBe(null)
  expect([0, 130], `${name}: ${err}`).toContain(code)
  expect(orphans, name).toEqual([])
}

/** How often each moment met a command that was still at work. */
const met: string[][] = []

const onLinux = process.platform === 'linux'

describe.skipIf(!onLinux).concurrent('every command', () => {
  for (const [name, row] of Object.entries(rows))
    test(name, { timeout: 600_000 }, async ({ expect: check }) => {
      const { words, env = {}, before, ignored = /^lock$/, more: hooked = {}, reading } = row
      type Place = ReturnType<typeof place>
      /** The command with an output of its own in a folder of its own, whose name is always as long. */
      const place = (turn: number) => {
        const folder = `${name.replace(/\W+/g, '-')}-${turn}`
        const out = row.out === undefined ? undefined : join(folder, row.out)
        mkdirSync(join(root, folder))
        const renew = (): void => {
          if (out) rmSync(join(root, out), { recursive: true, force: true })
          if (out && before) before(join(root, out))
        }
        renew()
        const filled = (word: string): string => (word === 'OUT' ? out! : word)
        const own = Object.fromEntries(Object.entries(env).map(([key, value]) => [key, filled(value)]))
        const begin = (more: Hook = {}): Promise<Ended> =>
          run(words.map(filled), { ...(hooked.set && { set: hooked.set }), env: own, ...more })
        return { folder, out, renew, begin }
      }
      const product = ({ out }: Place): unknown => {
        if (out === undefined) return undefined
        const path = join(root, out)
        return reading ? reading(path) : [...filesOf(path, ignored)]
      }
      const rubbish = ({ folder }: Place): string[] =>
        temporaries().filter((one) => one.startsWith(`${folder}/`))

      const calm = place(0)
      const count = join(root, `${name.replace(/\W+/g, '-')}.count`)
      const whole = await calm.begin({ ...hooked, count })
      check([whole.code, whole.err.match(/at .*:\d+/)], whole.err).toEqual([0, null])
      const result = product(calm)
      const moments = Number(readFileSync(count, 'utf8'))
      check(moments, 'moments').toBeGreaterThan(1)
      const [early, late] = [2, Math.max(1, Math.floor(0.8 * moments))]
      const hits: string[] = []

      /** A command that came to its end all the same: what it made is right, and makes way for the next moment. */
      const ended = (cut: Place, { code, out }: Ended): void => {
        if (code !== 0) return
        check(product(cut)).toEqual(result)
        if (cut.out === undefined) check(out).toBe(whole.out)
        cut.renew()
      }

      /** One or two signals that ask; a command that has ended before has nothing to say. */
      async function ask(cut: Place, moment: string, at: number, ...send: NodeJS.Signals[]): Promise<void> {
        const one = await cut.begin({ ...hooked, at, send })
        isCalm(one, `${name}, ${moment}`)
        hits.push(`${moment}: ${one.code}`)
        if (one.code === 130) {
          const [line, ...more] = one.err.split('\n').filter((text) => text.startsWith('treeline: '))
          check([line, more], one.err).toEqual([expect.stringMatching(/interrupted|stopped/), []])
        }
        check(rubbish(cut), moment).toEqual([])
        ended(cut, one)
      }

      /** Ended with no chance to clear anything away. */
      async function kill(cut: Place, at: number): Promise<void> {
        const one = await cut.begin({ ...hooked, at, send: ['SIGKILL'] })
        check(one.orphans, 'orphans after kill -9').toEqual([])
        hits.push(`kill -9: ${one.signal ?? one.code}`)
        ended(cut, one)
      }

      /** The disk is full from a moment on. */
      async function fill(cut: Place, at: number): Promise<void> {
        const one = await cut.begin({ ...hooked, at, full: true })
        check(one.err, 'full disk').not.toMatch(/\n\s+at .*:\d+|mistake in treeline/)
        hits.push(`full disk: ${one.code}`)
        if (one.code !== 0) check(one.err).toMatch(/the disk is full/)
        ended(cut, one)
      }

      /** The same command, undisturbed, whatever came before: the end is as ever. */
      async function finish(cut: Place): Promise<void> {
        const ended = await cut.begin()
        check([ended.code, ended.orphans], ended.err).toEqual([0, []])
        check(product(cut)).toEqual(result)
        check(rubbish(cut)).toEqual([])
      }

      // one after the other on the same output, so that every command finds what the last has left; one that goes on has
      // little left to do after a late moment, and is brought to its end in between
      let cut = place(1)
      await ask(cut, 'Ctrl-C early', early, 'SIGINT')
      if (row.out !== undefined) await fill(cut, Math.ceil(moments / 2))
      await ask(cut, 'SIGTERM', row.goesOn ? Math.ceil(moments / 3) : late, 'SIGTERM')
      if (row.goesOn) {
        await finish(cut)
        cut = place(2)
      }
      await ask(cut, 'Ctrl-C twice', Math.ceil(moments / (row.goesOn ? 8 : 2)), 'SIGINT', 'SIGINT')
      // what only prints leaves nothing that a next one could find
      if (row.out !== undefined) {
        await kill(cut, late)
        await finish(cut)
      }
      if (!row.isShort) check(hits.join(), 'never interrupted').toMatch(/: 130/)
      if (!row.isShared) return void met.push([name, ...hits])

      // two at once: one works, the other waits its turn by hand, or finds the work done
      const both = place(3)
      const two = await Promise.all([both.begin(), both.begin()])
      check(two.map(({ code }) => code)).toContain(0)
      for (const { code, err } of two)
        if (code !== 0) check(err).toMatch(/in use by|another process|another file/)
      hits.push(`two at once: ${two.map(({ code }) => code).join(' and ')}`)
      check(product(both)).toEqual(result)
      check(rubbish(both)).toEqual([])
      met.push([name, ...hits])
    })
})

test.skipIf(!onLinux).concurrent('no thread is cut off in native code, by one Ctrl-C or by two', async () => {
  const words = [...smallest, '--threads', '2', '--out']
  // one Ctrl-C waits for the call, however long; two wait three seconds, then the system ends the process
  const moments: [NodeJS.Signals[], hold: number, end: number | string][] = [
    [['SIGINT'], 1000, 130],
    [['SIGINT', 'SIGINT'], 500, 130],
    [['SIGTERM'], 500, 130],
    [['SIGINT', 'SIGTERM'], 4500, 'SIGINT'],
  ]
  await Promise.all(
    moments.map(async ([send, hold, end], turn) => {
      const own = [...words, `threads-${turn}`]
      const { code, signal, err, orphans } = await run(own, { native: 'worker', at: 3 + turn, send, hold })
      expect([signal ?? code, orphans], err).toEqual([end, []])
      expect(err).not.toMatch(/terminate called|Napi::Error/)
      expect((await run(own)).code).toBe(0)
    }),
  )
})

test.skipIf(!onLinux).concurrent('an interrupted tour says how it goes on, in one line', async () => {
  const words = ['tour', '--only', 'sample-complexity', '--threads', '1', '--quiet', '--out', 'tours']
  const ended = await run(words, { native: true, at: 5, send: ['SIGINT'] })
  isCalm(ended, 'tour')
  expect([ended.code, ended.err]).toEqual([
    130,
    'treeline: interrupted; everything finished is kept in tours, and the same command goes on: treeline tour\n',
  ])
})

test.skipIf(!onLinux).concurrent('a score command does not outlive a search, whatever ends it', async () => {
  for (const [at, signal] of (['SIGKILL', 'SIGINT', 'SIGTERM'] as const).entries()) {
    const out = `outlived-${at}`
    // the first score is done when the program reads nothing more: it is ended while the command sleeps
    const score = `kill -${signal.slice(3)} $PPID; sleep 60; echo {model}`
    const words = ['merge', 'merge.yaml', out, '--quiet', '--threads', '1', '--search', 'weight=0.5,1']
    const ended = await run([...words, '--score', score])
    expect(ended.orphans).toEqual([])
    expect(signal === 'SIGKILL' ? ended.signal : ended.code, ended.err).toBe(
      signal === 'SIGKILL' ? 'SIGKILL' : 130,
    )
  }
})

afterAll(() => console.log(met.map(([name, ...hits]) => `${name}: ${hits.join(', ')}`).join('\n')))
