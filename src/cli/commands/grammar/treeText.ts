/** @file A tree in characters: upright where it fits the terminal, lying on its side where it does not. */
import { percent } from '../../../base/index.ts'
import type { Io } from '../../io.ts'

/** What is drawn: symbols of each level, the root's first, and perhaps how well each is known (0 … 1). */
interface DrawnTree {
  readonly levels: readonly (readonly number[])[]
  readonly posterior?: readonly (readonly number[])[]
}

type Colors = Io['colors']

/** Nodes beyond which the lowest levels are left out. */
const mostNodes = 2048

/** Well known is plain, half known yellow, lost red: also readable without colours, for the percentage is beside it. */
function shade(colors: Colors, p: number | undefined): (text: string) => string {
  if (p === undefined) return colors.bold
  if (p > 0.9) return colors.green
  return p > 0.5 ? colors.yellow : colors.red
}

/** Words placed on one line at given columns, coloured only after they are placed. */
function placeWords(
  words: readonly { text: string; middle: number; paint: (text: string) => string }[],
): string {
  let line = ''
  let width = 0
  for (const { text, middle, paint } of words) {
    const start = Math.max(0, Math.round(middle - text.length / 2))
    line += ' '.repeat(Math.max(0, start - width)) + paint(text)
    width = start + text.length
  }
  return line
}

/** `┌──┴──┐` from the first child to the last below each parent. */
function branches(parents: readonly number[], children: readonly number[]): string {
  const s = children.length / parents.length
  const line: string[] = []
  const put = (at: number, character: string): void => {
    while (line.length <= at) line.push(' ')
    line[at] = character
  }
  for (const [i, parent] of parents.entries()) {
    const own = children.slice(i * s, (i + 1) * s)
    for (let at = own[0]!; at <= own.at(-1)!; at++) put(at, '─')
    for (const child of own) put(child, '┬')
    put(own[0]!, '┌')
    put(own.at(-1)!, '┐')
    put(parent, own.includes(parent) ? '┼' : '┴')
  }
  return line.join('')
}

function upright({ levels, posterior }: DrawnTree, pitch: number, colors: Colors): string {
  const leaves = levels.at(-1)!.length
  const middles = levels.map((symbols) => {
    const cell = (leaves * pitch) / symbols.length
    return symbols.map((_, node) => Math.floor((node + 0.5) * cell))
  })
  const lines: string[] = []
  for (const [level, symbols] of levels.entries()) {
    const at = (node: number) => middles[level]![node]! + 0.5
    const p = posterior?.[level]
    lines.push(
      placeWords(
        symbols.map((symbol, node) => ({
          text: String(symbol),
          middle: at(node),
          paint: shade(colors, p?.[node]),
        })),
      ),
    )
    if (p)
      lines.push(
        placeWords(
          p.map((share, node) => ({ text: percent(share, 0), middle: at(node), paint: colors.dim })),
        ),
      )
    if (level + 1 < levels.length) lines.push(colors.dim(branches(middles[level]!, middles[level + 1]!)))
  }
  return `${lines.join('\n')}\n`
}

function sideways({ levels, posterior }: DrawnTree, colors: Colors): string {
  const s = levels[1]!.length
  const lines: string[] = []
  const visit = (level: number, node: number, before: string, branch: string, after: string): void => {
    const p = posterior?.[level]?.[node]
    const note = p === undefined ? '' : ` ${colors.dim(percent(p, 0))}`
    lines.push(`${colors.dim(before + branch)}${shade(colors, p)(String(levels[level]![node]))}${note}`)
    if (level + 1 === levels.length) return
    for (let i = 0; i < s; i++) {
      const last = i === s - 1
      visit(level + 1, node * s + i, before + after, last ? '└─ ' : '├─ ', last ? '   ' : '│  ')
    }
  }
  visit(0, 0, '', '', '')
  return `${lines.join('\n')}\n`
}

/** The tree as text. Levels that would make it longer than 2048 nodes are left out and said. */
export function treeText(tree: DrawnTree, columns: number, colors: Colors): string {
  const { levels, posterior } = tree
  // a tree may have a million leaves, too many for the arguments of Math.max
  const largest = levels.reduce((most, symbols) => symbols.reduce((a, b) => Math.max(a, b), most), 0)
  const widest = Math.max(String(largest).length, posterior ? 5 : 1)
  const pitch = widest + (posterior ? 1 : 2)
  if (levels.at(-1)!.length * pitch <= columns) return upright(tree, pitch, colors)
  let shown = 0
  let nodes = 0
  for (const symbols of levels) {
    nodes += symbols.length
    if (nodes <= mostNodes) shown++
  }
  const text = sideways({ levels: levels.slice(0, shown), posterior: posterior?.slice(0, shown) }, colors)
  const hidden = levels.length - shown
  return hidden === 0 ? text : `${text}… ${hidden} more ${hidden === 1 ? 'level' : 'levels'} below\n`
}
