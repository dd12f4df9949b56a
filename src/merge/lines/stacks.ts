/**
 * @file Where the blocks of a network are: one row for each family of names. A new architecture is one row. What no row
 * matches (embeddings, final norms, heads) lies outside the blocks.
 */

/** Blocks that follow each other: numbered by the group of the pattern, or one block when there is no group. */
export interface Segment {
  readonly pattern: RegExp
  /** The number of the first block. Default 0. */
  readonly from?: number
  /** The block with the highest number runs first. */
  readonly descending?: boolean
}

/** Blocks that run one after the other, from input to output. */
export interface StackPattern {
  /** Families of models with such names, for people. */
  readonly family: string
  readonly stack: string
  readonly segments: readonly Segment[]
}

const row = (family: string, stack: string, ...patterns: readonly (RegExp | Segment)[]): StackPattern => ({
  family,
  stack,
  segments: patterns.map((p) => (p instanceof RegExp ? { pattern: p } : p)),
})

export const stackPatterns: readonly StackPattern[] = [
  row(
    'Llama, Mistral, Qwen, Gemma, Phi, GPT-NeoX',
    'decoder',
    /^(?:model\.|gpt_neox\.)?(?:language_model\.)?(?:model\.)?layers\.(\d+)\./,
  ),
  row('GGUF', 'decoder', /^blk\.(\d+)\./),
  row('GPT-2, GPT-J, Falcon, Qwen 1', 'decoder', /^(?:transformer\.)?h\.(\d+)\./),
  row('T5', 'encoder', /^(?:transformer\.)?encoder\.block\.(\d+)\./),
  row('T5', 'decoder', /^(?:transformer\.)?decoder\.block\.(\d+)\./),
  row('BART, Whisper', 'encoder', /^(?:model\.)?encoder\.layers\.(\d+)\./),
  row('BART, Whisper', 'decoder', /^(?:model\.)?decoder\.layers\.(\d+)\./),
  row('CLIP', 'text', /^(?:.+\.)?text_model\.encoder\.layers\.(\d+)\./),
  row('CLIP, SigLIP', 'vision', /^(?:.+\.)?vision_model\.encoder\.layers\.(\d+)\./),
  row('open_clip', 'vision', /^(?:.+\.)?visual\.transformer\.resblocks\.(\d+)\./),
  row('open_clip', 'text', /^(?:model\.)?(?:text\.)?transformer\.resblocks\.(\d+)\./),
  row('ViT, DeiT, DINOv2, BERT, RoBERTa', 'encoder', /^(?:\w+\.)?encoder\.layer\.(\d+)\./),
  row('timm ViT', 'encoder', /^(?:(?:visual|trunk|model|backbone)\.)*blocks\.(\d+)\./),
  row(
    'U-Net of diffusers',
    'unet',
    /^(?:unet\.)?down_blocks\.(\d+)\./,
    /^(?:unet\.)?mid_block\./,
    /^(?:unet\.)?up_blocks\.(\d+)\./,
  ),
  row(
    'U-Net of latent diffusion',
    'unet',
    /^(?:model\.diffusion_model\.)?input_blocks\.(\d+)\./,
    /^(?:model\.diffusion_model\.)?middle_block\./,
    /^(?:model\.diffusion_model\.)?output_blocks\.(\d+)\./,
  ),
  row('U-Net of treeline', 'unet', /^down(\d+)\.(?:block|pool)\./, /^middle\./, {
    pattern: /^up(\d+)\.(?:block|conv)\./,
    descending: true,
  }),
  // b1 … b3 go down, b4 and b5 up; the layers that change the size go with the group before (down) or after (up) them
  row(
    'DDPM of PapersReimplementations',
    'unet',
    { pattern: /^network\.(?:te|b|down)([123])\./, from: 1 },
    /^network\.(?:te_mid|b_mid)\./,
    /^network\.(?:up1|te4|b4)\./,
    /^network\.(?:up2|te5|b5)\./,
    /^network\.(?:up3|te_out|b_out)\./,
  ),
]

/** What wrappers put before the names of a network. */
export const wrapperPrefix = /^(?:base_model\.model\.|module\.|_orig_mod\.)+/

/** The last linear layer of a language model, by name. */
export const headPattern = /^(?:lm_head|embed_out|output)\.(?:weight|bias)$/
