/** @file `sweepMain.mjs FILE ROOT`: a sweep without the program around it, so that tests can begin and kill many of them. */
import { localExecutor } from '../../dist/lab/sweep/local.js'
import { planSweep } from '../../dist/lab/sweep/plan.js'
import { runSweep } from '../../dist/lab/sweep/runSweep.js'

const [file, root] = process.argv.slice(2)
const { runs } = await planSweep(file, { root, findExperiment: () => undefined })
let done = 0
await runSweep(runs, {
  executor: localExecutor(),
  root,
  parallel: 2,
  threads: 1,
  onState: ({ state, planned }) => {
    if (state === 'finished') process.stderr.write(`[${++done}/${runs.length}] done ${planned.label}\n`)
  },
})
