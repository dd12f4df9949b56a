/** @file Figure: a grammar that can be played with. */
import { factsOf, grammarOf, ruleAt, treeOf, withRule } from '../compute/trees.ts'
import { h, shown } from '../ui/dom.ts'
import { button, frame } from '../ui/frame.ts'
import { drawTree } from '../ui/tree.ts'
import { sizeSliders } from './sizes.ts'

export function grammarFigure(section: Element): void {
  let drawn = 0
  let changed: { level: number; node: number } | undefined
  const onSizes = (): void => restart()
  const sliders = sizeSliders('grammar', { m: [1, 8, 3], L: [1, 5, 3] }, onSizes)
  const figure = frame(section, 'grammar', {
    controls: [
      ...sliders.elements,
      button('Another string', () => {
        drawn++
        restart()
      }),
    ],
    command: () => {
      const { v, m, L, seed } = sliders.sizes()
      return `treeline grammar make --v ${v} --m ${m} --s 2 --L ${L} --classes ${v} --seed ${seed} --out g.grammar.json && treeline grammar show g.grammar.json`
    },
  })
  let grammar = grammarOf(sliders.sizes())
  let trees = treeOf(grammar, sliders.sizes().seed, 0)

  function restart(): void {
    const sizes = sliders.sizes()
    grammar = grammarOf(sizes)
    trees = treeOf(grammar, sizes.seed, drawn)
    changed = undefined
    draw()
  }
  function exchange(level: number, node: number): void {
    const rule = (ruleAt(grammar, trees, level, node) + 1) % grammar.m
    trees = withRule(grammar, trees, level, node, rule)
    changed = { level, node }
    draw()
  }
  function draw(): void {
    const { v, m, s, L } = grammar
    const below = (level: number, node: number): boolean =>
      changed !== undefined &&
      level > changed.level &&
      Math.floor(node / s ** (level - changed.level)) === changed.node
    const focused = document.activeElement?.getAttribute('aria-label')
    const cells = trees.levels.map((symbols, level) =>
      Array.from(symbols, (symbol, node) => ({
        text: String(symbol),
        shade: below(level, node) ? 0.75 : level === 0 ? 0.4 : 0.12,
        title:
          level < L
            ? `level ${level}, node ${node + 1}: symbol ${symbol}, rule ${ruleAt(grammar, trees, level, node) + 1} of ${m}; press for the next rule`
            : `token ${node + 1}: ${symbol}`,
        ...(level < L && m > 1 && { onPress: () => exchange(level, node) }),
      })),
    )
    const rules = h(
      'table',
      {},
      h('caption', {}, 'Rules of the lowest level: a symbol and its synonyms'),
      h(
        'tbody',
        {},
        ...Array.from({ length: v }, (_, symbol) =>
          h(
            'tr',
            {},
            h('th', { scope: 'row' }, String(symbol)),
            ...Array.from({ length: m }, (_, k) => {
              const at = (symbol * m + k) * s
              return h('td', {}, Array.from(grammar.rules[L - 1]!.subarray(at, at + s)).join(' '))
            }),
          ),
        ),
      ),
    )
    const picture = drawTree(cells, `A tree with ${L} levels above ${s ** L} tokens`)
    figure.show(picture, rules)
    if (focused && changed) picture.querySelectorAll<SVGGElement>('.pressable')[place(changed, s)]?.focus()
    const { strings, tuples, used, f } = factsOf(grammar)
    const text =
      strings < 10n ** 15n ? Number(strings).toLocaleString('en') : `10^${strings.toString().length - 1}`
    figure.say(
      changed
        ? `The rule of one node was exchanged: the marked part is new, the class ${trees.levels[0]![0]} is the same.`
        : `This grammar has ${text} strings. ${used} of ${tuples} pairs are legal, a share f = ${shown(f)} for each symbol; drawing at random would almost never give a legal string.`,
    )
  }
  draw()
}

/** Where a node stands among those that can be pressed. */
const place = ({ level, node }: { level: number; node: number }, s: number): number =>
  (s ** level - 1) / (s - 1) + node
