#!/usr/bin/env node
/** @file Entry of the program `treeline`. */
import { main } from './program.ts'

// not process.exit: what is still on its way into a pipe would be cut off
process.exitCode = await main(process.argv.slice(2))
