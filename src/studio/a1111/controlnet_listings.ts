/**
 * What the extension sd-webui-controlnet says of itself, as this server would.
 *
 * @module
 */
import { CONTROL_PREPROCESSORS } from "../../options/control_types.ts";
import { MOST_UNITS } from "./controlnet.ts";
import type { Listing } from "./listings.ts";

/** The version of its API whose units are taken. */
const VERSION = 3;

/** What a preprocessor lets one choose, which is nothing here. */
const detail = { model_free: false, sliders: [] };

/** The answers by path. */
export const controlNetListings: Readonly<Record<string, Listing>> = {
  "/controlnet/version": [
    "Say which version of ControlNet's API this is",
    () => ({ version: VERSION }),
  ],
  "/controlnet/model_list": [
    "List the ControlNets",
    ({ controlnets }) => ({ model_list: controlnets }),
  ],
  "/controlnet/module_list": [
    "List the preprocessors of control images",
    () => ({
      module_list: CONTROL_PREPROCESSORS,
      module_detail: Object.fromEntries(
        CONTROL_PREPROCESSORS.map((name) => [name, detail]),
      ),
    }),
  ],
  "/controlnet/control_types": [
    "List which ControlNets go with which preprocessors: all with all",
    ({ controlnets }) => ({
      control_types: {
        All: {
          module_list: CONTROL_PREPROCESSORS,
          model_list: ["None", ...controlnets],
          default_option: "none",
          default_model: "None",
        },
      },
    }),
  ],
  "/controlnet/settings": [
    "Say how many units a request may have",
    () => ({ control_net_unit_count: MOST_UNITS }),
  ],
};
