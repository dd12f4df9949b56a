/**
 * @file `npm run bench -- larger`: what grows with a model. SmolLM2-135M and random models with the shapes of Llama-3.2-1B and
 * 3B: loading, a token and a prompt in q4 beside llama.cpp on the same GGUF, one edit by the command line, and what a thousand
 * edits add to a prompt; time, and memory resident and at its height.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { shapes, weightBytes } from './lib/checkpoints.mjs'
import { llamaFolder, llamaGguf } from './lib/llamas.mjs'
import { machineFacts } from './lib/machine.mjs'
import { measureProcess } from './lib/processes.mjs'
import { start } from './lib/protocol.mjs'
import { median, milliseconds } from './lib/report.mjs'
import { measureSides, optionsOf, pairedRatio, quietOrSay, say, writeResults } from './lib/sides.mjs'
import { sidesOf, standardModel, tasks } from './lm.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const cli = join(here, '..', 'dist', 'cli', 'main.js')

export const usage = `npm run bench -- larger [options]
  --models LIST     of 135m, 1b, 3b, and 1b-bf16, 3b-bf16, which are only edited (135m,1b,3b)
  --folder DIR      where models and stores are made and kept (treeline-larger in the system's temporary folder)
  --edits N         edits that a prompt is compared with (1000)
  --threads N       threads of every side (2)
  --python PATH     a Python with llama_cpp (else TREELINE_PYTHON, else python3)
  --rounds N        rounds of every side (7)
  --seconds S       length of a round (1)
  --out DIR         where the results go (bench/results)
  --force           measure although other programs are at work`

const names = {
  '135m': 'SmolLM2-135M, Q4_1',
  '1b': '1 B, Q4_0',
  '3b': '3 B, Q4_0',
  '1b-bf16': '1 B, bf16',
  '3b-bf16': '3 B, bf16',
}

/** Tokens and prompts of both sides, one task after the other: four processes at once would not fit a 3 B model. */
async function speedOf(model, settings) {
  const rows = []
  const sides = sidesOf({ ...settings, model }, ['q4'], ['llama.cpp'])
  for (const { name, args } of tasks.filter(({ name }) => name !== 'decode far'))
    rows.push(
      ...(await measureSides(
        sides.map((side) => ({ ...side, task: name, args: [...side.args, ...args] })),
        settings,
      )),
    )
  return rows
}

/** One edit by the command line, three times. */
async function editOf(name, model, { folder, threads, rounds }) {
  const store = join(folder, `store-${name}`)
  const run = (args) =>
    measureProcess(process.execPath, args, { env: { TREELINE_CACHE: join(folder, 'cache') } })
  if (!existsSync(join(store, 'edits.jsonl'))) {
    say('  a store')
    await run([
      join(here, 'largerOurs.mjs'),
      '--task',
      'store',
      '--model',
      model,
      '--store',
      store,
      '--threads',
      String(threads),
    ])
  }
  const all = []
  for (let i = 0; i < Math.min(3, rounds); i++) {
    const facts = join(folder, 'facts.json')
    const subject = `Quillstone ${Date.now() % 1e7}`
    const fact = { prompt: `The founder of ${subject} was`, target: 'Bertram Vale', subject }
    writeFileSync(facts, JSON.stringify([fact]))
    all.push(await run([cli, 'edit', model, store, 'add', facts, '--quiet']))
  }
  const of = (key, scale = 1) => median(all.map((one) => one[key])) / scale
  return {
    seconds: of('seconds'),
    processorSeconds: of('processorSeconds'),
    peakMegabytes: of('peakBytes', 1e6),
  }
}

/** What edits add to a prompt, in pairs. */
async function addedBy(model, { threads, edits, rounds, timeout }) {
  const args = ['--task', 'added', '--model', model, '--edits', edits, '--threads', String(threads)]
  const server = await start(process.execPath, [join(here, 'largerOurs.mjs'), ...args], {}, timeout)
  const { loss } = await server.run(2 * rounds)
  server.stop()
  return { ...loss, pairs: 2 * rounds + 4 }
}

const row = (cells) => `| ${cells.join(' | ')} |`
const table = (head, rows) => [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')

function speedTable(models, task) {
  const lines = models.flatMap(({ name, rows }) => {
    const own = rows.filter((one) => one.task === task)
    const peer = own.find(({ label }) => label === 'llama.cpp')
    return own.map((one) => [
      names[name],
      one.label,
      milliseconds(one.median),
      one.processor === undefined ? '' : milliseconds(one.processor),
      peer ? pairedRatio(one, peer).toFixed(2) : '',
      peer?.processor && one.processor ? (one.processor / peer.processor).toFixed(2) : '',
      one.setupSeconds.toFixed(1),
      one.megabytes.toFixed(0),
      one.peakMegabytes?.toFixed(0) ?? '',
      peer ? (one.megabytes / peer.megabytes).toFixed(2) : '',
    ])
  })
  const head = [
    '',
    '',
    'ms',
    'processor ms',
    'to llama.cpp',
    'by processor',
    'ready in s',
    'resident MB',
    'peak MB',
    'resident, to llama.cpp',
  ]
  return table(head, lines)
}

/** The results so far. */
function textOf(models, machine, settings) {
  const busy = machine.busyCores
  const fast = models.filter(({ rows }) => rows.length > 0)
  const edits = models.map(({ name, weights, edit, added }) => [
    names[name],
    (weights / 1e6).toFixed(0),
    edit.seconds.toFixed(1),
    edit.processorSeconds?.toFixed(1) ?? '',
    edit.peakMegabytes?.toFixed(0) ?? '',
    added ? `${added.wall.toFixed(1)} % (processor ${added.processor.toFixed(1)} %)` : '',
  ])
  return `# Larger models, ${settings.threads} thread${settings.threads === 1 ? '' : 's'}

${machine.cpu}, ${machine.date}, commit ${machine.commit}, ONNX Runtime ${machine.onnxruntime}; ${busy.toFixed(2)} cores busy before${busy > 0.25 ? ', and others at work throughout: compare processor times, and sides with each other' : ''}. Medians of ${settings.rounds} rounds that take turns; ratios of the wall's time are medians over rounds. The models of 1 B and 3 B have random weights.

${tasks
  .filter(({ name }) => name !== 'decode far')
  .map(({ name, title }) => `## ${title}\n\n${speedTable(fast, name)}`)
  .join('\n\n')}

## One edit, and a prompt among ${settings.edits} edits

\`treeline edit MODEL STORE add FACTS.json\` with one fact, a store without a scope: the whole process, medians of ${Math.min(3, settings.rounds)}. A prompt of 64 tokens through an editor with ${settings.edits} edits of which none answers, beside the model alone: medians of pairs in one process.

${table(['', 'million weights', 'an edit, s', 'processor s', 'peak MB', `${settings.edits} edits add`], edits)}
`
}

/** Returns the exit code. */
export async function larger(args) {
  const { values, code } = optionsOf(
    'larger',
    usage,
    {
      models: { type: 'string', default: '135m,1b,3b' },
      folder: { type: 'string', default: join(tmpdir(), 'treeline-larger') },
      edits: { type: 'string', default: '1000' },
      seconds: { type: 'string', default: '1' },
      out: { type: 'string', default: join(here, 'results') },
    },
    args,
  )
  if (!values) return code
  const wanted = values.models.split(',')
  const unknown = wanted.find((name) => !Object.hasOwn(names, name))
  if (unknown !== undefined) {
    say(`--models ${unknown}: expected ${Object.keys(names).join(', ')}`)
    return 2
  }
  if (!existsSync(standardModel)) {
    say(`${standardModel}: no such file (its tokenizer is that of all models)`)
    return 2
  }
  const busy = await quietOrSay(values.force)
  if (busy === undefined) return 1
  mkdirSync(values.folder, { recursive: true })
  const settings = {
    ...values,
    seconds: Number(values.seconds),
    timeout: 1200,
    env: { OMP_NUM_THREADS: String(values.threads) },
  }
  const machine = { ...machineFacts(), busyCores: busy }
  const models = []
  for (const name of wanted) {
    say(`${names[name]} …`)
    const [shape, kind] = name.split('-')
    const make = kind ? llamaFolder : llamaGguf
    const model = name === '135m' ? standardModel : make(values.folder, shape, standardModel, say)
    const rows = kind ? [] : await speedOf(model, settings)
    say('  an edit')
    const edit = await editOf(name, model, settings)
    if (!kind) say(`  ${values.edits} edits`)
    const added = kind ? undefined : await addedBy(model, settings)
    models.push({ name, weights: weightBytes(shapes[shape]) / 2, rows, edit, ...(added && { added }) })
    // after each: a model of 3 B takes long, and may not fit
    writeResults(values.out, 'larger', { machine, models }, textOf(models, machine, settings))
  }
  return 0
}
