/** @file Pictures: PNG and JPEG read with bounded memory, resized as Pillow does. */
export { cropped, type Picture, type PictureLimits, withChannels } from './picture.ts'
export { decodePicture, type ReadPictureOptions, readPicture } from './read.ts'
export { type Fit, fitPicture, type ResizeFilter, resizePicture } from './resize.ts'
