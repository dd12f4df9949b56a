/** @file Sets that a study fetches before it measures: progress and notices go where those of the run go. */
import type { GetDatasetOptions } from '../../data/index.ts'
import type { Preparing } from './study.ts'

/** What listens to a fetch while a run is prepared. */
export const fetchListeners = ({
  signal,
  log,
  progress,
}: Pick<Preparing, 'signal' | 'log' | 'progress'>): Required<
  Pick<GetDatasetOptions, 'signal' | 'onNotice' | 'onProgress'>
> => ({
  signal,
  onNotice: log,
  onProgress: ({ name, phase, done, total }) =>
    progress({ done, total: total ?? done, detail: `${phase} ${name}` }),
})
