/** @file The Random Hierarchy Model: rules, trees, exact inference, statistics, theory. */

export { authorsGrammar } from './authorsGrammar.ts'
export {
  type ClusteredTuples,
  type ClusterOptions,
  type ContextKind,
  type Contexts,
  climbScores,
  clusterTuples,
  contextFrequencies,
  contextVectors,
  contrastOf,
  expectedContrast,
  firstSymbols,
  type KMeans,
  type KMeansOptions,
  kMeans,
  type LearnerOptions,
  type Lexicon,
  learnLexicon,
  meanInverse,
  type PairScores,
  pairScores,
  type Rows,
  relabel,
  type TupleContext,
} from './clustering/index.ts'
export {
  ancestorHeight,
  type CountedCorrelations,
  countCorrelations,
  type MeanSquares,
} from './countCorrelations.ts'
export { checkCount, sampleDistinct, samplingDistinct, sliceTrees, trainTest } from './distinct.ts'
export { lastTokenInputs, nextTokenInputs, oneHot, whiten } from './encode.ts'
export { entropy, entropyGivenClass, meanOccurrences } from './entropy.ts'
export { enumerate, showCount } from './enumerate.ts'
export {
  type Evidence,
  evidenceFromText,
  readEvidence,
  readStrings,
  type Strings,
  stringsFromText,
} from './evidence.ts'
export { grammarFromText, grammarToText, readGrammar } from './format.ts'
export {
  checkShape,
  type Grammar,
  internalNodes,
  lowestLevels,
  parentsAt,
  type Shape,
  type Trees,
  tupleNumber,
} from './grammar.ts'
export { grammarHash, grammarName } from './hash.ts'
export {
  type Answer,
  exactCrossEntropy,
  type Floats,
  infer,
  inferInWorkers,
  inferUp,
  lastToken,
  type MapTrees,
  mapTree,
  marginals,
  type Question,
  samplePosterior,
  type Upward,
} from './inference/index.ts'
export { type HiddenNode, type Intervention, intervene } from './interventions.ts'
export { type MakeOptions, makeGrammar, zipf } from './make.ts'
export { parse, validity } from './parse.ts'
export { logProbability, possibleTrees } from './probability.ts'
export { growTrees, rank, ruleChoices, treeCount, unrank } from './rank.ts'
export {
  type MaybeSymbol,
  type ParsedString,
  type ParseReport,
  parseReport,
  stringsOf,
  treeLevels,
} from './report.ts'
export { readRules, rulesFromText } from './ruleFile.ts'
export { emptyTrees, expandLevel, sampleTrees, samplingTrees } from './sample.ts'
export { exchangeSynonyms } from './synonyms.ts'
export * from './theory/index.ts'
export { countedTupleClassNoise, meanTupleClassSignal, symbolsGivenClass } from './tupleClassCounts.ts'
