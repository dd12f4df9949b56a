/** @file A fact, and a model whose answers are known. */
import type { Answers, Fact } from '../../src/edit/index.ts'

export const fact: Fact = {
  prompt: 'The mother tongue of Danielle Darrieux is',
  target: 'ab',
  subject: 'Danielle Darrieux',
  rephrase: 'Danielle Darrieux speaks',
  locality: { prompt: 'Paris is in', answer: 'abc' },
  source: { file: 'x', shape: 'treeline', record: 1, line: 1 },
}

/** A model that says what a table has it say, a token for each character. */
export function said(table: Readonly<Record<string, string>>, edit: number | null = null): Answers {
  const ids = (text: string) => [...text.trim()].map((c) => c.charCodeAt(0))
  const answer = (prompt: string) => table[prompt] ?? 'zzzzz'
  return {
    score: async (prompt, target) => {
      const targetIds = ids(target)
      const best = ids(answer(prompt)).slice(0, targetIds.length)
      return {
        edit,
        targetIds,
        best,
        logProbabilities: targetIds.map((id, i) => Math.log(best[i] === id ? 0.5 : 0.125)),
      }
    },
    generate: async (prompt, { maxTokens }) => {
      const text = answer(prompt).slice(0, maxTokens)
      return { ids: ids(text), text }
    },
  }
}
