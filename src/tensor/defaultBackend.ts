/** @file The backend that programs run on when they name none: of networks, language models and edits, too. */
import { fail } from '../base/index.ts'
import { type Backend, referenceBackend } from './backend.ts'
import { onnxBackend } from './onnx/session.ts'

const named = { onnx: onnxBackend, reference: referenceBackend } as const

/** A backend by name, or one of your own (`makeOnnxBackend` for a browser). */
export type BackendChoice = keyof typeof named | Backend

const isBackend = (value: unknown): value is Backend =>
  typeof value === 'object' && value !== null && typeof (value as Partial<Backend>).compile === 'function'

// ONNX Runtime opens at the first program, in the build that TREELINE_RUNTIME names (onnx/runtime.ts)
let chosen: Backend = onnxBackend

/**
 * Let programs that name no backend run on this one, in this thread, from now on; those that are compiled stay where they are.
 * A browser calls it once, with a backend made by `makeOnnxBackend`.
 */
export function setDefaultBackend(choice: BackendChoice): void {
  chosen = backendOf(choice)
}

/** The backend that an option names; without one, the default. */
export function backendOf(choice?: BackendChoice): Backend {
  if (choice === undefined) return chosen
  if (isBackend(choice)) return choice
  if (Object.hasOwn(named, choice)) return named[choice]
  return fail(
    'TL_BAD_ARGUMENT',
    `backend: expected 'onnx', 'reference' or a backend object, got ${JSON.stringify(choice)}`,
  )
}
