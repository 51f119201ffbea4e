/**
 * The tables of a single-file checkpoint in the layout of the original latent
 * diffusion code (`v1-5-pruned-emaonly.safetensors`, `.ckpt`): the networks'
 * own tables under that layout's names.
 *
 * @module
 */
import { textEncoderTable } from "./clip.ts";
import type { CheckpointConfig } from "./config.ts";
import { ldmUnetNames } from "./ldm_unet.ts";
import { LDM_TEXT, LDM_UNET, LDM_VAE } from "./ldm_prefixes.ts";
import { ldmVaeNames } from "./ldm_vae.ts";
import { SCHEDULE } from "./harmless.ts";
import type { Dropped, Table } from "./table.ts";
import { unetTable } from "./unet.ts";
import { vaeTable } from "./vae.ts";

/**
 * The UNet's running mean over training (EMA): its names have lost their dots,
 * as PyTorch allows none in a buffer's name.
 */
export const LDM_EMA = "model_ema.diffusion_model";

/** Which of a checkpoint's two sets of UNet weights. */
export type LdmWeights = "ema" | "last";

/**
 * The UNet of a single file.
 *
 * @param config diffusers' `unet/config.json`
 * @param weights the running mean, or those of the last training step, which a file without a mean has under the same names
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function ldmUnetTable(
  config: CheckpointConfig,
  weights: LdmWeights,
): Table {
  const names = ldmUnetNames(config);
  const last = renamed(unetTable(config), (name) => [
    LDM_UNET + names.of(name),
  ]);
  if (weights === "last") {
    const mean: Dropped = {
      names: /^model_ema\.diffusion_model/,
      reason: "running mean of the weights; those of the last step are used",
    };
    return { ...last, dropped: [mean, ...REST, ...others(LDM_UNET)] };
  }
  const mean = renamed(unetTable(config), (name) => [
    LDM_EMA + names.of(name).replaceAll(".", ""),
  ]);
  const replaced: Dropped = {
    names: oneOf(last),
    reason: "weights of the last training step; their running mean is used",
  };
  return { ...mean, dropped: [replaced, ...REST, ...others(LDM_UNET)] };
}

/** Matches the names that a table takes, and no other. */
function oneOf({ rows }: Table): RegExp {
  const names = rows.flatMap(({ from }) => from.flatMap(({ names }) => names));
  return new RegExp(
    `^(${names.map((name) => RegExp.escape(name)).join("|")})$`,
  );
}

/**
 * The autoencoder of a single file.
 *
 * @param config diffusers' `vae/config.json`
 * @param prefix what its names start with; empty where the file holds nothing else
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function ldmVaeTable(
  config: CheckpointConfig,
  prefix: "" | typeof LDM_VAE,
): Table {
  const names = ldmVaeNames(config);
  const table = renamed(vaeTable(config), (name) => [prefix + names.of(name)]);
  const training: Dropped = {
    names: /^first_stage_model\.(loss|model_ema)\./,
    reason: "what only training uses",
  };
  return { ...table, dropped: [training, ...REST, ...others(prefix)] };
}

/**
 * The text encoder of a single file; some leave `text_model.` out of the names.
 *
 * @param config the text model's config, complete
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function ldmTextTable(config: CheckpointConfig): Table {
  const table = renamed(textEncoderTable(config), (name) => [
    LDM_TEXT + name,
    LDM_TEXT + name.slice("text_model.".length),
  ]);
  const positions: Dropped = {
    names: /^cond_stage_model\..*\.position_ids$/,
    reason: "the numbers 0, 1, 2, … in order",
  };
  const comparing: Dropped = {
    names:
      /^cond_stage_model\.(transformer\.)?(text_model\.)?(logit_scale|text_projection(\.weight)?|visual_projection\.weight|vision_model\..*)$/,
    reason: "only for comparing texts with images",
  };
  return {
    ...table,
    dropped: [positions, comparing, ...REST, ...others("cond_stage_model.")],
  };
}

/** The networks of a file, by what their names start with. */
const NETWORKS = [LDM_UNET, LDM_VAE, "cond_stage_model."];

/**
 * The file's other networks. Unknown tensors of the network itself are not
 * dropped: the user must decide about them.
 */
function others(own: string): Dropped[] {
  return NETWORKS.filter((prefix) => prefix !== own).map((prefix) => ({
    names: new RegExp(`^${RegExp.escape(prefix)}`),
    reason: "another network of the file",
  }));
}

/** What a file holds beside its networks. */
const REST: readonly Dropped[] = [
  { names: /^model_ema\./, reason: "leftovers of the running mean" },
  SCHEDULE,
  { names: /^loss\./, reason: "networks that only training uses" },
];

function renamed(table: Table, names: (name: string) => string[]): Table {
  const rows = table.rows.map((row) => ({
    ...row,
    from: row.from.map(({ shape }) => ({ names: names(row.name), shape })),
  }));
  return { ...table, rows };
}
