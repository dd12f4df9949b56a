/** @file Lists of runs: states, the index that is only a cache, filters, comparison, removal. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { composeConfig, executeRun, lockFolder } from '../../src/lab/index.ts'
import {
  compareRuns,
  labelsOf,
  listRuns,
  orderRuns,
  parseIndex,
  removeRun,
  selectRuns,
} from '../../src/lab/runs/index.ts'
import { treeline } from '../cli/caught.ts'
import { makeToy } from './toy.ts'

let root = ''
let before: string | undefined
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'treeline-runs-'))
  before = process.env['TREELINE_CACHE']
  process.env['TREELINE_CACHE'] = join(root, 'cache')
})
afterEach(() => {
  if (before === undefined) delete process.env['TREELINE_CACHE']
  else process.env['TREELINE_CACHE'] = before
  rmSync(root, { recursive: true, force: true })
})

const runs = () => join(root, 'runs')
const toy = makeToy()
const make = async (...set: string[]): Promise<string> =>
  (await executeRun(toy, composeConfig(toy, { set: ['steps=3', ...set] }), { root: runs(), threads: 1 }))
    .folder
/** As if its last change were long ago: the index keeps only what has settled. */
const settle = (): void => {
  const index = join(root, 'cache', 'runs')
  if (existsSync(index)) for (const name of readdirSync(index)) rmSync(join(index, name))
}
const indexFile = (): string => join(root, 'cache/runs', readdirSync(join(root, 'cache/runs'))[0]!)
const list = () => listRuns([runs()]).runs
const states = () => Object.fromEntries(list().map(({ folder, state }) => [folder.slice(-12), state]))

/** Wait until the folders' changes are old enough to be remembered. */
const later = async (action: () => void): Promise<void> => {
  const now = Date.now
  Date.now = () => now() + 60_000
  try {
    action()
  } finally {
    Date.now = now
  }
}

describe('a list of runs', () => {
  it('tells states apart', async () => {
    const finished = await make()
    const failing = makeToy({
      at: (step) => {
        if (step === 2) throw new Error('no luck\nin two lines')
      },
    })
    const config = composeConfig(failing, { set: ['seed=1'] })
    await expect(executeRun(failing, config, { root: runs(), threads: 1 })).rejects.toThrow('no luck')
    const controller = new AbortController()
    const stopped = makeToy({ at: () => controller.abort() })
    await expect(
      executeRun(stopped, composeConfig(stopped, { set: ['seed=2'] }), {
        root: runs(),
        threads: 1,
        signal: controller.signal,
      }),
    ).rejects.toThrow('interrupted')
    const waiting = join(runs(), 'toy', 'waiting')
    mkdirSync(waiting)
    writeFileSync(join(waiting, 'config.json'), readFileSync(join(finished, 'config.json')))
    const found = list()
    expect(found.map(({ state }) => state).sort()).toEqual(['failed', 'finished', 'interrupted', 'waiting'])
    const unlock = lockFolder(waiting)
    expect(states()['waiting'.slice(-12)] ?? list().find(({ folder }) => folder === waiting)?.state).toBe(
      'running',
    )
    unlock()
    expect(found.find(({ folder }) => folder === finished)).toEqual({
      folder: finished,
      experiment: 'toy',
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      seed: 0,
      state: 'finished',
      claims: { holds: 1, fails: 0, undecided: 0 },
      seconds: expect.any(Number),
      config: expect.objectContaining({ steps: 3, rates: [0.1] }),
    })
  })

  it('is the same from the index as without it, whatever happens to the folders in between', async () => {
    const [a, b] = [await make('seed=0'), await make('seed=1')]
    await later(() => list())
    const sound = readFileSync(indexFile())
    expect(parseIndex(sound)!.size).toBe(2)
    const changes: (() => void)[] = [
      () => {},
      () => rmSync(join(a, 'done')),
      () => writeFileSync(join(a, 'done'), ''),
      // in place: no name comes or goes
      () => {
        const path = join(b, 'summary.json')
        writeFileSync(path, readFileSync(path, 'utf8').replace('"outcome": "holds"', '"outcome": "fails"'))
        utimesSync(path, new Date(), new Date(Date.now() + 5000))
      },
      () => renameSync(b, `${b}-elsewhere`),
      () => rmSync(a, { recursive: true }),
    ]
    for (const change of changes) {
      change()
      const fast = list()
      settle()
      expect(fast).toEqual(list())
    }
    expect(list().map(({ claims }) => claims.fails)).toEqual([1])
  })

  it('makes the index anew when it is damaged or another version’s', async () => {
    await make()
    await later(() => list())
    const sound = readFileSync(indexFile())
    const expected = list()
    fc.assert(
      fc.property(fc.nat(sound.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const damaged = Buffer.from(sound)
        damaged[at] = damaged[at]! ^ flip
        expect(parseIndex(damaged)).toBeUndefined()
      }),
      { numRuns: 50 },
    )
    expect(parseIndex(sound.subarray(0, sound.length >> 1))).toBeUndefined()
    for (const bytes of ['', 'treeline-runs/0 abc\n{}', sound.subarray(0, 100)]) {
      writeFileSync(indexFile(), bytes)
      expect(list()).toEqual(expected)
    }
  })

  it('leaves out a folder whose config cannot be read, and says so', async () => {
    const folder = await make()
    writeFileSync(join(folder, 'config.json'), '{"hash"')
    expect(listRuns([runs()])).toMatchObject({
      runs: [],
      damaged: [{ folder, message: expect.stringContaining('damaged') }],
    })
  })
})

describe('choosing runs', () => {
  it('takes expressions over config fields, states and claims, of several experiments', async () => {
    for (const seed of [0, 1, 2]) await make(`seed=${seed}`, `noise.size=${seed / 4}`)
    const all = list()
    const other = { ...all[0]!, experiment: 'other', config: { seed: 9, L: 3 } }
    const seeds = (text: string) => selectRuns([...all, other], text).map(({ config }) => config['seed'])
    expect(seeds('noise.size > 0.1 && seed < 2')).toEqual([1])
    expect(seeds('L == 3 || seed == 2').sort()).toEqual([2, 9])
    expect(seeds('experiment == "other" || noise.size == 0').sort()).toEqual([0, 9])
    expect(seeds('claims.holds == 1 && state == "finished"')).toHaveLength(4)
    const refused = (text: string) => () => selectRuns([...all, other], text)
    expect(refused('stpes > 3')).toThrow('did you mean "steps"?')
    expect(refused('seed = 3')).toThrow('equality is ==')
    expect(refused('seed + 1')).toThrow('true or false')
    expect(refused('kind > 3')).toThrow('expected two numbers')
    expect(orderRuns(all, '-noise.size').map(({ config }) => config['seed'])).toEqual([2, 1, 0])
    expect(() => orderRuns(all, 'sed')).toThrow('did you mean "seed"?')
    expect(labelsOf(orderRuns(all, 'seed'))[1]).toBe('seed=1 noise.size=0.25 noise.on=true')
  })
})

describe('some runs', () => {
  it('compares what differs', async () => {
    const folders = [await make('seed=0'), await make('seed=0', 'start=2')]
    const { config, result, claims, made } = compareRuns(folders)
    expect(config).toEqual([{ name: 'start', values: [4, 2] }])
    expect(result.map(({ name }) => name)).toContain('final')
    expect(claims[0]).toMatchObject({ claim: 'the value shrinks', outcomes: ['holds', 'holds'] })
    expect(made).toEqual([])
    expect(() => compareRuns(folders.slice(1))).toThrow('two or more')
  })

  it('removes runs, but none at work and nothing that is no run', async () => {
    const folder = await make()
    const unlock = lockFolder(folder)
    expect(() => removeRun(folder)).toThrow('in use by process')
    unlock()
    expect(() => removeRun(runs())).toThrow('no run folder')
    removeRun(folder)
    expect(existsSync(folder)).toBe(false)
    expect(() => removeRun(folder)).toThrow('no such folder')
  })
})

describe('treeline runs', () => {
  it('prints the document of the contract, and refuses in one line', async () => {
    const [folder] = [await make('seed=0'), await make('seed=1')]
    const document = JSON.parse(
      (await treeline('runs', runs(), '--limit', '1', '--sort', 'seed', '--json')).out,
    )
    expect(Object.keys(document)).toEqual(['total', 'runs'])
    expect(document.total).toBe(2)
    expect(Object.keys(document.runs[0])).toEqual(
      'folder experiment hash seed state claims seconds config'.split(' '),
    )
    const { out } = await treeline('runs', runs(), '--where', 'seed == 0')
    expect(out).toContain(`finished  ${folder}  1 ✓`)
    expect(out).toContain('1 run: 1 finished')
    expect((await treeline('runs', 'show', folder!)).out).toContain('✓ the value shrinks')
    expect(JSON.parse((await treeline('runs', 'show', folder!, '--json')).out)[0].outcomes).toHaveLength(1)
    for (const [words, code, message] of [
      [[join(root, 'nowhere')], 1, 'there is no such folder'],
      [[runs(), '--where', 'x +'], 2, '--where'],
      [[runs(), '--watch', '--json'], 2, 'one document has no end'],
      [['remove', folder!], 2, 'add --yes'],
      [['compare', folder!], 2, 'two or more'],
      [['show', runs()], 1, 'no such file'],
    ] as const) {
      const ended = await treeline('runs', ...words)
      expect([ended.code, ended.err]).toEqual([code, expect.stringMatching(/^treeline: [^\n]+\n$/)])
      expect(ended.err).toContain(message)
    }
    expect((await treeline('runs', 'remove', folder!, '--yes')).code).toBe(0)
    expect((await treeline('runs', runs())).out).toContain('1 run: 1 finished')
  })
})
