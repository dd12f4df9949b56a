/** @file Texts to put in front of prompts, drawn from the model itself as EasyEdit does: some words after a common beginning. */
import { loadModel, loadTokenizer } from '../../lm/index.ts'
import { random } from '../../tensor/index.ts'

const beginnings = ['I', 'You', 'Because', 'Yes', 'Q: ']

/** `count` texts, half of five tokens and half of ten after the beginning. */
export async function drawContexts(
  path: string,
  count: number,
  seed: number,
  threads: number,
): Promise<string[]> {
  const model = loadModel(path, { threads })
  try {
    const tokenizer = loadTokenizer(path)
    const texts: string[] = []
    for (let i = 0; i < count; i++) {
      const begin = beginnings[i % beginnings.length]!
      const { ids } = await model.generate({
        ids: tokenizer.encode(begin, { bos: tokenizer.addsBos }),
        maxTokens: i < count / 2 ? 5 : 10,
        sampling: { temperature: 1, topK: 50 },
        key: random.foldIn(random.key(seed), 1000 + i),
        stopIds: tokenizer.eosIds,
      })
      texts.push(`${begin}${tokenizer.decode(ids)}.`.replace(/\s+/g, ' '))
    }
    return texts
  } finally {
    model.dispose()
  }
}
