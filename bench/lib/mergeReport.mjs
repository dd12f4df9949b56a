/** @file Whether two merges agree, and the table of the merge benchmark. */
import { openCheckpoint } from '../../dist/checkpoint/index.js'
import { median, sorted } from './report.mjs'

/** Elements compared of each tensor. */
const COMPARED = 1 << 18

/** Of the largest value of a tensor: what arithmetic in bf16 may differ from arithmetic in f32 rounded once. */
const ALLOWED = 0.01

/**
 * Compare two merged models: names, types and shapes, and for deterministic methods the first values of every tensor.
 * Returns { agrees, why?, worst, equal }: `worst` the largest difference over the tensor's largest value, `equal` the share
 * of values that are the same (both null where randomness differs).
 */
export function agreement(ours, theirs, isDeterministic) {
  const [a, b] = [openCheckpoint(ours), openCheckpoint(theirs)]
  let [worst, same, total] = [0, 0, 0]
  try {
    if (a.tensors.size !== b.tensors.size)
      return {
        agrees: false,
        why: `${a.tensors.size} tensors and ${b.tensors.size}`,
        worst: null,
        equal: null,
      }
    for (const [name, mine] of a.tensors) {
      const other = b.tensors.get(name)
      const head = (t) => t && `${t.dtype} [${t.shape.join(', ')}]`
      if (head(mine) !== head(other))
        return { agrees: false, why: `${name}: ${head(mine)} and ${head(other)}`, worst: null, equal: null }
      if (!isDeterministic) continue
      const count = Math.min(
        COMPARED,
        mine.shape.reduce((product, n) => product * n, 1),
      )
      const [x, y] = [mine.f32(0, count), other.f32(0, count)]
      let [largest, difference] = [0, 0]
      for (let i = 0; i < count; i++) {
        largest = Math.max(largest, Math.abs(y[i]))
        difference = Math.max(difference, Math.abs(x[i] - y[i]))
        if (x[i] === y[i]) same++
      }
      total += count
      if (difference > 0) worst = Math.max(worst, difference / largest)
    }
  } finally {
    a.close()
    b.close()
  }
  if (!isDeterministic) return { agrees: true, worst: null, equal: null }
  return { agrees: worst <= ALLOWED, worst, equal: same / total }
}

/** Medians over rounds, the range of the times, the largest memory. */
export function summaryOf({ rounds, error }) {
  if (error) return { error }
  const of = (name) => rounds.map((round) => round[name])
  const seconds = sorted(of('seconds'))
  const most = (name) => (of(name).includes(null) ? null : Math.max(...of(name)))
  return {
    ...{ seconds: median(seconds), least: seconds[0], most: seconds.at(-1) },
    onDiskSeconds: median(rounds.map((round) => round.seconds + round.syncSeconds)),
    processorSeconds: of('processorSeconds').includes(null) ? null : median(of('processorSeconds')),
    ...{ peakBytes: most('peakBytes'), ownPeakBytes: most('ownPeakBytes'), rounds },
  }
}

/** Wall times: mergekit's over ours (how many times faster), ours over a copy's; the last also with all bytes on disk. */
export function ratiosOf(timings) {
  const over = (a, b, key) =>
    timings[a]?.[key] && timings[b]?.[key] ? timings[a][key] / timings[b][key] : null
  return {
    faster: over('mergekit', 'treeline', 'seconds'),
    fasterBf16: over('mergekit', 'treeline bf16', 'seconds'),
    overCopy: over('treeline', 'cp', 'seconds'),
    onDiskOverCopy: over('treeline', 'cp', 'onDiskSeconds'),
    onDiskOverCopyOfInputs: over('treeline', 'cp inputs', 'onDiskSeconds'),
  }
}

const time = (x) => x.toFixed(x < 10 ? 2 : 1)
const memory = (x) =>
  x === null ? '–' : x < 1e9 ? `${Math.round(x / 1e6)} MB` : `${(x / 1e9).toFixed(2)} GB`
const times = (x) => (x === null ? '' : x.toFixed(x < 10 ? 2 : 1))

function line(row, label, timing) {
  const first = label === 'treeline' || Object.keys(row.timings)[0] === label
  const head = first ? `${row.model} ${row.method}, ${row.from}` : ''
  if (timing.error) return `| ${head} | ${label} | failed |  |  |  |  |`
  const { seconds, least, most, onDiskSeconds, processorSeconds, peakBytes, ownPeakBytes } = timing
  const cells = [
    ...[head, label, `${time(seconds)} (${time(least)}–${time(most)})`, time(onDiskSeconds)],
    ...[processorSeconds === null ? '–' : time(processorSeconds), memory(peakBytes), memory(ownPeakBytes)],
  ]
  return `| ${cells.join(' | ')} |`
}

/**
 * What speaks against a result. Ours in f32 and mergekit's in bf16 differ where a sign, rank or threshold decides; with
 * mergekit's own arithmetic that is no excuse.
 */
export function disagreement({ model, method, from, agreement: all }) {
  const [plain, same] = [all?.['treeline'], all?.['treeline bf16']]
  const judged = same ?? plain
  if (!judged || judged.agrees) return []
  const how = judged.why ?? `by ${judged.worst} of the largest value`
  return [
    `${model} ${method}, ${from}: THE SIDES DISAGREE (${same ? "with mergekit's arithmetic, " : ''}${how})`,
  ]
}

export function mergeMarkdown({ machine, forced, rows, notes }) {
  const details = rows.flatMap(({ timings, ...row }) => [
    ...Object.entries(timings)
      .filter(([, { error }]) => error)
      .map(([label, { error }]) => `${row.model} ${row.method}, ${row.from}, ${label}: ${error}`),
    ...disagreement(row),
    ...(row.disturbed > 0
      ? [
          `${row.model} ${row.method}, ${row.from}: other programs were at work in ${row.disturbed} of ${row.measurements} measurements`,
        ]
      : []),
  ])
  const equal = (a) => {
    if (!a) return ''
    if (a.why) return a.why
    if (a.equal === null) return 'names and shapes'
    return a.worst === 0
      ? 'every value equal'
      : `${(100 * a.equal).toFixed(1)} % equal, rest ≤ ${a.worst.toPrecision(1)}`
  }
  const ratios = rows.flatMap(({ model, method, from, ratios: r, agreement: a }) => [
    `| ${model} ${method}, ${from} | ${times(r.faster)} | ${times(r.overCopy)} | ${times(r.onDiskOverCopy)} | ${times(r.onDiskOverCopyOfInputs)} | ${equal(a?.['treeline'])} |`,
    ...(a?.['treeline bf16']
      ? [`|  | ${times(r.fasterBf16)} |  |  |  | bf16: ${equal(a['treeline bf16'])} |`]
      : []),
  ])
  return [
    '# Merges against mergekit',
    '',
    `- ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}`,
    `- Node ${machine.node}, Python ${machine.python ?? 'not found'}, mergekit ${machine.mergekit ?? 'not found'}`,
    `- treeline ${machine.treeline}, commit ${machine.commit ?? 'unknown'}, ${machine.date}`,
    `- load average before ${machine.load.join(', ')}; ${machine.busyCores.toFixed(2)} cores busy before${forced ? ' (forced)' : ''}; ${rows[0]?.threads ?? 0} threads on both sides`,
    '',
    'Whole programs, two bf16 models (ties and the like: and their base) merged to bf16, medians (least–most). *Until on disk*',
    'adds the time in which the system writes what waits; treeline waits for that itself, the others do not. *Resident* is',
    "the largest resident set, in which pages of files that a program maps count; *own* the program's anonymous and",
    'shared memory at its largest. `cp` copies one model, `cp inputs` all inputs. *treeline* computes in f32 and rounds once;',
    '*treeline bf16* rounds after every operation, as mergekit does: the second row of the results compares that one.',
    '',
    '| merge, weights from | side | seconds | until on disk | processor s | resident | own |',
    '|---|---|---|---|---|---|---|',
    ...rows.flatMap((row) => Object.entries(row.timings).map(([label, timing]) => line(row, label, timing))),
    '',
    '| merge, weights from | times faster than mergekit | of cp | of cp, on disk | of cp inputs, on disk | results |',
    '|---|---|---|---|---|---|',
    ...ratios,
    ...(details.length + notes.length > 0 ? ['', ...[...details, ...notes].map((note) => `- ${note}`)] : []),
    '',
  ].join('\n')
}
