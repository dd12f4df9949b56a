/**
 * @file `node bench/counterfactRelations.mjs counterfact.json > relations.json`: the templates of CounterFact's prompts by what they
 * ask, as `lifelong-editing` (`relations`) and `treeline edit … calibrate --relations` read them. The flat file has no names of
 * relations, so a template belongs to the first whose expression it matches; templates of fewer than eight facts are left out.
 */
import { readFileSync } from 'node:fs'

/** What persons are asked, and what other things are. */
const relations = {
  persons: {
    position: /position|plays as|play\? They play as/,
    language:
      /mother tongue|native language|native speaker|, a native|speaker of|speaks|spoke|writes in|language used by/,
    citizenship: /citizen/,
    occupation: /occupation|profession|works as|work as/,
    office: /holds the position|position of/,
    religion: /religion|follower of/,
    placeOfWork: /worked in|found employment|employed in|took up work|used to work/,
    employer: /employed by|works for/,
    death: /died|passed away|expired|lost their life|death/,
    birth: /born|native to|originally from|, from$|is from/,
    genre: /plays|performs|genre|performing|play\?/,
    field: /domain|field|expertise|specializes|area of/,
    team: /team|professional sport|sport/,
  },
  things: {
    officialLanguage: /official language|they understand|declares the language|language spoken/,
    languageOfWork: /language of \{\}|original language/,
    twinCity: /twin city/,
    continent: /continent/,
    network: /released on|premiere|debut|aired/,
    headquarters: /headquarter|is based in/,
    maker: /created by|developed by|produced by|product of|is developed/,
    owner: /owner|owned/,
    origin: /originat|created in|was formulated|that was created/,
    capital: /capital/,
    place: /located|can be found|, in$|is in$|within|location|situated/,
    namesake: /named/,
    law: /law in/,
    label: /label/,
  },
}
/** In this order: a template that matches two is the earlier one's. */
const order =
  'position language officialLanguage languageOfWork twinCity citizenship occupation office continent religion network headquarters placeOfWork employer maker owner death birth origin genre capital field place namesake law label team'.split(
    ' ',
  )
const least = 8
const all = { ...relations.persons, ...relations.things }

const [path] = process.argv.slice(2)
if (path === undefined) {
  console.error('usage: node bench/counterfactRelations.mjs counterfact.json > relations.json')
  process.exit(2)
}
const facts = (() => {
  try {
    const list = JSON.parse(readFileSync(path, 'utf8'))
    const isFact = ({ prompt, subject }) => typeof prompt === 'string' && typeof subject === 'string'
    if (Array.isArray(list) && list.every(isFact)) return list
    throw new Error('expected a list of facts, each with a prompt and a subject')
  } catch (error) {
    console.error(`${path}: ${error.message}`)
    return process.exit(1)
  }
})()
/** @type {Map<string, Map<string, number>>} */
const found = new Map(order.map((name) => [name, new Map()]))
for (const { prompt, subject } of facts) {
  const parts = prompt.split(subject)
  if (parts.length !== 2) continue
  const template = parts.join('{}')
  const name = order.find((one) => all[one].test(template))
  const counts = name && found.get(name)
  if (counts) counts.set(template, (counts.get(template) ?? 0) + 1)
}
const kinds = Object.values(relations).map((own) => {
  const wordings = order
    .filter((name) => name in own)
    .map((name) => [...found.get(name)].filter(([, count]) => count >= least).map(([template]) => template))
    .filter((list) => list.length >= 2)
  // a scope needs subjects; evaluation does not look at them
  const isOwn = ({ prompt, subject }) => wordings.flat().includes(prompt.split(subject).join('{}'))
  return {
    subjects: facts
      .filter(isOwn)
      .slice(-6)
      .map(({ subject }) => subject),
    relations: wordings,
  }
})
process.stdout.write(`${JSON.stringify(kinds, null, 1)}\n`)
