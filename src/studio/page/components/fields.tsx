/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * Fields of the form, each for one option of the table.
 *
 * @module
 */
import { MAX_PROMPT } from "../../wire/resources.ts";
import { useId } from "../preact.tsx";
import {
  type FormOption,
  sliderDefaults,
  sliders,
} from "../state/form_options.ts";
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";
import type { Strings } from "../strings.ts";

/** A text of several lines. */
export function TextField(
  { name, placeholder }: {
    name: "prompt" | "negativePrompt";
    placeholder?: string;
  },
) {
  const { form } = useStudio();
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{text.value.labels[name]}</label>
      <Help id={`${id}-help`} name={name} />
      <textarea
        id={id}
        class={name}
        rows={2}
        spellcheck
        placeholder={placeholder}
        aria-invalid={form.wrong.value.has(name)}
        aria-describedby={`${id}-fault ${id}-help`}
        value={form.texts.value[name]}
        onInput={({ currentTarget }) => form.set(name, currentTarget.value)}
      />
      <Fault id={`${id}-fault`} name={name} />
    </div>
  );
}

/** A number with a slider for what is usual; more can be typed. */
export function SliderField({ name }: { name: keyof typeof sliders }) {
  const { form } = useStudio();
  const id = useId();
  const { least, most, step } = sliders[name];
  const typed = form.texts.value[name];
  const value = Number(typed.trim() === "" ? sliderDefaults[name] : typed);
  // Fields take more than is usual; then the slider does not say what holds.
  const isBeyond = value < least || value > most;
  const shown = Math.min(most, Math.max(least, value || least));
  const share = (shown - least) / (most - least);
  return (
    <div class="field">
      <div class="field-head">
        <label for={id}>{text.value.labels[name]}</label>
        <Help id={`${id}-help`} name={name} />
        <input
          id={id}
          class="number"
          inputMode="decimal"
          autocomplete="off"
          placeholder={String(sliderDefaults[name])}
          value={typed}
          aria-invalid={form.wrong.value.has(name)}
          aria-describedby={`${id}-fault ${id}-help`}
          onInput={({ currentTarget }) => form.set(name, currentTarget.value)}
        />
      </div>
      <input
        type="range"
        class={isBeyond ? "beyond" : ""}
        aria-valuetext={isBeyond ? typed : undefined}
        aria-label={text.value.labels[name]}
        min={least}
        max={most}
        step={step}
        value={shown}
        style={{ "--share": share }}
        onInput={({ currentTarget }) => form.set(name, currentTarget.value)}
      />
      <Fault id={`${id}-fault`} name={name} />
    </div>
  );
}

/** What an option means: seen while its label is pointed at, or its field is typed in. */
export function Help({ id, name }: { id: string; name: FormOption }) {
  return <p class="help" role="tooltip" id={id}>{text.value.help[name]}</p>;
}

/** What is wrong with a field, where something is. */
export function Fault({ id, name }: { id: string; name: FormOption }) {
  const { form } = useStudio();
  if (!form.wrong.value.has(name)) return <span id={id} hidden />;
  const schema = form.type(name).schema ?? {};
  return (
    <p class="fault" id={id}>
      {faultText(name, schema, form.texts.value[name], text.value.form)}
    </p>
  );
}

function faultText(
  name: FormOption,
  schema: Readonly<Record<string, unknown>>,
  typed: string,
  words: Strings["form"],
): string {
  if (name === "prompt" || name === "negativePrompt") {
    return words.wrongPrompt(MAX_PROMPT, [...typed].length);
  }
  if (name === "align") return words.wrongAlign;
  if (name === "seed") return words.wrongSeed;
  if (name === "face") return words.wrongFace;
  if (name === "guidanceRange") return words.wrongRange;
  if (name === "outpaint") return words.wrongOutpaint;
  const { type, minimum, maximum, multipleOf } = schema;
  const least = Number(minimum), most = Number(maximum), value = Number(typed);
  const isMultiple = Number.isInteger(value) && value >= least && value <= most;
  if (multipleOf !== undefined && isMultiple) {
    return words.wrongMultiple(Number(multipleOf));
  }
  return type === "integer"
    ? words.wrongWhole(least, most)
    : words.wrongNumber(least, most);
}
