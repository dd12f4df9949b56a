/** `treeline generate`, `score`, `chat` and `edit` on a tiny Llama: ids beyond the tokenizer, options without effect, where a text ends. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import pc from 'picocolors'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { nearest } from '../../src/base/index.ts'
import { openSafetensorsCheckpoint, writeSafetensors } from '../../src/checkpoint/index.ts'
import { main } from '../../src/cli/program.ts'
import { stopper } from '../../src/cli/stopTexts.ts'
import { loadModel, loadTokenizer } from '../../src/lm/index.ts'
import { editableModels } from '../edit/editable.ts'
import { treeline } from './caught.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-generate-'))
let models: Awaited<ReturnType<typeof editableModels>>
let model: string
/** The same model with a tokenizer that has lost every second of its tokens. */
let fewer: string
beforeAll(async () => {
  models = await editableModels()
  model = models.pathOf('llama')
  fewer = join(root, 'fewer')
  cpSync(model, fewer, { recursive: true })
  const json = JSON.parse(readFileSync(join(model, 'tokenizer.json'), 'utf8'))
  json.model.vocab = Object.fromEntries(
    Object.entries<number>(json.model.vocab).filter(([, id]) => id % 2 === 0),
  )
  writeFileSync(join(fewer, 'tokenizer.json'), JSON.stringify(json))
})
afterAll(() => {
  models.clean()
  rmSync(root, { recursive: true, force: true })
})
const file = (name: string, value: unknown): string => {
  writeFileSync(join(root, name), JSON.stringify(value))
  return join(root, name)
}

describe('an id beyond the tokenizer', () => {
  it('is a token without text, and loses no other answer', async () => {
    const prompts = file('three.json', ['02', '24', '46'])
    const { code, out } = await treeline('generate', fewer, '--file', prompts, '--max-tokens', '12', '--json')
    expect(code).toBe(0)
    const answers = JSON.parse(out) as { ids: number[]; text: string }[]
    const tokenizer = loadTokenizer(fewer)
    expect(answers).toHaveLength(3)
    expect(answers.flatMap(({ ids }) => ids).some((id) => tokenizer.token(id) === undefined)).toBe(true)
    for (const { ids, text } of answers) {
      expect(ids).toHaveLength(12)
      const known = ids.filter((id) => tokenizer.token(id) !== undefined)
      expect(text).toBe(tokenizer.decode(known, { continues: true }))
    }
    // as it comes, and one after another
    const shown = await treeline('generate', fewer, '--prompt', '02', '--max-tokens', '12')
    expect(shown.out).toBe(`${answers[0]!.text}\n`)
    const tops = await treeline('score', fewer, '--text', '02', '--top', '96')
    expect(tops.code).toBe(0)
    expect(tops.out).toMatch(/next +-\d\.\d+ {2}\(token \d+, not in the tokenizer\)\n/)
    expect(tops.out.split('\n').filter((line) => line.startsWith('next'))).toHaveLength(96)
  })

  it('decodes to nothing, as in the reference; what is no id at all is refused', () => {
    const tokenizer = loadTokenizer(fewer)
    const [h, i] = [tokenizer.idOf('0')!, tokenizer.idOf('2')!]
    expect(tokenizer.decode([h, 1, i, 1e6])).toBe('02')
    const stream = tokenizer.decoder()
    expect([h, 1, i].map((id) => stream.push(id)).join('') + stream.end()).toBe('02')
    expect(tokenizer.bytes(1)).toHaveLength(0)
    for (const id of [-1, 0.5, Number.NaN])
      expect(() => tokenizer.decode([id])).toThrow(/token .+: expected an id of .+, a whole number from 0$/)
  })
})

describe('an option without effect', () => {
  const refused = async (...words: string[]) => {
    const { code, out, err } = await treeline(...words)
    expect([code, out]).toEqual([2, ''])
    return err
  }
  it.each([
    [['--top-p', '0.9'], '--top-p'],
    [['--top-k', '3', '--min-p', '0.1'], '--top-k, --min-p'],
    [['--seed', '1', '--greedy'], '--seed'],
    [['--temperature', '0', '--top-k', '3'], '--top-k'],
  ])('is an error of generate and chat: %j', async (flags, names) => {
    const message = `treeline: ${names}: no effect, because the most probable token is always taken: draw with a temperature, such as --temperature 1\n`
    expect(await refused('generate', model, '--prompt', 'a', ...flags)).toBe(message)
  })
  it('is an error of the library', async () => {
    const opened = loadModel(model)
    await expect(opened.generate({ ids: [1], maxTokens: 1, sampling: { topP: 0.5 } })).rejects.toThrow(
      'sampling: topP: no effect without a temperature',
    )
    opened.dispose()
  })
  it('is an error of every action of edit, before a model is opened', async () => {
    const edit = (...words: string[]) => refused('edit', 'nowhere', join(root, 'none'), ...words)
    expect(await edit('list', '--layer', '3')).toBe(
      'treeline: edit list: --layer has no effect here; it belongs to add\n',
    )
    expect(await edit('why', 'who', '--seed', '3')).toBe(
      'treeline: edit why: --seed has no effect here; it belongs to add\n',
    )
    expect(await edit('evaluate', 'f.json', '--prompt', 'a')).toMatch(/--prompt has no effect here/)
    expect(await edit('undo', '1', '--limit', '1')).toMatch(/--limit has no effect here/)
    expect(await edit('add', '--prompt', 'a', '--target', 'b', '--limit', '1')).toBe(
      'treeline: edit add: --limit has no effect on one fact; it goes with a file of facts\n',
    )
    const one = ['add', '--prompt', 'a', '--target', 'b', '--false-positives', '0.1']
    expect(await edit(...one, '--threshold', '0.5')).toMatch(
      /--false-positives has no effect with --threshold, which sets the threshold/,
    )
    expect(await edit(...one, '--published')).toMatch(/no effect with --published/)
  })
})

describe('where a text ends', () => {
  it('at the context, and says so', async () => {
    const small = join(root, 'small')
    cpSync(model, small, { recursive: true })
    const config = JSON.parse(readFileSync(join(model, 'config.json'), 'utf8'))
    writeFileSync(join(small, 'config.json'), JSON.stringify({ ...config, max_position_embeddings: 8 }))
    const words = ['generate', small, '--prompt', 'abc', '--max-tokens', '20']
    const said = await treeline(...words)
    expect(said.err).toBe("ended by the model's context of 8 tokens\n")
    expect((await treeline(...words, '--quiet')).err).toBe('')
    const json = JSON.parse((await treeline(...words, '--json', '--quiet')).out)
    expect([json.finish, json.ids.length]).toEqual(['context', 6])
    const short = JSON.parse((await treeline(...words.slice(0, -1), '2', '--json')).out)
    expect(short.finish).toBe('length')
  })

  it('before a text that is to stop it', async () => {
    const words = ['generate', model, '--prompt', 'abc', '--max-tokens', '20']
    const whole = JSON.parse((await treeline(...words, '--json')).out)
    const stop = whole.text.slice(5, 8)
    const at = whole.text.indexOf(stop)
    const { text, finish, ids } = JSON.parse((await treeline(...words, '--stop', stop, '--json')).out)
    expect([text, finish]).toEqual([whole.text.slice(0, at), 'stop'])
    expect(ids).toEqual(whole.ids.slice(0, at + 3))
    expect((await treeline(...words, '--stop', '\u0001', '--stop', stop)).out).toBe(`${text}\n`)
    expect((await treeline(...words, '--stop', '')).err).toContain('--stop: expected a text')
  })

  it('with a whole character', () => {
    const tokenizer = loadTokenizer(model)
    const dec = tokenizer.decoder({ cut: true })
    expect(dec.push(tokenizer.idOf('a')!) + dec.end()).toBe('a')
    // a tokenizer of bytes: half a flag
    const folder = join(root, 'bytes')
    cpSync(model, folder, { recursive: true })
    const json = JSON.parse(readFileSync(join(model, 'tokenizer.json'), 'utf8'))
    json.model.vocab = Object.fromEntries(['ð', 'Ł', 'İ', 'ī', 'a'].map((c, i) => [c, i]))
    writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(json))
    const bytes = loadTokenizer(folder)
    const ids = bytes.encode('a🎉')
    expect(ids).toHaveLength(5)
    expect(bytes.decode(ids.slice(0, 3))).toBe('a\ufffd')
    expect(bytes.decode(ids.slice(0, 3), { cut: true })).toBe('a')
    expect(bytes.decode(ids, { cut: true })).toBe('a🎉')
    const stream = bytes.decoder({ cut: true })
    expect(
      ids
        .slice(0, 4)
        .map((id) => stream.push(id))
        .join('') + stream.end(),
    ).toBe('a')
  })

  it('a stopper shows what comes before the first stop text, however the text is cut', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 12 })
    fc.assert(
      fc.property(fc.array(letters), fc.array(letters.filter(Boolean), { maxLength: 3 }), (parts, stops) => {
        const stop = stopper(stops)
        let shown = ''
        const text = parts.join('')
        for (const part of parts) {
          shown += stop.push(part)
          expect(text.startsWith(shown)).toBe(true)
        }
        shown += stop.end()
        const ends = stops.map((one) => text.indexOf(one)).filter((at) => at >= 0)
        // pieces decide: what has been shown cannot be taken back, but nothing of a stop text ever is shown
        expect(stop.isOver).toBe(ends.length > 0)
        for (const one of stops) expect(shown.includes(one)).toBe(false)
        if (ends.length === 0) expect(shown).toBe(text)
      }),
    )
  })
})

it('a model with NaN in it: generate stops at the place, score names every place', async () => {
  const nan = join(root, 'nan')
  cpSync(model, nan, { recursive: true })
  const path = join(nan, 'model.safetensors')
  const read = openSafetensorsCheckpoint(path)
  const tensors: Record<string, { dtype: 'F32'; shape: readonly number[]; data: Float32Array }> = {}
  for (const [name, tensor] of read.tensors)
    tensors[name] = { dtype: 'F32', shape: tensor.shape, data: tensor.f32().slice() }
  read.close()
  // one row of the embedding: only texts with this token break down
  const [name] = Object.keys(tensors).filter((key) => key.includes('embed_tokens'))
  const id = loadTokenizer(model).idOf('b')!
  const { data, shape } = tensors[name!]!
  data.fill(Number.NaN, id * shape[1]!, (id + 1) * shape[1]!)
  await writeSafetensors(path, tensors as never)
  const made = await treeline('generate', nan, '--prompt', 'ab', '--max-tokens', '3')
  expect([made.code, made.out]).toEqual([1, ''])
  expect(made.err).toMatch(
    /^treeline: the logits after 2 tokens are NaN \(of token \d+ first\): some weights/,
  )
  const { out, err } = await treeline('score', nan, '--text', 'abc', '--json')
  const scored = JSON.parse(out)
  expect(scored.logProbabilities.at(-1)).toBeNull()
  expect(scored.notFinite).toMatchObject({ 'logProbabilities[1]': 'NaN', meanNll: 'NaN' })
  expect(err).toMatch(/^text 1: not finite: logProbabilities\[\d\] is NaN/)
})

it('a prompt of - is read from standard input, without the line end that closes it', async () => {
  let [out, err] = ['', '']
  const run = (...words: string[]) =>
    main(words, {
      out: (text) => (out += text),
      err: (text) => (err += text),
      terminal: false,
      columns: () => 80,
      colors: pc.createColors(false),
      env: {},
      input: Readable.from([Buffer.from('a'), Buffer.from('bc\n')]),
    })
  expect(await run('generate', model, '--prompt', '-', '--max-tokens', '3', '--json')).toBe(0)
  expect([JSON.parse(out).promptIds, err]).toEqual([loadTokenizer(model).encode('abc'), ''])
  out = ''
  expect(await run('tokenize', model, '--text', '-', '--json')).toBe(0)
  expect(JSON.parse(out)).toEqual(loadTokenizer(model).encode('abc'))
  out = ''
  expect(await run('score', model, '--text', '-', '--json')).toBe(0)
  expect(JSON.parse(out).ids).toEqual(loadTokenizer(model).encode('abc'))
})

it('a word that is the beginning of one option is taken for it', async () => {
  expect((await treeline('generate', model, '--max', '3')).err).toMatch(
    /^treeline: --max: treeline generate has no such option: did you mean "--max-tokens"\?/,
  )
  expect(nearest('--max', ['--max-tokens', '--max-size', '--min'])).toBe('--min')
  expect(nearest('-', ['--only'])).toBeUndefined()
})
