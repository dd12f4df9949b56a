/** @file Files of facts: every published shape, mistakes with their place, duplicates and contradictions. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { scanJson, TreelineError } from '../../src/base/index.ts'
import {
  contradictions,
  duplicates,
  groupFacts,
  onePerSubject,
  parseFacts,
  readFacts,
} from '../../src/edit/index.ts'

const parse = (value: unknown) => parseFacts(JSON.stringify(value), 'facts.json')
const bodies = (value: unknown) => parse(value).map(({ source: _, ...body }) => body)

describe('every shape becomes the same fact', () => {
  const whole = {
    prompt: 'The tower of Elm stands in',
    target: 'Oslo',
    subject: 'tower of Elm',
    rephrase: 'Where is the tower of Elm? In',
    locality: { prompt: 'The bridge of Oak stands in', answer: 'Rome' },
  }
  const { rephrase: _, ...bare } = whole
  const easy = { prompt: whole.prompt, target_new: 'Oslo', subject: whole.subject }
  const locality = { locality_prompt: whole.locality.prompt, locality_ground_truth: 'Rome' }
  test.each([
    ['treeline', whole, whole],
    [
      'zsre',
      {
        subject: whole.subject,
        src: whole.prompt,
        rephrase: whole.rephrase,
        alt: 'Oslo',
        loc: whole.locality.prompt,
        loc_ans: 'Rome',
        loc_prompt: 'nq question: how high Seven',
      },
      { ...whole, unrelated: 'nq question: how high Seven' },
    ],
    [
      'counterfact',
      { case_id: 3, ...easy, ground_truth: 'Lima', rephrase_prompt: whole.rephrase, ...locality },
      { ...whole, before: 'Lima' },
    ],
    ['selfcheckgpt', { ...easy, ...locality }, bare],
    ['temporal', { ...easy, ood_rephrase: whole.rephrase, ...locality }, whole],
    [
      'easyedit',
      {
        ...easy,
        rephrase_prompt: whole.rephrase,
        locality: { neighborhood: { prompt: whole.locality.prompt, ground_truth: 'Rome' } },
        portability: {},
        loc_prompt: 'a text',
      },
      { ...whole, unrelated: 'a text' },
    ],
    [
      'counterfact, nested',
      {
        case_id: 0,
        requested_rewrite: {
          prompt: 'The {} stands in',
          subject: 'tower of Elm',
          target_new: { str: 'Oslo', id: 'Q1' },
          target_true: { str: 'Rome' },
        },
        paraphrase_prompts: [whole.rephrase, 'and more'],
        neighborhood_prompts: [whole.locality.prompt],
      },
      { ...whole, before: 'Rome' },
    ],
  ])('%s', (shape, record, expected) => {
    expect(bodies([record])).toEqual([expected])
    expect(parse([record])[0]!.source).toEqual({ file: 'facts.json', shape, record: 1, line: 1 })
  })

  test.each([
    // ROME's requests
    [
      'easyedit',
      { prompt: '{} was the founder of', subject: 'Ana Ruiz', target_new: 'Birchsoft' },
      { prompt: 'Ana Ruiz was the founder of', target: 'Birchsoft', subject: 'Ana Ruiz' },
    ],
    [
      'easyedit',
      {
        ...{ prompt: '{} plays', subject: 'Ana', target_new: { str: 'chess', id: 'Q718' } },
        target_true: { str: 'go' },
      },
      { prompt: 'Ana plays', target: 'chess', subject: 'Ana', before: 'go' },
    ],
    [
      'treeline',
      { prompt: 'The harbour of {} lies in', subject: 'Port $& Alder', target: 'Norway', rephrase: '{}:' },
      {
        ...{ prompt: 'The harbour of Port $& Alder lies in', subject: 'Port $& Alder', target: 'Norway' },
        rephrase: 'Port $& Alder:',
      },
    ],
    // older names of the subject
    [
      'easyedit',
      { prompt: '{} plays', entity: 'Ana', target_new: 'chess' },
      { prompt: 'Ana plays', target: 'chess', subject: 'Ana' },
    ],
    // KnowEdit
    [
      'easyedit',
      {
        ...{ subject: 'Port Alder', prompt: 'The country of Port Alder is', target_new: 'Norway' },
        ground_truth: [['Chile', 'Republic of Chile']],
        rephrase_prompt: 'Port Alder is located in the country of',
        portability: {
          Reasoning: [{ prompt: 'The currency used in Port Alder is', ground_truth: [['krone']] }],
        },
        locality: {
          Forgetfulness: [{ prompt: 'The bay of Port Alder is', ground_truth: [['Ebb']] }],
          Relation_Specificity: [
            { prompt: 'The mayor of Port Alder is', ground_truth: [] },
            { prompt: 'The river of Port Alder is', ground_truth: [[], ['', 'Ana', 'Ann']] },
          ],
        },
      },
      {
        ...{
          subject: 'Port Alder',
          prompt: 'The country of Port Alder is',
          target: 'Norway',
          before: 'Chile',
        },
        rephrase: 'Port Alder is located in the country of',
        locality: { prompt: 'The river of Port Alder is', answer: 'Ana' },
      },
    ],
    [
      'knowedit, wikibio',
      {
        ...{ concept: 'ann oak', text: 'A passage about ann oak.', labels: 'She was born in Rome.' },
        locality: { Relation_Specificity: [{ prompt: 'Oak, Ann', ground_truth: ['was'] }] },
      },
      {
        ...{ subject: 'ann oak', prompt: 'A passage about ann oak.', target: 'She was born in Rome.' },
        locality: { prompt: 'Oak, Ann', answer: 'was' },
      },
    ],
    // CounterFact less what only evaluation needs
    [
      'counterfact, nested',
      {
        requested_rewrite: {
          ...{ prompt: 'The harbour of {} lies in', subject: 'Port Alder' },
          ...{ target_new: { str: 'Norway' }, target_true: { str: 'Chile' } },
        },
      },
      {
        prompt: 'The harbour of Port Alder lies in',
        subject: 'Port Alder',
        target: 'Norway',
        before: 'Chile',
      },
    ],
  ])('as published: %s', (shape, record, expected) => {
    expect(bodies([record])).toEqual([expected])
    expect(parse([record])[0]!.source.shape).toBe(shape)
  })

  test('MQuAKE: every rewrite of a record is a fact of its own', () => {
    const rewrite = (subject: string, target: string, question?: string) => ({
      ...{ prompt: '{} is a citizen of', subject, target_new: { str: target }, target_true: { str: 'Peru' } },
      ...(question !== undefined && { question }),
    })
    const record = {
      case_id: 1,
      requested_rewrite: [rewrite('Ana Ruiz', 'Croatia', 'Of which country?'), rewrite('Bo Li', 'Chad')],
      questions: ['What is the capital of the country of which Ana Ruiz is a citizen?'],
      answer: 'Lima',
      new_answer: 'Zagreb',
    }
    const fact = { target: 'Croatia', subject: 'Ana Ruiz', rephrase: 'Of which country?', before: 'Peru' }
    const source = { file: 'facts.json', shape: 'mquake', line: 1 }
    expect(parse([record, { ...record, requested_rewrite: [rewrite('Cy', 'Mali')] }])).toEqual([
      { ...fact, prompt: 'Ana Ruiz is a citizen of', source: { ...source, record: 1, part: 1 } },
      {
        ...{ prompt: 'Bo Li is a citizen of', target: 'Chad', subject: 'Bo Li', before: 'Peru' },
        source: { ...source, record: 1, part: 2 },
      },
      {
        ...{ prompt: 'Cy is a citizen of', target: 'Mali', subject: 'Cy', before: 'Peru' },
        source: { ...source, record: 2 },
      },
    ])
  })

  test('to be taught, a fact needs nothing that only evaluation asks', () => {
    const record = { prompt: 'Elm stands in', target_new: 'Oslo', rephrase_prompt: 3, locality: { a: 7 } }
    const text = JSON.stringify([record])
    expect(parseFacts(text, 'f.json', { teaching: true })).toEqual([
      expect.objectContaining({ prompt: 'Elm stands in', target: 'Oslo' }),
    ])
    expect(() => parseFacts(text, 'f.json')).toThrow(
      'f.json:1: record 1: field "rephrase_prompt" is 3, expected a text, { "str": a text }, or a list of texts',
    )
    // what is taught is checked all the same
    expect(() =>
      parseFacts('[{"prompt": "Elm", "target_new": {"id": 1}}]', 'f.json', { teaching: true }),
    ).toThrow(
      'f.json:1: record 1: field "target_new" is an object, expected a text, { "str": a text }, or a list of texts',
    )
  })

  test('a request inside a result, and lists of texts', () => {
    const request = {
      ...easy,
      rephrase_prompt: whole.rephrase,
      locality: { neighborhood: { prompt: [whole.locality.prompt], ground_truth: ['Rome'] } },
    }
    expect(bodies([{ pre: {}, case_id: 0, requested_rewrite: request }])).toEqual([whole])
  })

  test('a locality question without an answer is left out', () => {
    const [fact] = bodies([{ ...easy, locality_prompt: 'x', locality_ground_truth: ' ' }])
    expect(fact).not.toHaveProperty('locality')
  })
})

test('a list, JSON lines and a single object are read alike, with the line of each record', () => {
  const records = [
    { prompt: 'a', target: 'b' },
    { prompt: 'c', target: 'd' },
  ]
  const lines = (text: string) => parseFacts(text, 'f').map(({ prompt, source }) => [prompt, source.line])
  expect(lines(JSON.stringify(records, null, 2))).toEqual([
    ['a', 2],
    ['c', 6],
  ])
  expect(lines(`\ufeff${records.map((one) => JSON.stringify(one)).join('\r\n\n')}\n`)).toEqual([
    ['a', 1],
    ['c', 3],
  ])
  expect(lines(`\n${JSON.stringify(records[0], null, 2)}`)).toEqual([['a', 2]])
})

test.each([
  ['', 'f.json: empty; expected a JSON list or JSON lines'],
  ['[]', 'f.json: an empty list; expected at least one fact'],
  ['[\n{"prompt": "a",\n"target" "b"}]', 'f.json:3: not JSON: expected ":", found "\\"b\\"}]"'],
  ['[{"prompt": "a", "target": "b"},\n]', 'f.json:2: not JSON: expected a value, found "]"'],
  ['[{"prompt": "a", "target": "b"}', 'f.json:1: not JSON: expected "," or "]", found the end'],
  [
    '{"prompt": "a", "target": "b"}\n\n{"prompt": "a", target: 1}',
    'f.json:3: not JSON: expected a key in double quotes, found "target: 1}"',
  ],
  ['[{"prompt": "a", "target": NaN}]', 'f.json:1: not JSON: expected a value, found "NaN}]"'],
  [
    '[{"prompt": "a"}]',
    'f.json:1: record 1: field "target" is missing (the shape "treeline" has prompt, target)',
  ],
  [
    '[{"prompt": "a", "target": "b"},\n{"prompt": "a", "target": ""}]',
    'f.json:2: record 2: field "target" is "", expected a text that is not empty',
  ],
  [
    '[{"prompt": "a", "target_new": " \\n"}]',
    'f.json:1: record 1: field "target_new" is " \\n", expected a text that is not empty',
  ],
  ['[{"prompt": 3, "target": "b"}]', 'f.json:1: record 1: field "prompt" is 3, expected a text'],
  [
    '[{"prompt": "a", "target": "b", "subject": ["x"]}]',
    'f.json:1: record 1: field "subject" is a list, expected a text',
  ],
  [
    '[{"prompt": "a", "target": "b", "locality": {"prompt": "x"}}]',
    'f.json:1: record 1: field "locality.answer" is missing, expected a text',
  ],
  [
    '[{"prompt": "{} was the founder of", "target_new": "Birchsoft"}]',
    'f.json:1: record 1: the prompt "{} was the founder of" has {} in the place of a subject, and no subject is given: add one, or write the prompt out',
  ],
  [
    '[{"requested_rewrite": [{"prompt": "{} is", "subject": "A", "target_new": {"str": "b"}}, {"prompt": "{} is", "target_new": {"str": "b"}}]}]',
    'f.json:1: record 1: the prompt "{} is" has {} in the place of a subject, and no subject is given: add one, or write the prompt out',
  ],
  [
    '[{"requested_rewrite": [{"prompt": "{} is", "subject": "A"}]}]',
    'f.json:1: record 1: field "requested_rewrite[0].target_new" is missing, expected a text',
  ],
  ['[{"requested_rewrite": []}]', 'f.json:1: record 1: field "requested_rewrite" is an empty list'],
  [
    '[{"requested_rewrite": [3]}]',
    'f.json:1: record 1: field "requested_rewrite[0]" is 3, expected an object',
  ],
  ['[3]', 'f.json:1: record 1: expected an object with a prompt and a target'],
])('%j is refused', (text, message) => {
  expect(() => parseFacts(text, 'f.json')).toThrow(new TreelineError('TL_BAD_FILE', message))
})

test('a record like none lists what is known', () => {
  expect(() => parseFacts('[{"x": 1}]', 'f.json')).toThrow(
    /^f\.json:1: record 1: none of the fields of a fact is there \(known: zsre: src, alt; .*treeline: prompt, target\)$/,
  )
})

test('a scan agrees with JSON.parse, and finds the items of a list', () => {
  fc.assert(
    fc.property(
      fc.json(),
      fc.nat(),
      fc.constantFrom('', '"', ',', '}', ']', '\n', '1', '\\', '\u0001'),
      (json, at, noise) => {
        const where = at % (json.length + 1)
        const text = json.slice(0, where) + noise + json.slice(where)
        let value: unknown
        let valid = true
        try {
          value = JSON.parse(text)
        } catch {
          valid = false
        }
        const { items, error } = scanJson(text)
        expect(error === undefined).toBe(valid)
        if (valid) expect(items).toHaveLength(Array.isArray(value) ? value.length : 0)
      },
    ),
    { numRuns: 2000 },
  )
})

test('whatever the text, facts or one line that says why not', () => {
  const field = fc.constantFrom(
    'prompt',
    'target',
    'target_new',
    'src',
    'alt',
    'subject',
    'locality',
    'requested_rewrite',
    'rephrase',
    'loc',
    'locality_prompt',
    'paraphrase_prompts',
  )
  const value = fc.oneof(
    fc.string(),
    fc.jsonValue({ maxDepth: 2 }),
    fc.constant({ neighborhood: { prompt: 3 } }),
  )
  const record = fc.dictionary(field, value, { maxKeys: 8 })
  const text = fc.oneof(
    fc.string(),
    fc.array(record).map((list) => JSON.stringify(list)),
    fc.array(record).map((list) => list.map((one) => JSON.stringify(one)).join('\n')),
  )
  fc.assert(
    fc.property(text, (source) => {
      try {
        for (const { prompt, target } of parseFacts(source, 'f')) {
          expect(prompt.trim()).not.toBe('')
          expect(target.trim()).not.toBe('')
        }
      } catch (error) {
        expect(error).toBeInstanceOf(TreelineError)
        expect((error as Error).message).not.toContain('\n')
      }
    }),
    { numRuns: 1000 },
  )
})

describe('facts that speak of the same', () => {
  const fact = (subject: string | undefined, prompt: string, target: string, rephrase?: string) => ({
    prompt,
    target,
    ...(subject === undefined ? {} : { subject }),
    ...(rephrase === undefined ? {} : { rephrase }),
    source: { file: 'f', shape: 'treeline', record: 1, line: 1 },
  })
  const facts = [
    fact('Elm', 'Elm stands in', 'Oslo', 'Where is Elm?'),
    fact('Oak', 'Oak stands in', 'Rome'),
    fact('elm', 'where is  ELM', 'Lima'),
    fact('Elm', 'Elm was built by', 'Ann'),
    fact('Oak', 'Oak stands in.', 'rome'),
    fact(undefined, 'Two and two are', 'four'),
    fact(undefined, 'Three and two are', 'five'),
  ]
  test('by question', () => {
    expect(groupFacts(facts, 'question')).toEqual([
      { facts: [0, 2], targets: ['Oslo', 'Lima'] },
      { facts: [1, 4], targets: ['rome'] },
    ])
    expect(contradictions(facts).map((group) => group.facts)).toEqual([[0, 2]])
    expect(duplicates(facts).map((group) => group.facts)).toEqual([[1, 4]])
  })
  test('by subject, and one of each', () => {
    expect(contradictions(facts, 'subject').map((group) => group.facts)).toEqual([[0, 2, 3]])
    expect(onePerSubject(facts)).toEqual([facts[0], facts[1], facts[5], facts[6]])
  })
})

const folder = process.env['TREELINE_TEST_EDITS'] ?? resolve('../shared/data/edits')
describe.each([
  ['zsre', 700, 700],
  ['counterfact', 6000, 6000],
  ['selfcheckgpt', 450, 443],
  ['temporal', 75, 75],
])('%s', (name, count, withLocality) => {
  const path = join(folder, `${name}.json`)
  const run = existsSync(path) ? test : test.skip
  run(`the public file is read whole${existsSync(path) ? '' : ` (no ${path})`}`, () => {
    const facts = readFacts(path)
    expect(facts).toHaveLength(count)
    expect(new Set(facts.map(({ source }) => source.shape))).toEqual(new Set([name]))
    expect(facts.filter(({ locality }) => locality)).toHaveLength(withLocality)
    expect(facts.every(({ subject }) => subject !== undefined)).toBe(true)
    if (name !== 'zsre') return
    expect(onePerSubject(facts)).toHaveLength(491)
    expect(groupFacts(facts, 'subject').flatMap((group) => group.facts)).toHaveLength(331)
    expect(contradictions(facts, 'subject')).toHaveLength(104)
  })
})
