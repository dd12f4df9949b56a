/** @file The table of runs, while they work: what `treeline runs` lists, as the server reads it. */
import { h, shown } from '../ui/dom.ts'

interface Run {
  readonly folder: string
  readonly experiment: string
  readonly state: string
  readonly seed: number | null
  readonly seconds: number | null
  readonly claims: { readonly holds: number; readonly fails: number; readonly undecided: number }
  readonly report: string | null
}

/** Milliseconds between two looks. */
const pace = 2000

const columns = ['experiment', 'state', 'seed', 'seconds', 'claims', 'folder'] as const

function rowOf(run: Run): HTMLTableRowElement {
  const { holds, fails, undecided } = run.claims
  const name = run.report ? h('a', { href: run.report }, run.experiment) : run.experiment
  return h(
    'tr',
    {},
    h('th', { scope: 'row' }, name),
    h('td', {}, run.state),
    h('td', {}, run.seed === null ? '' : String(run.seed)),
    h('td', {}, run.seconds === null ? '' : shown(run.seconds)),
    h(
      'td',
      {},
      holds + fails + undecided === 0 ? '' : `${holds} hold, ${fails} fail, ${undecided} undecided`,
    ),
    h('td', {}, run.folder),
  )
}

export function runsFigure(section: Element): void {
  const where = h('input', {
    id: 'runs-where',
    type: 'text',
    placeholder: 'L == 3 && m > 2',
    change: () => void look(),
  })
  const sort = h('input', {
    id: 'runs-sort',
    type: 'text',
    placeholder: '-seconds',
    change: () => void look(),
  })
  const says = h('p', { class: 'says', role: 'status', 'aria-live': 'polite' })
  const body = h('tbody')
  section.append(
    h(
      'figure',
      { class: 'live' },
      h(
        'div',
        { class: 'controls' },
        h('div', { class: 'control' }, h('label', { for: 'runs-where' }, 'where'), where),
        h('div', { class: 'control' }, h('label', { for: 'runs-sort' }, 'sort by'), sort),
      ),
      says,
      h(
        'div',
        { class: 'numbers tall', tabindex: 0, role: 'region', 'aria-label': 'Runs' },
        h(
          'table',
          {},
          h('thead', {}, h('tr', {}, ...columns.map((name) => h('th', { scope: 'col' }, name)))),
          body,
        ),
      ),
    ),
  )
  let before = ''
  async function look(): Promise<void> {
    const query = new URLSearchParams({ where: where.value, sort: sort.value })
    try {
      const response = await fetch(`api/runs?${query}`)
      const text = await response.text()
      if (!response.ok) {
        says.textContent = text.trim()
        return
      }
      if (text === before) return
      before = text
      const { total, runs } = JSON.parse(text) as { total: number; runs: Run[] }
      body.replaceChildren(...runs.map(rowOf))
      says.textContent =
        total > runs.length
          ? `${shown(total)} runs; the first ${shown(runs.length)} are shown.`
          : `${shown(total)} runs.`
    } catch {
      says.textContent = 'The server of this page has ended.'
    }
  }
  void look()
  setInterval(() => void look(), pace)
}
