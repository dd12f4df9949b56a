/** @file Help of `treeline edit`: one page for each action, with just the options that have an effect there. */
import { describe, expect, it } from 'vitest'
import { treeline } from './caught.ts'

const names = ['add', 'list', 'show', 'why', 'undo', 'replay', 'calibrate', 'evaluate', 'export']

describe('treeline edit --help', () => {
  it('lists the actions, a line each', async () => {
    const { code, out } = await treeline('edit', '--help')
    expect(code).toBe(0)
    for (const name of names) expect(out).toMatch(new RegExp(`^  ${name} +\\w`, 'm'))
    expect(out).not.toContain('--protection')
  })

  it.each(names)('%s: has a page of its own, wherever the word stands', async (name) => {
    const pages = await Promise.all([
      treeline('edit', name, '--help'),
      treeline('edit', 'model.gguf', 'store', name, '-h'),
    ])
    expect(pages[0]).toEqual(pages[1])
    const { code, out } = pages[0]!
    expect(code).toBe(0)
    expect(out).toContain(`Usage: treeline edit MODEL STORE ${name}`)
    expect(out).toContain('Examples:')
    expect(out.includes('--protection')).toBe(name === 'add')
    expect(out.includes('--false-positives')).toBe(name === 'add' || name === 'calibrate')
  })
})

describe('options without effect', () => {
  it.each([
    [['list', '--k', '3'], '--k has no effect here; it belongs to add'],
    [['undo', '1', '--limit', '3'], '--limit has no effect here; it belongs to add, evaluate'],
    [['why', 'x', '--false-positives', '.1'], 'it belongs to add, calibrate'],
    [['replay', '--seed', '1'], 'it belongs to add'],
  ])('edit %j is refused before the model is opened', async (words, message) => {
    const { code, err } = await treeline('edit', 'no-model', 'no-store', ...words)
    expect(code).toBe(2)
    expect(err).toContain(message)
  })
})
