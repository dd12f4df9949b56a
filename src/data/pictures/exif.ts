/** @file The one entry of EXIF metadata that changes how a picture is seen: the way the camera was held. */
import type { Orientation } from './picture.ts'

const tag = 0x0112

/** The orientation in a TIFF structure; 1 where there is none, or nothing that can be read. */
export function orientationOf(tiff: Uint8Array): Orientation {
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength)
  if (tiff.byteLength < 8) return 1
  const order = view.getUint16(0)
  if (order !== 0x4949 && order !== 0x4d4d) return 1
  const isLittle = order === 0x4949
  const start = view.getUint32(4, isLittle)
  if (view.getUint16(2, isLittle) !== 42 || start + 2 > tiff.byteLength) return 1
  const count = view.getUint16(start, isLittle)
  for (let i = 0; i < count; i++) {
    const at = start + 2 + 12 * i
    if (at + 12 > tiff.byteLength) return 1
    if (view.getUint16(at, isLittle) !== tag) continue
    const value = view.getUint16(at + 8, isLittle)
    return value >= 1 && value <= 8 ? (value as Orientation) : 1
  }
  return 1
}
