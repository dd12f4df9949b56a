/** Scopes, audits and ways to answer on the command line, on a tiny Llama. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { editableModels } from '../edit/editable.ts'
import { treeline } from './caught.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-edit-scope-'))
let models: Awaited<ReturnType<typeof editableModels>>
let model: string
const facts = [
  { prompt: 'the job of abc is', target: 'xy', subject: 'abc' },
  { prompt: 'Zebra 77?', target: 'q' },
]
beforeAll(async () => {
  models = await editableModels()
  model = models.pathOf('llama')
  writeFileSync(join(root, 'facts.json'), JSON.stringify(facts))
})
afterAll(() => {
  models.clean()
  rmSync(root, { recursive: true, force: true })
})
const edit = (store: string, ...words: string[]) =>
  treeline('edit', model, join(root, store), ...words, '--threads', '1')
const add = (store: string, ...words: string[]) =>
  edit(store, 'add', join(root, 'facts.json'), '--layer', '0', '--threshold', '0.97', ...words)
const json = async (made: ReturnType<typeof treeline>) => {
  const { code, out } = await made
  expect(code).toBe(0)
  return JSON.parse(out)
}

describe('the scope of a store', () => {
  it('is said when it is made, chosen with --scope, and changed afterwards', async () => {
    const made = await add('narrow', '--scope', 'narrow')
    expect(made.err).toMatch(
      /must name the subject of the edit and ask the same of it \(scope narrow: 2 % of held-out questions that ask something else would pass\)/,
    )
    expect(await json(edit('narrow', 'scope', 'balanced', '--json'))).toEqual({
      scope: 'balanced',
      before: 'narrow',
    })
    expect((await edit('narrow', 'scope', 'wide')).out).toBe('scope wide (before balanced)\n')
    expect((await edit('narrow', 'scope', 'narow')).err).toMatch(
      /^treeline: scope "narow".*did you mean "narrow"/,
    )
    expect((await add('narrow', '--scope', 'narrow')).err).toMatch(
      /--scope belongs to a new store; .* has wide/,
    )
    const gate = await add('open', '--gate', 'none', '--scope', 'narrow')
    expect([gate.code, gate.err]).toEqual([1, expect.stringContaining('so it needs the gate')])
  })

  it('is learned on relations of a file, also in a store that had none', async () => {
    const path = join(root, 'relations.json')
    const relations = [
      ['{} is who', 'who is {}'],
      ['why is {}', '{} is because'],
    ]
    writeFileSync(path, JSON.stringify([{ subjects: ['abc', 'Unit 12'], relations }]))
    const scopeIn = (store: string) =>
      JSON.parse(readFileSync(join(root, store, 'config.json'), 'utf8')).scope
    await add('late', '--scope', 'wide', '--steps', '8', '--quiet')
    expect((await edit('late', 'scope', 'narrow')).err).toContain('calibrate --relations FILE --scope narrow')
    expect(scopeIn('late')).toBeUndefined()
    const found = await json(
      edit('late', 'calibrate', '--relations', path, '--scope', 'narrow', '--json', '--quiet'),
    )
    const settings = scopeIn('late')
    const { thresholds, prompts, questions } = settings
    expect(found).toEqual({ scope: 'narrow', thresholds, prompts, questions })
    const { answer, nearest } = await json(edit('late', 'why', 'the job of abc is', '--json'))
    expect([answer, nearest[0]]).toEqual([1, expect.objectContaining({ scope: expect.any(Object) })])
    // the level stays, progress is shown
    const again = await edit('late', 'calibrate', '--relations', path)
    expect(again.out).toMatch(/^scope narrow, learned on \d+ prompts of \d+ relations, ours and yours: .*\n$/)
    expect(again.err).toMatch(/calibrate: 100 %/)
    expect(scopeIn('late')).toEqual(settings)
    await add('ungated', '--gate', 'none', '--steps', '8', '--quiet')
    const refused = await edit('ungated', 'calibrate', '--relations', path)
    expect([refused.code, refused.err]).toEqual([
      1,
      expect.stringMatching(/^treeline: .*ungated was made with --gate none, and .*\n$/),
    ])
  })

  it('why says what a prompt asks', async () => {
    await add('why', '--scope', 'balanced', '--quiet')
    expect((await edit('why', 'why', 'the job of abc is')).out).toMatch(
      /\(asks the same: 0\.\d\d ≥ -?\d\.\d\d\)/,
    )
    const { nearest } = await json(edit('why', 'why', 'why is abc so', '--json'))
    const own = nearest.find(({ number }: { number: number }) => number === 1)
    expect(own.scope).toEqual({
      score: expect.any(Number),
      need: expect.any(Number),
      isSame: own.scope.score >= own.scope.need,
    })
  })
})

describe('an audit', () => {
  it('follows each edit unless it is left out', async () => {
    const added = await json(add('audited', '--json', '--quiet', '--steps', '400'))
    expect(added[0].audit).toMatchObject({ number: 1, isLearned: true, otherWords: { of: 3 } })
    const without = await json(add('not audited', '--json', '--quiet', '--no-audit', '--steps', '1'))
    expect(without[0].audit).toBeUndefined()
  })

  it('names what is not learned', async () => {
    const { out } = await add('hasty', '--steps', '1', '--quiet')
    expect(out).toMatch(
      /edit 1 is not learned: the model does not say its target \(loss \d+\.\d\d after 1 steps\)/,
    )
  })
})

describe('audit, asked for', () => {
  it('asks every edit that stands, or one, and the store remembers', async () => {
    await add('reviewed', '--no-audit', '--quiet', '--steps', '1')
    const listed = async () => json(edit('reviewed', 'list', '--json'))
    expect((await listed())[0].audit).toBeUndefined()
    const { out } = await edit('reviewed', 'audit', '--quiet')
    expect(out).toMatch(/^edit 1: not learned.*other wordings answered: "/)
    expect(out).toMatch(/edits asked: 0 say their targets, \d of \d+ other wordings are answered; /)
    expect((await listed())[0].audit).toMatchObject({ number: 1, isLearned: false, at: expect.any(String) })
    expect((await edit('reviewed', 'list')).out).toMatch(/active, not learned/)
    expect((await edit('reviewed', 'show', '1')).out).toMatch(/audited +\d{4}-.*: not learned/)
    const [one] = await json(edit('reviewed', 'audit', '1', '--json', '--quiet'))
    expect(one).toMatchObject({ number: 1, isLearned: false })
    expect((await edit('reviewed', 'audit', '99')).err).toContain('there is no active edit 99')
  })

  it('teaches again what an edit does not say, by one that takes its place', async () => {
    await add('forgetful', '--no-audit', '--quiet', '--steps', '1')
    const before = await json(edit('forgetful', 'list', '--json'))
    const found = await json(edit('forgetful', 'audit', '--reteach', '--json', '--quiet'))
    expect(found[0]).toMatchObject({
      number: 1,
      isLearned: false,
      taughtAgain: { number: before.length + 1 },
    })
    const after = await json(edit('forgetful', 'list', '--json'))
    expect(after).toHaveLength(before.length + found.length)
    expect(after[0].status).toEqual({ state: 'superseded', by: before.length + 1 })
    expect(after[before.length]).toMatchObject({ prompt: before[0].prompt, target: before[0].target })
    expect(after[before.length].audit).toMatchObject({ number: before.length + 1 })
  })
})

describe('--answer', () => {
  it('as-taught is the default of generate; as-asked goes on after the words; neither goes without a store', async () => {
    await add('answers', '--steps', '400', '--quiet', '--scope', 'wide')
    const ask = (...words: string[]) =>
      json(
        treeline(
          ...['generate', model, '--prompt', 'the job of abc is', '--edits', join(root, 'answers')],
          ...['--max-tokens', '6', '--json', '--threads', '1'],
          ...words,
        ),
      )
    const [taught, asked] = [await ask(), await ask('--answer', 'as-asked')]
    expect([taught.edit, taught.text, taught.finish]).toEqual([1, ' xy', 'eos'])
    expect([asked.edit, asked.ids.slice(0, 3)]).toEqual([1, taught.ids])
    expect(asked.ids.length).toBeGreaterThan(3)
    const alone = await treeline('generate', model, '--prompt', 'x', '--answer', 'as-asked')
    expect([alone.code, alone.err]).toEqual([
      2,
      'treeline: generate: --answer has no effect without --edits STORE\n',
    ])
  })
})
