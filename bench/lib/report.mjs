/** @file Medians, ratios, and the table as text. */

export const sorted = (list) => [...list].sort((a, b) => a - b)

export function median(list) {
  const s = sorted(list)
  const middle = s.length >> 1
  return s.length % 2 ? s[middle] : (s[middle - 1] + s[middle]) / 2
}

/** Milliseconds with three digits that matter. */
export const milliseconds = (x) =>
  x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(x >= 1 ? 2 : 3)

const cell = (timing) => {
  if (!timing) return ''
  if (timing.error) return 'failed'
  return `${milliseconds(timing.median)} (${milliseconds(timing.least)}–${milliseconds(timing.most)})`
}

/** A measurement's summary from its rounds in milliseconds a step. */
export function summarize(rounds) {
  const s = sorted(rounds)
  return { median: median(s), least: s[0], most: s.at(-1), rounds }
}

/**
 * Ratios of a row: ours over the fastest ordinary PyTorch, over the fastest PyTorch of all, over jax-js. `ratio` is that of
 * the medians; `paired` the median over rounds of ours / theirs in the same round, which agrees with it on a quiet machine. A
 * row's `timings` maps labels to summaries.
 */
export function ratios(timings, peers) {
  const ours = timings.treeline
  const over = (labels) => {
    const present = labels.filter((label) => timings[label] && !timings[label].error)
    if (!ours || ours.error || present.length === 0) return null
    const fastest = present.reduce((a, b) => (timings[b].median < timings[a].median ? b : a))
    const theirs = timings[fastest]
    const paired = median(ours.rounds.map((t, i) => t / theirs.rounds[i]))
    return { fastest, ratio: ours.median / theirs.median, paired }
  }
  const labels = peers.map((p) => p.label)
  return {
    pytorch: over(peers.filter((p) => !p.rewritten).map((p) => p.label)),
    pytorchRewritten: over(labels),
    jax: over(['jax-js']),
  }
}

const verdict = ({ ratio }, most) => `${ratio.toFixed(2)}${ratio <= most ? '' : ` (above ${most})`}`

/** Markdown table of rows with the same number of threads. */
export function table(rows) {
  const head = [
    'step',
    'treeline',
    'PyTorch eager',
    'compiled',
    'rewritten',
    'jax-js',
    'ratio',
    'to rewritten',
  ]
  const lines = rows.map((row) => {
    const rewritten = row.ratios.pytorchRewritten?.fastest
    const others = row.peers.filter((p) => p.rewritten && row.timings[p.label])
    const best = others.sort(
      (a, b) => (row.timings[a.label].median ?? 1e9) - (row.timings[b.label].median ?? 1e9),
    )[0]
    return [
      row.name,
      cell(row.timings.treeline),
      cell(row.timings.eager),
      cell(row.timings.compiled),
      best ? `${cell(row.timings[best.label])} ${best.label}` : '',
      cell(row.timings['jax-js']),
      row.ratios.pytorch ? verdict(row.ratios.pytorch, row.most) : '',
      rewritten ? row.ratios.pytorchRewritten.ratio.toFixed(2) : '',
    ]
  })
  const all = [head, ...lines]
  const widths = head.map((_, i) => Math.max(...all.map((line) => line[i].length)))
  const show = (line) => `| ${line.map((text, i) => text.padEnd(widths[i])).join(' | ')} |`
  return [show(head), `|${widths.map((w) => '-'.repeat(w + 2)).join('|')}|`, ...lines.map(show)].join('\n')
}

export function markdown({ machine, settings, rows }) {
  const threads = [...new Set(rows.map((r) => r.threads))]
  const facts = [
    `${machine.cpu}, ${machine.cores} cores, ${machine.vector.at(-1) ?? 'no vector facts'}, ${machine.system}`,
    `Node ${machine.node}, onnxruntime ${machine.onnxruntime}, PyTorch ${machine.torch ?? 'not found'}, jax-js ${machine.jax ?? 'not installed'}`,
    `treeline ${machine.treeline}, commit ${machine.commit ?? 'unknown'}, ${machine.date}`,
    `load average before ${machine.load.join(', ')}; ${machine.busyCores.toFixed(2)} cores busy before; ${settings.rounds} rounds of about ${settings.seconds} s each`,
  ]
  const notes = rows.flatMap((row) =>
    Object.entries(row.timings)
      .filter(([, t]) => t.error)
      .map(([label, t]) => `- ${row.name}, ${row.threads} threads, ${label}: ${t.error}`),
  )
  const disturbed = rows.filter((r) => r.disturbed > 0)
  for (const r of disturbed)
    notes.push(
      `- ${r.name}, ${r.threads} threads: other programs were at work in ${r.disturbed} of ${r.measurements} measurements`,
    )
  return [
    '# Training steps against PyTorch',
    '',
    ...facts.map((f) => `- ${f}`),
    '',
    'Milliseconds a step: median (least–most) over the rounds. `ratio` is our median over that of the faster',
    'of PyTorch eager and compiled; a ratio above what the project allows itself says so. `rewritten` is the fastest of the',
    'ways in which no PyTorch user would first write the step; see bench/README.md.',
    ...threads.flatMap((n) => [
      '',
      `## ${n} ${n === 1 ? 'thread' : 'threads'}`,
      '',
      table(rows.filter((r) => r.threads === n)),
    ]),
    ...(notes.length > 0 ? ['', ...notes] : []),
    '',
  ].join('\n')
}
