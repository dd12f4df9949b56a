/** @file `treeline edit … add`. */
import { fail, TreelineError } from '../../../base/index.ts'
import type {
  Audit,
  Editor,
  EditRecord,
  EditRequest,
  Fact,
  Listed,
  NewStore,
  StoreConfig,
  Training,
} from '../../../edit/index.ts'
import { ifEnded } from '../../interrupt.ts'
import { makeDisplay } from '../../progress.ts'
import { type Call, commandLine, factsOf, flagOf, newStoreOf } from './flags.ts'
import { withEditor } from './open.ts'
import { alreadyTaught } from './taught.ts'
import { flawsOf, json, quoted, settingsText } from './texts.ts'

const requestOf = ({ prompt, target, subject }: Fact): EditRequest => ({
  prompt,
  target,
  ...(subject !== undefined && { subject }),
})

/** Do something for a fact; a mistake names its place. */
async function at<R>(
  { source: { file, line, record, part } }: Fact,
  work: () => Promise<R> | R,
  more = '',
): Promise<R> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof TreelineError)) throw error
    const place =
      file === commandLine
        ? 'edit add'
        : `${file}:${line}: record ${record}${part === undefined ? '' : `, part ${part}`}`
    return fail(error.code, `${place}: ${error.message}${more}`, error)
  }
}

/** Settings that were given must be those of a store that is there. */
function requireSettings({ config }: Editor, given: NewStore, { store, flags }: Call): void {
  const { falsePositives, contexts, training, scope, ...settings } = given
  const require = (flag: string, own: unknown, wanted: unknown): void => {
    if (JSON.stringify(own) === JSON.stringify(wanted)) return
    const shown = typeof own === 'number' || typeof own === 'string' ? own : 'another'
    const name = flags.published ? `--published (${flag})` : flag
    fail('TL_USAGE', `edit add: ${name} belongs to a new store; ${store} has ${shown}: leave it out`)
  }
  for (const [key, value] of Object.entries(settings))
    require(flagOf(key), config[key as keyof StoreConfig], value)
  for (const [key, value] of Object.entries(training ?? {}))
    if (flags.published || Object.hasOwn(flags, key === 'maxSteps' ? 'steps' : key))
      require(flagOf(key), config.training[key as keyof Training], value)
  if (scope !== undefined) require('--scope', config.scope?.level ?? 'wide', scope)
  if (contexts !== undefined) require('--contexts', config.training.contexts.length, contexts)
  if (falsePositives !== undefined && config.calibration?.falsePositives !== falsePositives)
    fail('TL_USAGE', `edit add: --false-positives belongs to a new store; use calibrate for ${store}`)
}

/** An edit with what was found when it was asked. */
interface Added extends EditRecord {
  readonly audit?: Audit
}

/** What people should know of an edit, in a line each. */
function* remarks({ number, prompt, supersedes, stopped, steps, losses, audit }: Added): Generator<string> {
  if (supersedes !== undefined) yield `edit ${number} takes the place of ${supersedes}: ${quoted(prompt)}`
  if (audit && !audit.isLearned)
    yield `edit ${number} is not learned: the model does not say its target (loss ${losses.worst.toFixed(2)} after ${steps} steps): ${quoted(prompt)}`
  else if (stopped === 'steps')
    yield `edit ${number} is not learned to the end (loss ${losses.worst.toFixed(2)} after ${steps} steps): ${quoted(prompt)}`
  for (const flaw of audit ? flawsOf({ ...audit, isLearned: true }) : [])
    yield `edit ${number} ${flaw}: ${quoted(prompt)}`
}

/** Nothing is taught before every fact of the file has been found fit to be. */
export async function add(call: Call): Promise<void> {
  const { io, flags, store } = call
  const facts = await factsOf(call, true)
  const create = await newStoreOf(flags)
  const { checkRequest, isStore, textsOf } = await import('../../../edit/index.ts')
  const isNew = !isStore(store)
  const display = makeDisplay('edit', io, flags.quiet)
  const added: Added[] = []
  let held = 0
  // an edit is in the store as a whole or not at all, so an interrupt need not wait
  const release = ifEnded(
    () => `interrupted; ${held} of ${facts.length} facts are in ${store}, and the same command goes on`,
  )
  const onPrompt = (done: number, total: number): void =>
    display.update({ done, total, detail: 'background prompts' })
  try {
    const teach = async (editor: Editor): Promise<void> => {
      if (isNew) {
        if (!flags.quiet) display.line(`${store}: ${settingsText(editor.config)}`)
      } else {
        requireSettings(editor, create, call)
        for (const fact of facts) await at(fact, () => editor.check(requestOf(fact)))
      }
      const audited = (number: number, fact: Fact): Promise<Audit> => at(fact, () => editor.audit(number))
      const taught = flags.again
        ? new Map<number, Listed>()
        : alreadyTaught(facts.map(requestOf), editor.list())
      held = taught.size
      if (held > 0 && !flags.quiet)
        display.line(
          `${held} of ${facts.length} facts are in ${store} already; --again would teach them once more`,
        )
      for (const [i, fact] of facts.entries()) {
        const before = taught.get(i)
        if (before) {
          // a process that ended between an edit and its audit
          if (flags.audit !== false && !before.audit && before.status.state === 'active') {
            const { number, prompt } = before.record
            for (const flaw of flawsOf(await audited(number, fact)))
              display.line(`edit ${number} ${flaw}: ${quoted(prompt)}`)
          }
          continue
        }
        const onStep = (step: number, most: number): void =>
          display.update({
            ...{ done: i + step / most, total: facts.length },
            detail: `${step === 0 ? '' : `step ${step} of at most ${most}, `}${quoted(fact.prompt)}`,
          })
        onStep(0, 1)
        const kept = ` (${added.length} edits before it are kept)`
        const record = await at(fact, () => editor.add(requestOf(fact), onStep), kept)
        const audit = flags.audit === false ? undefined : await audited(record.number, fact)
        added.push({ ...record, ...(audit && { audit }) })
        held++
      }
      display.update({ done: facts.length, total: facts.length })
    }
    await withEditor(call, { create, onPrompt }, teach, async (model, tokenizer) => {
      const texts = textsOf(tokenizer, model.context)
      for (const fact of facts)
        await at(
          fact,
          () => void checkRequest(texts, requestOf(fact), isNew ? (create.gate ?? 'subject') : 'none'),
        )
    })
  } finally {
    release()
    display.end()
  }
  if (flags.json) return json(io, added)
  const learned = added.filter(({ stopped }) => stopped === 'loss').length
  io.out(
    `${added.length} ${added.length === 1 ? 'edit' : 'edits'} added to ${store}, ${learned} learned to the end\n`,
  )
  for (const record of added) for (const remark of remarks(record)) io.out(`${remark}\n`)
}
