/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * The other options of the table, folded away: a field for each by its schema.
 *
 * @module
 */
import { table } from "../../../options/table.ts";
import { useId } from "../preact.tsx";
import {
  imageOptions,
  type MoreOption,
  photoOptions,
} from "../state/form_options.ts";
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";
import { Fault } from "./fields.tsx";

/** The other options. */
export function MoreOptions() {
  const { form } = useStudio();
  const words = text.value.form;
  const changed = form.changed.value;
  return (
    <details class="more">
      <summary>
        {words.more}
        {changed > 0 && <span class="badge">{words.changed(changed)}</span>}
      </summary>
      <fieldset>
        <legend>{words.photoGroup}</legend>
        {photoOptions.map((name) => <OptionField key={name} name={name} />)}
      </fieldset>
      <fieldset>
        <legend>{words.imageGroup}</legend>
        {imageOptions.map((name) => <OptionField key={name} name={name} />)}
      </fieldset>
      {changed > 0 && (
        <button type="button" onClick={() => form.resetMore()}>
          {words.reset}
        </button>
      )}
    </details>
  );
}

function OptionField({ name }: { name: MoreOption }) {
  const { form } = useStudio();
  const id = useId();
  const choices = choicesOf(name);
  const given = {
    id,
    value: form.texts.value[name],
    "aria-describedby": `${id}-help ${id}-fault`,
    "aria-invalid": form.wrong.value.has(name),
  };
  return (
    <div class="option">
      <label for={id}>{text.value.labels[name]}</label>
      {choices
        ? (
          <select
            {...given}
            onChange={({ currentTarget }) =>
              form.set(name, currentTarget.value)}
          >
            <option value="">{defaultText(name)}</option>
            {choices.map((choice) => (
              <option key={choice} value={choice}>{choiceText(choice)}</option>
            ))}
          </select>
        )
        : (
          <input
            {...given}
            autocomplete="off"
            placeholder={defaultText(name)}
            onInput={({ currentTarget }) => form.set(name, currentTarget.value)}
          />
        )}
      <p class="hint" id={`${id}-help`}>{text.value.help[name]}</p>
      <Fault id={`${id}-fault`} name={name} />
    </div>
  );
}

/** What can be chosen; null where a value is typed. */
function choicesOf(name: MoreOption): readonly string[] | null {
  const schema = table[name].type.schema ?? {};
  if (schema.type === "boolean") return ["true", "false"];
  return Array.isArray(schema.enum) ? schema.enum.map(String) : null;
}

function choiceText(choice: string): string {
  const { yes, no } = text.value.form;
  return choice === "true" ? yes : choice === "false" ? no : choice;
}

/** What holds where nothing is chosen. */
function defaultText(name: MoreOption): string {
  const value = table[name].default;
  const word = text.value.form.default;
  return value === undefined ? word : `${choiceText(String(value))} (${word})`;
}
