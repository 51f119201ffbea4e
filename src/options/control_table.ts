/**
 * The command's options about ControlNets, which the library takes together as
 * `controls`.
 *
 * @module
 */
import {
  controlNets,
  controlPreprocessors,
  controlRanges,
  controlScales,
} from "./control_types.ts";
import type { Entries } from "./option.ts";
import type { CommandChoices } from "./settings.ts";
import { paths } from "./types.ts";

/** The command's options about ControlNets, which have no default. */
export type ControlOption =
  | "controlnet"
  | "controlImage"
  | "controlScale"
  | "controlRange"
  | "controlPreprocess";

/** These options, in the order of `--help`. */
export const controlTable: Entries<
  Pick<CommandChoices, ControlOption>,
  "command",
  ControlOption
> = {
  controlnet: {
    group: "command",
    type: controlNets,
    defaultText: "none",
    help:
      "a ControlNet, by file or by name in the model's folder controlnets; several times",
    details: "a converted `.weave` file; what several say is added up",
    key: "controlnet",
    recordOnlyIfGiven: true,
  },
  controlImage: {
    group: "command",
    type: paths,
    help:
      "what the ControlNet sees, PNG or JPEG, resized to the image's size; one for each ControlNet, in order",
    details:
      "the first reference where none is given and it is to be preprocessed",
  },
  controlScale: {
    group: "command",
    type: controlScales,
    defaultText: "1",
    help: "how strongly ControlNets are followed: once for all, or for each",
    key: "control_scale",
    recordOnlyIfGiven: true,
  },
  controlRange: {
    group: "command",
    type: controlRanges,
    defaultText: "0,1",
    help:
      "the fractions of the steps between which ControlNets run: once for all, or for each",
    key: "control_range",
    recordOnlyIfGiven: true,
  },
  controlPreprocess: {
    group: "command",
    type: controlPreprocessors,
    defaultText: "none",
    help:
      "make the control image of a photo: its edges, or its faces' landmarks as white points; once for all, or for each",
    details: "`canny` is OpenCV's, with thresholds 100 and 200",
    key: "control_preprocess",
    recordOnlyIfGiven: true,
  },
};
