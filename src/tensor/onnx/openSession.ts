/**
 * @file Sessions of the runtime. Those of small programs are shared by programs with equal bytes and options; those of large ones
 * are given their weights beside the model.
 */
import { fail } from '../../base/index.ts'
import { lineOf, type OrtModule, type OrtSession } from './ort.ts'
import { encodeModel, joinChunks, type OnnxModel } from './proto.ts'

const turns = new WeakMap<OrtModule, Promise<unknown>>()
/**
 * Do `work` when everything asked of this runtime before is done. Nothing says whether its sessions may overlap: those of
 * onnxruntime-web share a stack and their external data.
 */
export function inTurn<T>(ort: OrtModule, work: () => Promise<T>): Promise<T> {
  const result = (turns.get(ort) ?? Promise.resolve()).then(work)
  turns.set(
    ort,
    result.catch(() => undefined),
  )
  return result
}

/** Options of every session; a backend's own come after them. */
const commonOptions = (threads: number) => ({
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  graphOptimizationLevel: 'basic',
  logSeverityLevel: 3,
})

async function create(ort: OrtModule, bytes: Uint8Array, options: object): Promise<OrtSession> {
  try {
    return (await inTurn(ort, () => ort.InferenceSession.create(bytes, options))) as OrtSession
  } catch (error) {
    return fail('TL_UNSUPPORTED', `the runtime refused the program: ${lineOf(error)}`, error)
  }
}

// --- shared sessions ---

interface SharedSession {
  readonly session: Promise<OrtSession>
  users: number
}

/** A session for one of its users, who releases it once. */
export interface SessionUse {
  readonly session: OrtSession
  readonly release: () => void
}

/** FNV-1a over 32-bit words, twice with different seeds; with the length it names a model within one process. */
function fingerprint(bytes: Uint8Array): string {
  let [a, b] = [0x811c9dc5, 0x1000193]
  for (let i = 0; i < bytes.length; i++) {
    a = Math.imul(a ^ bytes[i]!, 0x01000193)
    b = Math.imul(b ^ bytes[i]!, 0x85ebca6b) ^ (b >>> 13)
  }
  return `${bytes.length}-${(a >>> 0).toString(16)}-${(b >>> 0).toString(16)}`
}

/** Opens sessions with a backend's options; programs of equal bytes on equally many threads share one. */
export function sessionSharing(extra: object) {
  const opened = new WeakMap<OrtModule, Map<string, SharedSession>>()
  return async (ort: OrtModule, model: OnnxModel, threads: number): Promise<SessionUse> => {
    const sessions = opened.get(ort) ?? new Map<string, SharedSession>()
    opened.set(ort, sessions)
    const bytes = joinChunks(encodeModel(model))
    const id = `${fingerprint(bytes)}-${threads}`
    const shared = sessions.get(id) ?? {
      session: create(ort, bytes, { ...commonOptions(threads), ...extra }),
      users: 0,
    }
    sessions.set(id, shared)
    shared.users++
    const session = await shared.session.catch((error: unknown) => {
      sessions.delete(id)
      throw error
    })
    let released = false
    return {
      session,
      release: () => {
        if (released || --shared.users > 0) return
        released = true
        sessions.delete(id)
        void inTurn(ort, () => session.release())
      },
    }
  }
}

// --- sessions of large programs ---

/** Smaller constants stay in the model. */
const externalFrom = 4096

/** A session whose weights are handed over beside the model: nothing is joined or hashed, and no file ends at 2 GB. */
export function sessionWithWeights(
  ort: OrtModule,
  model: OnnxModel,
  threads: number,
  extra: object,
): Promise<OrtSession> {
  const external = model.initializers.filter(({ data }) => data.byteLength >= externalFrom)
  return create(ort, joinChunks(encodeModel(model, new Set(external))), {
    ...commonOptions(threads),
    // plans for memory are kept for every shape seen, without bound
    enableMemPattern: false,
    // weights packed for products are weights twice, in a memory of 4 GB; tokens are no slower without
    ...(ort.memory && { extra: { session: { disable_prepacking: '1' } } }),
    externalData: external.map(({ name, data }) => ({
      path: name,
      data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    })),
    ...extra,
  })
}
