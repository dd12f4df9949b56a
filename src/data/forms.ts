/** @file Image sets in another form: some of their classes, another size, so many pictures. Bytes stay bytes. */
import { fail } from '../base/index.ts'
import { type ImageDataset, pixelStatistics, type Split } from './images.ts'
import { fitPicture, type Picture, withChannels } from './pictures/index.ts'

/** The pictures at some places of a part. */
export function chosen({ images, labels, count }: Split, places: ArrayLike<number>): Split {
  const size = images.length / count
  const out = { images: new Uint8Array(places.length * size), labels: new Uint8Array(places.length) }
  for (let i = 0; i < places.length; i++) {
    const place = places[i]!
    if (!(place < count)) fail('TL_BAD_ARGUMENT', `chosen: expected places below ${count}, got ${place}`)
    out.images.set(images.subarray(place * size, (place + 1) * size), i * size)
    out.labels[i] = labels[place]!
  }
  return { ...out, count: places.length }
}

/** The pictures of some classes, numbered anew in the order of `classes`. Throws TL_BAD_ARGUMENT for a class without pictures. */
export function ofClasses(set: ImageDataset, name: string, classes: readonly string[]): ImageDataset {
  const numbers = classes.map((one) => {
    const at = set.classes.indexOf(one)
    return at >= 0
      ? at
      : fail('TL_BAD_ARGUMENT', `${set.name}: no class "${one}", expected one of ${set.classes.join(', ')}`)
  })
  const part = (which: 'train' | 'test'): Split => {
    const { labels } = set[which]
    const places = [...labels.keys()].filter((i) => numbers.includes(labels[i]!))
    const found = chosen(set[which], places)
    const counts = new Uint32Array(classes.length)
    for (let i = 0; i < found.count; i++) {
      found.labels[i] = numbers.indexOf(found.labels[i]!)
      counts[found.labels[i]!]!++
    }
    const empty = counts.indexOf(0)
    if (empty >= 0) fail('TL_BAD_ARGUMENT', `${set.name}: class "${classes[empty]}" has no ${which} pictures`)
    return found
  }
  const [train, test] = [part('train'), part('test')]
  return { ...set, name, title: `${set.title}: ${classes.join(', ')}`, classes: [...classes], train, test }
}

/** A picture in the middle of a square: with a black border where it nearly fits, resized otherwise. */
function squared(picture: Picture, side: number): Uint8Array {
  const longest = Math.max(picture.height, picture.width)
  const fits = longest <= side && longest >= 0.75 * side
  const { height, width, data } = withChannels(fits ? picture : fitPicture(picture, [side, side]), 3)
  const [top, left] = [Math.floor((side - height) / 2), Math.floor((side - width) / 2)]
  const out = new Uint8Array(side * side * 3)
  for (let i = 0; i < height; i++)
    out.set(data.subarray(i * width * 3, (i + 1) * width * 3), ((i + top) * side + left) * 3)
  return out
}

/** All pictures as [side, side, 3]. Throws TL_BAD_ARGUMENT for pictures that are neither grey nor coloured. */
export function inSquares(set: ImageDataset, side: number): ImageDataset {
  const [height, width, channels] = set.shape
  if (channels !== 1 && channels !== 3)
    fail('TL_BAD_ARGUMENT', `${set.name}: expected pictures of 1 or 3 channels, got ${channels}`)
  if (height === side && width === side && channels === 3) return set
  const part = ({ images, labels, count }: Split): Split => {
    const [from, to] = [height * width * channels, side * side * 3]
    const out = new Uint8Array(count * to)
    for (let n = 0; n < count; n++)
      out.set(
        squared({ height, width, channels, data: images.subarray(n * from, (n + 1) * from) }, side),
        n * to,
      )
    return { images: out, labels, count }
  }
  const train = part(set.train)
  return { ...set, shape: [side, side, 3], ...pixelStatistics(train.images, 3), train, test: part(set.test) }
}
