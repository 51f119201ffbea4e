/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * The groups of folded options that are fields and no more.
 *
 * @module
 */
import { type GroupName, groups } from "../state/form_options.ts";
import { text } from "../state/preferences.ts";
import { Fold } from "./fold.tsx";
import { OptionField } from "./option_field.tsx";
import { SliderField } from "./fields.tsx";
import { useStudio } from "./use_studio.tsx";

/** A group whose options are fields, in the table's order. */
export function OptionFold({ name }: { name: GroupName }) {
  return (
    <Fold name={name}>
      {groups[name].map((option) => <OptionField key={option} name={option} />)}
    </Fold>
  );
}

/** How prompts are read. */
export function PromptFold() {
  const { form, extras } = useStudio();
  const { embeddings } = extras.names.value;
  const isRich = form.texts.value.promptSyntax === "a1111";
  return (
    <Fold name="prompt">
      <OptionField name="promptSyntax" />
      {isRich && embeddings.length > 0 && (
        <p class="hint">{text.value.form.embeddings(embeddings)}</p>
      )}
      <OptionField name="clipSkip" />
    </Fold>
  );
}

/** A second pass, upscaling, and what decodes. */
export function SizeFold() {
  const { form } = useStudio();
  const isFromNoise = form.applies("hiresScale");
  return (
    <Fold name="size">
      {!isFromNoise && <p class="hint">{text.value.form.noSecondPass}</p>}
      <OptionField name="hiresScale" />
      <OptionField name="hiresWidth" />
      <OptionField name="hiresHeight" />
      {form.applies("hiresStrength") && <SliderField name="hiresStrength" />}
      <OptionField name="hiresUpscaler" />
      <OptionField name="hiresSteps" />
      <OptionField name="upscale" />
      <OptionField name="upscaleBy" />
      <OptionField name="decoder" />
      <OptionField name="vaeTiling" />
    </Fold>
  );
}
