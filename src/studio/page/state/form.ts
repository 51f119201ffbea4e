/**
 * What is in the form: every field as the text that was typed, checked by the
 * table of options.
 *
 * @module
 */
import { sideOf } from "../../../options/options.ts";
import { table } from "../../../options/table.ts";
import type { OptionType } from "../../../options/types.ts";
import { MAX_PROMPT, type ModelResource } from "../../wire/resources.ts";
import type { JsonSettings, PhotoChoices } from "../engine/engine.ts";
import { computed, signal } from "../preact.tsx";
import { applies, type FormGiven } from "./applies.ts";
import type { Cell, ReadonlyCell } from "./cell.ts";
import {
  allOptions,
  type FormOption,
  type GroupName,
  groups,
  imageOptions,
  mainOptions,
  photoOptions,
} from "./form_options.ts";
import {
  defaultTexts,
  type FormTexts,
  lastForm,
  textsOf,
} from "./form_texts.ts";
import { isWrongLoraText } from "./lora_rows.ts";
import { rememberAsLast } from "./remembered.ts";

/** Seeds that are drawn: short enough to be read to somebody. */
const RANDOM_SEEDS = 2 ** 31;

/** The form. */
export class Form {
  /** What is in the fields. */
  readonly texts: Cell<FormTexts>;
  /** Whether each run draws a seed of its own. */
  readonly isRandom: Cell<boolean>;
  /** Fields that are shown and whose text is no value. */
  readonly wrong: ReadonlyCell<ReadonlySet<FormOption>>;
  readonly #model: ReadonlyCell<ModelResource | null>;
  readonly #given: ReadonlyCell<FormGiven>;

  /**
   * The form as it was left.
   *
   * @param model decides which values there are, once it is known
   * @param given decides which options mean something
   */
  constructor(
    model: ReadonlyCell<ModelResource | null>,
    given: ReadonlyCell<FormGiven>,
  ) {
    this.#model = model;
    this.#given = given;
    const { texts, isRandom } = lastForm();
    this.texts = signal(texts);
    this.isRandom = signal(isRandom);
    this.wrong = computed(() =>
      new Set(
        allOptions.filter((name) => this.applies(name) && this.#isWrong(name)),
      )
    );
  }

  /** Whether an option means something with what else is in the form. */
  applies(name: FormOption): boolean {
    return applies(name, this.texts.value, this.#given.value);
  }

  /** How many options of a group are shown and not as they were. */
  changedIn(group: GroupName): number {
    return groups[group].filter((name) =>
      this.texts.value[name] !== "" && this.applies(name)
    ).length;
  }

  /** Writes into a field. */
  set(name: FormOption, text: string): void {
    this.setAll({ [name]: text });
  }

  /** Writes into several fields. */
  setAll(texts: Readonly<Partial<Record<FormOption, string>>>): void {
    this.texts.value = { ...this.texts.value, ...texts };
    this.#remember();
  }

  /** Chooses whether seeds are drawn. */
  setRandom(isRandom: boolean): void {
    this.isRandom.value = isRandom;
    this.#remember();
  }

  /** Empties the options of a group. */
  reset(group: GroupName): void {
    this.setAll(Object.fromEntries(groups[group].map((name) => [name, ""])));
  }

  /** Fills the form with what made an image; what that does not say is the default. */
  fill(settings: Readonly<Record<string, unknown>>): void {
    this.texts.value = textsOf(settings, this.#model.value?.size.own);
    this.setRandom(this.texts.value.seed === "");
  }

  /** Draws a seed where that is wanted. */
  drawSeed(): void {
    if (!this.isRandom.value && this.texts.value.seed !== "") return;
    this.set("seed", String(Math.floor(Math.random() * RANDOM_SEEDS)));
  }

  /**
   * What is to be made; no field may be wrong.
   *
   * @param hasPerson whether it shows a person, whom the identity's scale is about
   */
  settings(hasPerson: boolean): JsonSettings {
    const given = this.#values(
      mainOptions.filter((name) =>
        name !== "prompt" && name !== "seed" &&
        (hasPerson || name !== "idScale")
      ),
    );
    const { prompt, seed } = this.texts.value;
    const number = Number(seed);
    return {
      ...given,
      ...this.#values(imageOptions),
      prompt,
      negativePrompt: this.texts.value.negativePrompt,
      seed: Number.isSafeInteger(number) ? number : seed.trim(),
    };
  }

  /** How photos are looked at; a wrong field counts as empty. */
  choices(): PhotoChoices {
    return this.#values(photoOptions);
  }

  #values(names: readonly FormOption[]): Record<string, unknown> {
    const values: Record<string, unknown> = {};
    for (const name of names) {
      // A field that is empty means what it shows in grey.
      const text = this.texts.value[name].trim() || defaultTexts[name];
      if (text === "" || this.wrong.value.has(name)) continue;
      if (this.applies(name)) values[name] = table[name].type.parse(text);
    }
    return values;
  }

  #isWrong(name: FormOption): boolean {
    const text = this.texts.value[name].trim();
    if (text === "") return false;
    if (name === "prompt" || name === "negativePrompt") {
      return [...this.texts.value[name]].length > MAX_PROMPT;
    }
    if (name === "align" && text === "true" && this.cannotAlign) return true;
    if (name === "lora") return isWrongLoraText(text);
    const type = this.type(name);
    const value = type.parse(text);
    return value === undefined || type.fault(value) !== undefined;
  }

  /** Whether the model lacks what it takes to align faces. */
  get cannotAlign(): boolean {
    return this.#model.value?.faces.aligns === false;
  }

  /** What a field takes. */
  type(name: FormOption): OptionType<unknown> {
    const size = this.#model.value?.size;
    const isSide = name === "width" || name === "height";
    return isSide && size ? sideOf(size) : table[name].type;
  }

  #remember(): void {
    const form = { texts: this.texts.value, isRandom: this.isRandom.value };
    rememberAsLast("form", form);
  }
}
