/**
 * Options about the preparation of references.
 *
 * @module
 */
import type { Entries } from "./option.ts";
import type { IdentityChoices } from "./settings.ts";
import { choice, face, yesOrNo } from "./types.ts";

/** These options, in the order of the list of options. */
export const identityOptions: Entries<
  IdentityChoices,
  "identity",
  "align" | "face" | "fit"
> = {
  align: {
    group: "identity",
    type: yesOrNo,
    defaultText: "as the model says",
    help: "align faces first, or not",
    details: "`weights/mini` says no: its portraits are aligned already",
    key: "align",
    recordOnlyIfGiven: true,
  },
  parse: {
    group: "identity",
    type: yesOrNo,
    default: true,
    defaultText: "yes",
    help: "blacken everything but the face, or not",
    key: "parse",
  },
  face: {
    group: "identity",
    type: face,
    defaultText: "best",
    help:
      "of several faces, the Nth (from 0, best first), the best-scoring or the largest; a list such as 0,best has one choice for each photo",
    details: "the reference implementation takes the best",
    key: "face",
    recordOnlyIfGiven: true,
  },
  requireFace: {
    group: "identity",
    type: yesOrNo,
    default: false,
    defaultText: "no",
    help: "fail where no face is found, or not",
    key: "require_face",
  },
  fit: {
    group: "identity",
    type: choice("crop", "pad"),
    defaultText: "as the reference: squeezed; cropped where not parsed",
    help: "crop a photo that is not square to its middle, or pad it with black",
    details: "a warning says what is lost",
    key: "fit",
    recordOnlyIfGiven: true,
  },
};
