/** @file The page: each figure comes to life when it is about to be seen. */
import { beliefFigure } from './figures/belief.ts'
import { chunksFigure } from './figures/chunks.ts'
import { dropFigure } from './figures/drop.ts'
import { grammarFigure } from './figures/grammar.ts'
import { composingFigure, learningFigure } from './figures/learning.ts'
import { runsFigure } from './figures/runs.ts'
import { h } from './ui/dom.ts'
import { openState } from './ui/state.ts'

const figures: Readonly<Record<string, (section: Element) => void>> = {
  grammar: grammarFigure,
  belief: beliefFigure,
  chunks: chunksFigure,
  learning: learningFigure,
  composing: composingFigure,
  drop: dropFigure,
  runs: runsFigure,
}

/** What this browser lacks, in one line. */
function lacking(): string | undefined {
  if (typeof Worker === 'undefined')
    return 'This browser has no workers: figures that compute for long do not work.'
  if (typeof WebAssembly === 'undefined')
    return 'This browser has no WebAssembly: networks cannot be trained here.'
  if (!CSS.supports('color', 'color-mix(in srgb, red 50%, white)'))
    return 'This browser is older than 2023: cells of trees have no shades.'
  return undefined
}

function complain(text: string): void {
  const problem = document.querySelector<HTMLElement>('#problem')!
  problem.textContent = text
  problem.hidden = false
}

function open(section: Element): void {
  const name = section.getAttribute('data-figure')!
  section.removeAttribute('data-figure')
  try {
    figures[name]!(section)
  } catch (error) {
    section.append(
      h('p', { class: 'lack' }, `This figure failed: ${error instanceof Error ? error.message : error}`),
    )
  }
}

const problems = [openState(), lacking()].filter((text) => text !== undefined)
if (problems.length > 0) complain(problems.join(' '))
// the server of `treeline page RUNS` says that there are runs
const runs = document.querySelector<HTMLElement>('#runs')!
if (document.documentElement.hasAttribute('data-runs')) runs.hidden = false
else runs.remove()
const sections = [...document.querySelectorAll('section[data-figure]')]
open(sections.shift()!)
document.documentElement.dataset['alive'] = String(Math.round(performance.now()))
const watcher = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries)
      if (isIntersecting) {
        watcher.unobserve(target)
        open(target)
      }
  },
  { rootMargin: '600px' },
)
for (const section of sections) watcher.observe(section)
