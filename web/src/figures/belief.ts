/** @file Figure: noise on the leaves, belief climbing the tree, and the class that is lost at ε*. */
import { type Running, run } from '../compute/run.ts'
import {
  beliefIn,
  classPosteriorOf,
  criticalOf,
  grammarOf,
  type Sizes,
  type SurvivalPoint,
  theoryOf,
  treeOf,
} from '../compute/trees.ts'
import { h, shown } from '../ui/dom.ts'
import { button, frame, slider } from '../ui/frame.ts'
import { drawTree } from '../ui/tree.ts'
import { sizeSliders } from './sizes.ts'

const grid = Array.from({ length: 19 }, (_, i) => Number((0.05 * (i + 1)).toFixed(2)))

export function beliefFigure(section: Element): void {
  let points: SurvivalPoint[] = []
  let sampled = 0
  let running: Running | undefined
  const forget = (): void => {
    running?.stop()
    running = undefined
    points = []
    sampled = 0
    more.textContent = 'One thousand strings'
    draw()
  }
  const sliders = sizeSliders('belief', { v: [4, 16, 16], m: [1, 8, 4], L: [2, 8, 6] }, forget)
  const noise = slider('belief', 'eps', 'noise ε', { least: 0, greatest: 1, step: 0.01, value: 0.7 }, () =>
    draw(),
  )
  const more = button('One thousand strings', () => sample())
  const command = (): string => {
    const { v, m, L, seed } = sliders.sizes()
    return `treeline run phase-transition --set grammar.v=${v},grammar.m=${m},grammar.s=2 --seed ${seed} --report   # this tree has L = ${L}`
  }
  const tree = frame(section, 'belief', { controls: [...sliders.elements, noise.element], command })
  const curve = frame(section, 'survival', { controls: [more], command })

  function sample(): void {
    if (running) return
    const sizes = sliders.sizes()
    sampled += 1000
    more.disabled = true
    const found: SurvivalPoint[] = []
    running = run<SurvivalPoint>(
      { kind: 'survival', args: [sizes, { eps: grid, grammars: 10 * (sampled / 1000), each: 100 }] },
      {
        onPoint: (point) => {
          found.push(point)
          points = [...found, ...points.filter(({ eps }) => !found.some((one) => one.eps === eps))].sort(
            (a, b) => a.eps - b.eps,
          )
          drawCurve(sizes)
        },
        onEnd: (failure) => {
          running = undefined
          more.disabled = false
          more.textContent = 'One thousand more'
          if (failure) curve.say(`It failed: ${failure}`)
        },
      },
    )
  }
  function drawCurve(sizes: Sizes): void {
    const { star, phase } = criticalOf(sizes)
    const fine = Array.from({ length: 101 }, (_, i) => i / 100)
    const theory = fine.map((eps) => ({ eps, ...theoryOf(sizes, eps) }))
    curve.chart({
      label: `How probable the true class and a true token are, against the noise, for L = ${sizes.L}`,
      x: { title: 'noise ε', range: [0, 1] },
      y: { title: 'posterior probability of what was true', range: [0, 1] },
      marks: [
        ...(star === undefined ? [] : [{ name: `ε* = ${shown(star)}`, at: star, along: 'x' as const }]),
        { name: '', at: noise.value(), along: 'x' },
      ],
      series: [
        {
          name: 'class, theory',
          as: 'line',
          colour: 1,
          points: theory.map(({ eps, root }) => ({ x: eps, y: root })),
        },
        {
          name: 'token, theory',
          as: 'dashes',
          colour: 2,
          points: theory.map(({ eps, leaf }) => ({ x: eps, y: leaf })),
        },
        {
          name: 'class, exact inference',
          as: 'points',
          colour: 1,
          points: points.map((p) => ({ x: p.eps, y: p.root, error: p.rootError })),
        },
        {
          name: 'token, exact inference',
          as: 'points',
          colour: 2,
          points: points.map((p) => ({ x: p.eps, y: p.leaf, error: p.leafError })),
        },
      ],
    })
    curve.say(
      `${star === undefined ? (phase === 'kept' ? 'With so few synonyms any noise below 1 leaves the class.' : 'With so many synonyms any noise loses the class of a deep tree.') : `Theory: a deep tree loses its class at ε* = ${shown(star)}.`}${sampled > 0 ? ` ${sampled.toLocaleString('en')} strings of ${(sampled / 100).toLocaleString('en')} grammars, errors over grammars.` : ''}`,
    )
  }
  function draw(): void {
    const sizes = sliders.sizes()
    const grammar = grammarOf(sizes)
    const trees = treeOf(grammar, sizes.seed, 0)
    const eps = noise.value()
    const belief = beliefIn(grammar, trees, eps)
    const cells = belief.map((values, level) =>
      values.map((p, node) => {
        const symbol = trees.levels[level]![node]!
        return {
          text: `${symbol}`,
          shade: p,
          title: `level ${level}, node ${node + 1}: its symbol ${symbol} has probability ${shown(p)}`,
        }
      }),
    )
    const means = belief.map((values) => values.reduce((a, b) => a + b, 0) / values.length)
    const posterior = classPosteriorOf(grammar, trees, eps)
    tree.show(
      drawTree(cells, `Belief in the true symbol of every node at noise ${shown(eps)}`),
      h(
        'table',
        {},
        h(
          'thead',
          {},
          h(
            'tr',
            {},
            h('th', { scope: 'col' }, 'level'),
            h('th', { scope: 'col' }, 'mean probability of the true symbol'),
          ),
        ),
        h(
          'tbody',
          {},
          ...means.map((mean, level) =>
            h('tr', {}, h('th', { scope: 'row' }, String(level)), h('td', {}, shown(mean))),
          ),
        ),
      ),
    )
    const truth = trees.levels[0]![0]!
    const best = posterior.indexOf(Math.max(...posterior))
    tree.say(
      `The class is ${truth}; after this noise it has probability ${shown(posterior[truth]!)}${best === truth ? ', and is recovered' : `, and ${best} is believed instead (${shown(posterior[best]!)}): the class is lost`}.`,
    )
    drawCurve(sizes)
  }
  draw()
}
