/** @file Files of the reader: dropped or chosen, read here, sent nowhere. */
import type { Dropped } from '../compute/files.ts'
import { h } from '../ui/dom.ts'

const dropped = (file: File): Dropped => ({
  name: file.name,
  size: file.size,
  slice: async (begin, end) => new Uint8Array(await file.slice(begin, end).arrayBuffer()),
})

export function dropFigure(section: Element): void {
  const says = h('p', { class: 'says', role: 'status', 'aria-live': 'polite' })
  const numbers = h('div', {
    class: 'numbers',
    tabindex: 0,
    role: 'region',
    'aria-label': 'What the file holds',
  })
  const take = async (files: readonly File[]): Promise<void> => {
    says.textContent = 'Reading.'
    numbers.replaceChildren()
    try {
      // the planner and the readers are fetched when they are first wanted
      const { tell } = await import('../compute/files.ts')
      const {
        sentence,
        rows: [head, ...rows],
      } = await tell(files.map(dropped))
      says.textContent = sentence
      numbers.append(
        h(
          'table',
          {},
          h('thead', {}, h('tr', {}, ...head!.map((text) => h('th', { scope: 'col' }, text)))),
          h(
            'tbody',
            {},
            ...rows.map(([name, ...cells]) =>
              h('tr', {}, h('th', { scope: 'row' }, name!), ...cells.map((text) => h('td', {}, text))),
            ),
          ),
        ),
      )
    } catch (error) {
      says.textContent = error instanceof Error ? error.message.split('\n')[0]! : String(error)
    }
  }
  const input = h('input', {
    type: 'file',
    multiple: true,
    id: 'file',
    change: () => void take([...(input.files ?? [])]),
  })
  const target = h(
    'div',
    {
      class: 'target',
      dragover: (event) => {
        event.preventDefault()
        target.classList.add('over')
      },
      dragleave: () => target.classList.remove('over'),
      drop: (event) => {
        event.preventDefault()
        target.classList.remove('over')
        void take([...((event as DragEvent).dataTransfer?.files ?? [])])
      },
    },
    h('label', { for: 'file' }, 'Drop files here, or choose: '),
    input,
  )
  section.append(h('figure', { class: 'live' }, target, says, numbers))
}
