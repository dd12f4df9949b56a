/** @file Figure: there and back – which tokens change together, and how many. */
import { type Running, run } from '../compute/run.ts'
import { criticalOf } from '../compute/trees.ts'
import { type ChunkPoint, tripOf } from '../compute/trips.ts'
import { h, shown } from '../ui/dom.ts'
import { button, frame, slider } from '../ui/frame.ts'
import { drawTree } from '../ui/tree.ts'
import { sizeSliders } from './sizes.ts'

const grid = [
  0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95,
]

export function chunksFigure(section: Element): void {
  let points: ChunkPoint[] = []
  let flat: { eps: number; chi: number }[] = []
  let trip = 0
  let jobs: Running[] = []
  const forget = (): void => {
    for (const job of jobs) job.stop()
    jobs = []
    points = []
    measure.disabled = false
    draw()
  }
  const sliders = sizeSliders('chunks', { v: [4, 16, 16], m: [1, 8, 4], L: [2, 8, 6] }, forget)
  const noise = slider(
    'chunks',
    'eps',
    'noise ε',
    { least: 0, greatest: 0.99, step: 0.01, value: 0.75 },
    () => draw(),
  )
  const again = button('Another round trip', () => {
    trip++
    draw()
  })
  const measure = button('Measure χ', () => sample())
  const command = (): string => {
    const { v, m, L, seed } = sliders.sizes()
    return `treeline run correlated-chunks --set grammar.v=${v},grammar.m=${m},grammar.s=2 --seed ${seed} --report   # this tree has L = ${L}`
  }
  const string = frame(section, 'trip', { controls: [...sliders.elements, noise.element, again], command })
  const curve = frame(section, 'chunks', { controls: [measure], command })

  function sample(): void {
    const sizes = sliders.sizes()
    measure.disabled = true
    points = []
    flat = []
    let open = 2
    const onEnd = (failure?: string): void => {
      if (failure) curve.say(`It failed: ${failure}`)
      if (--open === 0) measure.disabled = false
    }
    jobs = [
      run<ChunkPoint>(
        { kind: 'chunks', args: [sizes, { eps: grid, grammars: 6, data: 32 }] },
        {
          onPoint: (p) => {
            points.push(p)
            drawCurve()
          },
          onEnd,
        },
      ),
      run<{ eps: number; chi: number }>(
        { kind: 'mixture', args: [grid, sizes.seed] },
        {
          onPoint: (p) => {
            flat.push(p)
            drawCurve()
          },
          onEnd,
        },
      ),
    ]
  }
  /** What the mixture shows, as it was measured. */
  function aboutMixture(): string {
    const peak = flat.reduce<{ eps: number; chi: number } | undefined>(
      (a, b) => (a && a.chi >= b.chi ? a : b),
      undefined,
    )
    if (!peak || flat.length < grid.length) return ''
    const falls = flat.at(-1)!.chi < 0.8 * peak.chi
    return `The flat mixture reaches ${shown(peak.chi)} of its 64 coordinates${falls ? ', and falls again' : ' and stays there'}: that many change together shows a lost class, and not yet a hierarchy.`
  }
  function drawCurve(): void {
    const sizes = sliders.sizes()
    const { star } = criticalOf(sizes)
    const top = Math.max(
      2,
      ...points.map(({ chi, theoryChi }) => Math.max(chi, theoryChi)),
      ...flat.map(({ chi }) => chi),
    )
    curve.chart({
      label: 'How many tokens change together, against the noise',
      x: { title: 'noise (ε of the grammar, 1 − ᾱ of the mixture)', range: [0, 1] },
      y: { title: 'χ', range: [1, top * 1.1], log: true },
      marks: [
        ...(star === undefined ? [] : [{ name: `ε* = ${shown(star)}`, at: star, along: 'x' as const }]),
      ],
      series: [
        {
          name: 'grammar, mean field',
          as: 'line',
          colour: 1,
          points: points.map((p) => ({ x: p.eps, y: p.theoryChi })),
        },
        {
          name: 'grammar, exact',
          as: 'points',
          colour: 1,
          points: points.map((p) => ({ x: p.eps, y: p.chi, error: p.chiError })),
        },
        {
          name: 'flat mixture of two modes',
          as: 'dashes',
          colour: 3,
          points: flat.map((p) => ({ x: p.eps, y: p.chi })),
        },
      ],
    })
    const best = points.reduce<ChunkPoint | undefined>((a, b) => (a && a.chi >= b.chi ? a : b), undefined)
    curve.say(
      points.length < grid.length
        ? 'Press “Measure χ”. A flat mixture, which has no hierarchy at all, stands beside it.'
        : `χ is largest at ε = ${shown(best!.eps)}: ${shown(best!.chi)} tokens change together. ${aboutMixture()}`,
    )
  }
  function draw(): void {
    const sizes = sliders.sizes()
    const { before, after } = tripOf(sizes, noise.value(), trip)
    const changed = after.filter((symbol, i) => symbol !== before[i]).length
    const cells = [before, after].map((row, which) =>
      row.map((symbol, i) => ({
        text: String(symbol),
        shade: which === 1 && symbol !== before[i] ? 0.85 : 0.12,
        title: `token ${i + 1}, ${which === 0 ? 'before' : 'after'}: ${symbol}`,
      })),
    )
    string.show(
      drawTree(cells, 'A string before and after a round trip; what changed is dark'),
      h(
        'table',
        {},
        h(
          'tbody',
          {},
          h('tr', {}, h('th', { scope: 'row' }, 'before'), h('td', {}, before.join(' '))),
          h('tr', {}, h('th', { scope: 'row' }, 'after'), h('td', {}, after.join(' '))),
        ),
      ),
    )
    string.say(changed === 0 ? 'No token changed.' : `${changed} of ${before.length} tokens changed.`)
    drawCurve()
  }
  draw()
}
