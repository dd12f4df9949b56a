/**
 * @file What can go wrong with a merge, as people meet it: one line that says what to do, nothing half-written under a final
 * name, and the same command works when the cause is gone.
 */
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeSafetensors } from '../../src/checkpoint/index.ts'
import { executeMerge, parseMergeConfig } from '../../src/merge/index.ts'
import { treeline } from './caught.ts'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'treeline-mishaps-'))
const at = (...names: string[]): string => join(root, ...names)
afterAll(() => rmSync(root, { recursive: true, force: true }))

type Tensors = Record<string, { shape: number[]; values: Float32Array }>
/** Four layers of 16 KiB and a norm of three numbers. */
function tensorsOf(seed: number): Tensors {
  const values = (count: number, from: number) =>
    Float32Array.from({ length: count }, (_, i) => Math.sin(seed * 7 + from + i))
  return {
    ...Object.fromEntries(
      [0, 1, 2, 3].map((i) => [
        `model.layers.${i}.mlp.up_proj.weight`,
        { shape: [64, 64], values: values(4096, i) },
      ]),
    ),
    'model.norm.weight': { shape: [3], values: values(3, 9) },
  }
}
function writeModel(name: string, tensors: Tensors): void {
  rmSync(at(name), { recursive: true, force: true })
  mkdirSync(at(name), { recursive: true })
  const stored = Object.entries(tensors).map(
    ([tensor, { shape, values }]) => [tensor, { dtype: 'F32', shape, data: values }] as const,
  )
  writeSafetensors(at(name, 'model.safetensors'), new Map(stored))
  writeFileSync(at(name, 'config.json'), '{"num_hidden_layers": 4}')
}
beforeAll(() => {
  if (!existsSync(main)) throw new Error(`${main} is missing: run \`npm run build\` first`)
  for (const [i, name] of ['base', 'a', 'b'].entries()) writeModel(name, tensorsOf(i))
})

const linear = (model: string, more = '') =>
  `merge_method: linear\nmodels:\n- {model: ${at('a')}, parameters: {weight: 1}}\n- {model: ${at(model)}, parameters: {weight: 1}}\n${more}`
const config = (text: string): string => {
  writeFileSync(at('merge.yaml'), text)
  return at('merge.yaml')
}
/** Names that a reader would take for a model. */
const modelFiles = (out: string): string[] =>
  existsSync(out) ? readdirSync(out).filter((name) => /^(model|config|tokenizer)/.test(name)) : []

let number = 0
const fresh = (): string => at(`out-${number++}`)
const reference = new Map<string, Buffer>()
/** The weights that an undisturbed merge of this configuration writes. */
async function undisturbed(text: string): Promise<Buffer> {
  if (!reference.has(text)) {
    const out = fresh()
    expect(await treeline('merge', config(text), out, '--quiet')).toMatchObject({ code: 0, err: '' })
    reference.set(text, readFileSync(join(out, 'model.safetensors')))
  }
  return reference.get(text)!
}

interface Mishap {
  readonly name: string
  /** The changed model stands as `broken`, where an intact copy of `b` stood. */
  readonly harm: () => void
  readonly text?: string
  readonly message: string
}
const changed = (change: (tensors: Tensors) => void) => () => {
  const tensors = tensorsOf(2)
  change(tensors)
  writeModel('broken', tensors)
}
const set = (index: number, value: number) => changed((t) => (t['model.norm.weight']!.values[index] = value))
const lacking = changed((t) => delete t['model.norm.weight'])
const arithmetic = () =>
  `merge_method: task_arithmetic\nbase_model: ${at('broken')}\nmodels:\n- {model: ${at('a')}, parameters: {weight: 1}}\n`
const file = at('broken', 'model.safetensors')
const mishaps: Mishap[] = [
  {
    name: 'a base that lacks a tensor',
    harm: lacking,
    text: arithmetic(),
    message: `${at('broken')} lacks a tensor that another model has: model.norm.weight; are they of one architecture? (--lenient lets the method decide)`,
  },
  {
    name: 'a model that lacks a tensor',
    harm: lacking,
    message: `${at('broken')} lacks a tensor that another model has: model.norm.weight; are they of one architecture? (--lenient lets the method decide)`,
  },
  {
    name: 'NaN',
    harm: set(2, Number.NaN),
    message: `${at('broken')}: model.norm.weight, element 2 is NaN: expected finite weights; repair the model, or let it pass with --lenient`,
  },
  {
    name: 'infinity',
    harm: set(0, -Infinity),
    message: `${at('broken')}: model.norm.weight, element 0 is -Infinity: expected finite weights; repair the model, or let it pass with --lenient`,
  },
  {
    name: 'another shape',
    harm: changed((t) => (t['model.norm.weight'] = { shape: [4], values: new Float32Array(4) })),
    message: `model.norm.weight: ${at('a')} has shape [3], ${at('broken')} has [4]; only equal shapes can be merged`,
  },
  {
    name: 'a file that was cut',
    harm: () => truncateSync(file, 40_000),
    message: 'truncated?',
  },
  {
    name: 'a folder in place of the file',
    harm: () => {
      rmSync(file)
      mkdirSync(file)
    },
    message: `${at('broken')}: no weights: expected model.safetensors, model.safetensors.index.json, or one other weight file`,
  },
  {
    name: 'a model that is gone',
    harm: () => rmSync(at('broken'), { recursive: true }),
    message: `cannot read ${at('broken')}: no such file or folder: check the path`,
  },
  {
    name: 'float16 that overflows',
    harm: set(1, 2e5),
    text: `${linear('broken')}dtype: float16\n`,
    message: `model.norm.weight, element 1: the merge gives ${Math.fround(1e5 + tensorsOf(1)['model.norm.weight']!.values[1]! / 2)}, beyond float16 (65504); use bfloat16 or float32`,
  },
]

describe('a mishap with an input', () => {
  it.each(mishaps)('$name', async ({ harm, text = linear('broken'), message }) => {
    writeModel('broken', tensorsOf(2))
    const expected = await undisturbed(text)
    harm()
    const out = fresh()
    const { code, err } = await treeline('merge', config(text), out, '--quiet')
    expect(code).toBe(1)
    if (message === 'truncated?')
      expect(err).toMatch(/^treeline: [^\n]*broken\/model\.safetensors: tensor "[^\n]*\(truncated\?\)\n$/)
    // a model that is not there is named with the line of the file that names it
    else
      expect(err.replace(/^(treeline: )\S+\.ya?ml:\d+: (?=cannot read)/, '$1')).toBe(`treeline: ${message}\n`)
    expect(modelFiles(out)).toEqual([])
    writeModel('broken', tensorsOf(2))
    expect(await treeline('merge', config(text), out, '--quiet')).toMatchObject({ code: 0, err: '' })
    expect(readFileSync(join(out, 'model.safetensors')).equals(expected)).toBe(true)
  })

  it('a file that changes while it is merged', async () => {
    writeModel('broken', tensorsOf(2))
    const expected = await undisturbed(linear('broken'))
    const out = fresh()
    const change = () => writeModel('broken', tensorsOf(3))
    const merge = (onProgress = () => {}) =>
      executeMerge(parseMergeConfig(linear('broken'), 'merge.yaml'), out, { threads: 1, onProgress })
    await expect(merge(change)).rejects.toThrow(
      new RegExp(
        `^${at('broken')} changed while it was merged; run the same command again when it is at rest$`,
      ),
    )
    expect(modelFiles(out)).toEqual([])
    writeModel('broken', tensorsOf(2))
    await merge()
    expect(readFileSync(join(out, 'model.safetensors')).equals(expected)).toBe(true)
  })
})

/** Run a shell line with the program's command as "$@"; the streams and exit code. */
const shell = (line: string, ...words: string[]) =>
  spawnSync('sh', ['-c', line, 'sh', process.execPath, main, 'merge', ...words], {
    encoding: 'utf8',
    timeout: 30_000,
  })
/** File systems of our own, as root or in a name space of our own; not everywhere allowed. */
const mounts = ['', 'unshare -Urm '].find(
  (before) =>
    spawnSync('sh', ['-c', `${before}sh -c 'mount -t tmpfs none ${root} && umount ${root}'`]).status === 0,
)

describe('a mishap with the output', () => {
  const words = (out: string): string[] => [config(linear('b')), out, '--quiet', '--threads', '1']

  it.skipIf(mounts === undefined).each([
    [
      'a disk without room',
      40,
      /^treeline: [^\n]*\/small\/out: the output takes 66\.1 kB, and the disk has [\d.]+ kB free: /,
    ],
    // weights fit, and nothing beside them
    ['a full disk', 76, /^treeline: cannot write [^\n]*\/small\/out\/[^\n]*: the disk is full: /],
  ])('%s; with more room the same command goes on', async (_, room, message) => {
    const expected = await undisturbed(linear('b'))
    rmSync(at('small'), { recursive: true, force: true })
    mkdirSync(at('small'))
    const out = at('small', 'out')
    const remount = `"$@"; echo $? >&2; ls small; ls small/out 2>/dev/null; mount -o remount,size=4m small && "$@" && cat small/out/model.safetensors > copy; code=$?; umount small; exit $code`
    const line = `cd ${root} && mount -t tmpfs -o size=${room}k none small && { ${remount}; }`
    const { status, stdout, stderr } = shell(`${mounts}sh -c '${line}' sh "$@"`, ...words(out))
    expect(stderr).toMatch(message)
    expect(stderr).toMatch(/free some space or choose another folder\n1\n$/)
    expect(stdout).not.toMatch(/^model/m)
    expect(status).toBe(0)
    expect(readFileSync(at('copy')).equals(expected)).toBe(true)
  })

  it.skipIf(mounts === undefined)('a read-only file system', () => {
    mkdirSync(at('still'))
    const line = `cd ${root} && mount -t tmpfs -o ro none still && { "$@"; code=$?; umount still; exit $code; }`
    const { status, stderr } = shell(`${mounts}sh -c '${line}' sh "$@"`, ...words(at('still', 'out')))
    expect([status, stderr]).toEqual([
      1,
      `treeline: cannot write ${at('still', 'out')}: the file system is read-only: choose another folder\n`,
    ])
  })

  it('a limit on the size of files; without it the same command works', async () => {
    const expected = await undisturbed(linear('b'))
    const out = fresh()
    const { status, stderr } = shell('ulimit -f 16; "$@"', ...words(out))
    expect([status, stderr]).toEqual([
      1,
      `treeline: cannot write ${out}: larger than a file may be: raise the limit (ulimit -f) or write smaller files\n`,
    ])
    expect(modelFiles(out)).toEqual([])
    expect(shell('"$@"', ...words(out)).status).toBe(0)
    expect(readFileSync(join(out, 'model.safetensors')).equals(expected)).toBe(true)
  })

  it.skipIf(!existsSync('/proc/version'))('a place where no folder can be made', () => {
    const { status, stderr } = shell('"$@"', ...words('/proc/out'))
    expect([status, stderr]).toEqual([
      1,
      'treeline: cannot write /proc/out: no such file or folder: check the path\n',
    ])
  })

  it('below a file, in the folder of an input, where another merge was killed at its end', async () => {
    const refusal = async (out: string) => (await treeline('merge', ...words(out))).err
    expect(await refusal(at('a', 'config.json', 'out'))).toBe(
      `treeline: ${at('a', 'config.json', 'out')}: ${at('a', 'config.json')} is a file, expected a folder\n`,
    )
    const before = readdirSync(at('a')).map((name) => readFileSync(at('a', name), 'base64'))
    expect(await refusal(at('a'))).toBe(
      `treeline: ${at('a')}: this is the input itself (${at('a')}), which is never replaced: write the output somewhere else\n`,
    )
    expect(readdirSync(at('a')).map((name) => readFileSync(at('a', name), 'base64'))).toEqual(before)
    const out = fresh()
    mkdirSync(join(out, '.treeline-merge'), { recursive: true })
    writeFileSync(join(out, '.treeline-merge', 'mark.txt'), 'of another')
    writeFileSync(join(out, 'model-00001-of-00002.safetensors'), '')
    expect(await refusal(out)).toBe(
      `treeline: ${out}: another merge was interrupted here: finish it with its own command, choose another folder, or discard it with --force\n`,
    )
  })
})
