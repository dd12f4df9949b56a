/** @file Kernels of a runtime beyond those of the standard operators; `probe.ts` finds which there are. */
export interface Kernels {
  /** Channels in a block of the runtime's own image layout on this processor (8 or 16); 0 where it has none. */
  readonly channels: number
  /** Widths of block-quantized weights that are multiplied as they are, not unpacked at every call. */
  readonly bits: ReadonlySet<number>
}

export const noKernels: Kernels = { channels: 0, bits: new Set() }
