/**
 * @file How coherent is text that a diffusion model writes? Masked diffusion of characters: the loss of held-out text, and the
 * distance over which what is generated has the correlations of the text, against steps of training and against data.
 */
import { fail } from '../base/index.ts'
import {
  type Claim,
  cellFolder,
  claim,
  control,
  defineStudy,
  difference,
  type Estimate,
  type Findings,
  ratio,
  shownEstimate,
} from '../lab/index.ts'
import { loadParameters } from '../nn/index.ts'
import { entries, exportOnnx, random, softmax, spec, type Tensor } from '../tensor/index.ts'
import { chartsOf, tablesOf } from './text-diffusion/charts.ts'
import { type Config, config, presets } from './text-diffusion/config.ts'
import { type PreparedText, prepareText, readCorpus } from './text-diffusion/corpus.ts'
import { bestByP, lengthOf, looksAt, lossOf, ofRho, type Parts, partsOf } from './text-diffusion/estimates.ts'
import {
  type Cell,
  type Found,
  measure,
  modelFile,
  networkOf,
  openCorpus,
  type Resource,
  type Row,
} from './text-diffusion/measure.ts'

const cellsOf = ({ data }: Config): Cell[] => [
  { part: 'steps' },
  { part: 'text', shuffled: false },
  { part: 'text', shuffled: true },
  ...data.P.toSorted((a, b) => b - a).map((P): Cell => ({ part: 'data', P })),
]

const meanRho = (rho: readonly number[]): number => rho.reduce((a, b) => a + b, 0) / rho.length

/** From which step on ξ is above the distance of neighbours: before, there is nothing that could grow. */
const grown = 1

/** Each look beside the one before, once there is something that grows. */
function growthClaims({ overlaps }: Parts): Claim[] {
  const looks = looksAt(overlaps)
  return looks.slice(1).flatMap(({ step, rows }, i) => {
    const before = looks[i]!
    const [now, then] = [lengthOf(rows), lengthOf(before.rows)]
    if (!(now.value >= grown)) return []
    return [claim(`ξ after ${step} steps less that after ${before.step}`, difference(now, then)).atLeast(0)]
  })
}

/** ξ grows at least as P^(2/3): by a factor of four where P grows by eight. */
const dataPower = 2 / 3

function dataClaims(parts: Parts): Claim[] {
  const found = bestByP(parts)
  const [least, most] = [found[0], found.at(-1)]
  if (!least || !most || least === most) return []
  return [
    claim(
      `ξ of ${most.P} windows over that of ${least.P}`,
      ratio(lengthOf(most.overlaps), lengthOf(least.overlaps)),
    ).atLeast((most.P / least.P) ** dataPower),
  ]
}

function claimsOf(parts: Parts): Claim[] {
  const { losses, heldOut, shuffled, text } = parts
  const last = Math.max(...losses.map(({ step }) => step))
  const loss = lossOf(losses.filter(({ step }) => step === last))
  const over = (value: Estimate, by: number): Estimate => ({
    ...value,
    value: value.value / by,
    error: value.error === null ? null : value.error / by,
  })
  return [
    claim('held-out loss at the end, over that of the frequencies', over(loss, text.frequencies)).atMost(1),
    ...growthClaims(parts),
    ...dataClaims(parts),
    claim('held-out text: ρ(r), mean over r', ofRho(heldOut, meanRho)).equals(1, { by: 0.1 }),
    control('shuffled text: ρ(r), mean over r', ofRho(shuffled, meanRho)).vanishes({ below: 0.1 }),
  ]
}

function findings(rows: readonly Found[], given: Config): Findings {
  const parts = partsOf(rows)
  const { text, losses, overlaps } = parts
  const look = looksAt(overlaps).at(-1)!
  const loss = lossOf(losses.filter(({ step }) => step === look.step))
  const length = lengthOf(look.rows)
  const bits: Estimate = {
    ...loss,
    value: loss.value / Math.LN2,
    error: loss.error === null ? null : loss.error / Math.LN2,
  }
  const byData = bestByP(parts).map(({ P, overlaps: own }) => `${P}: ${shownEstimate(lengthOf(own))}`)
  return {
    headline: `${shownEstimate(loss)} nats a character held out, coherent over ξ = ${shownEstimate(length)} characters after ${look.step.toLocaleString('en')} steps`,
    paragraph: [
      `A transformer of ${given.layers} layers and width ${given.width} that looks both ways learned to fill in masked windows of ${given.window} characters of ${text.title}, ${text.length.toLocaleString('en')} characters of ${text.kinds} kinds.`,
      `After ${look.step.toLocaleString('en')} steps it loses ${shownEstimate(loss)} nats (${shownEstimate(bits)} bits) a character of held-out text; the frequencies of characters alone lose ${text.frequencies.toFixed(3)}.`,
      `What it generates has the correlations of the text up to a distance of ξ = ${shownEstimate(length)} characters.`,
      byData.length > 0 ? `From P windows, stopped early, ξ is ${byData.join('; ')}.` : '',
    ]
      .filter((sentence) => sentence !== '')
      .join(' '),
    numbers: [
      {
        label: 'held-out loss',
        value: shownEstimate(loss),
        note: `nats a character; ${shownEstimate(bits)} bits`,
      },
      { label: 'coherence length ξ', value: shownEstimate(length), note: `${look.step} steps` },
    ],
    claims: claimsOf(parts),
    charts: chartsOf(parts),
    tables: tablesOf(parts),
    result: {
      loss: loss.value,
      lossError: loss.error,
      bits: bits.value,
      length: Number.isFinite(length.value) ? length.value : null,
      lengthError: length.error,
    },
  }
}

export const textDiffusion = defineStudy<Config, Cell, Row, Resource, PreparedText>(import.meta.url, {
  name: 'text-diffusion',
  title: 'Masked diffusion of a text',
  resultNames: { loss: 'held-out loss', bits: 'bits a character', length: 'ξ' },
  question: 'Over which distance is text coherent that a diffusion model writes, and what does that take?',
  source: 'Favero et al. 2025, arXiv 2502.12089, Fig. 6; Shi et al. 2024, arXiv 2406.04329',
  config,
  presets,
  check({ width, heads }) {
    if (width % (2 * heads) !== 0)
      fail('TL_BAD_CONFIG', `config.heads: expected heads of an even width, got ${width} / ${heads}`)
  },
  prepare: prepareText,
  open: openCorpus,
  cells: cellsOf,
  replicas: ({ networks }, { part }) => (part === 'text' ? 1 : networks),
  // networks of every P begin alike and are looked at with the same noise
  keyed: () => [],
  cost: (cell, given) => {
    if (cell.part === 'text') return 1
    const isLong = cell.part === 'steps'
    const steps = isLong ? given.steps : Math.min(given.data.steps, 12 * cell.P)
    const window = isLong ? given.window : given.data.window
    return 6e-9 * steps * given.batchSize * window * given.layers * given.width * given.width
  },
  label: (cell) => {
    if (cell.part === 'steps') return 'long training'
    if (cell.part === 'data') return `P = ${cell.P}`
    return cell.shuffled ? 'shuffled text' : 'held-out text'
  },
  measure,
  findings,

  async network({ config: given, folder, hash }) {
    const { symbols } = await readCorpus(given)
    const network = networkOf(given, symbols.length, given.window)
    const parameters = loadParameters(
      `${cellFolder(folder, 0, 0)}/${modelFile(given.steps)}`,
      network.init(random.key(0)),
    )
    const { chunks } = exportOnnx(
      (tokens: Tensor) => softmax(network.apply(parameters, tokens)),
      [spec([1, given.window], 'i32')],
      {
        ...{ name: 'text-diffusion', inputNames: ['tokens'], outputNames: ['probabilities'] },
        metadata: {
          run: hash,
          symbols: JSON.stringify(symbols),
          weights: String(entries(parameters).length),
        },
      },
    )
    return {
      onnx: Buffer.concat(chunks),
      about: `tokens i32[1, ${given.window}], −1 where masked, else the place of the character in ${JSON.stringify(symbols.join(''))}; probabilities f32[1, ${given.window}, ${symbols.length}] of the characters`,
    }
  },
})
