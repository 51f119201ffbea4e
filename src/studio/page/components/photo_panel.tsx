/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * Who the images show: the photos, and what the encoder sees of them.
 *
 * @module
 */
import { useId } from "../preact.tsx";
import type { Refused } from "../state/photos.ts";
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";
import type { Strings } from "../strings.ts";
import { errorText } from "./error_text.ts";
import { FileInput } from "./file_input.tsx";
import { Icon } from "./icons.tsx";
import { refusedText } from "./image_picker.tsx";
import { OptionFold } from "./option_folds.tsx";
import { PhotoCard } from "./photo_card.tsx";
import { warningText } from "./warning_text.ts";

/** The photos; nothing where the model follows no identities. */
export function PhotoPanel() {
  const { photos, followsPeople } = useStudio();
  const id = useId();
  const words = text.value.photos;
  if (!followsPeople.value) return null;
  const list = photos.list.value;
  const most = photos.most.value;
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>{words.heading}</h2>
      {list.length > 0 && (
        <ol class={list.length > 1 ? "photo-list compact" : "photo-list"}>
          {list.map((photo, i) => (
            <PhotoCard key={photo.key} photo={photo} index={i} />
          ))}
        </ol>
      )}
      {list.length < most && <Picker isFirst={list.length === 0} most={most} />}
      <RefusedFiles most={most} />
      {list.length === 0 && <p class="hint">{words.nobody}</p>}
      <IdentityNotes />
      <OptionFold name="photo" />
    </section>
  );
}

/** Takes files; also by keyboard. */
function Picker({ isFirst, most }: { isFirst: boolean; most: number }) {
  const { photos } = useStudio();
  const words = text.value.photos;
  return (
    <label class={isFirst ? "picker first" : "picker"}>
      <FileInput multiple onFiles={(files) => photos.add(files)} />
      <Icon name="photo" />
      <span>{isFirst ? words.choose : words.add}</span>
      {isFirst && <span class="hint">{words.hint(most)}</span>}
    </label>
  );
}

function RefusedFiles({ most }: { most: number }) {
  const { refused } = useStudio().photos;
  const notes = new Set(
    refused.value.map((file) => noteText(file, most, text.value)),
  );
  return (
    <div role="alert">
      {[...notes].map((note) => (
        <div key={note} class="notice bad">
          <p>{note}</p>
          <button
            type="button"
            class="icon-button"
            aria-label={text.value.photos.dismiss}
            onClick={() => refused.value = []}
          >
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}

function noteText(
  { fault, ...file }: Refused,
  most: number,
  words: Strings,
): string {
  return fault === "too-many"
    ? words.photos.full(most)
    : refusedText({ ...file, fault }, words);
}

/** What the encoder says of all photos together. */
function IdentityNotes() {
  const { photos } = useStudio();
  const identity = photos.identity.value;
  const list = photos.list.value;
  // A photo that cannot be read says so itself.
  const isSaid = list.some(({ faces }) => faces.value.state === "failed");
  if (identity?.state === "there") {
    return (
      <>
        {identity.value.warnings.map((warning) => (
          <p key={warning} class="notice warn">
            {warningText(warning, text.value)}
          </p>
        ))}
      </>
    );
  }
  if (identity?.state !== "failed" || isSaid) return null;
  return (
    <div role="alert" class="notice bad">
      <p>{errorText(identity.error, text.value)}</p>
      <button type="button" onClick={() => photos.askAgain()}>
        {text.value.photos.tryAgain}
      </button>
    </div>
  );
}
