/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * LoRAs: which, and how strongly each acts.
 *
 * @module
 */
import { useId } from "../preact.tsx";
import {
  isWrongScale,
  type LoraRow,
  loraRows,
  loraText,
} from "../state/lora_rows.ts";
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";
import { Fold } from "./fold.tsx";
import { IconButton } from "./icon_button.tsx";

/** A row for each LoRA; nothing where there are none to choose. */
export function LoraFold() {
  const { form, extras } = useStudio();
  const words = text.value.loras;
  const { loras } = extras.names.value;
  const rows = loraRows(form.texts.value.lora);
  const set = (changed: readonly LoraRow[]) =>
    form.set("lora", loraText(changed));
  if (loras.length === 0 && rows.length === 0) return null;
  const unused = loras.find((name) => !rows.some((row) => row.name === name));
  return (
    <Fold name="lora" more={Math.max(0, rows.length - 1)} resets={false}>
      {rows.map((row, i) => (
        <LoraFields
          key={i}
          row={row}
          index={i}
          onChange={(changed) => set(rows.with(i, changed))}
          onRemove={() => set(rows.toSpliced(i, 1))}
        />
      ))}
      {unused !== undefined && (
        <button
          type="button"
          onClick={() => set([...rows, { name: unused, scale: "1" }])}
        >
          {words.add}
        </button>
      )}
    </Fold>
  );
}

function LoraFields({ row, index, onChange, onRemove }: {
  row: LoraRow;
  index: number;
  onChange: (row: LoraRow) => void;
  onRemove: () => void;
}) {
  const { extras } = useStudio();
  const id = useId();
  const words = text.value.loras;
  const { loras } = extras.names.value;
  const isKnown = loras.includes(row.name);
  const isWrong = isWrongScale(row);
  return (
    <div class="lora">
      <select
        aria-label={words.name(index + 1)}
        aria-describedby={`${id}-unknown`}
        value={row.name}
        onChange={({ currentTarget }) =>
          onChange({ ...row, name: currentTarget.value })}
      >
        {(isKnown ? loras : [...loras, row.name]).map((name) => (
          <option key={name} value={name}>{name}</option>
        ))}
      </select>
      <input
        inputMode="decimal"
        autocomplete="off"
        aria-label={words.scale(index + 1)}
        aria-invalid={isWrong}
        aria-describedby={`${id}-fault`}
        value={row.scale}
        onInput={({ currentTarget }) =>
          onChange({ ...row, scale: currentTarget.value })}
      />
      <IconButton
        icon="close"
        label={words.remove(index + 1)}
        onClick={onRemove}
      />
      {isKnown
        ? <span id={`${id}-unknown`} hidden />
        : <p class="fault" id={`${id}-unknown`}>{words.unknown([row.name])}</p>}
      {isWrong
        ? <p class="fault" id={`${id}-fault`}>{words.wrong}</p>
        : <span id={`${id}-fault`} hidden />}
    </div>
  );
}
