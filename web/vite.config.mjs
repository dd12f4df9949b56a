// `npm run build:page`: a folder that any static host serves, with relative addresses only.
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'
import { browserTwins, runtimeFiles } from '../scripts/page/plugins.mjs'

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  base: './',
  publicDir: false,
  logLevel: 'warn',
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: false,
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1000,
  },
  worker: { format: 'es', plugins: () => [browserTwins()] },
  plugins: [browserTwins(), runtimeFiles()],
})
