/**
 * The table of any network, in diffusers', transformers' and the reference's
 * names.
 *
 * @module
 */
import type { NetworkComponent } from "../../weights/components.ts";
import { imageEncoderTable, textEncoderTable } from "./clip.ts";
import type { CheckpointConfig } from "./config.ts";
import { faceParserTable } from "./face_parser.ts";
import { identityAdapterTable } from "./identity_adapter.ts";
import type { Table } from "./table.ts";
import { unetTable } from "./unet.ts";
import { vaeTable } from "./vae.ts";

/** What an identity adapter depends on besides its own config. */
export interface AdapterContext {
  /** The config of the UNet it is for. */
  readonly unet: () => CheckpointConfig;
  /** Width of the image encoder's hidden states. */
  readonly imageWidth: () => number;
}

/**
 * The table of a network.
 *
 * @param config its own config, complete
 * @param context only used for an identity adapter
 * @throws {MasterWeaverError} `bad-checkpoint`, and what `context` throws
 */
export function networkTable(
  network: NetworkComponent,
  config: CheckpointConfig,
  context: AdapterContext,
): Table {
  switch (network) {
    case "unet":
      return unetTable(config);
    case "vae":
      return vaeTable(config);
    case "text_encoder":
      return textEncoderTable(config);
    case "image_encoder":
      return imageEncoderTable(config);
    case "face_parser":
      return faceParserTable(config);
    case "identity_adapter":
      return identityAdapterTable(config, context.unet(), context.imageWidth());
  }
}
