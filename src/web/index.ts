/** @file The engine in a browser. */
export { type BrowserBackend, type BrowserBackendOptions, openBrowserBackend } from './browserBackend.ts'
