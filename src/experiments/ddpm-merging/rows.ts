/** @file Cells and rows of the study, and the parts that findings are about. */
import {
  type Drawn,
  type Estimate,
  geometricMean,
  jackknife,
  type Measured as MeasuredRow,
  mean,
  where,
} from '../../lab/index.ts'
import type { LossRow, ModelCell } from './analyse.ts'
import { type TaskName, tasks } from './losses.ts'

/** What is asked: how far both models are apart, errors at single times, losses of a merged model, images of a model. */
export type Cell =
  | { readonly part: 'weights' }
  | { readonly part: 'times'; readonly task: TaskName }
  | ModelCell
  | { readonly part: 'samples'; readonly title: string; readonly name: string }

/** Distance of both models in some of their weights, see `relativeDistance`. */
interface DistanceRow {
  readonly weights: 'te1' | 'down1' | 'all'
  readonly distance: number
}

/** Error of a task's own model at one time, in a group of images. */
interface TimeRow {
  readonly time: number
  readonly group: number
  readonly loss: number
}

/** Bytes of an image that a model drew. */
interface ImageRow {
  readonly number: number
  readonly image: readonly number[]
}

export type Row = DistanceRow | TimeRow | LossRow | ImageRow
export type Rows = readonly MeasuredRow<Cell, Row>[]

export const lossRows = (rows: Rows) =>
  rows.filter((row) => row.part === 'loss') as (ModelCell & LossRow & Drawn)[]

export const imageRows = (rows: Rows) =>
  rows.filter((row) => row.part === 'samples') as (ImageRow & { title: string; name: string } & Drawn)[]

/** Groups of images are the independent draws of a seed. */
const timeRows = (rows: Rows) =>
  (rows.filter((row) => row.part === 'times') as (TimeRow & { task: TaskName } & Drawn)[]).map((row) => ({
    ...row,
    replica: row.group,
  }))

/** Distance in some weights: it follows from the files, without an error. */
export const distanceIn = (rows: Rows, weights: DistanceRow['weights']): number =>
  (rows as readonly Partial<DistanceRow>[]).find((row) => row.weights === weights)!.distance!

/** Errors of the two checkpoints on 500 of their own test images, by PyTorch (test/fixtures/measure_ddpm.py). */
export const references: Readonly<
  Record<TaskName, readonly { readonly t: number; readonly error: number }[]>
> = {
  mnist: [
    { t: 100, error: 0.0683 },
    { t: 300, error: 0.0327 },
    { t: 600, error: 0.0084 },
    { t: 900, error: 0.0028 },
  ],
  fashion: [
    { t: 20, error: 0.3255 },
    { t: 100, error: 0.1324 },
    { t: 300, error: 0.042 },
    { t: 600, error: 0.0091 },
    { t: 900, error: 0.0037 },
  ],
}

/** Error of a task's own model at one of the times of `references`. */
export const errorAt = (rows: Rows, task: TaskName, time: number): Estimate =>
  jackknife(where(timeRows(rows), { task, time }), (own) => mean(own.map(({ loss }) => loss)))

/** Errors over those of PyTorch, geometric mean over times of both models; the error is over groups of images. */
export const overReferences = (rows: Rows): Estimate =>
  jackknife(
    timeRows(rows),
    (own) =>
      geometricMean(
        tasks.flatMap((task) =>
          references[task].map(
            ({ t, error }) => mean(where(own, { task, time: t }).map(({ loss }) => loss)) / error,
          ),
        ),
      ).value,
  )
