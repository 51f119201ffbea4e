import { assertEquals, assertThrows } from "@std/assert";
import { CheckpointConfig } from "../src/checkpoints/tables/config.ts";
import {
  ldmTextTable,
  ldmUnetTable,
  ldmVaeTable,
} from "../src/checkpoints/tables/ldm.ts";
import { ModuleNames } from "../src/checkpoints/tables/module_names.ts";
import {
  SD15_TEXT_CONFIG,
  SD15_UNET_CONFIG,
  SD15_VAE_CONFIG,
} from "../src/checkpoints/tables/stable_diffusion.ts";
import type { Table } from "../src/checkpoints/tables/table.ts";

const config = (json: Record<string, unknown>) =>
  new CheckpointConfig(json, "config.json");

/** The only name a row is looked up by. */
function names(table: Table): Record<string, string> {
  return Object.fromEntries(
    table.rows.map(({ name, from }) => [name, from[0].names[0]]),
  );
}

Deno.test("single file: every name of the UNet maps to a different name", () => {
  for (const weights of ["ema", "last"] as const) {
    const found = Object.values(
      names(ldmUnetTable(config(SD15_UNET_CONFIG), weights)),
    );
    assertEquals(found.length, 686);
    assertEquals(new Set(found).size, 686);
  }
});

Deno.test("single file: names of Stable Diffusion 1.5's UNet", () => {
  const found = names(ldmUnetTable(config(SD15_UNET_CONFIG), "last"));
  // As diffusers' own conversion of the published checkpoint has them.
  const expected: Record<string, string> = {
    "conv_in.weight": "input_blocks.0.0.weight",
    "time_embedding.linear_2.bias": "time_embed.2.bias",
    "down_blocks.0.resnets.1.norm1.weight":
      "input_blocks.2.0.in_layers.0.weight",
    "down_blocks.0.downsamplers.0.conv.bias": "input_blocks.3.0.op.bias",
    "down_blocks.1.resnets.0.conv_shortcut.weight":
      "input_blocks.4.0.skip_connection.weight",
    "down_blocks.2.attentions.1.transformer_blocks.0.attn2.to_k.weight":
      "input_blocks.8.1.transformer_blocks.0.attn2.to_k.weight",
    "down_blocks.3.resnets.1.time_emb_proj.bias":
      "input_blocks.11.0.emb_layers.1.bias",
    "mid_block.resnets.0.conv1.weight": "middle_block.0.in_layers.2.weight",
    "mid_block.attentions.0.proj_out.bias": "middle_block.1.proj_out.bias",
    "mid_block.resnets.1.norm2.bias": "middle_block.2.out_layers.0.bias",
    "up_blocks.0.upsamplers.0.conv.weight": "output_blocks.2.1.conv.weight",
    "up_blocks.1.resnets.0.conv2.weight":
      "output_blocks.3.0.out_layers.3.weight",
    "up_blocks.1.upsamplers.0.conv.weight": "output_blocks.5.2.conv.weight",
    "up_blocks.3.attentions.2.transformer_blocks.0.ff.net.0.proj.weight":
      "output_blocks.11.1.transformer_blocks.0.ff.net.0.proj.weight",
    "conv_norm_out.weight": "out.0.weight",
    "conv_out.bias": "out.2.bias",
  };
  for (const [name, other] of Object.entries(expected)) {
    assertEquals(found[name], `model.diffusion_model.${other}`);
  }
  const mean = names(ldmUnetTable(config(SD15_UNET_CONFIG), "ema"));
  assertEquals(
    mean["mid_block.resnets.0.conv1.weight"],
    "model_ema.diffusion_modelmiddle_block0in_layers2weight",
  );
});

Deno.test("single file: names of Stable Diffusion 1.5's autoencoder", () => {
  const table = ldmVaeTable(config(SD15_VAE_CONFIG), "first_stage_model.");
  const found = names(table);
  assertEquals(new Set(Object.values(found)).size, 248);
  const expected: Record<string, string> = {
    "encoder.down_blocks.1.resnets.0.conv_shortcut.weight":
      "encoder.down.1.block.0.nin_shortcut.weight",
    "encoder.down_blocks.2.downsamplers.0.conv.bias":
      "encoder.down.2.downsample.conv.bias",
    "encoder.mid_block.attentions.0.group_norm.weight":
      "encoder.mid.attn_1.norm.weight",
    "encoder.conv_norm_out.bias": "encoder.norm_out.bias",
    "decoder.mid_block.attentions.0.to_out.0.weight":
      "decoder.mid.attn_1.proj_out.weight",
    "decoder.mid_block.resnets.1.conv2.weight":
      "decoder.mid.block_2.conv2.weight",
    "decoder.up_blocks.0.resnets.2.norm1.weight":
      "decoder.up.3.block.2.norm1.weight",
    "decoder.up_blocks.0.upsamplers.0.conv.weight":
      "decoder.up.3.upsample.conv.weight",
    "decoder.up_blocks.3.resnets.0.conv_shortcut.bias":
      "decoder.up.0.block.0.nin_shortcut.bias",
    "post_quant_conv.weight": "post_quant_conv.weight",
  };
  for (const [name, other] of Object.entries(expected)) {
    assertEquals(found[name], `first_stage_model.${other}`);
  }
});

Deno.test("single file: the text encoder's names, with and without text_model", () => {
  const { rows } = ldmTextTable(config(SD15_TEXT_CONFIG));
  const { from } = rows.find(({ name }) =>
    name === "text_model.final_layer_norm.bias"
  )!;
  assertEquals(from[0].names, [
    "cond_stage_model.transformer.text_model.final_layer_norm.bias",
    "cond_stage_model.transformer.final_layer_norm.bias",
  ]);
});

Deno.test("module names: the longest path wins, unknown ones are errors", () => {
  const names = new ModuleNames();
  names.setAll("a.0", "x", { b: "y" });
  assertEquals(names.of("a.0.b.weight"), "x.y.weight");
  assertEquals(names.of("a.0.c.weight"), "x.c.weight");
  assertThrows(() => names.of("a.01.c"), RangeError, "a.01.c");
});
