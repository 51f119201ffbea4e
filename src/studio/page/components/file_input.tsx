/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * The part of a file's field that browsers have, and what is dropped on one.
 *
 * @module
 */

/** What browsers can read. */
const IMAGE_TYPES = "image/png,image/jpeg,image/webp,image/avif";

/** Takes files of images, also by keyboard; what is around it is seen instead. */
export function FileInput({ label, isMissing, multiple, onFiles }: {
  label?: string | undefined;
  /** Whether nothing can be made before there is a file. */
  isMissing?: boolean;
  multiple?: boolean;
  onFiles: (files: readonly File[]) => void;
}) {
  return (
    <input
      type="file"
      class="unseen"
      accept={IMAGE_TYPES}
      multiple={multiple}
      aria-label={label}
      aria-invalid={isMissing}
      onChange={({ currentTarget }) => {
        onFiles([...currentTarget.files ?? []]);
        // So that the same file can be chosen again.
        currentTarget.value = "";
      }}
    />
  );
}

/**
 * Takes the first file that is dropped, so that the page does not take it as a photo.
 *
 * @returns undefined where there is none, or a field inside has taken it
 */
export function takeDropped(event: DragEvent): File | undefined {
  const [file] = event.dataTransfer?.files ?? [];
  if (!file || event.defaultPrevented) return undefined;
  event.preventDefault();
  return file;
}
