/** @file `treeline edit`: teach facts to a model, list, explain, undo, measure. */
import { Command, Option } from 'commander'
import { fail } from '../../base/index.ts'
import type { Fact } from '../../edit/index.ts'
import type * as memoir from '../../edit/memoir/index.ts'
import type { Io } from '../io.ts'
import { readTexts } from '../jsonFiles.ts'
import { examples, integerOption, jsonOption, quietOption, threadsOption } from '../options.ts'
import { makeDisplay } from '../progress.ts'

interface Flags {
  json?: boolean
  quiet?: boolean
  threads?: number
}
type Editor = memoir.Editor

/** A number of the command line in a range. */
function numberOf(word: string, what: string, low: number, high: number): number {
  const value = Number(word)
  if (word.trim() === '' || !(value >= low && value <= high))
    fail('TL_USAGE', `${what}: expected a number from ${low} to ${high}, got ${word}`)
  return value
}
const editNumber = (word: string): number => {
  const value = numberOf(word, 'edit', 1, 1e9)
  return Number.isInteger(value) ? value : fail('TL_USAGE', `edit: expected a whole number, got ${word}`)
}

async function withEditor<R>(
  [model, store]: readonly [string, string],
  { threads }: Flags,
  options: memoir.OpenOptions,
  work: (editor: Editor) => Promise<R> | R,
): Promise<R> {
  const { loadModel } = await import('../../lm/index.ts')
  const edits = await import('../../edit/memoir/index.ts')
  const { availableParallelism } = await import('node:os')
  const opened = loadModel(model, { precision: 'f32', threads: threads ?? availableParallelism() })
  try {
    const editor = await edits.openEditor(opened, store, options)
    try {
      return await work(editor)
    } finally {
      editor.dispose()
    }
  } finally {
    opened.dispose()
  }
}

const stateText = ({ status }: memoir.Listed): string => {
  if (status.state === 'superseded') return `superseded by ${status.by}`
  if (status.state === 'undone')
    return status.memory === 'kept' ? 'undone (replay clears the memory)' : 'undone'
  return 'active'
}
const quoted = (text: string): string => JSON.stringify(text.length > 60 ? `…${text.slice(-59)}` : text)
const json = (io: Io, value: unknown): void => io.out(`${JSON.stringify(value, null, 2)}\n`)

const percent = (i: memoir.Interval | null): string =>
  i ? `${i.mean.toFixed(3)}  [${i.low.toFixed(3)}, ${i.high.toFixed(3)}]` : '–'

/** The command. */
export function editCommand(io: Io): Command {
  const command = new Command('edit')
    .description('teach facts to a model, one after another, without touching the rest (MEMOIR)')
    .argument('<model>', 'a Hugging Face folder or a GGUF file')
    .argument('<store>', 'the folder of the edits; add makes it')
    .argument('<action>', 'add | list | show | why | undo | replay | calibrate | evaluate | export')
    .argument('[what]', 'facts, a number, a prompt, prompts or a file, as the action wants it')
    .addOption(
      new Option('--false-positives <rate>', 'calibrate: share of the prompts that may be answered').default(
        '0.01',
      ),
    )
    .option('--one-per-subject', 'add, evaluate: the first fact of each subject only')
    .addOption(integerOption('--limit <n>', 'add, evaluate: at most so many facts', 1, 1e9))
    .addOption(integerOption('--layer <n>', 'a new store: the edited block', 0, 1e6))
    .addOption(new Option('--router <name>', 'a new store: the feature that finds the edit'))
    .addOption(
      new Option('--gate <gate>', 'a new store: whether a prompt must name the subject').choices([
        'none',
        'subject',
      ]),
    )
    .addOption(new Option('--threshold <number>', 'a new store: least overlap (default 0.45)'))
    .option('--published', 'a new store: 30 steps, decay and stop rule as in the paper')
    .addOption(threadsOption())
    .addOption(quietOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
undo N: the edit answers no longer. When no later edit was trained on top of it, the memory is also restored bit for bit.
Otherwise what it wrote stays in the memory, unused; replay trains the edits that are left anew.
${examples(
  [
    'treeline edit model.gguf store add facts.json',
    '[{ "prompt", "target", "subject"? }, …], ZsRE, CounterFact, …',
  ],
  [
    'treeline edit model.gguf store why "Who wrote it?"',
    'which edit answers, and how near the next ones are',
  ],
  ['treeline edit model.gguf store undo 3', ''],
  [
    'treeline edit model.gguf store calibrate other.json --false-positives 0.01',
    'prompts that no edit is about',
  ],
  ['treeline edit model.gguf store evaluate facts.json --json', 'reliability, generalization, locality'],
)}`,
    )
  command.action(
    async (model: string, store: string, action: string, what: string | undefined, flags: AllFlags) => {
      const run = Object.hasOwn(actions, action) ? actions[action] : undefined
      if (!run) {
        const { didYouMean } = await import('../../base/index.ts')
        fail(
          'TL_USAGE',
          `edit: no action "${action}"${didYouMean(action, Object.keys(actions))} (there are ${Object.keys(actions).join(', ')})`,
        )
      }
      if (run.wants && what === undefined) fail('TL_USAGE', `edit ${action}: expected ${run.wants}`)
      if (!run.wants && what !== undefined)
        fail('TL_USAGE', `edit ${action}: unexpected ${JSON.stringify(what)}`)
      await run.work({ io, paths: [model, store], flags, what: what ?? '' })
    },
  )
  return command
}

interface AllFlags extends Flags {
  falsePositives: string
  onePerSubject?: boolean
  limit?: number
  layer?: number
  router?: string
  gate?: 'none' | 'subject'
  threshold?: string
  published?: boolean
}

interface Call {
  readonly io: Io
  readonly paths: readonly [string, string]
  readonly flags: AllFlags
  readonly what: string
}

interface Action {
  readonly wants?: string
  readonly work: (call: Call) => Promise<void>
}

async function factsOf(path: string, { onePerSubject: one, limit }: AllFlags): Promise<Fact[]> {
  const { onePerSubject, readFacts } = await import('../../edit/index.ts')
  const facts = readFacts(path)
  return (one ? onePerSubject(facts) : facts).slice(0, limit)
}

async function newStore(flags: AllFlags): Promise<memoir.NewStore> {
  const edits = await import('../../edit/memoir/index.ts')
  const { layer, router, gate, threshold, published } = flags
  return {
    ...(layer !== undefined && { layer }),
    ...(router !== undefined && { router }),
    ...(gate !== undefined && { gate }),
    ...(threshold !== undefined && { threshold: numberOf(threshold, '--threshold', 0, 2) }),
    ...(published && { training: edits.publishedTraining }),
  }
}

const actions: Readonly<Record<string, Action>> = {
  add: {
    wants: 'FACTS.json',
    work: async ({ io, paths, flags, what }) => {
      const facts = await factsOf(what, flags)
      const create = await newStore(flags)
      const display = makeDisplay('edit', io, flags.quiet)
      const added: memoir.EditRecord[] = []
      try {
        await withEditor(paths, flags, { create }, async (editor) => {
          const settings = Object.keys(create) as (keyof typeof create)[]
          for (const key of settings)
            if (JSON.stringify(editor.config[key as never]) !== JSON.stringify(create[key]))
              fail('TL_USAGE', `edit add: ${key} belongs to a new store; ${paths[1]} has another one already`)
          for (const [i, { prompt, target, subject, source }] of facts.entries()) {
            display.update({ done: i, total: facts.length, detail: quoted(prompt) })
            try {
              added.push(await editor.add({ prompt, target, ...(subject !== undefined && { subject }) }))
            } catch (error) {
              const { TreelineError } = await import('../../base/index.ts')
              if (!(error instanceof TreelineError)) throw error
              fail(
                error.code,
                `${source.file}:${source.line}: record ${source.record}: ${error.message} (${added.length} edits before it are kept)`,
              )
            }
          }
          display.update({ done: facts.length, total: facts.length })
        })
      } finally {
        display.end()
      }
      if (flags.json) json(io, added)
      else {
        const learned = added.filter(({ stopped }) => stopped === 'loss').length
        io.out(`${added.length} edits added to ${paths[1]}, ${learned} of them learned to the end\n`)
        for (const { number, prompt, supersedes } of added)
          if (supersedes !== undefined)
            io.out(`edit ${number} takes the place of ${supersedes}: ${quoted(prompt)}\n`)
      }
    },
  },
  list: {
    work: ({ io, paths, flags }) =>
      withEditor(paths, flags, { readOnly: true }, (editor) => {
        const all = editor.list()
        if (flags.json)
          return json(
            io,
            all.map(({ record, status }) => ({ ...record, status })),
          )
        for (const one of all)
          io.out(
            `${one.record.number}  ${quoted(one.record.prompt)} → ${quoted(one.record.target)}  ${stateText(one)}\n`,
          )
        if (all.length === 0) io.out('no edits\n')
      }),
  },
  show: {
    wants: 'the number of an edit',
    work: ({ io, paths, flags, what }) => {
      const number = editNumber(what)
      return withEditor(paths, flags, { readOnly: true }, (editor) => {
        const one =
          editor.list().find(({ record }) => record.number === number) ??
          fail('TL_BAD_ARGUMENT', `there is no edit ${number} (edits: ${editor.list().length})`)
        if (flags.json) return json(io, { ...one.record, status: one.status })
        const { prompt, target, subject, steps, losses, stopped, at } = one.record
        io.out(`edit ${number}: ${stateText(one)}\nprompt   ${prompt}\ntarget   ${target}\n`)
        if (subject !== undefined) io.out(`subject  ${subject}\n`)
        io.out(
          `steps    ${steps}${stopped === 'steps' ? ' (all it was allowed)' : ''}, loss ${losses.first.toFixed(3)} → ${losses.last.toFixed(3)}\nadded    ${at}\n`,
        )
      })
    },
  },
  why: {
    wants: 'a prompt',
    work: ({ io, paths, flags, what }) =>
      withEditor(paths, flags, { readOnly: true }, async (editor) => {
        const why = await editor.why(what)
        if (flags.json) return json(io, why)
        io.out(
          why.answer === null ? 'no edit answers: the model as it was\n' : `edit ${why.answer} answers\n`,
        )
        for (const { number, overlap, isAbove, passes, prompt, target } of why.nearest)
          io.out(
            `  ${overlap.toFixed(3)} ${isAbove ? '≥' : '<'} ${why.threshold.toFixed(3)}  ${number}  ${quoted(prompt)} → ${quoted(target)}${passes ? '' : '  (subject not named)'}\n`,
          )
      }),
  },
  undo: {
    wants: 'the number of an edit',
    work: ({ io, paths, flags, what }) => {
      const number = editNumber(what)
      return withEditor(paths, flags, {}, async (editor) => {
        const undone = await editor.undo(number)
        if (flags.json) return json(io, undone)
        io.out(
          undone.memory === 'restored'
            ? `edit ${number} undone, the memory is as before it\n`
            : `edit ${number} undone: it answers no longer; later edits were trained on top of it, so replay to clear the memory of it\n`,
        )
      })
    },
  },
  replay: {
    work: async ({ io, paths, flags }) => {
      const display = makeDisplay('replay', io, flags.quiet)
      try {
        const done = await withEditor(paths, flags, {}, (editor) =>
          editor.replay((n, total) => display.update({ done: n, total })),
        )
        display.end()
        if (flags.json) json(io, done)
        else
          io.out(
            `${done.edits.length} edits trained anew: ${done.identical ? 'the same bits' : 'the memory is another one now'}\n`,
          )
      } finally {
        display.end()
      }
    },
  },
  calibrate: {
    wants: 'PROMPTS.json',
    work: async ({ io, paths, flags, what }) => {
      const rate = numberOf(flags.falsePositives, '--false-positives', 0, 1)
      const prompts = readTexts(what)
      await withEditor(paths, flags, {}, async (editor) => {
        const { threshold, overlaps } = await editor.calibrate(prompts, rate)
        const answered = overlaps.filter((r) => r >= threshold).length
        if (flags.json) json(io, { threshold, falsePositives: answered / overlaps.length, overlaps })
        else
          io.out(
            `threshold ${threshold.toFixed(4)}: ${answered} of ${overlaps.length} prompts would be answered\n`,
          )
      })
    },
  },
  evaluate: {
    wants: 'FACTS.json',
    work: async ({ io, paths, flags, what }) => {
      const facts = await factsOf(what, flags)
      const edits = await import('../../edit/memoir/index.ts')
      const display = makeDisplay('evaluate', io, flags.quiet)
      try {
        const result = await withEditor(paths, flags, { readOnly: true }, (editor) =>
          edits.evaluateEdits(editor, facts, { onItem: (done, total) => display.update({ done, total }) }),
        )
        display.end()
        if (flags.json) return json(io, result)
        for (const kind of ['reliability', 'generalization', 'locality'] as const)
          io.out(
            `${kind.padEnd(15)} ${percent(result[kind])}   generated ${percent(result.generated[kind])}\n`,
          )
      } finally {
        display.end()
      }
    },
  },
  export: {
    wants: 'OUT.safetensors',
    work: async ({ io, paths, flags, what }) => {
      if (!what.endsWith('.safetensors'))
        fail('TL_USAGE', `${what}: expected a name that ends in .safetensors`)
      const edits = await import('../../edit/memoir/index.ts')
      const count = await edits.exportEdits(paths[1], what)
      if (flags.json) json(io, { out: what, edits: count })
      else io.out(`${what}: ${count} edits\n`)
    },
  },
}
