/** @file PyTorch archives (`.pt`, `.pth`, `.bin`): opened lazily through a restricted unpickler. */
export { openPytorch, parsePytorch } from './read.ts'
