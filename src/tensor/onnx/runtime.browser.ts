/** @file Stands in for `runtime.ts` in a browser, where no runtime is chosen: the page opens one (`treeline/web`). */
import { fail } from '../../base/index.ts'
import type { RuntimeChoice } from './runtime.ts'

export const silenceRuntimeNotice = (): void => {}

export const runtime = async (): Promise<RuntimeChoice> =>
  fail(
    'TL_UNSUPPORTED',
    'no runtime: in a browser call setDefaultBackend(await openBrowserBackend()) of treeline/web first',
  )
