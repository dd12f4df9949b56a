/** @file The frame of a figure: its controls, its picture, its numbers, and what can be taken away from it. */
import type { ChartOptions } from './chart.ts'
import { drawChart, legendOf, tableOf } from './chart.ts'
import { h, shown } from './dom.ts'
import { clamped, remember, type Setting, stateOf } from './state.ts'

export interface Slider {
  readonly element: HTMLElement
  value(): number
  set(value: number): void
}

/** A slider with its name and value; its setting stands in the address. */
export function slider(
  figure: string,
  name: string,
  label: string,
  setting: Setting,
  onChange: () => void,
): Slider {
  const id = `${figure}-${name}`
  const begin = clamped(setting, stateOf(`${figure}.${name}`) ?? setting.value)
  const output = h('output', { for: id }, shown(begin))
  const input = h('input', {
    ...{ id, type: 'range', min: setting.least, max: setting.greatest, step: setting.step, value: begin },
    input: () => {
      output.textContent = shown(Number(input.value))
      remember(`${figure}.${name}`, Number(input.value), setting.value)
      onChange()
    },
  })
  return {
    element: h('div', { class: 'control' }, h('label', { for: id }, label), input, output),
    value: () => Number(input.value),
    set: (value) => {
      input.value = String(clamped(setting, value))
      output.textContent = shown(Number(input.value))
      remember(`${figure}.${name}`, Number(input.value), setting.value)
    },
  }
}

export const button = (label: string, onClick: () => void): HTMLButtonElement =>
  h('button', { type: 'button', click: onClick }, label)

function download(name: string, text: string, type: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }))
  const link = h('a', { href: url, download: name })
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 1000)
}

/** Styles of the page, put into an SVG that leaves it. */
const ownStyle = (): string => {
  const style = getComputedStyle(document.documentElement)
  const of = (name: string): string => style.getPropertyValue(name).trim()
  const colours = [1, 2, 3, 4, 5].map((i) => `.c${i}{--own:${of(`--c${i}`)}}`).join('')
  return `svg{background:${of('--paper')};font-family:sans-serif}${colours}.series{fill:none;stroke:var(--own);stroke-width:2}.dashes{stroke-dasharray:6 4}.point{fill:var(--own)}.error{stroke:var(--own)}.grid{stroke:${of('--line')}}.mark{stroke:${of('--soft')};stroke-dasharray:3 3}text{fill:${of('--ink')};font-size:12px}.cell{stroke:${of('--paper')}}`
}

function saveSvg(name: string, svg: SVGSVGElement): void {
  const copy = svg.cloneNode(true) as SVGSVGElement
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg')
  const style = document.createElementNS('http://www.w3.org/2000/svg', 'style')
  style.textContent = ownStyle()
  copy.prepend(style)
  download(`${name}.svg`, copy.outerHTML, 'image/svg+xml')
}

export interface Frame {
  /** Show a picture and, folded, its numbers. */
  show(picture: SVGSVGElement, numbers: HTMLElement, legend?: HTMLElement): void
  chart(options: ChartOptions): void
  /** One line under the picture, read aloud when it changes. */
  say(text: string): void
}

/** Build a figure in its place of the article: `section` has the words, this is what can be played with. */
export function frame(
  section: Element,
  name: string,
  { controls, command }: { controls: readonly HTMLElement[]; command: () => string },
): Frame {
  const picture = h('div', { class: 'picture' })
  const legend = h('div')
  const line = h('p', { class: 'says', role: 'status', 'aria-live': 'polite' })
  const numbers = h('div', {
    class: 'numbers',
    tabindex: 0,
    role: 'region',
    'aria-label': `Numbers of the figure ${name}`,
  })
  const copied = h('code', {}, command())
  let shownPicture: SVGSVGElement | undefined
  const tools = h(
    'div',
    { class: 'tools' },
    button('Save as SVG', () => shownPicture && saveSvg(name, shownPicture)),
    button('Copy the numbers', () => {
      const rows = [...numbers.querySelectorAll('tr')].map((row) =>
        [...row.children].map((cell) => cell.textContent).join('\t'),
      )
      void navigator.clipboard?.writeText(rows.join('\n'))
    }),
    button(
      'Copy a link to this figure',
      () => void navigator.clipboard?.writeText(`${location.href.replace(/#.*/, '')}${location.hash}`),
    ),
  )
  section.append(
    h(
      'figure',
      { class: 'live' },
      h('div', { class: 'controls' }, ...controls),
      picture,
      legend,
      line,
      tools,
      h('details', {}, h('summary', {}, 'The numbers'), numbers),
      h('p', { class: 'command' }, 'Run it yourself: ', copied),
    ),
  )
  const show: Frame['show'] = (svg, table, names) => {
    shownPicture = svg
    picture.replaceChildren(svg)
    legend.replaceChildren(...(names ? [names] : []))
    numbers.replaceChildren(table)
    copied.textContent = command()
  }
  return {
    show,
    chart: (options) => show(drawChart(options), tableOf(options), legendOf(options.series)),
    say: (text) => {
      if (line.textContent !== text) line.textContent = text
    },
  }
}
