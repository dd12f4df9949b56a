/**
 * @file `npm run bench -- questions`: a hundred plain questions (questions.json) to SmolLM2 in each precision and to llama.cpp on
 * the same file. The greedy answer of f32 is fed to every side: an answer is the same as far as each token is the side's likeliest.
 * Then the time of a token and of a prompt, all sides taking turns.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { machineFacts } from './lib/machine.mjs'
import { has } from './lib/python.mjs'
import {
  measureSides,
  optionsOf,
  pairedRatio,
  quietOrSay,
  say,
  sidesTable,
  writeResults,
} from './lib/sides.mjs'
import { sidesOf, standardModel, tasks } from './lm.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))

export const usage = `npm run bench -- questions [options]
  --model FILE      SmolLM2-135M-Instruct as GGUF (shared/models beside the project)
  --set NAME        questions (a hundred that nothing was tuned to) or tuning (fifty)
  --threads N       threads of every side (2)
  --python PATH     a Python with llama_cpp (else TREELINE_PYTHON, else python3)
  --rounds N        rounds of every side's timing (7)
  --seconds S       length of a round (1)
  --no-timing       answers only
  --out DIR         where the results go (bench/results)
  --force           time although other programs are at work`

/** Most tokens of an answer. */
const tokens = 24

/** Tokens up to the first that ends a sentence, a line or the answer. */
function firstSentence({ answer, pieces }) {
  const end = pieces.findIndex((piece, i) => i === answer.length - 1 || /[.!?\n]["')*]*\s*$/.test(piece))
  return end + 1
}

/** What is compared: tokens from the first that must be equal. */
const measures = [
  { name: 'first token', length: () => 1 },
  { name: 'first four tokens', length: ({ answer }) => Math.min(4, answer.length) },
  { name: 'first sentence', length: firstSentence },
  { name: `whole answer (${tokens} tokens at most)`, length: ({ answer }) => answer.length },
]

/** A share with Wilson's interval of 95 %. */
function share(count, n) {
  const z = 1.959964
  const p = count / n
  const middle = (p + (z * z) / (2 * n)) / (1 + (z * z) / n)
  const half = (z / (1 + (z * z) / n)) * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n))
  const [low, high] = [Math.max(0, middle - half), Math.min(1, middle + half)]
  return `${p.toFixed(2)} [${low.toFixed(2)}, ${high.toFixed(2)}]`
}

const run = (command, args) =>
  JSON.parse(execFileSync(command, args, { maxBuffer: 1e9, stdio: ['ignore', 'pipe', 'inherit'] }))

/** Returns the exit code. */
export async function questions(args) {
  const { values, code } = optionsOf(
    'questions',
    usage,
    {
      model: { type: 'string', default: standardModel },
      set: { type: 'string', default: 'questions' },
      'no-timing': { type: 'boolean', default: false },
      seconds: { type: 'string', default: '1' },
      out: { type: 'string', default: join(here, 'results') },
    },
    args,
  )
  if (!values) return code
  const sets = JSON.parse(readFileSync(join(here, 'questions.json'), 'utf8'))
  if (!Object.hasOwn(sets, values.set)) {
    say(`--set ${values.set}: expected ${Object.keys(sets).join(' or ')}`)
    return 2
  }
  const { model, threads, python } = values
  const timing = !values['no-timing']
  const busy = timing ? await quietOrSay(values.force) : 0
  if (busy === undefined) return 1
  const asked = sets[values.set]
  const folder = mkdtempSync(join(tmpdir(), 'treeline-questions-'))
  try {
    const file = join(folder, 'asked.json')
    const write = (more) => writeFileSync(file, JSON.stringify({ questions: asked, tokens, ...more }))
    const common = ['--model', model, '--threads', String(threads), '--asked', file]
    const ours = (precision) => {
      say(`treeline ${precision} …`)
      return run(process.execPath, [join(here, 'questionsOurs.mjs'), ...common, '--precision', precision])
    }
    write({})
    const exact = ours('f32').answers
    const given = exact.map(({ answer }) => answer)
    write({ given, prompts: exact.map(({ prompt }) => prompt) })
    const sides = [{ label: 'treeline f32', answers: exact }]
    for (const precision of ['q8', 'q4'])
      sides.push({ label: `treeline ${precision}`, answers: ours(precision).answers })
    const { loadModel, loadTokenizer } = await import('../dist/lm/index.js')
    const opened = loadModel(model, { precision: 'auto' })
    const auto = sides.find(({ label }) => label === `treeline ${opened.precision}`)
    opened.dispose()
    auto.label += ' (auto)'
    if (has(python, 'llama_cpp')) {
      say('llama.cpp …')
      const { answers, version } = run(python, [join(here, 'peers', 'questions_llama.py'), ...common])
      sides.push({ label: `llama.cpp (python ${version})`, answers })
    } else say(`no llama.cpp to compare with (${python} has no llama_cpp)`)

    /** Is the first part of an answer the same? */
    const isSame = ({ likeliest }, i, length) =>
      given[i].slice(0, length).every((id, t) => id === likeliest[t])
    const counted = given.reduce((n, answer) => n + answer.length, 0)
    const rows = sides.map(({ label, answers }) => {
      const same = measures.map(
        ({ length }) => answers.filter((own, i) => isSame(own, i, length(exact[i]))).length,
      )
      const logProbability = answers.flatMap((own) => own.logProbabilities).reduce((p, q) => p + q) / counted
      return { label, n: given.length, same, logProbability }
    })
    const table = [
      `| | ${measures.map(({ name }) => name).join(' | ')} | log p of f32's answer, a token |`,
      `|---|${measures.map(() => '---|').join('')}---|`,
      ...rows.map(
        ({ label, n, same, logProbability }) =>
          `| ${label} | ${same.map((count) => share(count, n)).join(' | ')} | ${logProbability.toFixed(4)} |`,
      ),
    ]
    const tokenizer = loadTokenizer(model)
    const differ = auto.answers.flatMap((own, i) => {
      if (isSame(own, i, measures[2].length(exact[i]))) return []
      const at = given[i].findIndex((id, t) => id !== own.likeliest[t])
      const [said, instead] = [given[i].slice(0, at), own.likeliest[at]].map((ids) =>
        tokenizer.decode([ids].flat()),
      )
      return [`- ${asked[i]} “${said}” f32 “${tokenizer.decode([given[i][at]])}”, auto “${instead}”`]
    })
    const facts = { ...machineFacts(), busyCores: busy }
    let timed = []
    let times = ''
    if (timing) {
      say('time …')
      const settings = {
        ...values,
        seconds: Number(values.seconds),
        timeout: 300,
        env: { OMP_NUM_THREADS: String(threads) },
      }
      const chosen = sidesOf(settings, ['f32', 'q8', 'q4'], ['llama.cpp'])
      const parts = [
        tasks.find(({ name }) => name === 'decode'),
        tasks.find(({ name }) => name === 'prefill'),
      ]
      timed = await measureSides(
        parts.flatMap((task) =>
          chosen.map((side) => ({ ...side, task: task.name, args: [...side.args, ...task.args] })),
        ),
        settings,
      )
      times = parts
        .map(({ name, title }) => {
          const own = timed.filter((row) => row.task === name)
          const q4 = own.find(({ label }) => label === 'treeline q4')
          const least = (row) => Math.min(...row.rounds) / Math.min(...q4.rounds)
          const ratios = own.map(
            (row) =>
              `${row.label} ${pairedRatio(row, q4).toFixed(2)} (of the least ${least(row).toFixed(2)})`,
          )
          return `\n## ${title}\n\n${sidesTable(own, 'llama.cpp')}\n\nTimes over q4's in the same round, medians: ${ratios.join(', ')}.\n`
        })
        .join('')
    }
    const text = `# ${asked.length} plain questions (${values.set}) to SmolLM2-135M, ${threads} threads

${facts.cpu}, ${facts.date}, commit ${facts.commit}, ONNX Runtime ${facts.onnxruntime}${timing ? `; ${busy.toFixed(2)} cores busy before` : ''}. Shares of questions to which the greedy answer begins as that of f32 does (its answer is fed, and each token must be the likeliest), with Wilson's intervals of 95 %; a first sentence ends with the first token that ends in a full stop, an exclamation or question mark or a line break, or with the answer.

${table.join('\n')}

${differ.length ? `First sentences of auto that differ:\n\n${differ.join('\n')}\n` : 'No first sentence of auto differs.\n'}${times}`
    const answers = exact.map(({ answer }) => tokenizer.decode(answer))
    writeResults(
      values.out,
      'questions',
      { machine: facts, set: values.set, rows, timed, questions: asked, answers },
      text,
    )
    return 0
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
