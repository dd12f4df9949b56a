/**
 * @file `npm run bench -- edit`: one edit of thirty steps without and with ten contexts, ours beside PyTorch, and what an editor
 * with 700 edits adds to a prompt of 64 tokens. Every side is a child process that waits; rounds take turns.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { machineFacts } from './lib/machine.mjs'
import { start } from './lib/protocol.mjs'
import { measureSides, optionsOf, quietOrSay, say, sidesTable, writeResults } from './lib/sides.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const shared = (path) => fileURLToPath(new URL(`../../shared/${path}`, import.meta.url))

export const usage = `npm run bench -- edit [options]
  --model FILE      SmolLM2-135M-Instruct as GGUF (shared/models beside the project)
  --facts FILE      facts to teach, the first of each of 40 subjects (ZsRE in shared/data beside the project)
  --threads N       threads of every side (2)
  --python PATH     a Python with torch, gguf (else TREELINE_PYTHON, else python3)
  --rounds N        rounds of every side (7)
  --out DIR         where the results go (bench/results)
  --force           measure although other programs are at work`

/** Texts to put in front, so that both sides have the same. */
const contexts = [
  'I am a little bit.',
  'You are not going to',
  'Because of the fact that',
  'Yes, I am sure',
  'Q: What is the',
  'I was born in a small town in the south',
  'You can also use the following method to create',
  'Because the number of people who are in',
  'Yes, it is possible that the author of',
  'Q: How do you know if a person is',
]

/** What PyTorch gets: token ids of every sequence of every edit. */
function lessonsOf(facts, own, tokenizer) {
  return facts.map(({ prompt, target }) => {
    const ids = tokenizer.encode(` ${target}`)
    return [prompt, ...own.map((c) => `${c} ${prompt}`)].map((text) => {
      const before = tokenizer.encode(text)
      return { ids: [...before, ...ids.slice(0, -1)], prompt: before.length, target: ids }
    })
  })
}

/** Per cent that a store adds to a prompt, measured in pairs within one process. */
async function addedBy({ command, args, count }, { env, timeout }) {
  const server = await start(command, args, env, timeout)
  const { loss } = await server.run(count)
  server.stop()
  return { ...loss, pairs: count }
}

/** Returns the exit code. */
export async function edit(args) {
  const { values, code } = optionsOf(
    'edit',
    usage,
    {
      model: {
        type: 'string',
        default: shared('models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf'),
      },
      facts: { type: 'string', default: shared('data/edits/zsre.json') },
      out: { type: 'string', default: join(here, 'results') },
    },
    args,
  )
  if (!values) return code
  for (const name of ['model', 'facts'])
    if (!existsSync(values[name])) {
      say(`--${name} ${values[name]}: no such file`)
      return 2
    }
  const busy = await quietOrSay(values.force)
  if (busy === undefined) return 1
  const { rounds, threads } = values
  const settings = {
    rounds,
    threads,
    timeout: 600,
    env: { OMP_NUM_THREADS: String(threads), MKL_NUM_THREADS: String(threads) },
  }
  const { onePerSubject, readFacts } = await import('../dist/edit/index.js')
  const { loadTokenizer } = await import('../dist/lm/index.js')
  const facts = onePerSubject(readFacts(values.facts))
    .slice(0, 40)
    .map(({ prompt, target }) => ({ prompt, target }))
  const folder = mkdtempSync(join(tmpdir(), 'treeline-bench-'))
  const common = ['--model', values.model, '--threads', String(threads)]
  const ours = (label, task, count, more = []) => ({
    label,
    ...{ command: process.execPath, count },
    args: [join(here, 'editOurs.mjs'), ...common, '--task', task, ...more],
  })
  const machine = { ...machineFacts(), busyCores: busy }
  const parts = []
  let added
  try {
    const tokenizer = loadTokenizer(values.model)
    for (const own of [[], contexts]) {
      const name = `One edit of 30 steps, ${own.length === 0 ? 'without contexts' : `${own.length} contexts`}`
      say(`${name} …`)
      const file = join(folder, `facts-${own.length}.json`)
      const lessons = join(folder, `lessons-${own.length}.json`)
      writeFileSync(file, JSON.stringify({ facts, contexts: own }))
      writeFileSync(lessons, JSON.stringify(lessonsOf(facts, own, tokenizer)))
      const torch = {
        label: 'PyTorch',
        ...{ command: values.python, count: 1 },
        args: [join(here, 'peers', 'edit_torch.py'), ...common, '--lessons', lessons],
      }
      const sides = [ours('treeline', 'edits', 1, ['--facts', file]), torch]
      parts.push({ name, rows: await measureSides(sides, settings) })
    }
    say('a prompt with 700 edits …')
    const sides = [
      ours('the model alone', 'prefill', 5),
      ours('700 edits, none of which answers', 'silent', 5),
      ours('700 edits, one of which answers', 'answering', 5),
    ]
    parts.push({ name: 'A prompt of 64 tokens', rows: await measureSides(sides, settings) })
    added = await addedBy(ours('', 'added', 10 * rounds), settings)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  const text = `# Edits of SmolLM2-135M, ${threads} threads

${machine.cpu}, ${machine.date}, commit ${machine.commit}, ONNX Runtime ${machine.onnxruntime}; ${busy.toFixed(2)} cores busy before. Medians (range) of ${rounds} rounds that take turns; ours from texts to a store on disk, PyTorch's from token ids to a matrix in memory.
${parts.map(({ name, rows }) => `\n## ${name}\n\n${sidesTable(rows, 'PyTorch')}\n`).join('')}
With 700 edits of which none answers, the same prompt takes ${added.wall.toFixed(1)} % longer and ${added.processor.toFixed(1)} % more processor time than the model alone (medians of ${added.pairs} pairs in one process).
`
  writeResults(values.out, 'edit', { machine, parts, added }, text)
  return 0
}
