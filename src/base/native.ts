/**
 * @file Calls into native code from worker threads. A thread that is ended within such a call takes the process down with a
 * C++ exception, so each thread shares a gate with the main thread: how many calls it is in, and whether it may begin others.
 */
import { fail } from './errors.ts'

/** Places in a gate. */
const [isShut, inside] = [0, 1]

/** The gate of this thread; none on the main thread, which is never ended from outside. */
let own: Int32Array | undefined

export const makeGate = (): Int32Array => new Int32Array(new SharedArrayBuffer(8))

/** Native calls of this thread go through `gate` from now on. */
export function useGate(gate: Int32Array): void {
  own = gate
}

/** Let the thread begin no more native calls. */
export const shutGate = (gate: Int32Array): void => void Atomics.store(gate, isShut, 1)

/** True while the thread is in native code. */
export const isInside = (gate: Int32Array): boolean => Atomics.load(gate, inside) !== 0

/** Call native code. Throws `TL_INTERRUPTED` in a thread that is to end. */
export function native<R>(call: () => Promise<R>): Promise<R> {
  return own ? through(own, call) : call()
}

async function through<R>(gate: Int32Array, call: () => Promise<R>): Promise<R> {
  // first in, then a look: whoever shuts the gate and finds nobody inside can be sure
  Atomics.add(gate, inside, 1)
  try {
    if (Atomics.load(gate, isShut) !== 0) fail('TL_INTERRUPTED', 'interrupted')
    return await call()
  } finally {
    Atomics.sub(gate, inside, 1)
  }
}
