/** Exceptions of the check, each with its reason. */
export interface Exceptions {
  longFiles: Record<string, string>
  longFunctions: Record<string, string>
  spareExports: Record<string, string>
}

/** All findings below `source`, as messages; imports of files in `users` count as use. */
export function findings(source: string, users?: string[], exceptions?: Exceptions): string[]
