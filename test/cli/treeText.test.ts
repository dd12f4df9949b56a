import pc from 'picocolors'
import { expect, it } from 'vitest'
import { treeText } from '../../src/cli/commands/grammar/treeText.ts'

const plain = pc.createColors(false)
const levels = [[6], [1, 6], [2, 2, 5, 3], [0, 7, 1, 3, 0, 2, 4, 10]]

it('stands upright where it fits', () => {
  expect(treeText({ levels: levels.slice(0, 3) }, 40, plain)).toBe(
    ['      6', '   ┌──┴──┐', '   1     6', ' ┌─┴┐  ┌─┴┐', ' 2  2  5  3', ''].join('\n'),
  )
  const three = treeText({ levels: [[0], [1, 2, 3]] }, 40, plain)
  expect(three).toBe('    0\n ┌──┼──┐\n 1  2  3\n')
})

it('lies down where it does not, and leaves out what would never end', () => {
  expect(treeText({ levels: levels.slice(0, 3) }, 11, plain)).toBe(
    ['6', '├─ 1', '│  ├─ 2', '│  └─ 2', '└─ 6', '   ├─ 5', '   └─ 3', ''].join('\n'),
  )
  const deep = Array.from({ length: 15 }, (_, level) => new Array<number>(2 ** level).fill(1))
  const text = treeText({ levels: deep }, 80, plain)
  expect(text.split('\n').length).toBeLessThan(2050)
  expect(text).toMatch(/… 4 more levels below\n$/)
  const deeper = Array.from({ length: 19 }, (_, level) => new Array<number>(2 ** level).fill(1))
  expect(treeText({ levels: deeper }, 80, plain)).toMatch(/… 8 more levels below\n$/)
})

it('says how well each symbol is known', () => {
  const posterior = [[0.25], [1, 0.006]]
  const upright = treeText({ levels: [[3], [1, 2]], posterior }, 80, plain)
  expect(upright.split('\n')[1]!.trim()).toBe('25 %')
  expect(upright.split('\n').at(-2)!.trim()).toMatch(/^100 % +1 %$/)
  expect(treeText({ levels: [[3], [1, 2]], posterior }, 5, plain)).toBe('3 25 %\n├─ 1 100 %\n└─ 2 1 %\n')
  expect(treeText({ levels: [[3], [1, 2]], posterior }, 5, pc.createColors(true))).toContain('\u001b[31m2')
})
