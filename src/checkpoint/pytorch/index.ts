/** @file PyTorch archives (`.pt`, `.pth`, `.bin`): opened lazily through a restricted unpickler; zip archives. */
export { openPytorch, parsePytorch } from './read.ts'
export { openZip, type ZipArchive, type ZipEntry } from './zip.ts'
