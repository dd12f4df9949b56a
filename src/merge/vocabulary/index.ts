/** @file Vocabularies of merges: the output's tokenizer, and the tables of the models as its rows. */
export { differentTokens, readVocabulary, type Vocabulary } from './build.ts'
export { type Table, type TableView, viewsOf } from './rows.ts'
export { readTokenizer } from './tokenizer.ts'
export { viewTable } from './view.ts'
export { checkTokenizer, tokenizerFiles, writeTokenizer } from './write.ts'
