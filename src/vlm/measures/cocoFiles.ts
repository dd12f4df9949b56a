/** @file Files of captions and of annotations, as COCO has them and as `treeline caption --json` writes them. */
import { fail, isObject } from '../../base/index.ts'
import type { JudgedCaption } from './chair.ts'
import { type Mention, wordsOf } from './mentions.ts'

/** A caption of a picture. */
export interface CaptionRecord {
  /** Number of the picture as text, or its file name. */
  readonly image: string
  readonly caption: string
}

/** A number of a picture as text; of a file name the digits at its end, as COCO's names have them. */
function imageOf(value: unknown): string | undefined {
  if (Number.isSafeInteger(value)) return String(value)
  if (typeof value !== 'string' || value === '') return undefined
  const name = value
    .split(/[/\\]/)
    .at(-1)!
    .replace(/\.\w+$/, '')
  const [, digits] = /0*(\d+)$/.exec(name) ?? []
  return digits ?? name
}

/** `{ image_id or image, caption or text }`. Throws `TL_BAD_FILE`. */
export function captionRecord(value: unknown, label: string): CaptionRecord {
  const fields = isObject(value) ? value : {}
  const image = imageOf(fields['image_id'] ?? fields['image'])
  const caption = fields['caption'] ?? fields['text']
  if (image === undefined || typeof caption !== 'string')
    return fail(
      'TL_BAD_FILE',
      `${label}: expected "image_id" or "image", and "caption" or "text", got ${JSON.stringify(value ?? null).slice(0, 200)}`,
    )
  return { image, caption }
}

/** What there is on pictures: by number or name, the classes. */
type Truths = Map<string, Set<string>>

const listOf = (value: unknown, key: string, label: string): readonly Record<string, unknown>[] => {
  if (value === undefined) return []
  if (!Array.isArray(value) || !value.every(isObject))
    return fail('TL_BAD_FILE', `${label}: "${key}" should be a list of objects`)
  return value as Record<string, unknown>[]
}

/** Names of categories by their ids; each has to be a class of the table. */
function categoriesOf(value: unknown, classes: ReadonlySet<string>, label: string): Map<unknown, string> {
  const list = listOf(value, 'categories', label).map(({ id, name }) => [id, String(name)] as const)
  const unknown = list.find(([, name]) => !classes.has(name))
  if (unknown)
    fail(
      'TL_BAD_FILE',
      `${label}: the category "${unknown[1]}" is no class of the table: give the words for yours with --objects FILE`,
    )
  return new Map(list)
}

/**
 * Add what a file of annotations says: objects of `instances_*.json`, and what people mention in `captions_*.json`. Throws `TL_BAD_FILE`.
 */
export function addAnnotations(
  truths: Truths,
  value: unknown,
  label: string,
  { classes, find }: { classes: ReadonlySet<string>; find: (text: string) => Mention[] },
): void {
  if (!isObject(value) || !Array.isArray(value['annotations']))
    fail('TL_BAD_FILE', `${label}: expected an object with "annotations", as COCO's files are`)
  const categories = categoriesOf(value['categories'], classes, label)
  const truthOf = (image: unknown): Set<string> => {
    const id =
      imageOf(image) ?? fail('TL_BAD_FILE', `${label}: "image_id" is ${JSON.stringify(image ?? null)}`)
    const own = truths.get(id) ?? new Set<string>()
    truths.set(id, own)
    return own
  }
  // a picture without objects is known, too
  for (const { id } of listOf(value['images'], 'images', label)) truthOf(id)
  for (const [i, annotation] of listOf(value['annotations'], 'annotations', label).entries()) {
    const { image_id: image, category_id: category, caption } = annotation
    const truth = truthOf(image)
    const name = categories.get(category)
    if (typeof caption === 'string') for (const { object } of find(caption)) truth.add(object)
    else if (name !== undefined) truth.add(name)
    else
      fail(
        'TL_BAD_FILE',
        `${label}: annotation ${i + 1} has neither a caption nor a known category (category_id ${JSON.stringify(category ?? null)})`,
      )
  }
}

/** Captions beside what there is. Throws `TL_BAD_ARGUMENT` where nothing is known of a picture. */
export function judge(
  captions: readonly CaptionRecord[],
  truths: Truths,
  find: (text: string) => Mention[],
): JudgedCaption[] {
  const unknown = captions.filter(({ image }) => !truths.has(image))
  if (unknown.length > 0)
    fail(
      'TL_BAD_ARGUMENT',
      `captions: the annotations have nothing of ${unknown.length} of ${captions.length} pictures (the first is ${unknown[0]!.image}): they belong to another part of the data`,
    )
  return captions.map(({ image, caption }) => ({
    ...{ mentions: find(caption), words: wordsOf(caption).length, truth: truths.get(image)! },
  }))
}

/** Words for classes, from a file of one's own: `{ "cow": ["cattle"], … }`. Throws `TL_BAD_FILE`. */
export function objectWords(value: unknown, label: string): Record<string, readonly string[]> {
  const isList = (own: unknown): own is string[] =>
    Array.isArray(own) && own.every((word) => typeof word === 'string' && wordsOf(word).length > 0)
  if (!isObject(value) || Object.keys(value).length === 0)
    return fail(
      'TL_BAD_FILE',
      `${label}: expected an object of classes, each with a list of other words for it`,
    )
  for (const [name, words] of Object.entries(value))
    if (!isList(words) || wordsOf(name).length === 0)
      fail(
        'TL_BAD_FILE',
        `${label}: "${name}" should have a list of words, got ${JSON.stringify(words).slice(0, 100)}`,
      )
  return value as Record<string, readonly string[]>
}
