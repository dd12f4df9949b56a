/** @file The picture of `treeline diff`: the change of every kind of tensor in every layer. */
import { percent } from '../base/index.ts'
import type { Figure, LayerMapPanel } from '../lab/index.ts'
import type { CheckpointDiff, TensorDiff } from '../merge/index.ts'

type Lab = typeof import('../lab/index.ts')

/** Kinds in the order in which data pass them; the first pattern that a name within a layer matches is its kind. */
const kinds: readonly (readonly [kind: string, group: string, pattern: RegExp])[] = [
  ['embedding', 'embedding', /embed|wte|wpe|token_type|patch|class_token|cls_token/],
  ['norm', 'norm', /norm|(^|\.)ln(_?\w*)?(\.|$)/],
  ['attention q', 'attention', /(^|\.)(q_proj|q|query|attn_q|wq)(\.|$)/],
  ['attention k', 'attention', /(^|\.)(k_proj|k|key|attn_k|wk)(\.|$)/],
  ['attention v', 'attention', /(^|\.)(v_proj|v|value|attn_v|wv)(\.|$)/],
  ['attention qkv', 'attention', /(^|\.)(qkv|qkv_proj|query_key_value|c_attn|in_proj\w*|attn_qkv)(\.|$)/],
  [
    'attention o',
    'attention',
    /(o_proj|out_proj|attn_output|attention\.output|attn\.c_proj|attn\.proj|(^|\.)o|(^|\.)wo)(\.|$)/,
  ],
  ['mlp gate', 'mlp', /gate|(^|\.)w1(\.|$)/],
  ['mlp up', 'mlp', /(^|\.|_)(up|up_proj|c_fc|fc1|w3|wi\w*|intermediate\.dense|dense_h_to_4h)(\.|$)/],
  ['mlp down', 'mlp', /(^|\.|_)(down|down_proj|c_proj|fc2|w2|output\.dense|dense_4h_to_h)(\.|$)/],
  ['head', 'head', /lm_head|(^|\.)(head|classifier|score|output)(\.|$)/],
]

/** The kind of a tensor and the group it stands with: a known one, or its own name without weight and bias. */
function kindOf(rest: string): { kind: string; group: string } {
  const found = kinds.find(([, , pattern]) => pattern.test(rest))
  if (found) return { kind: found[0], group: found[1] }
  const own = rest.replace(/\.?(weight|bias)$/, '').replace(/^\./, '')
  return { kind: own.split('.').at(-1) || 'other', group: 'other' }
}

/** ‖b − a‖ / ‖a‖ of several tensors together. */
function relative(tensors: readonly TensorDiff[]): number | null {
  const norm = (of: (one: TensorDiff) => number): number => Math.hypot(...tensors.map(of))
  const [change, size] = [norm((one) => one.change), norm((one) => one.normA)]
  if (size > 0) return change / size
  return change === 0 ? 0 : null
}

interface Cell {
  readonly kind: string
  readonly panel: string
  readonly column: string
  readonly tensors: TensorDiff[]
}

/** Draw it. */
export function diffFigure(lab: Lab, diff: CheckpointDiff): Figure {
  const cells = new Map<string, Cell>()
  const groups = new Map<string, string>()
  for (const tensor of diff.tensors) {
    const match = /^(.*?)\.(\d{1,6})(\..*)$/.exec(tensor.name)
    const { kind, group } = kindOf(match ? match[3]! : tensor.name)
    groups.set(kind, group)
    const [panel, column] = match ? [match[1]!, match[2]!] : ['outside', '']
    const key = `${kind}\n${panel}\n${column}`
    const cell = cells.get(key) ?? { kind, panel, column, tensors: [] }
    cells.set(key, cell)
    cell.tensors.push(tensor)
  }
  const order = kinds.map(([kind]) => kind)
  const place = (kind: string): number => (order.includes(kind) ? order.indexOf(kind) : order.length)
  const rows = [...groups.keys()].sort((x, y) => place(x) - place(y) || (x < y ? -1 : 1))
  const all = [...cells.values()]
  const names = [...new Set(all.map(({ panel }) => panel))].sort(
    (x, y) => Number(x === 'outside') - Number(y === 'outside'),
  )
  const shared = /^(?:\w+\.)+/.exec(names[0] ?? '')?.[0] ?? ''
  const isShared = names.every((name) => name === 'outside' || name.startsWith(shared))
  const panels = names.map((name): LayerMapPanel => {
    const own = all.filter(({ panel }) => panel === name)
    const columns = [...new Set(own.map(({ column }) => column))].sort((x, y) => Number(x) - Number(y))
    const values = rows.map((kind) =>
      columns.map((column) => {
        const cell = own.find((one) => one.kind === kind && one.column === column)
        return cell && relative(cell.tensors)
      }),
    )
    return {
      name: isShared && name !== 'outside' && names.length > 2 ? name.slice(shared.length) : name,
      columns,
      values,
    }
  })
  const breaks = rows.flatMap((kind, i) =>
    i + 1 < rows.length && groups.get(kind) !== groups.get(rows[i + 1]!) ? [i] : [],
  )
  const changed = diff.tensors.filter(({ change }) => change !== 0).length
  return lab.layerMap({
    name: 'diff',
    title: 'What has changed, and where',
    caption: `${changed} of ${diff.tensors.length} shared tensors differ; in all ‖b − a‖ is ${percent(diff.relative)} of ‖a‖. Each cell: the tensors of one kind in one layer together; a frame marks what lies above the scale, a dashed one a change from zero.`,
    rows,
    breaks,
    panels,
    valueLabel: '‖b − a‖ / ‖a‖',
    format: (value) => percent(value),
  })
}
