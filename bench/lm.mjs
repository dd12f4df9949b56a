/**
 * @file `npm run bench -- lm`: tokens and prefills of a language model, ours in f32, q8 and q4 beside Transformers in f32 and
 * llama.cpp on the same GGUF file, on the same cores. Every side is a child process that waits; rounds take turns. Then the
 * whole command: from its start to the first piece of an answer.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { machineFacts } from './lib/machine.mjs'
import { has } from './lib/python.mjs'
import { summarize } from './lib/report.mjs'
import {
  measureSides,
  optionsOf,
  pairedRatio,
  quietOrSay,
  say,
  sidesTable,
  writeResults,
} from './lib/sides.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
export const standardModel = fileURLToPath(
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

/** A side of its own: weights in large pages. */
const largePages = 'treeline q4, large pages'

/** The sides that there are: label, command, arguments without the task. */
export function sidesOf({ model, threads, python }, precisions, peers) {
  const common = ['--model', model, '--threads', String(threads)]
  const ours = (precision, more = {}) => ({
    label: `treeline ${precision}`,
    command: process.execPath,
    args: [join(here, 'lmOurs.mjs'), ...common, '--precision', precision],
    ...more,
  })
  /** glibc asks the kernel for pages of 2 MB, where it gives them on request only. */
  const onRequest = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' }
  const peer = (label, module) => {
    if (has(python, module))
      return [
        { label, command: python, args: [join(here, 'peers', 'lm_peer.py'), ...common, '--peer', label] },
      ]
    say(`no ${label} to compare with (${python} has no ${module})`)
    return []
  }
  const modules = { 'Transformers f32': 'transformers, gguf', 'llama.cpp': 'llama_cpp' }
  return [
    ...precisions.flatMap((precision) => {
      if (precision !== largePages) return [ours(precision)]
      return process.platform === 'linux' ? [ours('q4', { label: largePages, env: onRequest })] : []
    }),
    ...peers.flatMap((label) => peer(label, modules[label])),
  ]
}

/** Steps that are timed on every side. */
export const tasks = [
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
  const precisions = ['q4', 'q8', 'f32']
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

/** Returns the exit code. */
export async function lm(args) {
  const { values, code } = optionsOf(
    'lm',
    usage,
    {
      model: { type: 'string', default: standardModel },
      seconds: { type: 'string', default: '1' },
      out: { type: 'string', default: join(here, 'results') },
    },
    args,
  )
  if (!values) return code
  const settings = {
    ...values,
    seconds: Number(values.seconds),
    timeout: 300,
    env: { OMP_NUM_THREADS: String(values.threads), HF_HUB_OFFLINE: '1' },
  }
  if (!existsSync(settings.model)) {
    say(`--model ${settings.model}: no such file (SmolLM2-135M-Instruct as GGUF)`)
    return 2
  }
  const busy = await quietOrSay(settings.force)
  if (busy === undefined) return 1
  const facts = { ...machineFacts(), busyCores: busy }
  say('tokens and prompts …')
  const sides = sidesOf(settings, ['f32', 'q8', 'q4', largePages], ['Transformers f32', 'llama.cpp'])
  // all steps take turns, not only all sides: near and far are compared too
  const all = tasks.flatMap((task) =>
    sides.map((side) => ({ ...side, task: task.name, args: [...side.args, ...task.args] })),
  )
  const rows = await measureSides(all, settings)
  const of = (task, label) => rows.find((row) => row.task === task && row.label === label)
  const farther = sides.flatMap(({ label }) => {
    const [near, far] = [of('decode', label), of('decode far', label)]
    return near && far
      ? [`| ${label} | ${pairedRatio(far, near).toFixed(2)} | ${(far.median - near.median).toFixed(1)} |`]
      : []
  })
  say('chat …')
  const chat = await measureChat(settings)
  const part = ({ name, title }) =>
    `## ${title}\n\n${sidesTable(
      rows.filter((row) => row.task === name),
      'llama.cpp',
    )}`
  const seconds = ({ label, median: m, least, most }) =>
    `| ${label} | ${[m, least, most].map((ms) => (ms / 1000).toFixed(2)).join(' | ')} |`
  rows.push(...chat)
  const text = `# SmolLM2-135M, ${settings.threads} threads

${facts.cpu}, ${facts.date}, commit ${facts.commit}, ONNX Runtime ${facts.onnxruntime}; ${busy.toFixed(2)} cores busy before. Medians (range) of ${settings.rounds} rounds that take turns; ratios are medians over rounds.

${tasks.map(part).join('\n\n')}

## What 384 tokens more of context cost

| | times as long | ms more |
|---|---|---|
${farther.join('\n')}

## From the command to the first piece of an answer

| | seconds | least | most |
|---|---|---|---|
${chat.map(seconds).join('\n')}
`
  writeResults(settings.out, 'lm', { machine: facts, rows }, text)
  return 0
}
