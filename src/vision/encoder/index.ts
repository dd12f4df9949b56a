export { type MixturePart, mixtureBatches, type PictureBatch, picturesOf } from './mixture.ts'
export { prototypeLogits, prototypes } from './prototypes.ts'
export {
  type EncoderOptions,
  type EncoderParameters,
  encoderLogits,
  type PictureEncoder,
  pictureEncoder,
  type TrainEncoderOptions,
  trainEncoder,
} from './train.ts'
