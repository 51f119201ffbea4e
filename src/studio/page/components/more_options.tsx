/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * The other options of the table, folded away: a field for each by its schema.
 *
 * @module
 */
import { table } from "../../../options/table.ts";
import { samplerNames } from "../../../samplers/sampler_names.ts";
import type { ModelResource } from "../../wire/resources.ts";
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
    <details
      class="more"
      onToggle={({ currentTarget }) => {
        // Without that, what is folded out lies below the panel's edge.
        const panel = currentTarget.closest(".panel");
        const { open, offsetTop: top } = currentTarget;
        if (open) panel?.scrollTo({ top });
      }}
    >
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
  const { form, connection } = useStudio();
  const id = useId();
  const byDefault = defaultText(name, connection.model.value);
  const typed = form.texts.value[name];
  // The default has a place of its own; twice, it would be two choices.
  const known = choicesOf(name)?.filter((choice) =>
    choice !== String(table[name].default) || choice === typed
  );
  // An image may record another spelling of a name than the list has.
  const choices = known && typed !== "" && !known.includes(typed)
    ? [...known, typed]
    : known;
  const given = {
    id,
    value: typed,
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
            <option value="">{byDefault}</option>
            {choices.map((choice) => (
              <option key={choice} value={choice}>
                {choiceText(choice)}
              </option>
            ))}
          </select>
        )
        : (
          <input
            {...given}
            autocomplete="off"
            placeholder={byDefault}
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
  const names = name === "sampler" ? samplerNames : schema.enum;
  return Array.isArray(names) ? names.map(String) : null;
}

function choiceText(choice: string): string {
  const words: Readonly<Record<string, string>> = text.value.form.choices;
  return words[choice] ?? choice;
}

/** What holds where nothing is chosen. */
function defaultText(name: MoreOption, model: ModelResource | null): string {
  const { default: word, defaults } = text.value.form;
  const said = name === "align"
    ? model && choiceText(String(model.alignFaces))
    : Object.entries(defaults).find(([option]) => option === name)?.[1] ??
      choiceText(String(table[name].default));
  return said ? `${said} (${word})` : word;
}
