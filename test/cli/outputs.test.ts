/**
 * @file Every command that writes × what may be in its way. Each case compares all files of the test before and after: what
 * was refused has changed nothing, what was allowed has changed its output only.
 */
import { spawn } from 'node:child_process'
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, extname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { writeSafetensors } from '../../src/checkpoint/index.ts'
import { editableModels } from '../edit/editable.ts'
import { synthetic } from '../lab/stopping/synthetic.ts'
import { treeline } from './caught.ts'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const toy = fileURLToPath(new URL('./toy.mjs', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'treeline-outputs-cli-'))
const at = (...names: string[]): string => join(root, ...names)
let models: Awaited<ReturnType<typeof editableModels>>
afterAll(() => {
  models?.clean()
  rmSync(root, { recursive: true, force: true })
})

function writeModel(name: string, ...values: number[]): void {
  mkdirSync(at(name))
  const data = Float32Array.from(values)
  writeSafetensors(at(name, 'model.safetensors'), {
    'model.layers.0.mlp.up_proj.weight': { dtype: 'F32', shape: [3], data },
    'model.layers.1.mlp.up_proj.weight': { dtype: 'F32', shape: [3], data },
  })
  writeFileSync(at(name, 'config.json'), JSON.stringify({ num_hidden_layers: 2 }))
}

/** A command that writes one file or one folder. */
interface Row {
  readonly name: string
  /** Of a file: how its name ends. Absent: a folder. */
  readonly ending?: string
  readonly words: (out: string) => string[]
  /** Files that it reads. */
  readonly inputs: () => string[]
}

const model = (name: string): string => at(name, 'model.safetensors')
const search = ['--search', 'weight=0.2,0.7', '--score', 'echo {model} 1']
const files: readonly Row[] = [
  ...[
    ['convert', 'convert', 'tuned'],
    ['vector extract', 'vector', 'extract', 'base', 'tuned'],
    ['vector apply', 'vector', 'apply', 'base', 'v.safetensors'],
  ].map(([name, ...words]) => ({
    name: `${name} to a file`,
    ending: '.safetensors',
    words: (out: string) => [...words.map((word) => (/^(base|tuned|v\.)/.test(word) ? at(word) : word)), out],
    inputs: () =>
      [model('tuned')]
        .concat(name === 'convert' ? [] : [model('base')])
        .slice(name === 'vector apply' ? 1 : 0),
  })),
  ...[
    ['add', 'v', 'w'],
    ['negate', 'v'],
    ['scale', 'v', '0.5'],
  ].map(([action, ...words]) => ({
    name: `vector ${action}`,
    ending: '.safetensors',
    words: (out: string) => [
      'vector',
      action!,
      ...words.map((one) => (one === '0.5' ? one : at(`${one}.safetensors`))),
      out,
    ],
    inputs: () => [at('v.safetensors')],
  })),
  {
    name: 'convert to GGUF',
    ending: '.gguf',
    words: (out) => ['convert', at('m.gguf'), out],
    inputs: () => [at('m.gguf')],
  },
  {
    name: 'diff --svg',
    ending: '.svg',
    words: (out) => ['diff', at('base'), at('tuned'), '--svg', out],
    inputs: () => [model('base'), model('tuned')],
  },
  {
    name: 'grammar make',
    ending: '.json',
    words: (out) => ['grammar', 'make', '--v', '4', '--m', '2', '--L', '2', '--out', out],
    inputs: () => [],
  },
  {
    name: 'grammar sample',
    ending: '.json',
    words: (out) => ['grammar', 'sample', at('g.grammar.json'), '--out', out],
    inputs: () => [at('g.grammar.json')],
  },
  {
    name: 'grammar parse',
    ending: '.json',
    words: (out) => ['grammar', 'parse', at('g.grammar.json'), at('strings.json'), '--out', out],
    inputs: () => [at('g.grammar.json'), at('strings.json')],
  },
  {
    name: 'grammar show --svg',
    ending: '.svg',
    words: (out) => ['grammar', 'show', at('g.grammar.json'), '--svg', out],
    inputs: () => [at('g.grammar.json')],
  },
  {
    name: 'stop --svg',
    ending: '.svg',
    words: (out) => ['stop', at('curves.csv'), '--svg', out],
    inputs: () => [at('curves.csv')],
  },
  ...['.csv', '.parquet'].map((ending) => ({
    name: `collect ${ending}`,
    ending,
    words: (out: string) => ['collect', at('runs'), '--out', out],
    inputs: () => [join(run(), 'summary.json')],
  })),
  {
    name: 'export',
    ending: '.onnx',
    words: (out) => ['export', run(), out, '--experiment', at('net.mjs')],
    inputs: () => [join(run(), 'summary.json')],
  },
  {
    name: 'edit export, the store',
    ending: '.safetensors',
    words: (out) => ['edit', models.pathOf('llama'), at('store'), 'export', out],
    inputs: () =>
      [at('store', 'edits.jsonl'), join(models.pathOf('llama'), 'model.safetensors')].filter(existsSync),
  },
  {
    name: 'edit export, a program',
    ending: '.onnx',
    words: (out) => ['edit', models.pathOf('llama'), at('store'), 'export', out],
    inputs: () => [join(models.pathOf('llama'), 'model.safetensors')].filter(existsSync),
  },
]
const folders: readonly Row[] = [
  {
    name: 'convert',
    words: (out) => ['convert', at('tuned'), out, '--dtype', 'f16'],
    inputs: () => [model('tuned')],
  },
  {
    name: 'vector apply',
    words: (out) => ['vector', 'apply', at('base'), at('v.safetensors'), out],
    inputs: () => [model('base')],
  },
  {
    name: 'merge',
    words: (out) => ['merge', at('m.yaml'), out, '--threads', '1'],
    inputs: () => [model('base')],
  },
  {
    name: 'lines',
    words: (out) => ['lines', at('base'), at('tuned'), out, '--alpha', '0.5', '--threads', '1'],
    inputs: () => [model('tuned')],
  },
  {
    name: 'merge --search',
    words: (out) => ['merge', at('m.yaml'), out, '--threads', '1', ...search],
    inputs: () => [model('base')],
  },
]
/** What writes a folder over and over: not a model. */
const report: Row = {
  name: 'report',
  words: (out) => ['report', at('runs'), '--experiment', toy, '--out', out],
  inputs: () => [],
}

const run = (): string => {
  const folder = at('runs', 'counting')
  return join(folder, readdirSync(folder).find((name) => !name.startsWith('.'))!)
}

/** Every file below a folder with its bytes; links as such. */
function snapshot(folder = root, found: Record<string, string> = {}): Record<string, string> {
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name)
    const status = lstatSync(path)
    if (status.isDirectory()) {
      found[`${path}/`] = ''
      snapshot(path, found)
    } else
      found[path] = status.isSymbolicLink()
        ? `link to ${readlinkSync(path)}`
        : readFileSync(path).toString('base64')
  }
  return found
}

let count = 0
afterEach(() => {
  for (const name of readdirSync(root))
    if (name.startsWith('case-')) rmSync(at(name), { recursive: true, force: true })
})
/** A folder for one case. */
const place = (): string => {
  const path = at(`case-${count++}`)
  mkdirSync(path)
  return path
}

/** The command fails with this code and line, and has changed nothing. */
async function refuses(words: string[], code: number, message: RegExp): Promise<void> {
  const before = snapshot()
  const result = await treeline(...words)
  expect(result.err).toMatch(message)
  expect(result.code).toBe(code)
  expect(result.err.trim().split('\n').at(-1)).toMatch(/^treeline: /)
  expect(snapshot()).toEqual(before)
}
/** The command succeeds, and nothing but `out` has changed. */
async function writes(words: string[], out: string): Promise<string> {
  const before = snapshot()
  const result = await treeline(...words)
  expect([result.code, result.err]).toEqual([0, expect.not.stringContaining('treeline:')])
  const others = (all: Record<string, string>) =>
    Object.fromEntries(Object.entries(all).filter(([path]) => path !== out && !path.startsWith(`${out}/`)))
  expect(others(snapshot())).toEqual(others(before))
  return result.out
}

beforeAll(async () => {
  if (!existsSync(main)) throw new Error(`${main} is missing: run \`npm run build\` first`)
  models = await editableModels()
  writeModel('base', 1, 2, 3)
  writeModel('tuned', 2, 2, 5)
  writeFileSync(
    at('m.yaml'),
    `merge_method: linear\nmodels:\n- {model: ${at('base')}, parameters: {weight: 1}}\n- {model: ${at('tuned')}, parameters: {weight: 3}}\n`,
  )
  writeFileSync(
    at('net.mjs'),
    `import toy from ${JSON.stringify(toy)}\nconst onnx = new TextEncoder().encode('a network')\nexport default { ...toy, network: async () => ({ onnx, about: 'x to y' }) }\n`,
  )
  const curves = [32, 64].flatMap((P) => {
    const { steps } = synthetic({ P, tau: 10 * P })
    return steps.map(({ step, validationLoss }) => `${P},${step},${validationLoss}\n`)
  })
  writeFileSync(at('curves.csv'), `P,step,validationLoss\n${curves.join('')}`)
  const gguf = fileURLToPath(new URL('../fixtures/gguf.gguf', import.meta.url))
  writeFileSync(at('m.gguf'), readFileSync(gguf))
  const prepare: string[][] = [
    ['vector', 'extract', at('base'), at('tuned'), at('v.safetensors')],
    ['vector', 'negate', at('v.safetensors'), at('w.safetensors')],
    ['grammar', 'make', '--v', '4', '--m', '2', '--L', '2', '--out', at('g.grammar.json')],
    ['grammar', 'sample', at('g.grammar.json'), '--out', at('strings.json')],
    ['run', toy, '--out', at('runs')],
    [
      ...['edit', models.pathOf('llama'), at('store'), 'add', '--prompt', 'who is abc', '--target', 'xy'],
      ...['--subject', 'abc', '--threshold', '0.97', '--layer', '0', '--steps', '2', '--threads', '1'],
    ],
  ]
  for (const words of prepare) expect((await treeline(...words)).code, words.join(' ')).toBe(0)
}, 60_000)

describe.each(files)('$name', ({ ending, words, inputs }) => {
  const named = (name: string): string => join(place(), `${name}${ending}`)

  it('a file that is there stays; the same command finds its own; --force replaces', async () => {
    const out = named('x')
    await writes(words(out), out)
    const [bytes, { mtimeMs, ino }] = [readFileSync(out), statSync(out)]
    await writes(words(out), out)
    expect([statSync(out).mtimeMs, statSync(out).ino]).toEqual([mtimeMs, ino])
    writeFileSync(out, 'mine')
    await refuses(words(out), 1, /another file of this name.*--force/)
    await writes([...words(out), '--force'], out)
    expect(readFileSync(out).equals(bytes)).toBe(true)
    expect(readdirSync(dirname(out))).toEqual([basename(out)])
  })
  it('is not made in a missing folder, in a file, or in place of a folder', async () => {
    const folder = place()
    await refuses(words(join(folder, 'nofolder', `x${ending}`)), 1, /there is no folder .*nofolder.*mkdir -p/)
    writeFileSync(join(folder, 'file'), 'mine')
    await refuses(words(join(folder, 'file', `x${ending}`)), 1, /is a file, expected a folder/)
    mkdirSync(join(folder, `dir${ending}`))
    for (const force of [[], ['--force']])
      if (ending !== '.safetensors' && ending !== '.gguf')
        await refuses(
          [...words(join(folder, `dir${ending}`)), ...force],
          1,
          /a folder, expected the name of a file/,
        )
  })
  it('is never an input, by whatever path, not even with --force', async () => {
    for (const input of inputs()) {
      const folder = place()
      const [soft, hard] = [join(folder, `soft${ending}`), join(folder, `hard${ending}`)]
      symlinkSync(input, soft)
      linkSync(input, hard)
      const own = extname(input) === ending ? [input, relative(process.cwd(), input)] : []
      for (const out of [soft, hard, ...own])
        for (const force of [[], ['--force']]) await refuses([...words(out), ...force], 2, /never replaced/)
    }
  })
})

describe.each(folders)('$name to a folder', ({ words, inputs }) => {
  it('is made once; the same command finds it; --force writes it anew', async () => {
    const out = join(place(), 'out')
    await writes(words(out), out)
    const before = snapshot(out)
    const { mtimeMs } = statSync(join(out, 'model.safetensors'))
    expect(await writes(words(out), out)).toMatch(/already/)
    expect([snapshot(out), statSync(join(out, 'model.safetensors')).mtimeMs]).toEqual([before, mtimeMs])
    await writes([...words(out), '--force'], out)
    const files = (all: Record<string, string>) =>
      Object.entries(all).filter(([path]) => !/\/\.treeline|search/.test(path.slice(out.length)))
    expect(files(snapshot(out))).toEqual(files(before))
  })
  it('a folder with something in it stays; --force replaces a model and nothing else', async () => {
    const out = place()
    writeFileSync(join(out, 'notes.md'), 'mine')
    await refuses(words(out), 1, /the folder is not empty \(notes\.md\).*--force/)
    for (const name of ['model-00001-of-00002.safetensors', 'model.safetensors.index.json', 'tokenizer.json'])
      writeFileSync(join(out, name), 'of another model')
    await refuses(words(out), 1, /the folder is not empty/)
    await writes([...words(out), '--force'], out)
    const left = readdirSync(out)
    expect(readFileSync(join(out, 'notes.md'), 'utf8')).toBe('mine')
    expect(left).toContain('model.safetensors')
    expect(left.filter((name) => /-of-|index|tokenizer/.test(name))).toEqual([])
  })
  it('is not made in a missing folder, in a file, or in place of a file', async () => {
    const folder = place()
    await refuses(words(join(folder, 'nofolder', 'out')), 1, /there is no folder .*nofolder.*mkdir -p/)
    writeFileSync(join(folder, 'file'), 'mine')
    await refuses(words(join(folder, 'file', 'out')), 1, /is a file, expected a folder/)
    for (const force of [[], ['--force']])
      await refuses([...words(join(folder, 'file')), ...force], 1, /a file, expected a folder/)
    await refuses(words(join(folder, 'x.txt')), 2, /x\.txt: /)
  })
  it('is never an input, by whatever path, not even with --force', async () => {
    for (const input of inputs()) {
      const folder = place()
      symlinkSync(dirname(input), join(folder, 'soft'))
      mkdirSync(join(folder, 'hard'))
      linkSync(input, join(folder, 'hard', 'model.safetensors'))
      const own = dirname(input)
      for (const out of [
        own,
        relative(process.cwd(), own),
        `${own}/../${basename(own)}`,
        join(folder, 'soft'),
      ])
        for (const force of [[], ['--force']]) await refuses([...words(out), ...force], 2, /never replaced/)
      await refuses(words(join(folder, 'hard')), 1, /the folder is not empty/)
      await refuses([...words(join(folder, 'hard')), '--force'], 2, /never replaced/)
    }
  })
})

describe('other recipes and other files', () => {
  it('merge: another recipe on a finished folder names --force; a damaged model is not "already there"', async () => {
    const out = join(place(), 'out')
    await writes(['merge', at('m.yaml'), out], out)
    await refuses(['merge', at('m.yaml'), out, '--seed', '1'], 1, /not empty.*--force/)
    writeFileSync(join(out, 'config.json'), '{}')
    await refuses(['merge', at('m.yaml'), out], 1, /this very merge, changed since \(config\.json\)/)
  })
  it('convert: the model of the case is not removed', async () => {
    // R8: both shards and the index were gone
    const big = place()
    for (const i of [1, 2])
      writeSafetensors(join(big, `model-0000${i}-of-00002.safetensors`), {
        [`precious${i}`]: { dtype: 'F32', shape: [1], data: Float32Array.of(i) },
      })
    writeFileSync(join(big, 'model.safetensors.index.json'), '{}')
    await refuses(['convert', at('base'), big], 1, /the folder is not empty/)
  })
  it('vector add without an output does not take the last addend for it', async () => {
    const three = ['v', 'w', 'third'].map((name) => at(`${name}.safetensors`))
    await writes(['vector', 'scale', at('v.safetensors'), '2', three[2]!], three[2]!)
    await refuses(['vector', 'add', ...three], 1, /third\.safetensors: there is another file of this name/)
  })
  it('options and names without effect', async () => {
    const out = place()
    await refuses(
      ['convert', at('base'), join(out, 'x.txt')],
      2,
      /\.txt: expected a name ending in \.safetensors or \.gguf, or a folder/,
    )
    await refuses(
      ['convert', at('base'), join(out, 'x.safetensors'), '--shard-size', '1MB'],
      2,
      /--shard-size/,
    )
    await refuses(
      ['export', run(), join(out, 'x.txt'), '--experiment', at('net.mjs')],
      2,
      /\.txt: expected a name ending in \.onnx/,
    )
    await refuses(['diff', at('base'), at('tuned'), '--svg', join(out, 'x.png')], 2, /\.png: expected/)
    for (const words of [
      ['diff', at('base'), at('tuned')],
      ['collect', at('runs')],
      ['grammar', 'show', at('g.grammar.json')],
      ['grammar', 'sample', at('g.grammar.json')],
    ])
      await refuses([...words, '--force'], 2, /--force: it replaces the file of/)
    const folder = join(out, 'Llama-3.1-0.5B')
    await writes(['convert', at('base'), folder], folder)
    expect(statSync(folder).isDirectory()).toBe(true)
  })
})

describe('report', () => {
  it('is written anew where Treeline wrote it; what others wrote or changed stays', async () => {
    const out = join(place(), 'out')
    await writes(report.words(out), out)
    await writes(report.words(out), out)
    const page = readFileSync(join(out, 'report.html'))
    writeFileSync(join(out, 'report.html'), 'mine')
    await refuses(report.words(out), 1, /report\.html: not written by Treeline, or changed since/)
    await writes([...report.words(out), '--force'], out)
    expect(readFileSync(join(out, 'report.html')).equals(page)).toBe(true)
    const foreign = place()
    mkdirSync(join(foreign, 'figures'))
    writeFileSync(join(foreign, 'figures', 'count.png'), 'a picture of mine')
    await refuses(report.words(foreign), 1, /count\.png: not written by Treeline/)
    await refuses(report.words(join(out, 'nofolder', 'deep')), 1, /there is no folder/)
  })
  it('another report in the same place takes its figures away, but not those of others', async () => {
    const out = place()
    await writes(report.words(out), out)
    const own = join(out, '.treeline.report.json')
    const record = JSON.parse(readFileSync(own, 'utf8'))
    // as if an earlier report had drawn two more, of which one was changed since
    record.files['figures/old.png'] = record.files['figures/changed.png'] = [
      '2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881',
    ]
    writeFileSync(own, JSON.stringify(record))
    writeFileSync(join(out, 'figures', 'old.png'), 'x')
    writeFileSync(join(out, 'figures', 'changed.png'), 'mine')
    await writes(report.words(out), out)
    expect(readdirSync(join(out, 'figures')).sort()).toEqual([
      'changed.png',
      'count.pdf',
      'count.png',
      'count.svg',
    ])
  })
})

describe('the roots of runs, and stores', () => {
  it('run makes the folders above its root; a store of edits does not', async () => {
    const root = place()
    const out = join(root, 'new', 'runs')
    await writes(['run', toy, '--out', out], join(root, 'new'))
    const store = join(root, 'nofolder', 'store')
    const words = ['edit', models.pathOf('llama'), store, 'add', '--prompt', 'who is abc', '--target', 'xy']
    await refuses([...words, '--subject', 'abc'], 1, /there is no folder/)
  })
})

/** The program as a process of its own. */
function start(words: readonly string[]): Promise<{ code: number | null; err: string }> {
  const child = spawn(process.execPath, [main, ...words], { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] })
  let err = ''
  child.stderr.on('data', (chunk) => (err += chunk))
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, err })))
}

describe('two processes at once', () => {
  const rows = [...files, ...folders, report]
  it.each(rows)('$name', async ({ ending = '', words }) => {
    const [alone, together] = [place(), place()]
    await treeline(...words(join(alone, `x${ending}`)))
    const out = join(together, `x${ending}`)
    const both = await Promise.all([start(words(out)), start(words(out))])
    // one may find the other at work, or its output; never do both write
    const codes = both.map(({ code }) => code).sort()
    expect(
      [
        [0, 0],
        [0, 1],
      ],
      both.map(({ err }) => err).join(''),
    ).toContainEqual(codes)
    for (const { code, err } of both)
      if (code === 1) expect(err).toMatch(/in use by process \d+|another process/)
    const seen = (folder: string) =>
      Object.fromEntries(
        Object.entries(snapshot(folder))
          .map(([path, bytes]) => [path.slice(folder.length), bytes] as const)
          // times of candidates, and records of them
          .filter(([path]) => !/\.treeline\.json|search\.|README/.test(path)),
      )
    expect(seen(together)).toEqual(seen(alone))
  })
  it('two recipes in one folder: one model, with its own card', async () => {
    const out = join(place(), 'out')
    const other = at('other.yaml')
    writeFileSync(other, readFileSync(at('m.yaml'), 'utf8').replace('weight: 3', 'weight: 1'))
    const recipes = [at('m.yaml'), other]
    const both = await Promise.all(recipes.map((recipe) => start(['merge', recipe, out, '--threads', '1'])))
    expect(both.map(({ code }) => code).sort()).toEqual([0, 1])
    expect(both.find(({ code }) => code === 1)!.err).toMatch(
      /in use by process \d+|not empty|another process/,
    )
    const winner = recipes[both.findIndex(({ code }) => code === 0)]!
    const alone = join(place(), 'out')
    await treeline('merge', winner, alone)
    for (const name of ['mergekit_config.yml', 'model.safetensors'])
      expect(readFileSync(join(out, name)).equals(readFileSync(join(alone, name)))).toBe(true)
  })
})
