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
import type { Cell, ReadonlyCell } from "./cell.ts";
import {
  type FormOption,
  imageOptions,
  mainOptions,
  type MoreOption,
  pageDefaults,
  photoOptions,
} from "./form_options.ts";
import {
  remember,
  remembered,
  rememberedInTab,
  rememberInTab,
} from "./remembered.ts";

/** Texts of the fields; an empty one stands for the default. */
export type FormTexts = Readonly<Record<FormOption, string>>;

const moreOptions: readonly MoreOption[] = [...photoOptions, ...imageOptions];
const allOptions: readonly FormOption[] = [...mainOptions, ...moreOptions];

/** Seeds that are drawn: short enough to be read to somebody. */
const RANDOM_SEEDS = 2 ** 31;

const defaults: FormTexts = {
  ...Object.fromEntries(allOptions.map((name) => [name, ""])) as FormTexts,
  negativePrompt: pageDefaults.negativePrompt,
  steps: String(pageDefaults.steps),
  numImages: String(pageDefaults.numImages),
  guidanceScale: String(pageDefaults.guidanceScale),
  idScale: String(pageDefaults.idScale),
};

/** The form. */
export class Form {
  /** What is in the fields. */
  readonly texts: Cell<FormTexts>;
  /** Whether each run draws a seed of its own. */
  readonly isRandom: Cell<boolean>;
  /** Fields whose text is no value. */
  readonly wrong: ReadonlyCell<ReadonlySet<FormOption>>;
  /** How many of the folded options are not as they were. */
  readonly changed: ReadonlyCell<number>;
  readonly #model: ReadonlyCell<ModelResource | null>;

  /**
   * The form as it was left.
   *
   * @param model decides which values there are, once it is known
   */
  constructor(model: ReadonlyCell<ModelResource | null>) {
    this.#model = model;
    const { texts, isRandom } = lastForm();
    this.texts = signal(texts);
    this.isRandom = signal(isRandom);
    this.wrong = computed(() =>
      new Set(allOptions.filter((name) => this.#isWrong(name)))
    );
    this.changed = computed(() =>
      moreOptions.filter((name) => this.texts.value[name] !== "").length
    );
  }

  /** Writes into a field. */
  set(name: FormOption, text: string): void {
    this.texts.value = { ...this.texts.value, [name]: text };
    this.#remember();
  }

  /** Chooses whether seeds are drawn. */
  setRandom(isRandom: boolean): void {
    this.isRandom.value = isRandom;
    this.#remember();
  }

  /** Empties the folded options. */
  resetMore(): void {
    const empty = Object.fromEntries(moreOptions.map((name) => [name, ""]));
    this.texts.value = { ...this.texts.value, ...empty };
    this.#remember();
  }

  /** Fills the form with what made an image; what that does not say is the default. */
  fill(settings: Readonly<Record<string, unknown>>): void {
    const texts = { ...defaults, negativePrompt: "" };
    for (const name of allOptions) {
      const value = settings[name];
      const isOwn = moreOptions.some((more) => more === name) &&
        isSame(value, table[name].default);
      if (value === undefined || value === null || isOwn) continue;
      texts[name] = String(value);
    }
    const own = this.#model.value?.size.own;
    if (texts.width === String(own) && texts.height === String(own)) {
      texts.width = texts.height = "";
    }
    this.texts.value = texts;
    this.setRandom(texts.seed === "");
  }

  /** Draws a seed where that is wanted. */
  drawSeed(): void {
    if (!this.isRandom.value && this.texts.value.seed !== "") return;
    this.set("seed", String(Math.floor(Math.random() * RANDOM_SEEDS)));
  }

  /** What is to be made; no field may be wrong. */
  settings(): JsonSettings {
    const given = this.#values(
      mainOptions.filter((name) => name !== "prompt" && name !== "seed"),
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
      const text = this.texts.value[name].trim() || defaults[name];
      if (text === "" || this.wrong.value.has(name)) continue;
      values[name] = table[name].type.parse(text);
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
    rememberInTab("form", form);
    // A new tab begins with what was typed last.
    remember("form", form);
  }
}

/** The form as it was left; what is not a text is not taken over. */
function lastForm(): { texts: FormTexts; isRandom: boolean } {
  const last = Object(rememberedInTab("form") ?? remembered("form"));
  const given = Object(last.texts);
  const texts = { ...defaults };
  for (const name of allOptions) {
    if (typeof given[name] === "string") texts[name] = given[name];
  }
  return { texts, isRandom: last.isRandom !== false };
}

function isSame(value: unknown, other: unknown): boolean {
  return JSON.stringify(value) === JSON.stringify(other);
}
