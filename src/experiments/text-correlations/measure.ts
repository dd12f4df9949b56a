/** @file What is counted of a text: pairs at a distance, contexts, and the same of shuffled text. */
import { backOffLosses, blockProducts, mostContext, type Sequence } from '../../data/index.ts'
import type { Bench, Measured } from '../../lab/index.ts'
import { random } from '../../tensor/index.ts'
import type { Config } from './config.ts'
import { type DecoderRow, trainDecoder } from './decoder.ts'
import { type Prepared, someOf, splitText } from './text.ts'

export type Cell =
  | { readonly part: 'pairs'; readonly shuffled: boolean }
  | { readonly part: 'contexts'; readonly shuffled: boolean; readonly halvings: number }
  | { readonly part: 'decoder'; readonly P: number }

/** Covariances at distance t: what block `block` adds to squares and products (see `BlockProducts`). */
export interface PairRow {
  readonly of: 'pairs'
  readonly t: number
  readonly block: number
  readonly pairs: number
  readonly size: number
  readonly varied: number
  readonly norm: number
  readonly inner: number
}

/** Loss of a group of test pieces, in nats, given the n symbols before. */
export interface ContextRow {
  readonly of: 'contexts'
  readonly n: number
  readonly group: number
  /** Symbols that were counted. */
  readonly counted: number
  readonly loss: number
}

/** The text itself. */
export interface TextRow {
  readonly of: 'text'
  readonly title: string
  readonly length: number
  readonly kinds: number
}

export type Row = PairRow | ContextRow | DecoderRow | TextRow
export type Found<R extends Row = Row> = Measured<Cell, Row> & R

/** Distances about equally far apart in ln t, 1 … reach: each octave has the same weight. */
export function distancesUpTo(reach: number): number[] {
  const found: number[] = []
  for (let k = 0; ; k++) {
    const t = Math.round(2 ** (k / 3))
    if (t > reach) return found
    if (t !== found.at(-1)) found.push(t)
  }
}

const shuffle = ({ ids }: Sequence, key: random.Key): Uint16Array =>
  Uint16Array.from(random.samplePermutation(key, ids.length), (i) => ids[i]!)

/** Groups of test pieces that are left out one at a time. */
const mostGroups = 16

function contextRows(
  ids: Uint16Array,
  v: number,
  halvings: number,
  { key, config }: Pick<Bench<Config, Sequence, Prepared>, 'key' | 'config'>,
): ContextRow[] {
  const { train, validation, test } = splitText(ids, config)
  const whole = train.reduce((sum, piece) => sum + piece.length, 0)
  const counted = Math.floor(whole / 2 ** halvings)
  const most = Math.min(config.contexts, mostContext(v))
  const split = { train: someOf(train, random.foldIn(key, 1), counted), validation, test }
  const groups = Math.min(mostGroups, test.length)
  return backOffLosses(split, v, most).flatMap((losses, n) =>
    Array.from({ length: groups }, (_, group): ContextRow => {
      const own = losses.filter((_, i) => Math.floor((i * groups) / losses.length) === group)
      return { of: 'contexts', n, group, counted, loss: own.reduce((sum, x) => sum + x, 0) / own.length }
    }),
  )
}

export async function measure(cell: Cell, bench: Bench<Config, Sequence, Prepared>): Promise<Row[]> {
  const { resource, config, key, prepared, progress, signal } = bench
  const v = resource.symbols.length
  if (cell.part === 'decoder') return trainDecoder(resource, cell.P, bench)
  const ids = cell.shuffled ? shuffle(resource, random.foldIn(key, 0)) : resource.ids
  if (cell.part === 'contexts') return contextRows(ids, v, cell.halvings, bench)
  const distances = distancesUpTo(config.reach)
  const rows: Row[] = []
  if (!cell.shuffled) {
    const { title, length, symbols } = prepared
    rows.push({ of: 'text', title, length, kinds: symbols.length })
  }
  for (const [i, t] of distances.entries()) {
    signal.throwIfAborted()
    const { norms, inners, ...shared } = blockProducts(ids, v, t, config.blocks)
    rows.push(
      ...norms.map(
        (norm, block): PairRow => ({ of: 'pairs', t, block, ...shared, norm, inner: inners[block]! }),
      ),
    )
    progress((i + 1) / distances.length, `distance ${t}`)
  }
  return rows
}
