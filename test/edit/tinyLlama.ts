/** A tiny Llama with its tokenizer and a folder, there for the tests of a file. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { type LanguageModel, loadModel, loadTokenizer, type Tokenizer } from '../../src/lm/index.ts'
import { editableModels } from './editable.ts'

/** Opens the model before the tests of the file and gives it to `take`; all is gone after them. The folder, which is empty. */
export function withTinyLlama(
  name: string,
  take: (own: { readonly model: LanguageModel; readonly words: Tokenizer }) => void,
): string {
  const root = mkdtempSync(join(tmpdir(), `treeline-${name}-`))
  let clean = (): void => undefined
  beforeAll(async () => {
    const models = await editableModels()
    const model = loadModel(models.pathOf('llama'))
    clean = () => {
      model.dispose()
      models.clean()
    }
    take({ model, words: loadTokenizer(model.path) })
  })
  afterAll(() => {
    clean()
    rmSync(root, { recursive: true, force: true })
  })
  return root
}
