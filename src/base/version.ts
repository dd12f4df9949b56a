/** @file The package's version, without loading anything else (Node only). */
import { readFileSync } from 'node:fs'

/** The version in Treeline's own package.json. */
export const packageVersion = (): string =>
  (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string })
    .version
