/**
 * The ControlNets in the form.
 *
 * @module
 */
import type { ControlPreprocess } from "../../../options/control_types.ts";
import { MAX_CONTROL_SCALE } from "../../../options/control_types.ts";
import { fractions, number } from "../../../options/types.ts";
import { computed, signal } from "../preact.tsx";
import type { Cell, ReadonlyCell } from "./cell.ts";
import { ImageSlot } from "./image_slot.ts";
import type { ControlTexts } from "./source_texts.ts";

/** What is typed about a ControlNet. */
export type ControlFields = Omit<ControlTexts, "image">;

/** A ControlNet in the form. */
export interface ControlRow {
  /** Tells rows apart. */
  readonly key: number;
  /** What is typed. */
  readonly fields: Cell<ControlFields>;
  /** What it sees. */
  readonly slot: ImageSlot;
}

/** A part of a row that is wrong. */
export type ControlFault = "name" | "image" | "scale" | "range";

/** The most that the server takes. */
const MOST = 8;

const scales = number(-MAX_CONTROL_SCALE, MAX_CONTROL_SCALE);

/** What a new row says. */
const BLANK: ControlFields = {
  name: "",
  scale: "1",
  start: "0",
  end: "1",
  preprocess: "none",
};

/** The ControlNets in the form. */
export class Controls {
  /** In order. */
  readonly rows: Cell<readonly ControlRow[]> = signal([]);
  /** Whether any of them is wrong. */
  readonly areWrong: ReadonlyCell<boolean>;
  readonly #hasPhotos: () => boolean;
  #lastKey = 0;

  /**
   * None yet.
   *
   * @param hasPhotos whether there is a photo, which stands in for an image that is to be preprocessed
   */
  constructor(hasPhotos: () => boolean) {
    this.#hasPhotos = hasPhotos;
    this.areWrong = computed(() =>
      this.rows.value.some((row) => this.faults(row).size > 0)
    );
  }

  /** Whether there is room for another. */
  get hasRoom(): boolean {
    return this.rows.value.length < MOST;
  }

  /** Adds one. */
  add(fields: Partial<ControlFields>): ControlRow {
    const row: ControlRow = {
      key: ++this.#lastKey,
      fields: signal({ ...BLANK, ...fields }),
      slot: new ImageSlot(),
    };
    this.rows.value = [...this.rows.value, row];
    return row;
  }

  /** Changes what is typed in one. */
  set({ fields }: ControlRow, changed: Partial<ControlFields>): void {
    fields.value = { ...fields.value, ...changed };
  }

  /** Removes one. */
  remove(row: ControlRow): void {
    row.slot.remove();
    this.rows.value = this.rows.value.filter((other) => other !== row);
  }

  /** What is wrong with one. */
  faults({ fields, slot }: ControlRow): ReadonlySet<ControlFault> {
    const { name, scale, start, end, preprocess } = fields.value;
    const faults = new Set<ControlFault>();
    if (name === "") faults.add("name");
    if (!slot.image.value && !this.#canUsePhoto(preprocess)) {
      faults.add("image");
    }
    const number = scales.parse(scale.trim());
    if (number === undefined || scales.fault(number)) faults.add("scale");
    const range = fractions.parse(`${start},${end}`);
    if (range === undefined || fractions.fault(range)) faults.add("range");
    return faults;
  }

  /** All, as they are remembered. */
  texts(): ControlTexts[] {
    return this.rows.value.map(({ fields, slot }) => ({
      ...fields.value,
      image: slot.hash,
    }));
  }

  #canUsePhoto(preprocess: ControlPreprocess): boolean {
    return preprocess !== "none" && this.#hasPhotos();
  }
}
