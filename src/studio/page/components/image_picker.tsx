/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * Takes the file of one image: chosen, also by keyboard, or dropped on it.
 *
 * @module
 */
import type { ComponentChildren } from "../preact.tsx";
import type { RefusedFile } from "../state/image_slot.ts";
import { text } from "../state/preferences.ts";
import type { Strings } from "../strings.ts";
import { FileInput, takeDropped } from "./file_input.tsx";

/** A field for a file, as large as what is in it. */
export function ImagePicker(
  { label, className = "image-picker", isMissing = false, onFile, children }: {
    /** What it is called, where its content does not say it. */
    label?: string;
    className?: string;
    /** Whether nothing can be made before there is a file. */
    isMissing?: boolean;
    onFile: (file: Blob) => void;
    children: ComponentChildren;
  },
) {
  return (
    <label
      class={className}
      onDrop={(event) => {
        const file = takeDropped(event);
        if (file) onFile(file);
      }}
    >
      <FileInput
        label={label}
        isMissing={isMissing}
        onFiles={([file]) => {
          if (file) onFile(file);
        }}
      />
      {children}
    </label>
  );
}

/** Says why a file was not taken. */
export function RefusedImage({ refused }: { refused: RefusedFile | null }) {
  return (
    <div role="alert">
      {refused && <p class="fault">{refusedText(refused, text.value)}</p>}
    </div>
  );
}

/** Why a file was not taken. */
export function refusedText(
  { name, fault, bytes }: RefusedFile,
  { photos, errors }: Strings,
): string {
  if (fault === "too-large") {
    return photos.tooLarge(name, Math.ceil(bytes / 1e6));
  }
  if (!name) return errors.badImage;
  return fault === "damaged" ? photos.damaged(name) : photos.notPhoto(name);
}
