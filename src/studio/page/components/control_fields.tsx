/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * A ControlNet: which, what it sees, and how much it says.
 *
 * @module
 */
import { CONTROL_PREPROCESSORS } from "../../../options/control_types.ts";
import { useId } from "../preact.tsx";
import type { ControlRow } from "../state/controls.ts";
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";
import { ControlImage } from "./control_image.tsx";
import { IconButton } from "./icon_button.tsx";
import { choiceText } from "./option_field.tsx";

/** The numbers that are typed, in order. */
const NUMBERS = ["scale", "start", "end"] as const;
type NumberName = typeof NUMBERS[number];

/** The fields of a ControlNet. */
export function ControlFields({ row, index }: {
  row: ControlRow;
  index: number;
}) {
  const { sources: { controls } } = useStudio();
  const id = useId();
  const words = text.value.controls;
  const { value: fields } = row.fields;
  const faults = controls.faults(row);
  const number = (name: NumberName, isWrong: boolean) => (
    <label>
      <span>{words[name]}</span>
      <input
        inputMode="decimal"
        autocomplete="off"
        value={fields[name]}
        aria-invalid={isWrong}
        aria-describedby={`${id}-faults`}
        onInput={({ currentTarget }) =>
          controls.set(row, { [name]: currentTarget.value })}
      />
    </label>
  );
  return (
    <div class="control" role="group" aria-label={words.name(index + 1)}>
      <div class="control-head">
        <NameSelect row={row} index={index} />
        <IconButton
          icon="close"
          label={words.remove(index + 1)}
          onClick={() => controls.remove(row)}
        />
      </div>
      <ControlImage row={row} index={index} />
      <div class="control-fields">
        <label class="wide">
          <span>{words.preprocess}</span>
          <select
            value={fields.preprocess}
            onChange={({ currentTarget }) =>
              controls.set(row, {
                preprocess: CONTROL_PREPROCESSORS[currentTarget.selectedIndex],
              })}
          >
            {CONTROL_PREPROCESSORS.map((name) => (
              <option key={name} value={name}>
                {name === "face" ? words.face : choiceText(name)}
              </option>
            ))}
          </select>
        </label>
        {NUMBERS.map((name) =>
          number(name, faults.has(name === "scale" ? name : "range"))
        )}
      </div>
      <div id={`${id}-faults`}>
        {faults.has("scale") && <p class="fault">{words.wrongScale}</p>}
        {faults.has("range") && <p class="fault">{words.wrongRange}</p>}
      </div>
    </div>
  );
}

/** Which ControlNet it is. */
function NameSelect({ row, index }: { row: ControlRow; index: number }) {
  const { sources: { controls }, extras } = useStudio();
  const id = useId();
  const words = text.value.controls;
  const { name } = row.fields.value;
  const { controlnets } = extras.names.value;
  const isKnown = name === "" || controlnets.includes(name);
  return (
    <div>
      <select
        aria-label={words.name(index + 1)}
        aria-invalid={name === ""}
        aria-describedby={`${id}-unknown`}
        value={name}
        onChange={({ currentTarget }) =>
          controls.set(row, { name: currentTarget.value })}
      >
        {name === "" && <option value="">{words.pick}</option>}
        {(isKnown ? controlnets : [...controlnets, name]).map((known) => (
          <option key={known} value={known}>{known}</option>
        ))}
      </select>
      {isKnown
        ? <span id={`${id}-unknown`} hidden />
        : <p class="fault" id={`${id}-unknown`}>{words.unknown([name])}</p>}
    </div>
  );
}
