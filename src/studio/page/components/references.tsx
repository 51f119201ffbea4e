/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * The processed faces beside the images.
 *
 * @module
 */
import { text } from "../state/preferences.ts";

/** The references as the encoder saw them. */
export function References({ urls }: { urls: readonly string[] }) {
  const words = text.value.result;
  if (urls.length === 0) return null;
  return (
    <div class="references">
      <h3>{words.references}</h3>
      <ul>
        {urls.map((url, i) => (
          <li key={url}>
            <img src={url} alt={words.reference(i + 1)} />
          </li>
        ))}
      </ul>
    </div>
  );
}
