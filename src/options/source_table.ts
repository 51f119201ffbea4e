/**
 * Options about starts from an image.
 *
 * @module
 */
import { choice, integer, number, outpaint, path, yesOrNo } from "./types.ts";

/** The options of a start from an image, in the order of the list of options. */
export const sourceOptions = {
  initImage: {
    group: "command",
    type: path("FILE"),
    help: "image to start from instead of noise, PNG or JPEG",
    details: "resized to width and height",
    key: "init_image",
    recordOnlyIfGiven: true,
  },
  strength: {
    group: "image",
    type: number(0, 1),
    defaultText: "0.8",
    help:
      "how much of the initial image is changed: the share of the steps that is run",
    key: "strength",
    recordOnlyIfGiven: true,
  },
  initLatents: {
    group: "image",
    type: choice("sample", "mean"),
    defaultText: "sample, as diffusers",
    help: "the initial image's latents: drawn as its encoder says, or the mean",
    key: "init_latents",
    recordOnlyIfGiven: true,
  },
  mask: {
    group: "command",
    type: path("FILE"),
    help: "what of the initial image is repainted: what is white, PNG or JPEG",
    details: "half white and more counts as white",
    key: "mask",
    recordOnlyIfGiven: true,
  },
  maskFill: {
    group: "image",
    type: choice("original", "blur", "noise", "nothing"),
    defaultText: "original",
    help: "what is under the mask before it is repainted",
    details:
      "the original, the blurred colours around it, noise, or nothing: AUTOMATIC1111's original, fill, latent noise and latent nothing",
    key: "mask_fill",
    recordOnlyIfGiven: true,
  },
  maskBlur: {
    group: "image",
    type: integer(0, 64),
    defaultText: "0",
    help: "pixels by which the mask's edges are blurred",
    key: "mask_blur",
    recordOnlyIfGiven: true,
  },
  maskPaste: {
    group: "image",
    type: yesOrNo,
    defaultText: "yes",
    help: "put the original's pixels back outside the mask, or not",
    details: "not: they are as the autoencoder leaves them, as in diffusers",
    key: "mask_paste",
    recordOnlyIfGiven: true,
  },
  onlyMasked: {
    group: "image",
    type: yesOrNo,
    defaultText: "no",
    help:
      "make the region around the mask alone, in full size, and paste it into the initial image; or not",
    key: "only_masked",
    recordOnlyIfGiven: true,
  },
  maskPadding: {
    group: "image",
    type: integer(0, 256),
    defaultText: "32",
    help: "pixels around the mask that belong to its region",
    key: "mask_padding",
    recordOnlyIfGiven: true,
  },
  outpaint: {
    group: "image",
    type: outpaint,
    help:
      "extend the initial image at its sides by so many pixels, such as left=64,top=32, and paint what is new",
    key: "outpaint",
    recordOnlyIfGiven: true,
  },
} as const;
