/** @file Stands in for `folder.ts` in a browser, which has no folders. */
import { needsNode } from '../../base/index.ts'

export const findImageModel = needsNode('a folder of a diffusion model')
export const readScheduler = needsNode('a folder of a diffusion model')
