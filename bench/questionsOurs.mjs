/**
 * @file Questions for questions.mjs to our model in one precision: JSON in (--asked FILE), JSON out. Without answers it gives them,
 * greedily; with answers of another it feeds them and says what it would have said at each place, and how probable each token was.
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { argmaxOf, loadModel, loadTokenizer, logProbabilityOf } from '../dist/lm/index.js'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    precision: { type: 'string' },
    threads: { type: 'string' },
    asked: { type: 'string' },
  },
})
const { questions, tokens, given } = JSON.parse(readFileSync(values.asked, 'utf8'))
const tokenizer = loadTokenizer(values.model)
const { precision, threads } = values
const model = loadModel(values.model, { precision, threads: Number(threads), context: 1024 })
const size = model.config.vocabulary

/** The token that ends an answer is part of what is compared. */
async function greedy(prompt) {
  const { ids, finish } = await model.generate({ ids: prompt, maxTokens: tokens, stopIds: tokenizer.eosIds })
  return finish === 'eos' ? [...ids, tokenizer.eosIds[0]] : [...ids]
}

const answers = []
for (const [i, content] of questions.entries()) {
  const prompt = tokenizer.encodeChat([{ role: 'user', content }])
  const answer = given?.[i] ?? (await greedy(prompt))
  const logits = await model.logits(
    [...prompt, ...answer.slice(0, -1)],
    answer.map((_, t) => prompt.length - 1 + t),
  )
  const rows = answer.map((_, t) => logits.subarray(t * size, (t + 1) * size))
  answers.push({
    ...{ prompt, answer },
    pieces: answer.map((id) => (tokenizer.eosIds.includes(id) ? '' : tokenizer.decode([id]))),
    likeliest: rows.map((row) => argmaxOf(row)),
    logProbabilities: rows.map((row, t) => logProbabilityOf(row, answer[t])),
  })
}
process.stdout.write(JSON.stringify({ answers }))
