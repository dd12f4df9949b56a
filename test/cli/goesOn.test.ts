/** @file What lets a command go on: facts that a store holds, answers that an evaluation has, the short command of a run; and bounds. */
import { appendFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { alreadyTaught } from '../../src/cli/commands/edit/taught.ts'
import { checkRequest, evaluationJournal, type Listed, textsOf } from '../../src/edit/index.ts'
import { statuses } from '../../src/edit/store/index.ts'
import { findExperiment } from '../../src/experiments/index.ts'
import { composeConfig, configHash, resumeCommand } from '../../src/lab/index.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-goes-on-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

describe('facts that a store holds already', () => {
  const fact = (prompt: string, target: string) => ({ prompt, target })
  /** The store after these events: facts with the number that they supersede, and numbers that were undone. */
  function listed(
    ...events: (readonly [prompt: string, target: string, supersedes?: number] | number)[]
  ): Listed[] {
    let number = 0
    const records = events.map((event) =>
      typeof event === 'number'
        ? { event: 'undo' as const, number: event, memory: 'kept' as const, at: '' }
        : {
            ...{ event: 'edit' as const, number: ++number, prompt: event[0], target: event[1], mask: '' },
            ...{ promptTokens: 1, targetTokens: 1, steps: 1, losses: { first: 1, last: 0, worst: 0 } },
            ...{ stopped: 'loss' as const, at: '' },
            ...(event[2] === undefined ? {} : { supersedes: event[2] }),
          },
    )
    return statuses(records)
  }
  const [a, b, c] = [fact('a', '1'), fact('b', '2'), fact('a', '3')]
  test.each([
    ['none', [a, b], listed(), []],
    ['the first of two', [a, b], listed(['a', '1']), [0]],
    ['among others', [a, b], listed(['x', '1'], ['b', '2'], ['y', '2']), [1]],
    ['another target', [a, b], listed(['a', '3']), []],
    ['an undone one is taught again', [a, b], listed(['a', '1'], ['b', '2'], 1), [1]],
    ['replaced by a later fact of the list', [a, c], listed(['a', '1'], ['a', '3', 1]), [0, 1]],
    ['replaced by another edit', [a, b], listed(['a', '1'], ['b', '2'], ['a', '3', 1]), [1]],
    ['twice in the list, once in the store', [a, b, a], listed(['a', '1'], ['b', '2']), [0, 1]],
    ['back and forth, cut in the middle', [a, c, a], listed(['a', '1'], ['a', '3', 1]), [0, 1]],
  ])('%s', (_, facts, store, expected) => {
    const taught = alreadyTaught(facts, store)
    expect([...taught.keys()]).toEqual(expected)
    // each by an edit of the same texts
    for (const [place, { record }] of taught)
      expect([record.prompt, record.target]).toEqual([facts[place]!.prompt, facts[place]!.target])
  })
})

test('an edit that is too long is refused with the number of its tokens', () => {
  // a token for each letter
  const words = {
    encode: (text: string) => [...text].map((letter) => letter.charCodeAt(0)),
    decode: (ids: readonly number[]) => String.fromCharCode(...ids),
    eosIds: [],
    addsBos: false,
    fingerprint: () => '',
  }
  const texts = textsOf(words, 8192)
  const check = (prompt: number, target: number) => () =>
    checkRequest(texts, { prompt: 'p'.repeat(prompt), target: ` ${'t'.repeat(target - 1)}` })
  expect(check(10, 256)()).toHaveLength(256)
  expect(check(10, 6000)).toThrow('the target has 6000 tokens, an edit teaches at most 256')
  expect(check(768, 256)()).toHaveLength(256)
  expect(check(769, 256)).toThrow('the prompt has 769 tokens and the target 256, an edit takes at most 1024')
  expect(check(8000, 3)).toThrow('the prompt has 8000 tokens and the target 3, an edit takes at most 1024')
})

test('an evaluation keeps its answers for the same facts and the same store only, and none that are torn', () => {
  const source = { file: 'f', shape: 's', record: 1, line: 1 }
  const facts = [{ prompt: 'a', target: '1', source }]
  const result = { edit: { forced: 0.1 + 0.2, exact: 1, loss: null, isIdentical: false, edit: 2 } }
  writeFileSync(join(root, 'edits.jsonl'), 'one\n')
  evaluationJournal(root, facts).keep(0, result)
  const [name] = readdirSync(root).filter((one) => one.startsWith('.evaluate'))
  appendFileSync(join(root, name!), '[1,{"edi')
  expect([...evaluationJournal(root, facts).known]).toEqual([[0, result]])
  evaluationJournal(root, facts).keep(1, result)
  expect([...evaluationJournal(root, facts).known.keys()]).toEqual([0, 1])
  // where a fact stands in its file changes nothing
  expect(evaluationJournal(root, [{ ...facts[0]!, source: { ...source, line: 9 } }]).known.size).toBe(2)
  expect(evaluationJournal(root, [{ ...facts[0]!, target: '2' }]).known.size).toBe(0)
  writeFileSync(join(root, 'edits.jsonl'), 'one\ntwo\n')
  expect(evaluationJournal(root, facts).known.size).toBe(0)
  writeFileSync(join(root, 'edits.jsonl'), 'one\n')
  evaluationJournal(root, facts).remove()
  expect(readdirSync(root).filter((one) => one.startsWith('.evaluate'))).toEqual([])
})

test('the command that goes on with a run names its preset, and makes the same config', () => {
  const experiment = findExperiment('sample-complexity')
  const quick = composeConfig(experiment, { preset: 'quick', values: { seed: 4 } })
  expect(resumeCommand(experiment, quick, { root: 'elsewhere' })).toBe(
    'npx treeline run sample-complexity --preset quick --seed 4 --out elsewhere',
  )
  expect(resumeCommand(experiment, composeConfig(experiment, {}))).toBe('npx treeline run sample-complexity')
  const other = composeConfig(experiment, { preset: 'quick', set: ['width=7'] })
  expect(resumeCommand(experiment, other)).toBe(
    'npx treeline run sample-complexity --preset quick --set width=7',
  )
  const again = composeConfig(experiment, { preset: 'quick', set: ['width=7'] })
  expect(configHash(experiment, again)).toBe(configHash(experiment, other))
})
