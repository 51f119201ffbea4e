/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * The examples, one click each.
 *
 * @module
 */
import { useId } from "../preact.tsx";
import { examples } from "../state/examples.ts";
import { text } from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";

/** The examples. */
export function Examples() {
  const studio = useStudio();
  const id = useId();
  const words = text.value.examples;
  const isBusy = studio.isBusy.value;
  return (
    <section class="examples" aria-labelledby={id}>
      <div class="section-head">
        <h2 id={id}>{words.heading}</h2>
        <p class="hint">{words.intro}</p>
      </div>
      <ul>
        {examples.map((example) => (
          <li key={example.portrait}>
            <button
              type="button"
              class="example"
              aria-label={words.use(example.prompt)}
              aria-disabled={isBusy}
              onClick={() => studio.useExample(example)}
            >
              <img src={example.portrait} alt="" width={128} height={128} />
              <span lang="en">{example.prompt}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
