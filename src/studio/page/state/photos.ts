/**
 * The reference photos: which there are, the faces in each, and what the
 * encoder sees of them.
 *
 * @module
 */
import type { FacesResource, IdentityResource } from "../../wire/resources.ts";
import type {
  EngineError,
  PageEngine,
  PhotoChoices,
} from "../engine/engine.ts";
import { wait } from "../engine/wait.ts";
import { computed, effect, signal } from "../preact.tsx";
import type { Cell, ReadonlyCell } from "./cell.ts";
import { toEngineError } from "./engine_error.ts";
import type { RefusedFile } from "./image_slot.ts";
import {
  PhotoError,
  type PhotoFault,
  type PhotoFile,
  readPhotoFile,
} from "./photo_files.ts";

/** Something that is asked for: not yet, there, or failed. */
export type Asked<T> =
  | { readonly state: "waiting" }
  | { readonly state: "there"; readonly value: T }
  | { readonly state: "failed"; readonly error: EngineError };

/** A reference photo. */
export interface Photo extends PhotoFile {
  /** Tells photos apart. */
  readonly key: number;
  /** Where the document finds it; revoked when it is removed. */
  readonly url: string;
  /** What was found in it. */
  readonly faces: Cell<Asked<FacesResource>>;
  /** The face that somebody picked, by its place in `faces`. */
  readonly face: Cell<number | null>;
}

/** A file that was not taken. */
export interface Refused extends Omit<RefusedFile, "fault"> {
  /** Why. */
  readonly fault: PhotoFault | "too-many";
}

/** Milliseconds without a change before the encoder is asked. */
const PATIENCE = 120;

/** The reference photos. */
export class Photos {
  /** In order. */
  readonly list: Cell<readonly Photo[]> = signal([]);
  /** Those that images are made of: none where the model follows no identities. */
  readonly used: ReadonlyCell<readonly Photo[]>;
  /** Files that were not taken, of the last attempt. */
  readonly refused: Cell<readonly Refused[]> = signal([]);
  /** What the encoder sees; null where there is no photo. */
  readonly identity: Cell<Asked<IdentityResource> | null> = signal(null);
  /** How the photos are looked at, faces that were picked included. */
  readonly choices: ReadonlyCell<PhotoChoices>;
  readonly #engine: PageEngine;
  readonly #again = signal(0);
  #lastKey = 0;

  /**
   * No photos.
   *
   * @param most how many the model takes
   * @param choices what the form says of photos
   * @param mayEncode whether the encoder may be asked now: it takes turns with runs
   */
  constructor(
    engine: PageEngine,
    readonly most: ReadonlyCell<number>,
    choices: ReadonlyCell<PhotoChoices>,
    mayEncode: ReadonlyCell<boolean>,
  ) {
    this.#engine = engine;
    this.used = computed(() => most.value > 0 ? this.list.value : []);
    this.choices = computed(() => withPicked(choices.value, this.list.value));
    this.#keepIdentity(mayEncode);
  }

  /** Takes files, as far as there is room. */
  async add(files: readonly Blob[]): Promise<void> {
    this.refused.value = [];
    for (const file of files) {
      const name = file instanceof File ? file.name : "";
      const refuse = (fault: Refused["fault"]) => {
        const refused = { name, fault, bytes: file.size };
        this.refused.value = [...this.refused.value, refused];
      };
      if (this.list.value.length >= this.most.value) {
        refuse("too-many");
        continue;
      }
      try {
        this.#take(await readPhotoFile(file));
      } catch (error) {
        if (!(error instanceof PhotoError)) throw error;
        refuse(error.fault);
      }
    }
  }

  /** Takes other files instead. */
  async replace(
    files: readonly Blob[],
    faces: readonly unknown[] = [],
  ): Promise<void> {
    for (const photo of this.list.value) this.remove(photo);
    await this.add(files);
    for (const [i, photo] of this.list.value.entries()) {
      const face = faces[i];
      if (typeof face === "number") photo.face.value = face;
    }
  }

  /** Removes one. */
  remove(photo: Photo): void {
    this.list.value = this.list.value.filter((other) => other !== photo);
    URL.revokeObjectURL(photo.url);
  }

  /** Moves one by a number of places. */
  move(photo: Photo, by: number): void {
    const list = [...this.list.value];
    const from = list.indexOf(photo);
    list.splice(from, 1);
    list.splice(Math.max(0, from + by), 0, photo);
    this.list.value = list;
  }

  /** Asks once more for what failed. */
  askAgain(): void {
    for (const photo of this.list.value) {
      if (photo.faces.value.state === "failed") this.#find(photo);
    }
    this.#again.value++;
  }

  #take(file: PhotoFile): void {
    const isThere = this.list.value.some(({ hash }) => hash === file.hash);
    if (isThere || this.list.value.length >= this.most.value) return;
    const photo: Photo = {
      ...file,
      key: ++this.#lastKey,
      url: URL.createObjectURL(file.file),
      faces: signal<Asked<FacesResource>>({ state: "waiting" }),
      face: signal(null),
    };
    this.list.value = [...this.list.value, photo];
    this.#find(photo);
  }

  async #find({ file, faces }: Photo): Promise<void> {
    faces.value = { state: "waiting" };
    faces.value = await asked(this.#engine.faces(file));
  }

  /** Asks what the encoder sees whenever photos or choices change, as soon as it may be asked. */
  #keepIdentity(mayEncode: ReadonlyCell<boolean>): void {
    // The key that an answer is awaited for, or was given for.
    let asked = "", last = "", isOpen = false;
    let controller = new AbortController();
    effect(() => {
      const photos = this.used.value;
      const choices = this.choices.value;
      const isAllowed = mayEncode.value;
      const key = JSON.stringify([
        photos.map(({ hash }) => hash),
        choices,
        this.#again.value,
      ]);
      if (key === asked && (isAllowed || !isOpen)) return;
      controller.abort();
      asked = "";
      isOpen = false;
      if (key !== last) {
        this.identity.value = photos.length > 0 ? { state: "waiting" } : null;
      }
      last = key;
      if (!isAllowed || photos.length === 0) return;
      asked = key;
      isOpen = true;
      controller = new AbortController();
      this.#encode(photos, choices, controller.signal).then((isDone) => {
        if (isDone) isOpen = false;
      });
    });
  }

  /** Asks what the encoder sees; false where nobody wants to know any more. */
  async #encode(
    photos: readonly Photo[],
    choices: PhotoChoices,
    signal: AbortSignal,
  ): Promise<boolean> {
    await wait(PATIENCE, signal);
    if (signal.aborted) return false;
    const files = photos.map(({ file }) => file);
    const identity = await asked(this.#engine.identity(files, choices, signal));
    if (signal.aborted) return false;
    this.identity.value = identity;
    return true;
  }
}

/** The form's choices, with the faces that were picked on the photos. */
function withPicked(
  choices: PhotoChoices,
  photos: readonly Photo[],
): PhotoChoices {
  const picked = photos.map(({ face }) => face.value);
  if (picked.every((face) => face === null)) return choices;
  const { face: typed = "best" } = choices;
  const faces = picked.map((face, i) =>
    face ?? (typeof typed === "object" ? typed[i] ?? "best" : typed)
  );
  return { ...choices, face: faces.length === 1 ? faces[0] : faces };
}

async function asked<T>(promise: Promise<T>): Promise<Asked<T>> {
  try {
    return { state: "there", value: await promise };
  } catch (error) {
    return { state: "failed", error: toEngineError(error) };
  }
}
