/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * What the images show, and how they are made.
 *
 * @module
 */
import { useId } from "../preact.tsx";
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";
import { Fault, Help, SliderField, TextField } from "./fields.tsx";
import { ControlFold } from "./control_fold.tsx";
import { LoraFold } from "./lora_fold.tsx";
import { OptionFold, PromptFold, SizeFold } from "./option_folds.tsx";
import { StartFold } from "./start_fold.tsx";

/** The form. */
export function FormPanel() {
  const { followsPeople } = useStudio();
  const id = useId();
  const { form } = text.value;
  return (
    <>
      <section aria-labelledby={`${id}-what`}>
        <h2 id={`${id}-what`}>{form.heading}</h2>
        <TextField name="prompt" placeholder={form.promptExample} />
        <TextField name="negativePrompt" />
        <PromptFold />
      </section>
      <section aria-labelledby={`${id}-how`}>
        <h2 id={`${id}-how`}>{form.settings}</h2>
        <div class="sliders">
          <SliderField name="steps" />
          <SliderField name="numImages" />
          <SliderField name="guidanceScale" />
          {followsPeople.value && <SliderField name="idScale" />}
        </div>
        <div class="pair">
          <SeedField />
          <SizeFields />
        </div>
      </section>
      <section aria-labelledby={`${id}-more`} class="folds">
        <h2 id={`${id}-more`}>{form.more}</h2>
        <StartFold />
        <ControlFold />
        <LoraFold />
        <SizeFold />
        <OptionFold name="sampling" />
        <OptionFold name="faster" />
      </section>
    </>
  );
}

function SeedField() {
  const { form } = useStudio();
  const id = useId();
  const isWrong = form.wrong.value.has("seed");
  return (
    <div class="field">
      <div class="field-head">
        <label for={id}>{text.value.labels.seed}</label>
        <Help id={`${id}-help`} name="seed" />
        <label class="check">
          <input
            type="checkbox"
            checked={form.isRandom.value}
            onChange={({ currentTarget }) =>
              form.setRandom(currentTarget.checked)}
          />
          {text.value.form.random}
        </label>
      </div>
      <input
        id={id}
        inputMode="numeric"
        autocomplete="off"
        value={form.texts.value.seed}
        class={form.isRandom.value ? "drawn" : ""}
        aria-invalid={isWrong}
        aria-describedby={`${id}-help ${id}-fault`}
        onInput={({ currentTarget }) => {
          form.set("seed", currentTarget.value);
          form.setRandom(currentTarget.value.trim() === "");
        }}
      />
      <Fault id={`${id}-fault`} name="seed" />
    </div>
  );
}

function SizeFields() {
  const { form, connection } = useStudio();
  const id = useId();
  const { labels, form: words } = text.value;
  const size = connection.model.value?.size;
  return (
    <div
      class="field"
      role="group"
      aria-labelledby={id}
      aria-describedby={`${id}-hint`}
    >
      <div class="field-head">
        <span id={id} class="label">{words.size}</span>
        {size && (
          <p class="help" role="tooltip" id={`${id}-hint`}>
            {words.sizeHint(size.multiple, size.own)}
          </p>
        )}
      </div>
      <div class="size">
        {(["width", "height"] as const).map((name, i) => (
          <>
            {i > 0 && <span aria-hidden="true">×</span>}
            <input
              key={name}
              inputMode="numeric"
              autocomplete="off"
              aria-label={labels[name]}
              placeholder={size ? String(size.own) : ""}
              value={form.texts.value[name]}
              aria-invalid={form.wrong.value.has(name)}
              aria-describedby={`${id}-${name}`}
              onInput={({ currentTarget }) =>
                form.set(name, currentTarget.value)}
            />
          </>
        ))}
      </div>
      <Fault id={`${id}-width`} name="width" />
      <Fault id={`${id}-height`} name="height" />
    </div>
  );
}
