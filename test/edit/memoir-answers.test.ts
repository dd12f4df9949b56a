/** Answers of a store: silent routing leaves every bit, whatever block the router looks at; evaluation is what it says. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readSafetensors } from '../../src/checkpoint/index.ts'
import {
  defaultTraining,
  type EditRecord,
  evaluateFacts,
  type NewStore,
  openEditor,
  publishedTraining,
  type Training,
} from '../../src/edit/index.ts'
import { argmaxOf, type LanguageModel, type Tokenizer } from '../../src/lm/index.ts'
import { withTinyLlama } from './tinyLlama.ts'

let model: LanguageModel
let words: Tokenizer
const root = withTinyLlama('answers', (own) => {
  model = own.model
  words = own.words
})
let stores = 0
const open = (create: NewStore, path = join(root, `store-${stores++}`)) =>
  openEditor(model, path, { create: { threshold: 0.97, ...create } })
const facts = [
  { prompt: 'who is abc', target: 'xy' },
  { prompt: 'Zebra 77?', target: 'q' },
]
const bits = (x: Float32Array): number[] => [...new Uint32Array(x.slice().buffer)]
const patient = { ...defaultTraining, maxSteps: 400 }
const others = ['a far question', 'Something else 12', 'zz top', '?', 'the end of it all, at last']

describe('silent routing', () => {
  it.each([
    ['mean-centred', 1, 1],
    ['mean-centred', 1, 0],
    ['last', 1, 0],
    ['surprisal', 1, 0],
    ['surprisal', 0, 0],
  ] as const)(
    'leaves logits and continuations bit for bit: %s, block %i, router at %i',
    async (router, layer, routerLayer) => {
      const editor = await open({ router, layer, routerLayer, training: patient })
      for (const { prompt, target } of facts) {
        await editor.add({ prompt, target })
        const made = await editor.generate(prompt, { maxTokens: target.length + 1 })
        expect([made.edit, made.text]).toEqual([editor.list().length, ` ${target}`])
      }
      let silent = 0
      for (const prompt of others) {
        const { edit, logits } = await editor.logits(prompt)
        if (edit !== null) continue
        silent++
        const ids = words.encode(prompt)
        expect(bits(logits)).toEqual(bits(await model.logits(ids)))
        const made = await editor.generate(prompt, { maxTokens: 8, stopAtEos: false })
        expect(made.ids).toEqual((await model.generate({ ids, maxTokens: 8 })).ids)
        const { logProbabilities } = await editor.scoreText(prompt)
        expect(logProbabilities).toEqual([...(await model.score(ids))])
      }
      expect(silent).toBeGreaterThanOrEqual(3)
      editor.dispose()
    },
  )

  it('the feature of a lower block is that block’s: its nearest edits are others', async () => {
    const overlapsAt = async (routerLayer: number) => {
      const editor = await open({ layer: 1, routerLayer })
      for (const fact of facts) await editor.add(fact)
      const { nearest } = await editor.why(others[1]!)
      editor.dispose()
      return nearest.map(({ overlap }) => overlap)
    }
    expect(await overlapsAt(0)).not.toEqual(await overlapsAt(1))
  })
})

describe('calibration', () => {
  it.each(['none', 'subject'] as const)(
    'keeps the false positives it is asked for: gate %s',
    async (gate) => {
      const editor = await open({ layer: 0, gate })
      for (const fact of facts) await editor.add(fact)
      const prompts = [...others, 'Zebra 77 is', 'the Zebra 77']
      const { threshold, overlaps } = await editor.calibrate(prompts, 0.2)
      const seen = await Promise.all(prompts.map((prompt) => editor.why(prompt)))
      const all = seen.map(({ nearest }) => nearest.map(({ overlap }) => overlap))
      const counted = gate === 'none' ? all.map((own) => Math.max(...own)) : all.flat()
      const answered = (τ: number): number => counted.filter((r) => r >= τ).length / counted.length
      expect(answered(threshold)).toBeLessThanOrEqual(0.2)
      expect(answered(threshold - 1.5 / 14)).toBeGreaterThan(0.2)
      expect(overlaps.filter((r) => r >= threshold).length / prompts.length).toBeLessThanOrEqual(0.2)
      expect(editor.config).toMatchObject({ threshold, calibration: { prompts: 7, falsePositives: 0.2 } })
      // most prompts name no subject: that is no reason for a threshold that everything passes
      expect(threshold).toBeGreaterThan(0.2)
      editor.dispose()
    },
  )
})

describe('training options', () => {
  const memoryOf = (path: string, count: number): Float32Array => {
    const { tensors } = readSafetensors(join(path, `delta-${count}.safetensors`))
    const places = tensors.get('places')!.data as Int32Array
    const values = tensors.get('values')!.data as Float32Array
    const width = values.length / places.length
    const out = new Float32Array(48 * width)
    for (const [i, place] of places.entries())
      out.set(values.subarray(i * width, (i + 1) * width), place * width)
    return out
  }
  const trained = async (training: Partial<Training>) => {
    const path = join(root, `training-${stores++}`)
    const base = { ...publishedTraining, maxSteps: 4, stop: { rule: 'loss', loss: 0 } as const }
    const editor = await open({ layer: 0, training: { ...base, ...training } }, path)
    const records = []
    for (const fact of facts) records.push(await editor.add(fact))
    editor.dispose()
    return { path, records }
  }

  it('dense decay shrinks what other edits wrote by (1 − ηλ) a step, active columns only theirs', async () => {
    const λ = 1e-3
    const none = await trained({})
    const dense = await trained({ decay: { of: 'dense', rate: λ } })
    const active = await trained({ decay: { of: 'active-columns', rate: λ } })
    const maskOf = (record: EditRecord): Set<number> => {
      const places = new Set<number>()
      for (let word = 0; word < 2; word++) {
        const bits = Number.parseInt(record.mask.slice(8 * word, 8 * word + 8), 16)
        for (let i = 0; i < 32; i++) if ((bits >>> i) & 1) places.add(32 * word + i)
      }
      return places
    }
    const second = maskOf(none.records[1]!)
    const untouched = [...maskOf(none.records[0]!)].filter((place) => !second.has(place))
    expect(untouched.length).toBeGreaterThan(0)
    const width = 32
    const rows = (memory: Float32Array) =>
      untouched.flatMap((place) => [...memory.subarray(place * width, (place + 1) * width)])
    const [before, after] = [rows(memoryOf(dense.path, 1)), rows(memoryOf(dense.path, 2))]
    const factor = (1 - λ) ** 4
    expect(Math.max(...before.map(Math.abs))).toBeGreaterThan(1e-3)
    for (const [i, x] of before.entries()) expect(after[i]).toBeCloseTo(x * factor, 7)
    // with active columns the second edit has no row of the first alone
    const places = readSafetensors(join(active.path, 'delta-2.safetensors')).tensors.get('places')!.data
    expect([...(places as Int32Array)].filter((place) => untouched.includes(place))).toEqual([])
    const own = (path: string) => [...memoryOf(path, 1)]
    expect(own(active.path)).not.toEqual(own(none.path))
    // within an edit's own columns both decays are the same
    expect(own(active.path)).toEqual(own(dense.path))
  })

  it('the denominator n takes larger steps than n + 1, by (n + 1)/n while nothing is clipped', async () => {
    const free = { maxSteps: 1, clip: 1e9, rate: 1e-3 }
    const published = memoryOf((await trained({ ...free, denominator: 'n+1' })).path, 1)
    const mean = memoryOf((await trained({ ...free, denominator: 'n' })).path, 1)
    // ' xy' has three tokens
    const at = published.reduce((best, x, i) => (Math.abs(x) > Math.abs(published[best]!) ? i : best), 0)
    expect(mean[at]! / published[at]!).toBeCloseTo(4 / 3, 3)
  })
})

describe('evaluation', () => {
  it('generated is real greedy generation: forced tokens may be right where the text goes astray', async () => {
    const editor = await open({ layer: 0, training: patient })
    await editor.add(facts[0]!)
    const rephrases = ['who was abc', 'Zebra 78?']
    const all = [
      { ...facts[0]!, rephrase: rephrases[0]!, locality: { prompt: others[0]!, answer: 'no' } },
      { ...facts[1]!, rephrase: rephrases[1]!, locality: { prompt: others[1]!, answer: 'yes' } },
    ].map((fact, i) => ({ ...fact, source: { file: 'f', shape: 'treeline', record: i, line: 1 } }))
    const { perItem, ...means } = await evaluateFacts(editor, editor.unedited, all)
    for (const [i, item] of perItem.entries()) {
      const { prompt, target } = all[i]!
      const ids = words.encode(prompt)
      const targets = words.encode(` ${target}`)
      const options = { maxTokens: targets.length, stopAtEos: false } as const
      const made = await editor.generate(prompt, { ...options, answer: 'as-asked' })
      expect(item.texts.reliability).toBe(made.text)
      expect(item.generated.reliability).toBe(Number(made.text === ` ${target}`))
      const taught = await editor.generate(rephrases[i]!, options)
      expect(item.asTaught.generalization).toBe(Number(taught.text.trim() === target))
      // teacher-forced, token by token, by the model or the editor with a longer prompt of ids
      let right = 0
      for (const [t, id] of targets.entries()) {
        const { next } = await editor.scoreText([...ids, ...targets.slice(0, t)], ids.length)
        right += Number(argmaxOf(next) === id)
      }
      expect(item.reliability).toBeCloseTo(right / targets.length, 12)
      expect(item.locality).toBe(1)
      expect(item.generated.locality).toBe(1)
    }
    expect(perItem[0]!.reliability).toBe(1)
    expect(perItem[1]!.edits.reliability).toBeNull()
    expect(means.reliability!.mean).toBeCloseTo((1 + perItem[1]!.reliability!) / 2, 12)
    expect(means.reliability!.low).toBeLessThanOrEqual(means.reliability!.mean)
    expect(means.reliability!.high).toBeGreaterThanOrEqual(means.reliability!.mean)
    const again = await evaluateFacts(editor, editor.unedited, all)
    expect({ ...again, perItem: [] }).toEqual({ ...means, perItem: [] })
    editor.dispose()
  })

  it('locality compares with the unedited model: an edit that answers another prompt is caught', async () => {
    // everything is answered by the edit
    const editor = await open({ layer: 0, threshold: 0 })
    await editor.add(facts[0]!)
    const source = { file: 'f', shape: 'treeline', record: 1, line: 1 }
    const plain = await model.generate({ ids: words.encode(others[0]!), maxTokens: 4 })
    const answer = words.decode(plain.ids)
    const [item] = (
      await evaluateFacts(editor, editor.unedited, [
        { ...facts[0]!, locality: { prompt: others[0]!, answer }, source },
      ])
    ).perItem
    expect(item!.edits.locality).toBe(1)
    const { best, targetIds } = await editor.score(others[0]!, answer)
    const unedited = await editor.unedited.score(others[0]!, answer)
    expect(unedited.edit).toBeNull()
    expect(unedited.logProbabilities).toEqual(
      [...(await model.score([...words.encode(others[0]!), ...targetIds]))].slice(-targetIds.length),
    )
    const same = best.filter((id, i) => id === unedited.best[i]).length / targetIds.length
    expect(same).toBeLessThan(1)
    expect(item!.locality).toBeCloseTo(same, 12)
    expect(item!.generated.locality).toBe(0)
    editor.dispose()
  })
})

describe('told who answers', () => {
  it('that edit answers whatever routing finds, or none; an edit that does not stand is refused', async () => {
    const editor = await open({ layer: 0, training: patient })
    for (const fact of facts) await editor.add(fact)
    const [first, second] = facts
    const routed = await editor.score(second!.prompt, second!.target)
    expect(routed.edit).toBe(2)
    expect(await editor.answeredBy(2).score(second!.prompt, second!.target)).toEqual(routed)
    const crossed = await editor.answeredBy(1).score(second!.prompt, second!.target)
    expect(crossed.edit).toBe(1)
    expect(crossed.logProbabilities).not.toEqual(routed.logProbabilities)
    // after far words, which no edit answers by itself
    const far = others[0]!
    expect((await editor.score(far, 'q')).edit).toBeNull()
    expect((await editor.answeredBy(1).score(far, 'q')).edit).toBe(1)
    const said = await editor.answeredBy(1).generate(far, { maxTokens: 9 })
    expect([said.edit, said.text]).toEqual([1, ` ${first!.target}`])
    const silent = await editor.answeredBy(null).score(first!.prompt, 'q')
    expect(silent).toEqual(await editor.unedited.score(first!.prompt, 'q'))
    const ids = words.encode(first!.prompt)
    const plain = await model.generate({ ids, maxTokens: 5 })
    const none = await editor.answeredBy(null).generate(first!.prompt, { maxTokens: 5, stopAtEos: false })
    expect([none.edit, ...none.ids]).toEqual([null, ...plain.ids])
    expect(() => editor.answeredBy(3)).toThrow(/no active edit 3/)
    await editor.undo(1)
    expect(() => editor.answeredBy(1)).toThrow(/no active edit 1/)
    editor.dispose()
  })
})

describe('the end of an answer', () => {
  it('is taught when asked for: greedy generation stops there by itself, which it does not otherwise', async () => {
    const stops = { ...words, eosIds: [words.encode('#')[0]!] }
    for (const end of [true, false]) {
      const training = { ...patient, end }
      const path = join(root, `end-${end}`)
      const editor = await openEditor(model, path, { tokenizer: stops, create: { layer: 0, training } })
      for (const fact of facts) await editor.add(fact)
      for (const { prompt, target } of facts) {
        const made = await editor.generate(prompt, { maxTokens: target.length + 4, answer: 'as-asked' })
        expect(made.text.startsWith(` ${target}`)).toBe(true)
        if (end) expect([made.text, made.finish]).toEqual([` ${target}`, 'eos'])
        else expect(made.text.length).toBeGreaterThan(target.length + 1)
      }
      expect((await editor.replay()).identical).toBe(true)
      editor.dispose()
    }
  })
})

describe('after teaching', () => {
  it('an edit that is not learned is taught again with more steps, and replays to the same bits', async () => {
    const training = { ...defaultTraining, maxSteps: 3, patience: 40 }
    const editor = await open({ layer: 0, training })
    const first = await editor.add(facts[1]!)
    expect(first.maxSteps).toBe(120)
    expect(first.losses.worst).toBeLessThan(Math.LN2)
    expect(first.steps).toBeGreaterThan(3)
    // with patience from the start the path is the same
    const other = await open({ layer: 0, training: { ...training, maxSteps: 120 } })
    const same = await other.add(facts[1]!)
    expect([same.maxSteps, same.steps, same.losses]).toEqual([undefined, first.steps, first.losses])
    other.dispose()
    expect((await editor.replay()).identical).toBe(true)
    editor.dispose()
  })

  it('an audit says whether an edit is learned, and what it answers beside its prompt', async () => {
    const editor = await open({ layer: 0, training: patient })
    const { number } = await editor.add({ prompt: 'who is abc', target: 'xy', subject: 'abc' })
    const audit = await editor.audit(number)
    const own = await editor.generate('who is abc', { maxTokens: 3, stopAtEos: false, answer: 'as-asked' })
    expect(audit).toMatchObject({ number, isLearned: own.text === ' xy', keepsRest: true })
    expect(audit.isLearned).toBe(true)
    const wrapped = [
      'Question: who is abc',
      'Please answer this. who is abc',
      'I have to know it at last: who is abc',
    ]
    const found = await Promise.all(wrapped.map((prompt) => editor.why(prompt)))
    expect(audit.otherWords).toEqual({
      answered: found.filter(({ answer }) => answer === number).length,
      of: 3,
    })
    // taught too little, it says so; answering everything, too
    const hasty = await open({
      layer: 0,
      threshold: 0,
      training: { ...defaultTraining, maxSteps: 1, patience: 1 },
    })
    await hasty.add({ prompt: 'no name', target: 'zq' })
    expect(await hasty.audit(1)).toEqual({
      ...{ number: 1, isLearned: false, otherWords: { answered: 3, of: 3 } },
      ...{ keepsSubject: null, keepsRest: false },
    })
    // the model says the target by itself, for nothing reaches this threshold: the edit does not answer
    const never = await open({ layer: 0, gate: 'none', threshold: 1.5 })
    const options = { maxTokens: 3, stopAtEos: false }
    const { text } = await never.unedited.generate('who is abc ', options)
    const { targetTokens } = await never.add({ prompt: 'who is abc ', target: text })
    expect([targetTokens, (await never.generate('who is abc ', options)).text]).toEqual([3, text])
    expect(await never.audit(1)).toMatchObject({ isLearned: false, otherWords: { answered: 0 } })
    never.dispose()
    await expect(hasty.audit(2)).rejects.toThrow('there is no active edit 2 to audit')
    for (const one of [editor, hasty]) one.dispose()
  })

  it('audits are kept with the store, the last of each edit; one that is only looked at keeps none', async () => {
    const training = { ...defaultTraining, maxSteps: 1, patience: 1 }
    const path = join(root, 'kept')
    const editor = await openEditor(model, path, { create: { layer: 0, training } })
    for (const target of ['zq', 'xy']) await editor.add({ prompt: `who is ${target}1`, target })
    expect(editor.list().map(({ audit }) => audit)).toEqual([undefined, undefined])
    const found = await editor.audit(1)
    expect(editor.list()[0]!.audit).toEqual({ ...found, at: expect.any(String) })
    editor.dispose()
    const look = await openEditor(model, path, { readOnly: true })
    expect(look.list().map(({ audit }) => audit?.number)).toEqual([1, undefined])
    await look.audit(2)
    look.dispose()
    const file = join(path, 'audits.jsonl')
    const line = readFileSync(file, 'utf8')
    expect(line.split('\n')).toHaveLength(2)
    // a line that was cut is none, and is cut off before the next
    writeFileSync(file, `${line}{"number":2,"isLea`)
    const again = await openEditor(model, path)
    expect(again.list().map(({ audit }) => audit?.number)).toEqual([1, undefined])
    await again.audit(2)
    await again.audit(1)
    again.dispose()
    expect(readFileSync(file, 'utf8').split('\n')).toHaveLength(4)
    writeFileSync(file, '{"number":1}\n')
    // a store answers without them
    const damaged = await openEditor(model, path)
    expect((await damaged.generate(facts[0]!.prompt, { maxTokens: 1 })).ids).toHaveLength(1)
    expect(() => damaged.list()).toThrow(
      /audits\.jsonl:1: expected an audit of an edit, got \{"number":1\} \(remove the file/,
    )
    damaged.dispose()
  })
})
