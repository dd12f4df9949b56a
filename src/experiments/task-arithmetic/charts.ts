/** @file Accuracy against α, forgetting against α, maps of disentanglement, and where the kernel's eigenfunctions live. */
import { chart, distinct, type Figure, groupBy, heatMap, mean, where } from '../../lab/index.ts'
import { area, mostApart } from './analyse.ts'
import { type Found, partOf, type Regime, regimesIn, regimeTitles } from './rows.ts'

type Rows = readonly Found[]

const seriesName = (value: string | number): string => regimeTitles[value as Regime]

function mapOf(rows: readonly Found<'map'>[], regime: Regime, pair: string): Figure {
  const own = where(rows, { regime, pair })
  const axis = (name: 'alpha1' | 'alpha2') => distinct(own, name).sort((a, b) => a - b)
  const [x, y] = [axis('alpha1'), axis('alpha2')]
  const at = new Map(
    groupBy(own, 'alpha1', 'alpha2').map(({ key, rows: there }) => [
      `${key.alpha1} ${key.alpha2}`,
      mean(there.map(({ error }) => error)),
    ]),
  )
  const [first, second] = pair.split(' + ') as [string, string]
  const share = area.of(own, regime).value
  return heatMap({
    name: `map-${regime}-${pair.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`,
    title: `Disentanglement of ${first} and ${second}: ${regimeTitles[regime]}`,
    caption: `ξ(α₁, α₂): the share of ${first} examples that θ₀ + α₁ τ₁ + α₂ τ₂ answers otherwise than θ₀ + α₁ τ₁, plus the same of ${second} with the parts exchanged; test examples, mean over replicas. The frame holds the coefficients that are searched. ξ is at most ${mostApart} on ${(100 * share).toFixed(0)} % of the map.`,
    ...{ x, y, values: y.map((b) => x.map((a) => at.get(`${a} ${b}`) ?? null)) },
    xLabel: `α₁ of ${first}`,
    yLabel: `α₂ of ${second}`,
    valueLabel: 'ξ',
    domain: [0, 1],
    overlays: [
      {
        name: 'searched',
        points: [
          [0, 0],
          [1, 0],
          [1, 1],
          [0, 1],
          [0, 0],
        ].map(([px, py]) => ({ x: px!, y: py! })),
      },
    ],
  })
}

export function arithmeticCharts(rows: Rows): (() => Figure)[] {
  const [addition, negation, maps, energies] = [
    partOf(rows, 'addition'),
    partOf(rows, 'negation'),
    partOf(rows, 'map'),
    (['pretrained', 'random'] as const).flatMap((start) => partOf(rows, 'energy', start)),
  ]
  const alphaText = { x: 'alpha', series: 'regime', seriesName, xLabel: 'coefficient α' } as const
  return [
    chart(addition, {
      ...alphaText,
      name: 'addition',
      title: 'Adding all task vectors',
      caption:
        'Mean over tasks of the accuracy of θ₀ + α Σ τ over that of each task’s own vector in the same regime, on validation examples: what α is chosen by. In the linear regimes all coefficients follow from one pass.',
      ...{ y: 'normalized', yLabel: 'normalized accuracy' },
    }),
    ...(negation.length
      ? [
          chart(negation, {
            ...alphaText,
            name: 'negation',
            title: 'Taking a task vector away: the task',
            caption:
              'Accuracy of θ₀ − α τ on the task itself, mean over tasks, validation examples. Lower is more forgotten.',
            ...{ y: 'accuracy', yLabel: 'accuracy on the task' },
          }),
          chart(negation, {
            ...alphaText,
            name: 'control',
            title: 'Taking a task vector away: the control',
            caption:
              'Score of θ₀ − α τ on the control over that of θ₀, mean over tasks, validation examples. The coefficient of each task is the one that forgets most while the control stays above its bound.',
            ...{ y: 'kept', yLabel: 'control kept' },
          }),
        ]
      : []),
    ...distinct(maps, 'pair').flatMap((pair) =>
      regimesIn(rows).map((regime) => () => mapOf(maps, regime, pair)),
    ),
    ...(energies.length
      ? [
          chart(
            energies.map((row) => ({ ...row, place: row.task === row.on ? 0 : 1 })),
            {
              name: 'localization',
              title: 'Where the kernel’s eigenfunctions live',
              caption:
                'Mean local energy, on held-out examples, of the eigenfunctions of the tangent kernel by which a task’s vector acts: on the task’s own examples (0) and on those of the other tasks (1). On the examples they were made of it is 1.',
              ...{ x: 'place', y: 'energy', series: 'start', marks: 'dots', yScale: 'log' },
              ...{ xLabel: '0: own task, 1: other tasks', yLabel: 'local energy' },
            },
          ),
        ]
      : []),
  ]
}
