/** @file The page, served on this machine. */
export { type PageOptions, type ServedPage, servePage } from './serve.ts'
