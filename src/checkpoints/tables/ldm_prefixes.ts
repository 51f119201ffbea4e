/**
 * What the names of each network start with in a single file of the original
 * latent diffusion code.
 *
 * @module
 */

/** The UNet's. */
export const LDM_UNET = "model.diffusion_model.";
/** The autoencoder's. */
export const LDM_VAE = "first_stage_model.";
/** The text encoder's, followed by transformers' names. */
export const LDM_TEXT = "cond_stage_model.transformer.";
