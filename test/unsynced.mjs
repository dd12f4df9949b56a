/**
 * @file Files of tests need not outlive a power cut: `node --import` of this file lets them wait for no disk. Waiting was half of the
 * time of a test that writes many files. Programs that tests start wait as ever.
 */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

fs.fsyncSync = (descriptor) => void fs.fstatSync(descriptor)
fs.fdatasyncSync = fs.fsyncSync
syncBuiltinESMExports()
