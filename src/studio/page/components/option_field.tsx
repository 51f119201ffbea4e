/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * The field of a folded option, by its schema.
 *
 * @module
 */
import { table } from "../../../options/table.ts";
import { samplerNames } from "../../../samplers/sampler_names.ts";
import type { ExtrasResource, ModelResource } from "../../wire/resources.ts";
import { useId } from "../preact.tsx";
import type { MoreOption } from "../state/form_options.ts";
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";
import { Fault } from "./fields.tsx";

/** The field of an option; nothing where the option means nothing now. */
export function OptionField({ name }: { name: MoreOption }) {
  const { form, connection, extras } = useStudio();
  const id = useId();
  if (!form.applies(name)) return null;
  const byDefault = defaultText(name, connection.model.value);
  const typed = form.texts.value[name];
  // The default has a place of its own; twice, it would be two choices.
  const known = choicesOf(name, extras.names.value)?.filter((choice) =>
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
function choicesOf(
  name: MoreOption,
  { upscalers }: ExtrasResource,
): readonly string[] | null {
  if (name === "upscale") return ["lanczos", ...upscalers];
  // Latents have a place of their own: it is the default.
  if (name === "hiresUpscaler") return ["lanczos", ...upscalers];
  const schema = table[name].type.schema ?? {};
  if (schema.type === "boolean") return ["true", "false"];
  const names = name === "sampler" ? samplerNames : schema.enum;
  return Array.isArray(names) ? names.map(String) : null;
}

/** A choice in the page's words. */
export function choiceText(choice: string): string {
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
