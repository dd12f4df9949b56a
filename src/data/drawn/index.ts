export type { DrawnName } from './domains.ts'
export { type DrawnOptions, type DrawnStyleName, drawnDataset, drawnNames } from './draw.ts'
