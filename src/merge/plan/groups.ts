/** @file Which tensors a configuration asks for: for every output tensor its sources, its depth and its settings. */
import { didYouMean, fail } from '../../base/index.ts'
import type { MergeConfig, OutputModule, OutputSlice, Settings, Source } from '../config/index.ts'
import { isAfterLayers, joinName, type Layout } from './stacks.ts'

/** One output tensor before its inputs are looked up. */
export interface Wanted {
  readonly name: string
  /** For each source of `slice`, the tensor's name in it. */
  readonly inputs: readonly { readonly source: Source; readonly tensor: string }[]
  /** Base of this slice. */
  readonly base: string | undefined
  /** In [0, 1], for gradients. */
  readonly t: number
  /** Nearest first, without those of the source. */
  readonly settings: readonly Settings[]
  readonly depth?: { readonly layer: number; readonly count: number }
}

/** Everything that is asked for, and how many layers a stack of the output has. */
interface Groups {
  readonly wanted: readonly Wanted[]
  readonly layers?: number
}

/** Union in order of first appearance. */
const union = (lists: readonly (readonly string[])[]): string[] => [...new Set(lists.flat())]

interface Context {
  readonly config: MergeConfig
  readonly layouts: ReadonlyMap<string, Layout>
}

const settingsOf = (slice: OutputSlice, module: OutputModule, config: MergeConfig): Settings[] => [
  slice.parameters,
  module.parameters,
  config.parameters,
]

function looseGroup(
  names: readonly string[],
  slice: OutputSlice,
  module: OutputModule,
  { config }: Context,
): Wanted[] {
  return names.map((name) => ({
    name,
    inputs: slice.sources.map((source) => ({ source, tensor: name })),
    base: slice.baseModel ?? config.baseModel,
    t: 0,
    settings: settingsOf(slice, module, config),
  }))
}

/** Layers of a stack that a source gives; all of them when the file names no range. */
function rangeOf(source: Source, stack: string, { layouts }: Context): readonly [number, number] {
  const count = layouts.get(source.model)!.stacks.get(stack)?.length ?? 0
  const range = source.layers ?? [0, count]
  if (range[1] > count)
    fail(
      'TL_BAD_CONFIG',
      `${source.where}: layer_range [${range.join(', ')}]: ${source.model} has ${count} layers in ${stack}, so the end is at most ${count}`,
    )
  return range
}

function sliceGroup(
  slice: OutputSlice,
  stack: string,
  first: number,
  module: OutputModule,
  context: Context,
): { wanted: Wanted[]; count: number } {
  const { config, layouts } = context
  const ranges = slice.sources.map((source) => rangeOf(source, stack, context))
  const counts = ranges.map(([from, to]) => to - from)
  const odd = counts.findIndex((count) => count !== counts[0])
  if (odd >= 0)
    fail(
      'TL_SHAPE_MISMATCH',
      `${slice.sources[odd]!.where}: ${slice.sources[odd]!.model} has ${counts[odd]} layers in ${stack}, ${slice.sources[0]!.model} has ${counts[0]}; take equally many with slices and layer_range`,
    )
  const count = counts[0]!
  const wanted: Wanted[] = []
  for (let i = 0; i < count; i++) {
    const rests = union(
      slice.sources.map(({ model }, s) => layouts.get(model)!.stacks.get(stack)?.[ranges[s]![0] + i] ?? []),
    )
    for (const rest of rests)
      wanted.push({
        name: joinName(stack, first + i, rest),
        inputs: slice.sources.map((source, s) => ({
          source,
          tensor: joinName(stack, ranges[s]![0] + i, rest),
        })),
        base: slice.baseModel ?? config.baseModel,
        t: count > 1 ? i / (count - 1) : 1,
        settings: settingsOf(slice, module, config),
      })
  }
  return { wanted, count }
}

function stackGroups(
  stack: string,
  module: OutputModule,
  context: Context,
): { wanted: Wanted[]; count: number } {
  const wanted: Wanted[] = []
  let count = 0
  const firsts: number[] = []
  for (const slice of module.slices) {
    const part = sliceGroup(slice, stack, count, module, context)
    firsts.push(count)
    wanted.push(...part.wanted)
    count += part.count
  }
  return {
    wanted: wanted.map((one) => {
      const layer = Number(one.name.slice(stack.length + 1).split('.', 1)[0])
      return { ...one, depth: { layer, count } }
    }),
    count,
  }
}

/** Stacks and loose tensors that belong to a module. A model of one stack has one module, `default`. */
function partsOf(module: OutputModule, context: Context): { stacks: string[]; loose: string[] } {
  const layouts = [...new Set(module.slices.flatMap(({ sources }) => sources.map(({ model }) => model)))].map(
    (model) => context.layouts.get(model)!,
  )
  const stacks = union(layouts.map((layout) => [...layout.stacks.keys()]))
  const loose = union(layouts.map((layout) => layout.loose))
  const { name } = module
  if (name === undefined || (name === 'default' && stacks.length <= 1)) {
    if (module.slices.some(({ sources }) => sources.some(({ layers }) => layers)) && stacks.length !== 1)
      fail(
        'TL_BAD_CONFIG',
        `${module.where}: slices need one stack of layers, these models have ${stacks.length} (${stacks.slice(0, 6).join(', ')}); say which with modules`,
      )
    return { stacks, loose }
  }
  const belongs = (prefix: string): boolean => prefix === name || prefix.startsWith(`${name}.`)
  const own = stacks.filter(belongs)
  const elsewhere = (tensor: string): boolean =>
    !stacks.some((stack) => tensor.startsWith(`${stack.split('.')[0]}.`))
  const ownLoose = loose.filter((tensor) => (name === 'default' ? elsewhere(tensor) : belongs(tensor)))
  if (own.length === 0 && ownLoose.length === 0)
    fail(
      'TL_BAD_CONFIG',
      `${module.where}: no tensor belongs to module "${name}": ${didYouMean(name, [...stacks, 'default'])}`,
    )
  return { stacks: own, loose: ownLoose }
}

/** Every output tensor that the configuration asks for, in order: before the layers, the layers, after them. */
export function groups(config: MergeConfig, layouts: ReadonlyMap<string, Layout>): Groups {
  const context = { config, layouts }
  const wanted: Wanted[] = []
  let layers: number | undefined
  for (const module of config.modules) {
    const { stacks, loose } = partsOf(module, context)
    const [first, last] = [module.slices[0]!, module.slices.at(-1)!]
    const before = loose.filter((name) => !isAfterLayers(name))
    const after = loose.filter(isAfterLayers)
    wanted.push(...looseGroup(before, first, module, context))
    for (const stack of stacks) {
      const group = stackGroups(stack, module, context)
      wanted.push(...group.wanted)
      if (stacks.length === 1 && module.slices.some(({ sources }) => sources.some((source) => source.layers)))
        layers = group.count
    }
    wanted.push(...looseGroup(after, last, module, context))
  }
  const names = new Set<string>()
  for (const { name } of wanted) {
    if (names.has(name)) fail('TL_BAD_CONFIG', `${config.path}: two modules both write ${name}`)
    names.add(name)
  }
  return { wanted, ...(layers === undefined ? {} : { layers }) }
}
