/**
 * What clients of a studio are told of files: names, and not where they are.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { openCallExtras } from "../src/host/call_extras.ts";
import { checkSettings } from "../src/options/options.ts";
import {
  errorWithoutPlaces,
  withoutPlaces,
} from "../src/studio/engine/hidden_places.ts";
import { inFolder } from "./support/file_systems.ts";

Deno.test("hidden places: a broken extra file is called by its name", () =>
  inFolder(async (model) => {
    await Deno.mkdir(`${model}/loras`);
    await Deno.writeFile(`${model}/loras/film.safetensors`, new Uint8Array(9));
    const settings = checkSettings(
      { prompt: "", lora: "film" },
      { own: 64, multiple: 4 },
    );
    for (const hidden of [true, false]) {
      const error = await assertRejects(
        () =>
          openCallExtras(
            { settings, controls: [] },
            { model, hidden },
            { names: "names" },
          ),
        MasterWeaverError,
        hidden ? "Cannot use film.safetensors: " : `Cannot use ${model}/loras`,
      );
      assertEquals(error.message.includes(model), !hidden);
    }
  }));

Deno.test("hidden places: paths of the server become their last names", () => {
  const places = ["/srv/models/sd15/", "/srv", undefined, "weights/mini", "/"];
  assertEquals(
    withoutPlaces(
      "Cannot use /srv/models/sd15/unet.weave: /srv/other.weave is its own; see weights/mini",
      places,
    ),
    "Cannot use sd15/unet.weave: srv/other.weave is its own; see weights/mini",
  );
  const bug = new Error("/srv");
  assert(errorWithoutPlaces(bug, places) === bug);
  const told = errorWithoutPlaces(
    new MasterWeaverError("cannot-read", "Cannot read /srv: it is a folder"),
    places,
  );
  assert(told instanceof MasterWeaverError);
  assertEquals(
    [told.code, told.message],
    ["cannot-read", "Cannot read srv: it is a folder"],
  );
});
