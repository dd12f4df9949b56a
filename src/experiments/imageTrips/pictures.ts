/** @file Rows of round trips over t, as people look at them. */
import { blockMeans } from '../../data/index.ts'
import { type Drawn, distinct, type Figure, type GalleryItem, gallery } from '../../lab/index.ts'
import type { Shape } from './settings.ts'
import { type SourceName, sourceTitles } from './sources.ts'

/** One image before or after a round trip, as bytes. */
export interface PictureRow {
  readonly of: 'picture'
  readonly image: number
  /** False of the image before its round trip. */
  readonly after: boolean
  /** Of a round trip: whether its brightness was kept. */
  readonly good: boolean
  /** What a classifier makes of it; empty without one. */
  readonly answer: string
  readonly width: number
  readonly height: number
  readonly channels: number
  readonly pixels: readonly number[]
}

/** Pixels of a side that are kept at the most. */
const mostSide = 64

/** An image [C, H, W] in [−1, 1] as a row's bytes, smaller where it is large. */
export function pictureOf(
  values: Float32Array,
  shape: Shape,
): Pick<PictureRow, 'width' | 'height' | 'channels' | 'pixels'> {
  const [channels, height, width] = shape
  let by = 1
  while (Math.max(height, width) / by > mostSide || height % by !== 0 || width % by !== 0) by++
  const small = by === 1 ? values : blockMeans(values, shape, by)
  const [tall, wide] = [height / by, width / by]
  const shown = channels === 3 ? 3 : 1
  const pixels = Array.from({ length: tall * wide * shown }, (_, at) => {
    const value = small[(at % shown) * tall * wide + Math.floor(at / shown)]!
    return Math.max(0, Math.min(255, Math.round((value + 1) * 127.5)))
  })
  return { width: wide, height: tall, channels: shown, pixels }
}

export type PictureFound = PictureRow & Drawn & { readonly source: SourceName; readonly time: number }

/** A line for each image: as it was, then one round trip to each time. */
export function tripPictures(rows: readonly PictureFound[], source: SourceName): (() => Figure) | undefined {
  const own = rows.filter((row) => row.source === source && row.seed === rows[0]!.seed)
  if (own.length === 0) return undefined
  const times = distinct(own, 'time').sort((a, b) => a - b)
  // a handful of times, spread evenly
  const most = 8
  const shown =
    times.length <= most
      ? times
      : Array.from({ length: most }, (_, i) => times[Math.round((i * (times.length - 1)) / (most - 1))]!)
  const itemOf = (row: PictureFound, title: string): GalleryItem => ({
    title,
    ...((row.answer !== '' || !row.good) && { subtitle: row.good ? row.answer : 'rejected' }),
    image: { width: row.width, height: row.height, channels: row.channels as 1 | 3, pixels: row.pixels },
  })
  const items = distinct(own, 'image').flatMap((image) => {
    const of = own.filter((row) => row.image === image)
    const before = of.find(({ after }) => !after)!
    return [
      itemOf(before, 'before'),
      ...shown.map((time) => itemOf(of.find((row) => row.after && row.time === time)!, `${time} T`)),
    ]
  })
  const answered = own.some(({ answer }) => answer !== '')
  return () =>
    gallery({
      name: `pictures-${source}`,
      title: `Round trips of ${sourceTitles[source]}`,
      caption: `A line for each image: as it was, then after one round trip to each time.${answered ? ' Below: what the classifier makes of it.' : ''} Round trips whose brightness drifted are marked as rejected.`,
      columns: shown.length + 1,
      width: 60 * (shown.length + 1),
      items,
    })
}
