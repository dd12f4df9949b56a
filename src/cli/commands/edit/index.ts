/** @file `treeline edit`: teach facts to a model, list, explain, undo, measure. */
import { Command, Option } from 'commander'
import { didYouMean, fail } from '../../../base/index.ts'
import type { Io } from '../../io.ts'
import { examples, integerOption, jsonOption, quietOption, threadsOption } from '../../options.ts'
import { add } from './add.ts'
import { calibrate, replay, undo } from './change.ts'
import type { Call, Flags } from './flags.ts'
import { list, show, why } from './look.ts'
import { evaluate, exportStore } from './measure.ts'

interface Action {
  /** What the word after it is; absent: there is none. */
  readonly wants?: string
  /** Whether it may be left out. */
  readonly isOptional?: boolean
  readonly run: (call: Call) => Promise<void>
}

const actions: Readonly<Record<string, Action>> = {
  add: { wants: 'FACTS.json', isOptional: true, run: add },
  list: { run: list },
  show: { wants: 'the number of an edit', run: show },
  why: { wants: 'a prompt', run: why },
  undo: { wants: 'the number of an edit', run: undo },
  replay: { run: replay },
  calibrate: { wants: 'PROMPTS.json', run: calibrate },
  evaluate: { wants: 'FACTS.json', run: evaluate },
  export: { wants: 'OUT.safetensors or OUT.onnx', run: exportStore },
}

/** The command. */
export const editCommand = (io: Io): Command =>
  new Command('edit')
    .description('teach facts to a model, one after another, without touching the rest (MEMOIR)')
    .argument('<model>', 'a Hugging Face folder or a GGUF file')
    .argument('<store>', 'the folder of the edits; add makes it')
    .argument('<action>', Object.keys(actions).join(' | '))
    .argument('[what]', 'facts, a number, a prompt, prompts or a file, as the action wants it')
    .option('--prompt <text>', 'add: one fact instead of a file: what is asked')
    .option('--target <text>', 'add: and what the model is to answer')
    .option('--subject <text>', 'add: and what it is about')
    .option('--one-per-subject', 'add, evaluate: the first fact of each subject only')
    .addOption(integerOption('--limit <n>', 'add, evaluate: at most so many facts', 1, 1e9))
    .addOption(
      new Option(
        '--false-positives <rate>',
        'calibrate, a new store: share of prompts that no edit is about which may be answered (default 0.01)',
      ),
    )
    .addOption(integerOption('--layer <n>', 'a new store: the edited block', 0, 1e6))
    .addOption(integerOption('--k <n>', 'a new store: features that an edit may use', 1, 1e6))
    .addOption(new Option('--router <name>', 'a new store: the feature that finds the edit'))
    .addOption(integerOption('--router-layer <n>', 'a new store: the block it is taken from', 0, 1e6))
    .addOption(
      new Option(
        '--gate <gate>',
        'a new store: whether a prompt must name the subject (default subject)',
      ).choices(['none', 'subject']),
    )
    .addOption(
      new Option('--threshold <number>', 'a new store: least overlap (default: set by held-out prompts)'),
    )
    .addOption(integerOption('--steps <n>', 'a new store: steps of an edit at most', 1, 1e6))
    .addOption(new Option('--rate <number>', 'a new store: learning rate'))
    .addOption(new Option('--momentum <share>', 'a new store: of the last step in the next'))
    .addOption(
      new Option('--protection <number>', 'a new store: how much earlier edits are spared, 0 not at all'),
    )
    .addOption(
      new Option(
        '--contexts <n>',
        'a new store: put n texts of the model (at most 10), or those of a JSON file, before prompts in training',
      ),
    )
    .addOption(
      new Option('--decay <of>', 'a new store: weight decay').choices(['none', 'active-columns', 'dense']),
    )
    .addOption(
      new Option('--denominator <n>', 'a new store: what the loss of a target is divided by').choices([
        'n',
        'n+1',
      ]),
    )
    .option('--published', 'a new store: steps, decay, stop rule and threshold of the paper')
    .addOption(
      integerOption('--seed <n>', 'a new store: its permutation; evaluate: resamples', 0, 0xffff_ffff),
    )
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
  ['treeline edit model.gguf store add --prompt "Who leads it?" --target "Ada"', 'one fact'],
  [
    'treeline edit model.gguf store why "Who wrote it?"',
    'which edit answers, and how near the next ones are',
  ],
  ['treeline edit model.gguf store undo 3', 'it answers no longer'],
  [
    'treeline edit model.gguf store calibrate other.json --false-positives 0.01',
    'prompts that no edit is about',
  ],
  ['treeline edit model.gguf store evaluate facts.json --json', 'reliability, generalization, locality'],
  ['treeline edit model.gguf store export edited.onnx', 'model, edits and routing as one program'],
  ['treeline generate model.gguf --edits store --prompt "Who leads it?"', 'ask it'],
)}`,
    )
    .action(async (model: string, store: string, action: string, what: string | undefined, flags: Flags) => {
      const names = Object.keys(actions)
      const own = Object.hasOwn(actions, action) ? actions[action] : undefined
      if (!own) return fail('TL_USAGE', `edit: no action "${action}": ${didYouMean(action, names)}`)
      if (own.wants && what === undefined && !own.isOptional)
        fail('TL_USAGE', `edit ${action}: expected ${own.wants}`)
      if (!own.wants && what !== undefined)
        fail('TL_USAGE', `edit ${action}: unexpected ${JSON.stringify(what)}`)
      await own.run({ io, model, store, flags, what })
    })
