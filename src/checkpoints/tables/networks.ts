/**
 * The table of any network, in diffusers', transformers' and the reference's
 * names.
 *
 * @module
 */
import type { NetworkName } from "../../weights/components.ts";
import { imageEncoderTable, textEncoderTable } from "./clip.ts";
import type { CheckpointConfig } from "./config.ts";
import { faceParserTable } from "./face_parser.ts";
import { identityAdapterTable } from "./identity_adapter.ts";
import type { Table } from "./table.ts";
import { unetTable } from "./unet.ts";
import { vaeTable } from "./vae.ts";

/** What an identity adapter depends on beside its own config. */
export interface AdapterSurroundings {
  /** The config of the UNet it is for. */
  readonly unet: () => CheckpointConfig;
  /** Width of the image encoder's states. */
  readonly imageWidth: () => number;
}

/**
 * The table of a network.
 *
 * @param config its own config, complete
 * @param around asked for an identity adapter alone
 * @throws {MasterWeaverError} `bad-checkpoint`, and what `around` throws
 */
export function networkTable(
  network: NetworkName,
  config: CheckpointConfig,
  around: AdapterSurroundings,
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
      return identityAdapterTable(config, around.unet(), around.imageWidth());
  }
}
