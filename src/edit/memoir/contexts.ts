/**
 * @file Texts to put in front of a prompt while an edit is trained, so that it is learned in more than one place: written by
 * the model itself, as EasyEdit makes them for WISE and MEMOIR.
 */
import { type LanguageModel, type Sampling, sampleToken, type Tokenizer } from '../../lm/index.ts'
import { type Key, random } from '../../tensor/index.ts'

/** What the texts begin with. */
export const contextBeginnings: readonly string[] = ['I', 'You', 'Because', 'Yes', 'Q: ']
/** How many tokens follow: all beginnings with five, then all with ten. */
export const contextLengths: readonly number[] = [5, 10]

/** The draw: what Llama 3, the model of the paper, samples with by its own settings. */
export const contextSampling: Sampling = { temperature: 0.6, topP: 0.9 }

/**
 * Ten texts, five with 5 tokens after their beginning and five with 10, sampled by `contextSampling`; tokens that would end a
 * text are not drawn. The same model, tokenizer and key give the same texts.
 */
export async function contextsOf(
  model: LanguageModel,
  tokenizer: Pick<Tokenizer, 'encode' | 'decode' | 'eosIds' | 'addsBos'>,
  key: Key,
): Promise<string[]> {
  const texts: string[] = []
  for (const [l, length] of contextLengths.entries())
    for (const [b, beginning] of contextBeginnings.entries()) {
      const own = random.foldIn(key, l * contextBeginnings.length + b)
      const draws = random.split(own, length) as Key[]
      const session = model.session()
      let logits = await session.prefill(tokenizer.encode(beginning, { bos: tokenizer.addsBos }))
      const ids: number[] = []
      for (const draw of draws) {
        for (const id of tokenizer.eosIds) logits[id] = Number.NEGATIVE_INFINITY
        ids.push(sampleToken(logits, contextSampling, [], draw))
        if (ids.length < length) logits = await session.decode(ids.at(-1)!)
      }
      texts.push(tokenizer.decode([...tokenizer.encode(beginning), ...ids], { cut: true }))
    }
  return texts
}
