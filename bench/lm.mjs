/**
 * @file `npm run bench -- lm`: tokens and prefills of a language model, ours in f32 and q4 beside Transformers in f32 and
 * llama.cpp on the same GGUF file, on the same cores. Every side is a child process that waits; rounds take turns. Then the
 * whole command: from its start to the first piece of an answer.
 */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { busyCores, machineFacts, processSeconds, sleep } from './lib/machine.mjs'
import { start } from './lib/protocol.mjs'
import { median, milliseconds, summarize } from './lib/report.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const standard = fileURLToPath(
  new URL('../../shared/models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf', import.meta.url),
)

export const usage = `npm run bench -- lm [options]
  --model FILE      SmolLM2-135M-Instruct as GGUF (shared/models beside the project)
  --threads N       threads of every side (2)
  --python PATH     a Python with transformers, gguf, llama_cpp (else TREELINE_PYTHON, else python3)
  --rounds N        rounds of every side (7)
  --seconds S       length of a round (1)
  --out DIR         where the results go (bench/results)
  --force           measure although other programs are at work`

const say = (text) => process.stderr.write(`${text}\n`)

function has(python, module) {
  try {
    execFileSync(python, ['-c', `import ${module}`], { stdio: 'ignore', timeout: 120_000 })
    return true
  } catch {
    return false
  }
}

/** The sides that there are: label, command, arguments without the task. */
function sidesOf({ model, threads, python }) {
  const common = ['--model', model, '--threads', String(threads)]
  const ours = (precision) => ({
    label: `treeline ${precision}`,
    command: process.execPath,
    args: [join(here, 'lmOurs.mjs'), ...common, '--precision', precision],
  })
  const peer = (label, module) => {
    if (has(python, module))
      return [
        { label, command: python, args: [join(here, 'peers', 'lm_peer.py'), ...common, '--peer', label] },
      ]
    say(`no ${label} to compare with (${python} has no ${module})`)
    return []
  }
  return [
    ours('f32'),
    ours('q4'),
    ...peer('Transformers f32', 'transformers, gguf'),
    ...peer('llama.cpp', 'llama_cpp'),
  ]
}

/** Milliseconds a step of every side, wall and processor time, over rounds that take turns. */
async function measure(task, settings) {
  const env = { OMP_NUM_THREADS: String(settings.threads), HF_HUB_OFFLINE: '1' }
  const running = []
  for (const side of sidesOf(settings)) {
    try {
      const server = await start(side.command, [...side.args, ...task.args], env, 300)
      const { seconds, steps } = await server.run(3)
      const count = Math.max(1, Math.round((settings.seconds * steps) / seconds))
      running.push({ ...side, server, count, wall: [], processor: [] })
    } catch (error) {
      say(`  ${side.label}: not compared (${error.message})`)
    }
  }
  for (let round = 0; round < settings.rounds; round++)
    for (const side of running) {
      const before = processSeconds(side.server.pid)
      const { seconds, steps } = await side.server.run(side.count)
      side.wall.push((1000 * seconds) / steps)
      if (before !== undefined)
        side.processor.push((1000 * (processSeconds(side.server.pid) - before)) / steps)
      await sleep(0.05)
    }
  return running.map(({ label, server, wall, processor }) => {
    server.stop()
    const { version, setupSeconds, megabytes } = server.ready
    const own = processor.length ? { processor: median(processor) } : {}
    return { task: task.name, label, version, setupSeconds, megabytes, ...summarize(wall), ...own }
  })
}

/** Steps that are timed on every side. */
const tasks = [
  { name: 'decode', title: 'One token after 64 to 192', args: ['--task', 'decode'] },
  {
    name: 'decode far',
    title: 'One token after 448 to 512',
    args: ['--task', 'decode', '--from', '448', '--to', '512'],
  },
  { name: 'prefill', title: 'A prompt of 64 tokens', args: ['--task', 'prefill'] },
]

/** Milliseconds from the command to the first piece of its answer. */
function firstAnswer({ model, threads }, precision) {
  return new Promise((resolve, reject) => {
    const command = join(here, '..', 'dist', 'cli', 'main.js')
    const options = ['--precision', precision, '--threads', String(threads), '--max-tokens', '1']
    const started = performance.now()
    let first
    const child = spawn(process.execPath, [command, 'chat', model, ...options], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    child.stdout.on('data', () => {
      first ??= performance.now() - started
    })
    child.on('error', reject)
    child.on('close', () =>
      first === undefined ? reject(new Error('treeline chat gave no answer')) : resolve(first),
    )
    child.stdin.end('Hello, who are you?\n')
  })
}

async function measureChat(settings) {
  const precisions = ['q4', 'f32']
  const times = precisions.map(() => [])
  for (let round = 0; round <= settings.rounds; round++)
    for (const [i, precision] of precisions.entries()) {
      const ms = await firstAnswer(settings, precision)
      // the first round reads the files
      if (round > 0) times[i].push(ms)
    }
  return precisions.map((precision, i) => ({
    task: 'chat',
    label: `treeline chat --precision ${precision}`,
    ...summarize(times[i]),
  }))
}

function table(rows) {
  const line = ({ label, median: m, least, most, processor, setupSeconds, megabytes }) =>
    `| ${label} | ${milliseconds(m)} (${milliseconds(least)}–${milliseconds(most)}) | ${processor ? milliseconds(processor) : ''} | ${setupSeconds.toFixed(2)} | ${megabytes.toFixed(0)} |`
  return [
    '| | ms | processor ms | ready in s | resident MB |',
    '|---|---|---|---|---|',
    ...rows.map(line),
  ].join('\n')
}

/** Returns the exit code. */
export async function lm(args) {
  let values
  try {
    ;({ values } = parseArgs({
      args,
      options: {
        model: { type: 'string', default: standard },
        threads: { type: 'string', default: '2' },
        python: { type: 'string', default: process.env.TREELINE_PYTHON || 'python3' },
        rounds: { type: 'string', default: '7' },
        seconds: { type: 'string', default: '1' },
        out: { type: 'string', default: join(here, 'results') },
        force: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }))
  } catch (error) {
    say(`${error.message}\n(npm run bench -- lm --help lists the options)`)
    return 2
  }
  if (values.help) {
    process.stdout.write(`${usage}\n`)
    return 0
  }
  const settings = {
    ...values,
    threads: Number(values.threads),
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
  }
  if (!existsSync(settings.model)) {
    say(`--model ${settings.model}: no such file (SmolLM2-135M-Instruct as GGUF)`)
    return 2
  }
  const busy = await busyCores()
  if (busy > 0.25 && !settings.force) {
    say(`other programs keep ${busy.toFixed(2)} cores at work: end them, or say --force`)
    return 1
  }
  const facts = { ...machineFacts(), busyCores: busy }
  const rows = []
  for (const task of tasks) {
    say(`${task.name} …`)
    rows.push(...(await measure(task, settings)))
  }
  say('chat …')
  const chat = await measureChat(settings)
  const part = ({ name, title }) => `## ${title}\n\n${table(rows.filter((row) => row.task === name))}`
  const seconds = ({ label, median: m, least, most }) =>
    `| ${label} | ${[m, least, most].map((ms) => (ms / 1000).toFixed(2)).join(' | ')} |`
  rows.push(...chat)
  const text = `# SmolLM2-135M, ${settings.threads} threads

${facts.cpu}, ${facts.date}, commit ${facts.commit}, ONNX Runtime ${facts.onnxruntime}; ${busy.toFixed(2)} cores busy before. Medians (range) of ${settings.rounds} rounds that take turns.

${tasks.map(part).join('\n\n')}

## From the command to the first piece of an answer

| | seconds | least | most |
|---|---|---|---|
${chat.map(seconds).join('\n')}
`
  mkdirSync(settings.out, { recursive: true })
  const stem = join(settings.out, `lm-${facts.date.slice(0, 19).replaceAll(':', '')}`)
  writeFileSync(
    `${stem}.json`,
    `${JSON.stringify({ format: 'treeline-bench-lm/1', machine: facts, rows }, null, 1)}\n`,
  )
  writeFileSync(`${stem}.md`, text)
  process.stdout.write(`${text}\n${relative(process.cwd(), stem)}.md and .json\n`)
  return 0
}
