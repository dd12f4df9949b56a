/** @file A runtime with every call through `native`: no thread may be ended within one. */
import { native } from '../../base/index.ts'
import type { OrtModule, OrtSession } from './ort.ts'

const guardedModules = new WeakMap<OrtModule, OrtModule>()

/** The same runtime, guarded; always the same object for one module, so that what is known of it stays known. */
export function guarded(ort: OrtModule): OrtModule {
  const known = guardedModules.get(ort)
  if (known) return known
  const guard = (session: OrtSession): OrtSession => ({
    run: (feeds, fetches) => native(() => session.run(feeds, fetches)),
    // a thread that is to end leaves this to its end
    release: () => native(() => session.release()).catch(() => undefined),
  })
  const made: OrtModule = {
    Tensor: ort.Tensor,
    InferenceSession: {
      create: (bytes, options) =>
        native(async () => guard((await ort.InferenceSession.create(bytes, options)) as OrtSession)),
    },
    ...(ort.memory && { memory: ort.memory }),
  }
  guardedModules.set(ort, made)
  return made
}
