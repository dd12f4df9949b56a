/** @file Stands in for `workers.ts` in a browser, where a page starts its own workers. */
import { needsNode } from './needsNode.ts'

export const mapInWorkers = needsNode('work on several threads')
