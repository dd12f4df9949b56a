/** `treeline edit` on a tiny Llama: every action, every mistake in one line. Ends at every change of a file are in test/kills. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openSafetensorsCheckpoint } from '../../src/checkpoint/index.ts'
import { editableModels } from '../edit/editable.ts'
import { treeline } from './caught.ts'

const root = mkdtempSync(join(tmpdir(), 'treeline-edit-cli-'))
let models: Awaited<ReturnType<typeof editableModels>>
let model: string
beforeAll(async () => {
  models = await editableModels()
  model = models.pathOf('llama')
})
afterAll(() => {
  models.clean()
  rmSync(root, { recursive: true, force: true })
})
const file = (name: string, value: unknown): string => {
  writeFileSync(join(root, name), typeof value === 'string' ? value : JSON.stringify(value))
  return join(root, name)
}
const edit = (store: string, ...words: string[]) =>
  treeline('edit', model, join(root, store), ...words, '--threads', '1')
const parsed = async (store: string, ...words: string[]) => {
  const { code, out, err } = await edit(store, ...words, '--json', '--quiet')
  expect([code, err]).toEqual([0, ''])
  return JSON.parse(out)
}
// of a model with random weights any two prompts are alike
const near = ['--threshold', '0.97', '--layer', '0']
const quick = [...near, '--steps', '8']
const thorough = [...near, '--steps', '400']

const facts = [
  { prompt: 'who is abc', target: 'xy', subject: 'abc', rephrase: 'abc is who' },
  { prompt: 'Zebra 77?', target: 'q', locality: { prompt: 'a far question', answer: 'no' } },
  { prompt: 'my ++ name', target: 'bcd' },
]

describe('treeline edit', () => {
  it('add, list, show, why, undo, replay, as text and as JSON', async () => {
    const added = await edit('s1', 'add', file('facts.json', facts), ...quick)
    expect([added.code, added.out]).toEqual([
      0,
      expect.stringMatching(
        /^3 edits added to .*s1, 0 learned to the end\nedit 1 is not learned to the end \(loss \d+\.\d\d after 8 steps\): "who is abc"\n/,
      ),
    ])
    expect(added.err).toMatch(/block 0, 14 of 48 features, threshold 0.970/)
    expect(added.err).toMatch(/edit: 100 %/)
    const again = await parsed('s1', 'add', '--prompt', 'WHO is  abc?', '--target', 'zz', '--subject', 'abc')
    expect(again).toMatchObject([{ number: 4, supersedes: 1, promptTokens: 12, targetTokens: 3 }])
    const list = await parsed('s1', 'list')
    expect(list.map(({ status }: { status: object }) => status)).toEqual([
      { state: 'superseded', by: 4 },
      { state: 'active' },
      { state: 'active' },
      { state: 'active' },
    ])
    expect((await edit('s1', 'list')).out.split('\n').slice(0, 2)).toEqual([
      '1  "who is abc" → "xy"  superseded by 4',
      '2  "Zebra 77?" → "q"  active',
    ])
    expect((await edit('s1', 'show', '3')).out).toMatch(
      /^edit 3: active\nprompt {3}my \+\+ name\ntarget {3}bcd\n/,
    )
    expect(await parsed('s1', 'show', '3')).toMatchObject({ number: 3, status: { state: 'active' } })
    const why = await parsed('s1', 'why', 'Zebra 77?')
    expect(why).toMatchObject({ answer: 2, threshold: 0.97, nearest: [{ number: 2, overlap: 1 }, {}, {}] })
    expect((await edit('s1', 'why', 'Zebra 77?')).out).toMatch(
      /^edit 2 answers\n {2}1\.000 ≥ 0\.\d+ {2}2 {2}"Zebra 77\?" → "q" {2}\(asks the same: 0\.\d+ ≥ -?0\.\d+\)\n {2}0\.\d+ [<≥] \d\.\d+/,
    )
    expect((await edit('s1', 'why', 'quite another one')).out).toMatch(/^no edit answers/)
    expect((await edit('s1', 'undo', '4')).out).toBe('edit 4 undone, the memory is as before it\n')
    expect((await parsed('s1', 'list'))[0].status).toEqual({ state: 'active' })
    expect(await parsed('s1', 'replay')).toEqual({ edits: [1, 2, 3], identical: true })
    expect(await parsed('s1', 'undo', '1')).toEqual({ number: 1, memory: 'kept' })
    expect((await edit('s1', 'replay')).out).toBe('2 edits trained anew: the memory is another one now\n')
    expect((await edit('s1', 'replay')).out).toBe('2 edits trained anew: the same bits\n')
    expect((await edit('s1', 'list')).out).toMatch(/^1 {2}"who is abc" → "xy" {2}undone\n/)
  })

  it('an edit that could not answer is refused before any is taught', async () => {
    const rome = { prompt: 'who is {}', subject: 'Port Alder', target_new: { str: 'q' } }
    const wrong = { prompt: 'Port Alder lies in', target: 'Norway', subject: 'Port Birch' }
    const path = file('subject.json', [rome, wrong])
    const said = `treeline: ${path}:1: record 2: the prompt does not name the subject "Port Birch", and with the gate an edit answers only prompts that do: spell the subject as the prompt does, leave it out, or make the store with --gate none\n`
    expect(await edit('gated', 'add', path, ...quick)).toEqual({ code: 1, out: '', err: said })
    expect(existsSync(join(root, 'gated'))).toBe(false)
    // a store that is there, and one without the gate
    await parsed('gated', 'add', file('rome.json', [rome]), ...quick)
    expect(await edit('gated', 'add', path)).toEqual({ code: 1, out: '', err: said })
    expect((await parsed('gated', 'list')).map(({ prompt }: { prompt: string }) => prompt)).toEqual([
      'who is Port Alder',
    ])
    expect(await parsed('open', 'add', path, ...quick, '--gate', 'none')).toHaveLength(2)
    // the same by flags
    const flags = ['--prompt', '{} lies in', '--target', 'Norway']
    expect((await edit('gated', 'add', ...flags)).err).toContain('and no subject is given')
    expect((await parsed('gated', 'add', ...flags, '--subject', 'Port Alder'))[0].prompt).toBe(
      'Port Alder lies in',
    )
    const named = ['--prompt', 'Port Alder lies in', '--target', 'Peru', '--subject', 'Alder']
    expect((await edit('gated', 'add', ...named)).out).toContain('edit 3 takes the place of 2')
  })

  it('facts of every shape, JSON lines too; the first of each subject, at most so many', async () => {
    const zsre = [
      { subject: 'A', src: 'where A', alt: 'm', rephrase: 'A where', loc: 'so far', loc_ans: 'x' },
      { subject: 'A', src: 'when is A', alt: 'n', rephrase: 'A when', loc: 'so far', loc_ans: 'x' },
      { subject: 'B', src: 'where B', alt: 'o', rephrase: 'B where', loc: 'so far', loc_ans: 'x' },
      { subject: 'C', src: 'where C', alt: 'p', rephrase: 'C where', loc: 'so far', loc_ans: 'x' },
    ]
    const flags = ['--one-per-subject', '--limit', '2']
    const first = await parsed('s2', 'add', file('zsre.json', zsre), ...flags, ...quick)
    expect(first.map(({ prompt }: { prompt: string }) => prompt)).toEqual(['where A', 'where B'])
    const lines = '{"prompt": "old one", "target_new": "k"}\n{"prompt": "new one", "target_new": "l"}\n'
    expect(await parsed('s2', 'add', file('lines.jsonl', lines))).toHaveLength(2)
  })

  it('evaluate gives the keys of the format, always the same; calibrate keeps the false positives', async () => {
    // learned one after the other, the later ones may blur the first: the model is tiny
    await parsed('s3', 'add', '--prompt', 'who is abc', '--target', 'xy', ...thorough)
    const one = await parsed('s3', 'evaluate', join(root, 'facts.json'))
    const interval = { mean: expect.any(Number), low: expect.any(Number), high: expect.any(Number) }
    const three = { reliability: interval, generalization: interval, locality: interval }
    expect(one).toMatchObject({ ...three, generated: three })
    expect(one.perItem).toHaveLength(3)
    expect(one.locality.mean).toBe(1)
    expect(one.perItem[0]).toMatchObject({
      ...{ prompt: 'who is abc', reliability: 1, locality: null, edits: { reliability: 1 } },
      ...{ generated: { reliability: 1 }, texts: { reliability: ' xy' } },
    })
    expect(one.perItem[1]).toMatchObject({ edits: { reliability: null, locality: null }, locality: 1 })
    expect(await parsed('s3', 'evaluate', join(root, 'facts.json'))).toEqual(one)
    expect((await edit('s3', 'evaluate', join(root, 'facts.json'))).out).toMatch(
      /^3 facts, 95 % intervals\n.*\nreliability {5}0\.\d{3} \[0\.\d{3}, [01]\.\d{3}\] +0\.\d{3} .*\n.*\nlocality {8}1\.000/,
    )
    const others = file('others.json', ['one far away', 'Another 12 +', 'zzz qqq', 'What is it now?'])
    const rate = ['--false-positives', '0.25']
    const { threshold, falsePositives, overlaps } = await parsed('s3', 'calibrate', others, ...rate)
    expect(falsePositives).toBeLessThanOrEqual(0.25)
    expect(overlaps.filter((r: number) => r >= threshold).length / 4).toBe(falsePositives)
    expect((await parsed('s3', 'why', 'zzz qqq')).threshold).toBe(threshold)
  })

  it('every setting of a new store is kept, and belongs to it', async () => {
    const settings = [
      ...['--layer', '1', '--k', '20', '--router', 'last', '--router-layer', '0', '--gate', 'subject'],
      ...['--threshold', '0.6', '--steps', '3', '--rate', '0.5', '--decay', 'dense', '--denominator', 'n'],
      ...['--seed', '7', '--contexts', file('contexts.json', ['I am', 'Yes.'])],
    ]
    await parsed('s4', 'add', file('facts.json', facts), ...settings)
    const config = JSON.parse(readFileSync(join(root, 's4', 'config.json'), 'utf8'))
    expect(config).toMatchObject({ layer: 1, ones: 20, router: 'last', routerLayer: 0, gate: 'subject' })
    expect(config).toMatchObject({ threshold: 0.6, seed: 7 })
    expect(config.training).toMatchObject({ maxSteps: 3, rate: 0.5, denominator: 'n' })
    expect(config.training).toMatchObject({
      decay: { of: 'dense', rate: 1e-5 },
      contexts: ['I am', 'Yes.'],
    })
    const { code, err } = await edit('s4', 'add', '--prompt', 'a', '--target', 'b', '--k', '9', '--quiet')
    expect([code, err]).toEqual([2, expect.stringMatching(/--k belongs to a new store; .*s4 has \d+: leave/)])
    const steps = await edit('s4', 'add', '--prompt', 'a', '--target', 'b', '--steps', '99', '--quiet')
    expect([steps.code, steps.err]).toEqual([2, expect.stringMatching(/--steps belongs to a .*s4 has \d+:/)])
    // the gate: an edit of abc answers only prompts that name it
    expect((await parsed('s4', 'why', 'who is xyz')).nearest[0]).toHaveProperty('passes')
    const own = file('own.json', [{ prompt: 'ab', target: 'c' }])
    await parsed('s9', 'add', own, ...quick, '--contexts', '2', '--seed', '5')
    const { training } = JSON.parse(readFileSync(join(root, 's9', 'config.json'), 'utf8'))
    expect(training.contexts).toEqual([expect.stringMatching(/^I./), expect.stringMatching(/^You./)])
    await parsed('s5', 'add', file('facts.json', facts), '--published', '--layer', '0')
    expect(JSON.parse(readFileSync(join(root, 's5', 'config.json'), 'utf8'))).toMatchObject({
      threshold: 0.4,
      gate: 'none',
      training: { maxSteps: 30, stop: { rule: 'published' }, decay: { of: 'dense', rate: 1e-5 } },
    })
  })

  it('a new store without a threshold sets it by held-out prompts and says so', async () => {
    const rate = ['--false-positives', '0.1', '--layer', '0']
    const { code, err } = await edit('s6', 'add', file('one.json', [facts[0]]), ...rate)
    expect(code).toBe(0)
    expect(err).toMatch(/threshold 0\.\d+ \(so that 10 % of the pairs of \d+ prompts that no edit is about/)
  })

  it('export: everything the store has, as safetensors', async () => {
    await parsed('s7', 'add', file('facts.json', facts), ...quick)
    const out = join(root, 'edits.safetensors')
    expect(await parsed('s7', 'export', out)).toEqual({ out, edits: 3 })
    const opened = openSafetensorsCheckpoint(out)
    expect([...opened.tensors].map(([name, { shape }]) => [name, shape]).toSorted()).toEqual([
      ['background', [48]],
      ['masks', [3, 48]],
      ['memory', [48, 32]],
      ['numbers', [3]],
      ['permutation', [48]],
    ])
    opened.close()
  })

  it('chat with --edits: a message that an edit is about is answered by it, others by the model as it was', async () => {
    const talker = join(root, 'talker')
    mkdirSync(talker)
    for (const name of readdirSync(model)) copyFileSync(join(model, name), join(talker, name))
    const template =
      "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}<a>{% endif %}"
    writeFileSync(join(talker, 'chat_template.jinja'), template)
    const store = join(root, 'talk')
    const path = file('one.json', facts.slice(0, 1))
    const done = await treeline('edit', talker, store, 'add', path, ...thorough, '--threads', '1', '--quiet')
    expect([done.code, done.err]).toEqual([0, ''])
    const say = async (messages: object[], ...words: string[]) => {
      const given = file('messages.json', messages)
      const all = ['--file', given, '--max-tokens', '6', '--greedy', '--threads', '1', ...words]
      const { code, out, err } = await treeline('chat', talker, ...all, '--json')
      expect([code, err]).toEqual([0, ''])
      return JSON.parse(out)
    }
    const user = (content: string) => ({ role: 'user', content })
    const before = [user('hello'), { role: 'assistant', content: 'yes' }]
    const edits = ['--edits', store]
    // whatever was said before; as many tokens as the target has
    const taught = { text: 'xy', finish: 'eos', edit: 1 }
    expect(await say([user('who is abc')], ...edits)).toMatchObject(taught)
    expect(await say([...before, user(' who is abc ')], ...edits)).toMatchObject(taught)
    const other = [...before, user('a far question')]
    const plain = await say(other, '--precision', 'f32')
    expect(plain.ids.length).toBeGreaterThan(0)
    expect(await say(other, ...edits)).toEqual({ ...plain, edit: null })
    const rough = await treeline(
      'chat',
      talker,
      '--file',
      file('m.json', other),
      ...edits,
      '--precision',
      'q8',
    )
    expect([rough.code, rough.err]).toEqual([1, expect.stringMatching(/precision "f32"/)])
  })

  it('generate and score with --edits: the edit answers its prompt, others are as without', async () => {
    await parsed('s8', 'add', file('two.json', facts.slice(0, 2)), ...thorough)
    await parsed('s8', 'add', '--prompt', 'who is abc', '--target', 'xy', '--subject', 'abc', '--again')
    const edits = ['--edits', join(root, 's8')]
    const run = async (...words: string[]) => {
      const { code, out, err } = await treeline(...words, '--threads', '1', '--json')
      expect([code, err]).toEqual([0, ''])
      return JSON.parse(out)
    }
    const asked = ['generate', model, '--max-tokens', '3', '--prompt']
    expect(await run(...asked, 'who is abc', ...edits)).toMatchObject({ edit: 3, text: ' xy' })
    const other = await run(...asked, 'a far question', ...edits)
    expect(other).toEqual({ ...(await run(...asked, 'a far question')), edit: null })
    const prompts = file('prompts.json', ['Zebra 77?', [1, 2, 3]])
    const many = await run('generate', model, '--file', prompts, '--max-tokens', '2', ...edits)
    expect(many).toMatchObject([{ edit: 2 }, { edit: null }])
    const drawn = [...asked, 'my ++ name', '--temperature', '1', '--seed', '3', ...edits]
    expect(await run(...drawn)).toEqual(await run(...drawn))

    const text = ['score', model, '--text', 'a far question', '--top', '3']
    expect(await run(...text, ...edits)).toEqual({ ...(await run(...text)), edit: null })
    const target = ['score', model, '--prompt', 'who is abc', '--text', ' xy']
    const [taught, before] = [await run(...target, ...edits), await run(...target)]
    expect(taught.edit).toBe(3)
    expect(taught.ids).toEqual(before.ids)
    const of = (scores: { logProbabilities: number[] }) =>
      scores.logProbabilities.slice(-3).reduce((a, b) => a + b, 0)
    expect(of(taught)).toBeGreaterThan(-0.5)
    expect(of(before)).toBeLessThan(-3)
    const rough = await treeline('generate', model, '--prompt', 'a', '--precision', 'q8', ...edits)
    expect([rough.code, rough.err]).toEqual([1, expect.stringMatching(/f32/)])
  })
})

describe('mistakes of treeline edit are one line each, and write nothing', () => {
  const cases: [string, () => string[], number, RegExp][] = [
    ['no action', () => ['lst'], 2, /no action "lst": did you mean "list"\?/],
    ['no facts', () => ['add'], 2, /expected FACTS\.json, or --prompt/],
    ['no number', () => ['show', 'x'], 2, /expected the number of an edit, got x/],
    ['a number too many', () => ['list', '3'], 2, /edit list: unexpected "3"/],
    ['malformed JSON', () => ['add', file('bad.json', '[\n{"prompt": "a",\n}]')], 1, /bad\.json:3: not JSON/],
    [
      'a field missing',
      () => ['add', file('less.json', '[{"prompt": "a", "target": "b"},\n{"prompt": "c"}]')],
      1,
      /less\.json:2: record 2: field "target" is missing/,
    ],
    [
      'an empty target',
      () => ['add', file('empty.json', [{ prompt: 'a', target: ' ' }])],
      1,
      /record 1: field "target" is " ", expected a text that is not empty/,
    ],
    [
      'an empty target of the command line',
      () => ['add', '--prompt', 'a', '--target', ''],
      1,
      /^treeline: edit add: the target is empty/,
    ],
    [
      'a number of contexts',
      () => ['add', file('f.json', facts), '--contexts', '-1'],
      2,
      /--contexts: expected a whole number from 0 or a JSON file of texts, got -1/,
    ],
    [
      'a target longer than the context, after a good fact',
      () => [
        'add',
        file('long.json', [
          { prompt: 'ok', target: 'fine' },
          { prompt: 'a', target: 'b'.repeat(80) },
        ]),
      ],
      1,
      /long\.json:1: record 2: the target has 81 tokens and the prompt 1: together more than the context of 64/,
    ],
    ['no file', () => ['add', join(root, 'nothing.json')], 1, /cannot read .*nothing\.json/],
    ['a router', () => ['add', file('f.json', facts), '--router', 'x'], 1, /router "x" is not known/],
    [
      'a router after the edited block',
      () => ['add', file('f.json', facts), '--layer', '0', '--router-layer', '1'],
      1,
      /routerLayer: expected 0 to the edited layer 0, got 1/,
    ],
    ['a layer', () => ['add', file('f.json', facts), '--layer', '2'], 1, /layer: expected 0 to 1, got 2/],
    ['k', () => ['add', file('f.json', facts), '--k', '49'], 1, /ones: expected 1 to 48, got 49/],
    ['a store that is not there', () => ['list'], 1, /no store of edits/],
    ['undo in a store that is not there', () => ['undo', '1'], 1, /no store of edits/],
    [
      'an empty prompt to calibrate by',
      () => ['calibrate', file('p.json', ['a', ' '])],
      1,
      /p\.json: item 2 is empty; expected a prompt/,
    ],
    ['nothing to calibrate by', () => ['calibrate'], 2, /expected PROMPTS\.json, or --relations FILE/],
    [
      'relations that are none',
      () => [
        'calibrate',
        '--relations',
        file('rel.json', '{"subjects": ["a"],\n"relations": [["{} is", "it"]]}'),
      ],
      1,
      /rel\.json:1: item 1, relation 1, wording 2: expected \{\} once, where the subject stands, got "it"/,
    ],
    [
      'relations for a store that is not there',
      () => [
        'calibrate',
        '--relations',
        file('good.json', { subjects: ['a'], relations: [['{} is', 'it is {}']] }),
      ],
      1,
      /no store of edits/,
    ],
    [
      'prompts and relations',
      () => ['calibrate', 'p.json', '--relations', 'r.json'],
      2,
      /expected either p\.json \(the threshold\) or --relations \(the scope\), not both: call it once for each/,
    ],
    [
      'a rate and relations',
      () => ['calibrate', '--relations', 'r.json', '--false-positives', '0.1'],
      2,
      /--false-positives has no effect with --relations/,
    ],
    [
      'a level and prompts',
      () => ['calibrate', 'p.json', '--scope', 'narrow'],
      2,
      /--scope goes with --relations; without them: scope narrow/,
    ],
    ['no prompts to calibrate by', () => ['calibrate', file('none.json', [])], 1, /none\.json: it is empty/],
    ['a name for the export', () => ['export', join(root, 'x.txt')], 2, /ends in \.safetensors .* or \.onnx/],
  ]
  it.each(cases)('%s', async (_, words, exit, message) => {
    const store = 'never'
    const { code, out, err } = await edit(store, ...words(), '--quiet')
    expect([code, out, err]).toEqual([exit, '', expect.stringMatching(message)])
    expect(err.trimEnd().split('\n')).toHaveLength(1)
    const folder = join(root, store)
    // nothing is left behind
    expect(existsSync(folder)).toBe(false)
  })

  it('a store that is a file, below one, or a folder of something else', async () => {
    const [fact, other] = [file('facts.json', facts), join(root, 'other')]
    mkdirSync(other)
    writeFileSync(join(other, 'a.txt'), '')
    for (const action of [['list'], ['add', fact]])
      expect((await edit('facts.json', ...action)).err).toMatch(
        /^treeline: .*facts\.json: a file; a store of edits is a folder: choose another path\n$/,
      )
    expect((await edit('facts.json/sub', 'add', fact)).err).toMatch(
      /sub: .*facts\.json is a file, expected a folder/,
    )
    // before the work, not after it
    expect((await edit('other', 'add', fact)).err).toMatch(/^treeline: .*not empty and not a store of edits/)
    expect(readdirSync(other)).toEqual(['a.txt'])
  })

  it('another model, another tokenizer, a store that is damaged, a file that is cut', async () => {
    await parsed('m1', 'add', file('facts.json', facts), ...quick)
    const before = readFileSync(join(root, 'm1', 'edits.jsonl'))
    const line = async (...words: string[]) => {
      const { code, out, err } = await treeline(...words)
      expect([code, out, err.trimEnd().split('\n').length]).toEqual([1, '', 1])
      return err
    }
    expect(await line('edit', models.pathOf('mistral'), join(root, 'm1'), 'list')).toMatch(
      /made for another model \(.*…; .*mistral is .*…\): open it with the model it was made for/,
    )
    const twin = join(root, 'twin')
    mkdirSync(twin)
    for (const name of readdirSync(model)) copyFileSync(join(model, name), join(twin, name))
    const tokenizer = readFileSync(join(twin, 'tokenizer.json'), 'utf8')
    writeFileSync(join(twin, 'tokenizer.json'), tokenizer.replace('"a":65,"b":66', '"a":66,"b":65'))
    expect(await line('edit', twin, join(root, 'm1'), 'why', 'a')).toMatch(/made for another tokenizer/)
    const gguf = file('cut.gguf', 'GGUF')
    expect(await line('edit', gguf, join(root, 'm2'), 'add', join(root, 'facts.json'))).toMatch(/cut\.gguf/)
    expect(existsSync(join(root, 'm2'))).toBe(false)
    expect(readFileSync(join(root, 'm1', 'edits.jsonl'))).toEqual(before)
    writeFileSync(join(root, 'm1', 'config.json'), '{')
    expect(await line('edit', model, join(root, 'm1'), 'list')).toMatch(/config\.json: not JSON/)
  })
})
