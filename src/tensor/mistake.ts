/** @file Mistakes in a program under construction: errors that also name the line of the program that made them. */
import { type ErrorCode, fail as failPlainly } from '../base/index.ts'

/** ` (at program.ts:12)`: the first stack frame outside this floor, or nothing when there is none. */
function callerLine(): string {
  const limit = Error.stackTraceLimit
  // composites and nested transformations lie deep
  Error.stackTraceLimit = 100
  const frames = new Error().stack?.split('\n').slice(1) ?? []
  Error.stackTraceLimit = limit
  const frame = frames.find(
    (line) => !/[\\/](src|dist)[\\/]tensor[\\/]/.test(line) && !/node:internal|<anonymous>\)?$/.test(line),
  )
  const place = frame?.match(/\(?((?:file:\/\/)?[^()\s]+:\d+):\d+\)?$/)?.[1]
  return place ? ` (at ${place.replace('file://', '')})` : ''
}

/** As `fail`, with the caller's line at the end of the message. */
export function fail(code: ErrorCode, message: string, cause?: unknown): never {
  return failPlainly(code, message.includes(' (at ') ? message : message + callerLine(), cause)
}
