/** @file `treeline edit`: teach facts to a model, list, explain, undo, measure. */
import { Command } from 'commander'
import { didYouMean, fail } from '../../../base/index.ts'
import type { Io } from '../../io.ts'
import { examples } from '../../options.ts'
import { add } from './add.ts'
import { audit } from './audit.ts'
import { calibrate, replay, scope, undo } from './change.ts'
import type { Call, Flags } from './flags.ts'
import { list, show, why } from './look.ts'
import { evaluate, exportStore } from './measure.ts'
import { type Option, type OptionGroup, optionsOf } from './options.ts'

interface Action {
  /** What the word after it is; absent: there is none. */
  readonly wants?: string
  /** Whether it may be left out. */
  readonly isOptional?: boolean
  /** One line for the list of actions, and for the help of its own. */
  readonly about: string
  /** The options that have an effect. */
  readonly options: readonly OptionGroup[]
  readonly examples: readonly [command: string, meaning: string][]
  /** More for the help of its own. */
  readonly more?: string
  readonly run: (call: Call) => Promise<void>
}

const actions: Readonly<Record<string, Action>> = {
  add: {
    ...{ wants: 'FACTS.json', isOptional: true, run: add },
    about: 'teach the facts of a file, or one fact; the first makes the store',
    options: ['fact', 'facts', 'again', 'audit', 'calibration', 'store', 'storeSeed', 'work'],
    examples: [
      [
        'treeline edit model.gguf store add facts.json',
        '[{ "prompt", "target", "subject"? }, …], ZsRE, CounterFact, …',
      ],
      ['treeline edit model.gguf store add --prompt "Who leads it?" --target "Ada"', 'one fact'],
    ],
    more: `A target has at most 256 tokens, a prompt and its target at most 1,024. Facts that the store holds already are left out, so the
same command goes on after an interruption.
`,
  },
  list: {
    ...{ run: list },
    about: 'list the edits, and which of them answer',
    options: ['work'],
    examples: [['treeline edit model.gguf store list', 'all edits of the store']],
  },
  show: {
    ...{ wants: 'the number of an edit', run: show },
    about: 'show everything that is kept of one edit',
    options: ['work'],
    examples: [['treeline edit model.gguf store show 3', 'its prompt, target, losses and mask']],
  },
  why: {
    ...{ wants: 'a prompt', run: why },
    about: 'say which edit answers a prompt, and how near the next ones are',
    options: ['work'],
    examples: [['treeline edit model.gguf store why "Who wrote it?"', 'which edit answers']],
  },
  audit: {
    ...{ wants: 'the number of an edit', isOptional: true, run: audit },
    about: 'ask the edits whether they are still learned, and what they answer beside their prompts',
    options: ['reteach', 'work'],
    examples: [
      ['treeline edit model.gguf store audit', 'every edit that stands; list shows what was found'],
      ['treeline edit model.gguf store audit --reteach', 'and teach again what is said no longer'],
    ],
  },
  undo: {
    ...{ wants: 'the number of an edit', run: undo },
    about: 'let an edit answer no longer',
    options: ['work'],
    examples: [['treeline edit model.gguf store undo 3', 'it answers no longer']],
    more: `When no later edit was trained on top of it, the memory is also restored bit for bit.
Otherwise what it wrote stays in the memory, unused; replay trains the edits that are left anew.
`,
  },
  replay: {
    ...{ run: replay },
    about: 'train the edits that are left anew, in their order',
    options: ['work'],
    examples: [['treeline edit model.gguf store replay', 'the memory holds nothing of undone edits']],
  },
  scope: {
    ...{ wants: 'narrow, balanced or wide', run: scope },
    about: 'let edits answer fewer or more of the other questions about their subjects',
    options: ['work'],
    examples: [
      [
        'treeline edit model.gguf store scope narrow',
        'of other questions about its subject at most one in fifty',
      ],
    ],
  },
  calibrate: {
    ...{ wants: 'PROMPTS.json', isOptional: true, run: calibrate },
    about: 'set the threshold by prompts that no edit is about, or learn the scope on relations',
    options: ['calibration', 'relations', 'work'],
    examples: [
      [
        'treeline edit model.gguf store calibrate other.json --false-positives 0.01',
        'at most one in a hundred of them is answered by an edit',
      ],
      [
        'treeline edit model.gguf store calibrate --relations ours.json',
        '[{ "subjects": ["Ada King"], "relations": [["{} works as", "The job of {} is"]] }]',
      ],
    ],
    more: `A file of relations has subjects of one kind (or several kinds, in a list), and what is asked of them: each relation in two or more
wordings, {} standing for the subject. A store that was made without a scope gets one.
`,
  },
  evaluate: {
    ...{ wants: 'FACTS.json', run: evaluate },
    about: 'measure reliability, generalization and locality',
    options: ['facts', 'work'],
    examples: [['treeline edit model.gguf store evaluate facts.json --json', 'means with intervals']],
  },
  export: {
    ...{ wants: 'OUT.safetensors or OUT.onnx', run: exportStore },
    about: 'write the memory, or model, edits and routing as one program',
    options: ['output', 'work'],
    examples: [['treeline edit model.gguf store export edited.onnx', 'for any runtime that reads ONNX']],
  },
}

const actionWord = (name: string): string => {
  const { wants, isOptional } = actions[name]!
  return `MODEL STORE ${name}${wants === undefined ? '' : isOptional ? ` [${wants}]` : ` ${wants.includes(' ') ? 'WHAT' : wants}`}`
}

const flagName = (option: Option): string => option.attributeName()

/** The help of one action: only the options that it takes. */
function helpOf(name: string): Command {
  const { about, options, wants, more = '', examples: lines } = actions[name]!
  const command = new Command('edit')
    .usage(`${actionWord(name)} [options]`)
    .description(`${about}${wants?.includes(' ') ? ` (WHAT is ${wants})` : ''}`)
  for (const { option } of optionsOf(options)) command.addOption(option)
  return command.addHelpText('after', `${more === '' ? '' : `\n${more}`}${examples(...lines)}`)
}

/** An option without effect is a mistake. */
function requireEffect(command: Command, name: string): void {
  const known = new Set(optionsOf(actions[name]!.options).map(({ option }) => flagName(option)))
  for (const { option, groups } of optionsOf()) {
    if (known.has(flagName(option)) || command.getOptionValueSource(flagName(option)) !== 'cli') continue
    const takers = Object.keys(actions).filter((other) =>
      groups.some((group) => actions[other]!.options.includes(group)),
    )
    fail('TL_USAGE', `edit ${name}: ${option.long} has no effect here; it belongs to ${takers.join(', ')}`)
  }
}

/** The command. `argv` are the words of the program: with --help and an action, the help is that of the action. */
export const editCommand = (io: Io, argv: readonly string[] = []): Command => {
  const action = argv.slice(1).find((word) => Object.hasOwn(actions, word))
  const asked = argv.some((word) => word === '--help' || word === '-h')
  if (action !== undefined && asked) return helpOf(action)
  const command = new Command('edit')
    .description('teach facts to a model, one after another, without touching the rest (MEMOIR)')
    .usage('MODEL STORE ACTION [WHAT] [options]')
    .argument('<model>', 'a Hugging Face folder or a GGUF file')
    .argument('<store>', 'the folder of the edits; add makes it')
    .argument('<action>', Object.keys(actions).join(' | '))
    .argument('[what]', 'facts, a number, a prompt, prompts or a file, as the action wants it')
  for (const { option } of optionsOf()) command.addOption(option.hideHelp())
  const width = Math.max(...Object.keys(actions).map((name) => name.length))
  const list = Object.entries(actions).map(([name, { about }]) => `  ${name.padEnd(width)}  ${about}`)
  return command
    .addHelpText(
      'after',
      `
Actions (treeline edit ACTION --help shows the options of one):
${list.join('\n')}
${examples(...['add', 'why', 'evaluate'].flatMap((name) => actions[name]!.examples), [
  'treeline generate model.gguf --edits store --prompt "Who leads it?"',
  'ask it',
])}`,
    )
    .action(async (model: string, store: string, name: string, what: string | undefined, flags: Flags) => {
      const own = Object.hasOwn(actions, name) ? actions[name] : undefined
      if (!own)
        return fail('TL_USAGE', `edit: no action "${name}": ${didYouMean(name, Object.keys(actions))}`)
      if (own.wants && what === undefined && !own.isOptional)
        fail('TL_USAGE', `edit ${name}: expected ${own.wants}`)
      if (!own.wants && what !== undefined)
        fail('TL_USAGE', `edit ${name}: unexpected ${JSON.stringify(what)}`)
      requireEffect(command, name)
      await own.run({ io, model, store, flags, what })
    })
}
