/**
 * @file POPE: questions after objects that are there and after objects that are not, and what answers are worth. (Li et al. 2023, arXiv
 * 2305.10355)
 */
import { fail, isObject } from '../../base/index.ts'
import { type Key, random } from '../../tensor/index.ts'

export type YesNo = 'yes' | 'no'

/** What a text says to a question: no where its first sentence has "no" or "not" as a word, else yes. The rule is POPE's. */
export function popeAnswer(text: string): YesNo {
  const [sentence = ''] = text.split('.')
  const words = sentence.replaceAll(',', '').split(/\s+/)
  return words.some((word) => word === 'No' || word === 'no' || word === 'not') ? 'no' : 'yes'
}

export interface PopeScores {
  readonly questions: number
  readonly accuracy: number
  /** Of the answers that are yes, the right ones; 0 where there is none. Yes counts as positive. */
  readonly precision: number
  readonly recall: number
  readonly f1: number
  /** Answers that are yes. */
  readonly yesRatio: number
}

/** Throws `TL_BAD_ARGUMENT` where there is nothing to compare. */
export function popeScores(answers: readonly YesNo[], labels: readonly YesNo[]): PopeScores {
  if (answers.length !== labels.length || labels.length === 0)
    fail(
      'TL_BAD_ARGUMENT',
      `pope: expected an answer for each label, got ${answers.length} for ${labels.length}`,
    )
  const count = (answer: YesNo, label: YesNo): number =>
    answers.filter((own, i) => own === answer && labels[i] === label).length
  const [hits, alarms, misses] = [count('yes', 'yes'), count('yes', 'no'), count('no', 'yes')]
  const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole)
  const [precision, recall] = [share(hits, hits + alarms), share(hits, hits + misses)]
  const { length } = labels
  return {
    ...{ questions: length, accuracy: (hits + count('no', 'no')) / length, precision, recall },
    ...{ f1: share(2 * precision * recall, precision + recall), yesRatio: (hits + alarms) / length },
  }
}

/** A question after an object. */
export interface PopeQuestion<Image = string> {
  readonly image: Image
  readonly object: string
  readonly label: YesNo
}

/** How objects that are not there are chosen. */
export type PopeKind = 'random' | 'popular' | 'adversarial'

/** How often objects are there, and how often with others. */
function countsOf(truths: readonly ReadonlySet<string>[]) {
  const alone = new Map<string, number>()
  const together = new Map<string, Map<string, number>>()
  const raise = (counts: Map<string, number>, object: string): void => {
    counts.set(object, (counts.get(object) ?? 0) + 1)
  }
  for (const truth of truths)
    for (const object of truth) {
      raise(alone, object)
      const own = together.get(object) ?? new Map<string, number>()
      together.set(object, own)
      for (const other of truth) if (other !== object) raise(own, other)
    }
  return { alone, together }
}

/** A list in an order that the key draws. */
function shuffled<T>(list: readonly T[], key: Key): T[] {
  const out = [...list]
  const uniform = random.sampleUniform(key, out.length)
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.min(i, Math.floor(uniform[i]! * (i + 1)))
    ;[out[i], out[j]] = [out[j]!, out[i]!]
  }
  return out
}

/**
 * Questions about each picture: up to `each` after objects that are there, and as many after others. `random`: any; `popular`: the most
 * frequent of all pictures; `adversarial`: those that are most often there together with what this one shows.
 */
export function popeQuestions<Image>(
  pictures: readonly { readonly image: Image; readonly truth: ReadonlySet<string> }[],
  { kind, each = 3, key }: { readonly kind: PopeKind; readonly each?: number; readonly key: Key },
): PopeQuestion<Image>[] {
  const { alone, together } = countsOf(pictures.map(({ truth }) => truth))
  const known = [...alone.keys()].sort()
  return pictures.flatMap(({ image, truth }, i) => {
    const [present, absent] = random.split(random.foldIn(key, i), 2) as [Key, Key]
    // objects with equal counts are drawn
    const others = shuffled(
      known.filter((object) => !truth.has(object)),
      absent,
    )
    const rank: Readonly<Record<PopeKind, (object: string) => number>> = {
      random: () => 0,
      popular: (object) => alone.get(object)!,
      adversarial: (object) =>
        [...truth].reduce((sum, own) => sum + (together.get(own)!.get(object) ?? 0), 0),
    }
    const yes = shuffled([...truth].sort(), present).slice(0, Math.min(each, others.length))
    const no = others.sort((a, b) => rank[kind](b) - rank[kind](a)).slice(0, yes.length)
    const asked = (objects: readonly string[], label: YesNo) =>
      objects.map((object) => ({ image, object, label }))
    return [...asked(yes, 'yes'), ...asked(no, 'no')]
  })
}

/** A question of a file of POPE: `question_id`, `image`, `text`, `label`. Throws `TL_BAD_FILE`. */
export function popeRecord(value: unknown, label: string): { image: string; text: string; label: YesNo } {
  if (!isObject(value)) return fail('TL_BAD_FILE', `${label}: expected an object with image, text and label`)
  const { image, text, label: answer } = value
  if (typeof image !== 'string' || typeof text !== 'string' || (answer !== 'yes' && answer !== 'no'))
    return fail(
      'TL_BAD_FILE',
      `${label}: expected "image" and "text" as texts and "label" as "yes" or "no", got ${JSON.stringify(value).slice(0, 200)}`,
    )
  return { image, text, label: answer }
}
