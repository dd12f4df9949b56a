#!/usr/bin/env node
/** @file Entry of the program `treeline`. */
import * as node from 'node:module'

// from Node 22 on what was compiled once is kept in the system's temporary folder, and the program starts sooner
const { enableCompileCache } = node as { enableCompileCache?: () => void }
enableCompileCache?.()
const { main } = await import('./program.ts')

// not process.exit: what is still on its way into a pipe would be cut off
process.exitCode = await main(process.argv.slice(2))
