/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * ControlNets, a row each.
 *
 * @module
 */
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";
import { ControlFields } from "./control_fields.tsx";
import { Fold } from "./fold.tsx";
import { OptionField } from "./option_field.tsx";

/** The ControlNets; nothing where there are none to choose. */
export function ControlFold() {
  const { sources: { controls }, extras } = useStudio();
  const words = text.value.controls;
  const { controlnets } = extras.names.value;
  const rows = controls.rows.value;
  if (controlnets.length === 0 && rows.length === 0) return null;
  return (
    <Fold name="control" more={rows.length}>
      {rows.map((row, i) => (
        <ControlFields
          key={row.key}
          row={row}
          index={i}
        />
      ))}
      {controls.hasRoom && controlnets.length > 0 && (
        <button
          type="button"
          onClick={() =>
            controls.add({
              // Of several, people say which.
              name: controlnets.length === 1 ? controlnets[0] : "",
            })}
        >
          {words.add}
        </button>
      )}
      <OptionField name="guessMode" />
    </Fold>
  );
}
