/**
 * Opens the ControlNets that a call names.
 *
 * @module
 */
import type { ControlUse } from "../generate/control_input.ts";
import { readControlNet } from "../generate/controlnet_file.ts";
import type { ControlChoice } from "../options/control_choices.ts";
import { type ExtraLookup, leaveOut, readFound } from "./extra_lookup.ts";
import { type ExtraPlaces, findExtra } from "./extras.ts";
import { openConverted } from "./converted_file.ts";

/** A ControlNet as the library takes it, but for the image that it sees. */
export type OpenedControl = Omit<ControlUse, "image">;

/** ControlNets whose files are open. */
export interface OpenedControls extends AsyncDisposable {
  /** One for each choice; none where one of them was left out. */
  readonly controls: readonly OpenedControl[];
}

/**
 * Finds and opens ControlNets.
 *
 * @param choices their names, and how they are used
 * @param places where they are looked up by name
 * @param lookup where it leaves a ControlNet out, the others go with it
 * @throws {MasterWeaverError} `bad-option`, `cannot-read`, `bad-model`
 */
export async function openControlNets(
  choices: readonly ControlChoice[],
  places: ExtraPlaces,
  lookup: ExtraLookup = {},
): Promise<OpenedControls> {
  const { find = findExtra } = lookup;
  await using stack = new AsyncDisposableStack();
  const controls: OpenedControl[] = [];
  try {
    for (const { name, ...how } of choices) {
      const path = await find("controlnets", name, places);
      const net = await readFound(
        path,
        lookup,
        stack,
        () => openConverted(path, places),
        readControlNet,
      );
      controls.push({ net, ...how });
    }
  } catch (error) {
    leaveOut(error, lookup);
    controls.length = 0;
  }
  const owned = stack.move();
  return { controls, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
