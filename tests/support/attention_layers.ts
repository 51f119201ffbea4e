/**
 * The attention layers of a UNet as diffusers counts them, written independently
 * of the tables, which are compared with it.
 *
 * @module
 */

/** What a UNet's config says of its blocks. */
export interface BlockTypes {
  /** Names of the blocks going down. */
  readonly down_block_types: readonly string[];
  /** Names of the blocks going up. */
  readonly up_block_types: readonly string[];
  /** Residual blocks of a block going down; one more going up. */
  readonly layers_per_block: number;
}

/**
 * Paths of a UNet's attention layers in the order of diffusers'
 * `attn_processors`, that in which modules are registered: down blocks, up
 * blocks, middle block; in each, attn1 before attn2.
 */
export function attentionLayers(unet: BlockTypes): string[] {
  const found: string[] = [];
  const block = (path: string, type: string, count: number) => {
    if (!type.startsWith("CrossAttn")) return;
    for (let j = 0; j < count; j++) {
      const block = `${path}.attentions.${j}.transformer_blocks.0`;
      found.push(`${block}.attn1`, `${block}.attn2`);
    }
  };
  const layers = unet.layers_per_block;
  for (const [i, type] of unet.down_block_types.entries()) {
    block(`down_blocks.${i}`, type, layers);
  }
  for (const [i, type] of unet.up_block_types.entries()) {
    block(`up_blocks.${i}`, type, layers + 1);
  }
  block("mid_block", "CrossAttn", 1);
  return found;
}
