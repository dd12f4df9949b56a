// Exceptions of check-house.mjs, each with its reason.

/** Files over 350 lines. */
export const longFiles = {
  'base/outputFolder.ts': 'one rule for all folders of outputs; its parts mean nothing alone',
  'merge/vector/draws.ts': 'a generator of random masks and its tables',
  'merge/vector/kernel.ts': 'one code generator: instructions in the order in which they are emitted',
}

/** Functions over 80 lines: `file name`. */
export const longFunctions = {
  'base/workers.ts map': 'state of an open resource and the functions over it',
  'base/workers.ts openWorkers': 'state of an open resource and the functions over it',
  'checkpoint/sharded.ts shardedWriter': 'state of an open resource and the functions over it',
  'cli/commands/generate.ts generateCommand': 'a list of options, their help, and what they do',
  'cli/commands/run.ts runCommand': 'a list of options, their help, and what they do',
  'cli/commands/merge.ts mergeCommand': 'a list of options, their help, and what they do',
  'cli/commands/search.ts carryOutSearch': 'a list of options, their help, and what they do',
  'cli/commands/tour.ts tourCommand': 'a list of options, their help, and what they do',
  'edit/memoir/answering.ts answeringOf': 'state of an open resource and the functions over it',
  'edit/memoir/editorContext.ts openEditorContext': 'state of an open resource and the functions over it',
  'edit/memoir/engine.ts openEngine': 'state of an open resource and the functions over it',
  'edit/memoir/gradient.ts makeDifferentiator': 'state of an open resource and the functions over it',
  'edit/memoir/program.ts exportingProgram':
    'code generator: instructions in the order in which they are emitted',
  'edit/memoir/teaching.ts teachingOf': 'state of an open resource and the functions over it',
  'edit/store/store.ts openStore': 'state of an open resource and the functions over it',
  'experiments/lifelong-editing/methods/halves.ts openHalves':
    'state of an open resource and the functions over it',
  'experiments/lifelong-editing/methods/memoir.ts row': 'one row of a table with its options',
  'experiments/lifelong-editing/methods/wise.ts open': 'state of an open resource and the functions over it',
  'experiments/lifelong-editing/methods/wise.ts wiseWith':
    'state of an open resource and the functions over it',
  'grammar/inference/combine.ts combineCode':
    'code generator: instructions in the order in which they are emitted',
  'grammar/inference/distinct.ts distinctCode':
    'code generator: instructions in the order in which they are emitted',
  'grammar/inference/drawCode.ts weighCode':
    'code generator: instructions in the order in which they are emitted',
  'grammar/inference/drawPairs.ts pairSampler': 'state of an open resource and the functions over it',
  'lab/remote/command.ts commandScheduler': 'state of an open resource and the functions over it',
  'lab/remote/redisCarrier.ts redisCarrier': 'state of an open resource and the functions over it',
  'lab/remote/redisCarrier.ts carry': 'state of an open resource and the functions over it',
  'lab/execute.ts work': 'state of an open resource and the functions over it',
  'lab/sweep/runSweep.ts runSweep': 'state of an open resource and the functions over it',
  'lm/segment.ts compileRange': 'a whole network, read from input to output',
  'tokenizer/merges.ts merger': 'state of an open resource and the functions over it',
  'tokenizer/model.ts pieceEncoder': 'state of an open resource and the functions over it',
  'lm/translate/ggufTokenizer.ts ggufTokenizer': 'state of an open resource and the functions over it',
  'merge/config/schema.ts mergeConfigSchema': 'a schema, as data',
  'merge/search/search.ts searchWith': 'state of an open resource and the functions over it',
  'merge/vector/kernel.ts encode': 'code generator: instructions in the order in which they are emitted',
  'merge/vocabulary/view.ts viewTable': 'state of an open resource and the functions over it',
  'nn/networks/transformer.ts transformer': 'a whole network, read from input to output',
  'nn/networks/unet2d.ts unet2d': 'a whole network, read from input to output',
  'nn/train/evaluate.ts overTable': 'state of an open resource and the functions over it',
  'tensor/onnx/lower.ts lower': 'code generator: instructions in the order in which they are emitted',
  'tensor/onnx/wasm/binding.ts openSession': 'state of an open resource and the functions over it',
}

/** Exports that nothing imports by name: `file name`, with the reason. */
export const spareExports = {
  'base/ownModules.ts helpResolution': 'called by a program that this file hands to another Node as text',
  'experiments/sample-complexity/measure.ts Sensitivity':
    'named in the declaration of what a file beside it exports',
}
