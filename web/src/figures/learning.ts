/** @file Figures: networks that learn in the page – a last token, step by step down the plateaus, and how to compose. */
import { type Running, run } from '../compute/run.ts'
import {
  type CompositionPoint,
  type Learner,
  type LossPoint,
  mostStrings,
  thresholdsOf,
} from '../compute/training.ts'
import type { Job } from '../compute/worker.ts'
import { bytesShown, h, shown } from '../ui/dom.ts'
import { button, type Frame, frame, slider } from '../ui/frame.ts'
import { remember, stateOf } from '../ui/state.ts'
import { sizeSliders } from './sizes.ts'

/** A button that begins a job and ends it. */
function trainButton<Point>(
  figure: () => Frame,
  begin: () => Job,
  onPoint: (point: Point) => void,
): { element: HTMLButtonElement; stop(): void } {
  let running: Running | undefined
  const rest = (): void => {
    running = undefined
    element.textContent = 'Train'
  }
  const element = button('Train', () => {
    if (running) {
      running.stop()
      figure().say('Stopped.')
      return rest()
    }
    element.textContent = 'Stop'
    figure().say('The runtime is being fetched.')
    running = run<Point>(begin(), {
      onPoint,
      onLoading: (done, total) =>
        figure().say(
          `The runtime is being fetched: ${bytesShown(done)}${total > 0 ? ` of ${bytesShown(total)}` : ''}.`,
        ),
      onRuntime: (notice) => figure().say(`The first step is being compiled.${notice ? ` (${notice})` : ''}`),
      onEnd: (failure) => {
        rest()
        if (failure) figure().say(`It failed: ${failure}`)
      },
    })
  })
  return {
    element,
    stop: () => {
      running?.stop()
      rest()
    },
  }
}

export function learningFigure(section: Element): void {
  let points: LossPoint[] = []
  let plateaus: number[] = []
  const forget = (): void => {
    trainer.stop()
    points = []
    plateaus = []
    draw()
    ask()
  }
  const learners: readonly Learner[] = ['cnn', 'attention']
  const choice = h(
    'select',
    {
      id: 'learning-network',
      change: () => {
        remember('learning.network', choice.selectedIndex, 0)
        forget()
      },
    },
    h('option', {}, 'hierarchical CNN'),
    h('option', {}, 'attention'),
  )
  choice.selectedIndex = stateOf('learning.network') === 1 ? 1 : 0
  const learner = (): Learner => learners[choice.selectedIndex]!
  const sliders = sizeSliders('learning', { v: [4, 16, 16], m: [2, 6, 4], L: [2, 4, 3] }, forget)
  const width = slider(
    'learning',
    'width',
    'width',
    { least: 32, greatest: 256, step: 32, value: 64 },
    forget,
  )
  const steps = 8192
  const trainer = trainButton<LossPoint>(
    () => figure,
    () => {
      points = []
      return {
        kind: 'lastToken',
        args: [sliders.sizes(), { learner: learner(), width: width.value(), steps }],
      }
    },
    (point) => {
      points.push(point)
      draw()
    },
  )
  const figure = frame(section, 'learning', {
    controls: [
      h('div', { class: 'control' }, h('label', { for: 'learning-network' }, 'network'), choice),
      ...sliders.elements,
      width.element,
      trainer.element,
    ],
    command: () => {
      const { v, m, L, seed } = sliders.sizes()
      return `treeline run plateaus --set v=${v},m=${m},L=${L},width=${width.value()} --seed ${seed} --report`
    },
  })
  let asked: Running | undefined
  function ask(): void {
    asked?.stop()
    asked = run<number[]>(
      { kind: 'plateaus', args: [sliders.sizes()] },
      {
        onPoint: (found) => {
          plateaus = found
          draw()
        },
        onEnd: (failure) => {
          if (failure) figure.say(`It failed: ${failure}`)
        },
      },
    )
  }
  function draw(): void {
    const sizes = sliders.sizes()
    const top = Math.max(
      Math.log(sizes.v) * 1.15,
      ...points.map(({ loss }) => Math.min(loss, 2 * Math.log(sizes.v))),
    )
    figure.chart({
      label: 'Loss of the last token against the strings that were seen',
      x: { title: 'fresh strings seen', range: [1000, steps * 128], log: true },
      y: { title: 'loss, nats', range: [0, top] },
      marks: [
        ...plateaus.map((loss, level) => ({
          name: level === 0 ? 'nothing known' : `level ${level} known`,
          at: loss,
          along: 'y' as const,
        })),
        ...thresholdsOf(sizes, learner()).map((at, i) => ({ name: `P*${i + 1}`, at, along: 'x' as const })),
      ],
      series: [
        {
          name: `validation loss of the ${choice.value}`,
          as: 'line',
          colour: 1,
          points: points.map((p) => ({ x: p.strings, y: p.loss })),
        },
      ],
    })
    const last = points.at(-1)
    if (last) {
      const known = plateaus.filter(
        (loss, level) => level > 0 && last.loss < (loss + plateaus[level - 1]!) / 2,
      ).length
      figure.say(
        `After ${shown(last.strings)} strings the loss is ${shown(last.loss)}: ${known === 0 ? 'no level is known yet' : `${known} of ${sizes.L} levels are known`}.`,
      )
    } else
      figure.say(
        'The dashed lines are the exact losses of this grammar: what a perfect reader of 1, 3, 7 … tokens would lose. Press “Train”.',
      )
  }
  draw()
  ask()
}

export function composingFigure(section: Element): void {
  let points: CompositionPoint[] = []
  const forget = (): void => {
    trainer.stop()
    points = []
    draw()
  }
  const sliders = sizeSliders('composing', { v: [4, 16, 8], m: [2, 4, 3], L: [2, 3, 3] }, forget)
  const strings = slider(
    'composing',
    'P',
    'training strings P',
    { least: 64, greatest: 2048, step: 64, value: 512 },
    forget,
  )
  const steps = 4096
  const count = (): number => Math.min(strings.value(), mostStrings(sliders.sizes()))
  const trainer = trainButton<CompositionPoint>(
    () => figure,
    () => {
      points = []
      return { kind: 'compose', args: [sliders.sizes(), { P: count(), width: 32, steps }] }
    },
    (point) => {
      points.push(point)
      draw()
    },
  )
  const figure = frame(section, 'composing', {
    controls: [...sliders.elements, strings.element, trainer.element],
    command: () => `treeline run composition --preset quick --seed ${sliders.sizes().seed} --report`,
  })
  function draw(): void {
    const { L } = sliders.sizes()
    figure.chart({
      label: 'Legal nodes of generated strings at each height, and copies, against steps',
      x: { title: 'steps', range: [32, steps], log: true },
      y: { title: 'share above chance', range: [-0.05, 1] },
      series: [
        ...Array.from({ length: L }, (_, i) => ({
          name: `A${i + 1}`,
          as: 'line' as const,
          colour: i + 1,
          points: points.map((p) => ({ x: p.step, y: p.validity[i]! })),
        })),
        {
          name: 'copies of training strings',
          as: 'dashes' as const,
          colour: 5,
          points: points.map((p) => ({ x: p.step, y: p.copies })),
        },
      ],
    })
    const last = points.at(-1)
    const best = points.reduce<CompositionPoint | undefined>(
      (a, b) => (a && a.validationLoss <= b.validationLoss ? a : b),
      undefined,
    )
    figure.say(
      last
        ? `After ${shown(last.step)} steps: ${last.validity.map((a, i) => `A${i + 1} = ${a.toFixed(2)}`).join(', ')}; copies ${last.copies.toFixed(2)}. The least validation loss so far was at step ${shown(best!.step)}: stopping there keeps the rules and leaves the copies.`
        : `A small diffusion model learns ${shown(count())} of the ${shown(2 * mostStrings(sliders.sizes()))} strings of the grammar; what it writes is parsed. Press “Train”.`,
    )
  }
  draw()
}
