/**
 * @file `npm run bench -- merge`: whole merges, from the start of the program to its end, against mergekit and against copying
 * the files. Sides take turns; wall time, processor time and peak memory are measured from outside.
 */
import { existsSync, mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { checkpoints, models, shapes, weightBytes } from './lib/checkpoints.mjs'
import { busyCores, busySeconds, machineFacts } from './lib/machine.mjs'
import { agreement, disagreement, mergeMarkdown, ratiosOf, summaryOf } from './lib/mergeReport.mjs'
import { dropCaches, fillCaches, sync } from './lib/pageCache.mjs'
import { measureProcess } from './lib/processes.mjs'
import { findMergekit } from './lib/python.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))

/** Configurations, as both sides read them (JSON is YAML). `folders` are those of base, a, b. */
const methods = {
  linear: ({ a, b }) => ({ models: weighted(a, b, {}) }),
  ties: ({ base, a, b }) => ({
    ...{ base_model: base, models: weighted(a, b, { density: 0.5 }), parameters: { normalize: true } },
  }),
  slerp: ({ a, b }) => ({ base_model: a, models: [{ model: a }, { model: b }], parameters: { t: 0.5 } }),
  task_arithmetic: ({ base, a, b }) => ({ base_model: base, models: weighted(a, b, {}) }),
  dare_ties: ({ base, a, b }) => ({ base_model: base, models: weighted(a, b, { density: 0.5 }) }),
}
const weighted = (a, b, more) => [a, b].map((model) => ({ model, parameters: { weight: 0.5, ...more } }))

/** Methods whose result is one and the same, so that both sides can be compared value by value. */
const isDeterministic = (method) => method !== 'dare_ties'
const inputsOf = (method) => (['linear', 'slerp'].includes(method) ? ['a', 'b'] : models)

export const usage = `npm run bench -- merge [options]
  --models 135m,3b  sizes of the models (both)
  --only NAMES      out of ${Object.keys(methods).join(', ')} (linear,ties)
  --from STATES     out of cache, disk: where the weights are before a merge (both, as far as they fit)
  --threads N       threads of both sides (all cores)
  --rounds N        rounds of every side (5 for 135m, 3 for 3b)
  --sides NAMES     out of treeline, mergekit, cp (all)
  --folder DIR      where the models are kept once they are made, and merges are written (a folder of the system's
                    for temporary files; 20 GB for 3b, and the results of two merges)
  --python PATH     a Python with mergekit (else TREELINE_PYTHON, else python3)
  --out DIR         where the results go (bench/results)
  --force           measure although other programs are at work`

class Usage extends Error {}

const say = (text) => process.stderr.write(`${text}\n`)

function settingsFrom(args) {
  let values
  try {
    ;({ values } = parseArgs({
      args,
      options: {
        models: { type: 'string', default: '135m,3b' },
        only: { type: 'string', default: 'linear,ties' },
        from: { type: 'string', default: 'cache,disk' },
        sides: { type: 'string', default: 'treeline,mergekit,cp' },
        threads: { type: 'string', default: String(os.cpus().length) },
        rounds: { type: 'string' },
        folder: { type: 'string', default: join(os.tmpdir(), 'treeline-bench-models') },
        python: { type: 'string' },
        out: { type: 'string', default: join(here, 'results') },
        force: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }))
  } catch (error) {
    throw new Usage(error.message)
  }
  const some = (name, known) => {
    const list = values[name].split(',').map((word) => word.trim())
    for (const word of list)
      if (!known.includes(word)) throw new Usage(`--${name} ${word}: expected some of ${known.join(', ')}`)
    return list
  }
  const whole = (name) => {
    if (/^[1-9]\d*$/.test(values[name])) return Number(values[name])
    throw new Usage(`--${name}: expected an integer >= 1, got "${values[name]}"`)
  }
  return {
    ...values,
    models: some('models', Object.keys(shapes)),
    only: some('only', Object.keys(methods)),
    from: some('from', ['cache', 'disk']),
    sides: some('sides', ['treeline', 'mergekit', 'cp']),
    threads: whole('threads'),
    rounds: values.rounds === undefined ? undefined : whole('rounds'),
    folder: resolve(values.folder),
  }
}

/** The sides of a row: label, command, arguments. `config` is the file of the configuration, `out` the folder to write. */
function sidesOf({ settings, peer, folders, config, out }) {
  const { threads } = settings
  const ours = (label, ...more) => ({
    label,
    command: process.execPath,
    args: [
      ...[join(here, '..', 'dist', 'cli', 'main.js'), 'merge', config, out(label)],
      ...['--threads', String(threads), '--quiet', ...more],
    ],
  })
  const all = [
    // in f32, rounded once; and rounded to bf16 after every operation, as mergekit computes
    ours('treeline'),
    ours('treeline bf16', '--arithmetic', 'dtype'),
    {
      label: 'mergekit',
      command: peer.command,
      args: [
        ...['-m', 'mergekit.scripts.run_yaml', config, out('mergekit'), '--quiet'],
        ...['--no-copy-tokenizer', '--no-write-model-card', '--num-threads', String(threads)],
      ],
    },
    // what a merge cannot do without: as many bytes as its result has, and the bytes of all its inputs
    { label: 'cp', command: 'cp', args: ['-r', folders.a, out('cp')] },
    {
      label: 'cp inputs',
      command: 'cp',
      args: ['-r', ...Object.values(folders), out('cp inputs')],
      isMany: true,
    },
  ]
  return all.filter(({ label, command }) => command && settings.sides.includes(label.split(' ')[0]))
}

/** One row: a method for a size of model, its weights in memory or on disk. */
async function measure(row, settings, peer) {
  const { model, method, from } = row
  const folders = Object.fromEntries(
    inputsOf(method).map((name) => [name, join(settings.folder, model, name)]),
  )
  const work = join(settings.folder, 'work')
  rmSync(work, { recursive: true, force: true })
  mkdirSync(work, { recursive: true })
  const out = (label) => join(work, label.replace(' ', '-'))
  const config = join(work, 'merge.yaml')
  const recipe = { merge_method: method, ...methods[method](folders), dtype: 'bfloat16' }
  writeFileSync(config, `${JSON.stringify(recipe, null, 2)}\n`)
  const threads = String(settings.threads)
  const env = {
    ...{ OMP_NUM_THREADS: threads, MKL_NUM_THREADS: threads },
    ...{ HF_HUB_OFFLINE: '1', TRANSFORMERS_OFFLINE: '1', TOKENIZERS_PARALLELISM: 'false' },
  }
  const sides = sidesOf({ settings, peer, folders, config, out })
  const rounds = settings.rounds ?? (model === '135m' ? 5 : 3)
  let [disturbed, how] = [0, null]
  const compared = {}
  const found = new Map(sides.map(({ label }) => [label, { rounds: [] }]))
  try {
    // round 0 brings the programs themselves into memory
    for (let round = model === '135m' ? 0 : 1; round <= rounds; round++) {
      for (const { label, command, args, isMany } of sides) {
        const own = found.get(label)
        if (own.error) continue
        rmSync(out(label), { recursive: true, force: true })
        if (isMany) mkdirSync(out(label))
        if (from === 'disk') how = dropCaches(Object.values(folders), peer.command)
        else fillCaches(Object.values(folders))
        sync()
        const before = busySeconds()
        try {
          const { output: _, ...measured } = await measureProcess(command, args, { env })
          const others = (busySeconds() - before - (measured.processorSeconds ?? 0)) / measured.seconds
          const start = performance.now()
          sync()
          const syncSeconds = (performance.now() - start) / 1000
          say(`  ${label}: ${measured.seconds.toFixed(2)} s${round === 0 ? ' (not counted)' : ''}`)
          if (round > 0) own.rounds.push({ ...measured, syncSeconds })
          if (round > 0 && others > 0.3) disturbed++
        } catch (error) {
          own.error = error.message
          say(`  ${label} failed: ${error.message}`)
        }
        const isKept = round === rounds && !label.startsWith('cp')
        if (!isKept) rmSync(out(label), { recursive: true, force: true })
      }
    }
    const isThere = (label) => found.has(label) && !found.get(label).error
    for (const label of ['treeline', 'treeline bf16'].filter(isThere))
      if (isThere('mergekit'))
        compared[label] = agreement(out(label), out('mergekit'), isDeterministic(method))
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  const timings = Object.fromEntries([...found].map(([label, own]) => [label, summaryOf(own)]))
  return {
    ...{ ...row, threads: settings.threads, recipe: methods[method]({ base: 'base', a: 'a', b: 'b' }) },
    ...{ timings, ratios: ratiosOf(timings), agreement: compared, dropped: how, disturbed },
    measurements: rounds * sides.length,
  }
}

/** Rows to measure, and what is left out because it does not fit. */
function plan({ models: sizes, only, from }) {
  const rows = []
  const notes = []
  for (const model of sizes)
    for (const method of only)
      for (const state of from) {
        const inputs = inputsOf(method).length
        // inputs and result in the page cache at once, and half as much again for the programs and all else
        const needed = 1.5 * (inputs + 1) * weightBytes(shapes[model])
        if (state === 'cache' && needed > os.totalmem())
          notes.push(
            `${model} ${method} from the page cache: ${inputs} inputs and the result do not fit in ${(os.totalmem() / 2 ** 30).toFixed(0)} GiB with room to spare; not measured`,
          )
        else rows.push({ model, method, from: state })
      }
  return { rows, notes }
}

/** Make the models that are missing. Throws when the disk is too small. */
function prepare({ models: sizes, only, folder }) {
  mkdirSync(folder, { recursive: true })
  for (const model of sizes) {
    const wanted = models.filter((name) => only.some((method) => inputsOf(method).includes(name)))
    const missing = wanted.filter((name) => !existsSync(join(folder, model, name, 'bench-recipe.json')))
    const inputs = Math.max(...only.map((method) => inputsOf(method).length))
    const needed = (missing.length + Math.max(2, inputs) + 0.5) * weightBytes(shapes[model])
    const { bavail, bsize } = statfsSync(folder)
    if (bavail * bsize < needed)
      throw new Usage(
        `--folder ${folder}: ${model} needs ${(needed / 1e9).toFixed(0)} GB more, ${((bavail * bsize) / 1e9).toFixed(0)} GB are free`,
      )
    checkpoints(folder, model, wanted, say)
  }
}

/** Returns the exit code. */
export async function merge(args) {
  let settings
  try {
    settings = settingsFrom(args)
    if (settings.help) {
      process.stdout.write(`${usage}\n`)
      return 0
    }
    const peer = settings.sides.includes('mergekit') ? findMergekit(settings.python) : {}
    if (peer.reason) {
      say(`no mergekit to compare with (${peer.reason}); bench/README.md says how to make one`)
      if (peer.named) return 2
    } else if (peer.mergekit && peer.mergekit !== '0.1.5')
      say(`mergekit ${peer.mergekit}: the project's targets are against 0.1.5`)
    prepare(settings)
    return await measureAll(settings, peer)
  } catch (error) {
    if (!(error instanceof Usage)) throw error
    say(`${error.message}\n(npm run bench -- merge --help lists the options)`)
    return 2
  }
}

async function measureAll(settings, peer) {
  const busy = await busyCores()
  if (busy > 0.3 && !settings.force) {
    say(`${busy.toFixed(2)} cores are busy: timings would be worthless (--force measures all the same)`)
    return 1
  }
  const facts = { ...machineFacts(), mergekit: peer.mergekit ?? null, python: peer.python ?? null }
  const { rows: planned, notes } = plan(settings)
  const rows = []
  for (const row of planned) {
    say(`${row.model} ${row.method}, weights ${row.from === 'disk' ? 'on disk' : 'in the page cache'}`)
    const measured = await measure(row, settings, peer)
    if (row.from === 'disk' && measured.dropped === null)
      notes.push(
        `${row.model} ${row.method} from disk: the page cache could not be emptied here (no root, no Python); weights may have been in it`,
      )
    rows.push(measured)
  }
  const results = { machine: { ...facts, busyCores: busy }, forced: settings.force, rows, notes }
  const text = mergeMarkdown(results)
  mkdirSync(settings.out, { recursive: true })
  const stamp = facts.date.slice(0, 19).replaceAll(':', '')
  const path = join(settings.out, `merge-${stamp}`)
  writeFileSync(`${path}.json`, `${JSON.stringify(results, null, 2)}\n`)
  writeFileSync(`${path}.md`, text)
  process.stdout.write(`${text}\n${relative(process.cwd(), path)}.md\n`)
  const isSound = (row) =>
    Object.values(row.timings).every(({ error }) => !error) && disagreement(row).length === 0
  return rows.every(isSound) ? 0 : 1
}
