/** @file The subject gate: whether a prompt names what an edit is about, and what that is where nobody said. */

/** Text for comparisons of wording: case, punctuation and spacing do not count. */
export const plainText = (text: string): string =>
  ` ${text
    .normalize('NFC')
    .toLowerCase()
    .replace(/[\p{P}\s]+/gu, ' ')
    .trim()} `

/** Anything with a subject, as given or guessed. */
interface About {
  readonly subject?: string
}

/** Subjects in plain text: hundreds are looked for in every prompt. */
const known = new WeakMap<About, string>()

/** What a text names the subject of, as whole words. What has no subject is never held back. */
export function gateOf(text: string): (about: About) => boolean {
  const plain = plainText(text)
  return (about) => {
    if (about.subject === undefined) return true
    let subject = known.get(about)
    if (subject === undefined) {
      subject = plainText(about.subject)
      known.set(about, subject)
    }
    return subject.trim() === '' || plain.includes(subject)
  }
}

/** Words that begin a question or a sentence and are no name, though they have a capital. */
const openers = new Set(
  (
    'who whom whose what which when where why how is are was were do does did can could will would should has have had ' +
    'in on at by for from to of with without under over during after before between since until near ' +
    'the a an this that these those it its he his she her they their we our i my you your one some all ' +
    'and but or if as please tell name write give list explain describe state say find'
  ).split(' '),
)
/** Words within names that have no capital. */
const connectors = new Set(
  'of the de da di do du del la le el von van der den and y for in on to at a an'.split(' '),
)

/**
 * What a prompt is about, as far as capitals show it: the longest run of words with a capital or a digit, small words within
 * it included. Undefined where there is none.
 */
export function guessSubject(prompt: string): string | undefined {
  const words = prompt.split(/\s+/).filter(Boolean)
  const bare = (word: string): string => word.replace(/^[\p{P}]+|[\p{P}]+$/gu, '').replace(/['’]s$/u, '')
  const isName = (i: number): boolean =>
    /^[\p{Lu}\p{N}]/u.test(bare(words[i]!)) && !(i === 0 && openers.has(bare(words[i]!).toLowerCase()))
  let best = ''
  for (let start = 0; start < words.length; start++) {
    if (!isName(start)) continue
    let end = start
    for (let i = start + 1; i < words.length; i++) {
      // a sentence ends within no name
      if (/[?!:;]$/.test(words[i - 1]!)) break
      if (isName(i)) end = i
      else if (!connectors.has(bare(words[i]!))) break
    }
    const run = words
      .slice(start, end + 1)
      .map((word, i, all) => (i === all.length - 1 ? bare(word) : word))
      .join(' ')
    if (run.length > best.length) best = run
    start = end
  }
  return best === '' ? undefined : best
}
