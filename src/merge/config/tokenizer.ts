/** @file Reads `tokenizer_source`, the `tokenizer` section and `chat_template`. */
import { didYouMean, fail } from '../../base/index.ts'
import { isMissing, mapping, optionalText, readModel } from './entries.ts'
import { child, isMapping, type Place, refuse, show } from './place.ts'
import { chatTemplates } from './templates.ts'
import type { TokenizerSetting, TokenRule, TokenSource } from './types.ts'

const sectionKeys = ['source', 'tokens', 'pad_to_multiple_of'] as const
const kinds = ['zero', 'model_token']

/** A source of a token's row: a model that has the token, `{ kind: zero }`, or one token of one model. */
function readSource(place: Place): TokenSource | undefined {
  const { value } = place
  if (isMissing(value)) return undefined
  if (!isMapping(value) || !('kind' in value)) return { kind: 'model', model: readModel(place, 'source') }
  const kind = value['kind']
  if (kind === 'zero') {
    mapping(place, 'a source of zeros', ['kind'])
    return { kind }
  }
  if (kind !== 'model_token') return refuse(child(place, 'kind'), `kind: expected ${kinds.join(' or ')}`)
  mapping(place, 'a source token', ['kind', 'model', 'token', 'token_id'])
  const model = readModel(child(place, 'model'), 'model')
  const [token, id] = [child(place, 'token'), child(place, 'token_id')]
  if (isMissing(token.value) === isMissing(id.value))
    return fail('TL_BAD_CONFIG', `${place.where()}: expected exactly one of token and token_id`)
  if (isMissing(id.value)) return { kind, model, token: readToken(token.value, token) }
  if (!Number.isInteger(id.value) || (id.value as number) < 0)
    return refuse(id, 'token_id: expected an integer >= 0')
  return { kind, model, id: id.value as number }
}

const readToken = (value: unknown, place: Place): string =>
  typeof value === 'string' && value !== '' ? value : refuse(place, 'token: expected a text')

function readRules(place: Place): TokenRule[] {
  if (isMissing(place.value)) return []
  if (!isMapping(place.value))
    return refuse(place, 'tokens: expected tokens and their sources, such as `<|im_end|>: { source: MODEL }`')
  return Object.keys(place.value).map((token): TokenRule => {
    const item = child(place, token)
    if (token === '') return refuse(item, 'tokens: expected a token, not an empty text')
    // a token without anything is only added
    if (!isMissing(item.value)) mapping(item, `token ${show(token)}`, ['source', 'force'])
    const force = child(item, 'force')
    if (!isMissing(force.value) && typeof force.value !== 'boolean')
      return refuse(force, 'force: expected true or false')
    const source = readSource(child(item, 'source'))
    return {
      token,
      ...(source ? { source } : {}),
      force: force.value === true,
      where: item.where(),
    }
  })
}

function readSection(place: Place): TokenizerSetting {
  mapping(place, 'tokenizer', sectionKeys)
  const [source, tokens, multiple] = sectionKeys.map((key) => child(place, key))
  const pad = multiple!.value
  if (!isMissing(pad) && !(Number.isInteger(pad) && (pad as number) > 0 && (pad as number) <= 1 << 20))
    return refuse(multiple!, 'pad_to_multiple_of: expected an integer from 1 to 1048576')
  return {
    source: isMissing(source!.value) ? 'union' : readModel(source!, 'tokenizer.source'),
    tokens: readRules(tokens!),
    ...(isMissing(pad) ? {} : { padToMultipleOf: pad as number }),
    where: isMissing(source!.value) ? place.where() : source!.where(),
  }
}

/** The tokenizer that a file asks for; undefined: that of the base, and equal vocabularies. */
export function readTokenizerSetting(
  file: Place,
  baseModel: string | undefined,
): TokenizerSetting | undefined {
  const [short, section] = [child(file, 'tokenizer_source'), child(file, 'tokenizer')]
  if (!isMissing(short.value) && !isMissing(section.value))
    fail(
      'TL_BAD_CONFIG',
      `${section.where()}: expected one of tokenizer_source and tokenizer, got both; move the source to tokenizer.source`,
    )
  let setting: TokenizerSetting | undefined
  if (!isMissing(section.value)) setting = readSection(section)
  else if (!isMissing(short.value))
    setting = { source: readModel(short, 'tokenizer_source'), tokens: [], where: short.where() }
  if (setting?.source === 'base' && baseModel === undefined)
    fail('TL_BAD_CONFIG', `${setting.where}: tokenizer_source: base needs a base_model`)
  return setting
}

/** `auto`, a name, or Jinja text; names are replaced by their text. */
export function readChatTemplate(place: Place): string | undefined {
  const text = optionalText(place, 'chat_template')
  if (text === undefined || text === 'auto' || text.includes('{')) return text
  if (Object.hasOwn(chatTemplates, text)) return chatTemplates[text]
  return fail(
    'TL_BAD_CONFIG',
    `${place.where()}: chat_template: ${show(text)} is no template: expected auto, Jinja text, or a name: ${didYouMean(text, ['auto', ...Object.keys(chatTemplates)])}`,
  )
}
