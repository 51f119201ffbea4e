/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * Settings of images: of one entry, or where those of two differ.
 *
 * @module
 */
import { text } from "../state/preferences.ts";

/** Settings by the library's names. */
type Settings = Readonly<Record<string, unknown>>;

/** A table with a column for each entry. */
export function SettingsTable(
  { settings, heads }: {
    settings: readonly Settings[];
    heads?: readonly string[];
  },
) {
  const labels: Readonly<Record<string, string>> = text.value.labels;
  const [first, ...others] = settings;
  const names = [...new Set(settings.flatMap((one) => Object.keys(one)))]
    .filter(
      (name) =>
        others.length === 0 ||
        others.some((other) => shown(other[name]) !== shown(first[name])),
    );
  const isSame = names.length === 0;
  return (
    <table class="settings">
      {heads && (
        <thead>
          <tr>
            <th scope="col">{text.value.compare.setting}</th>
            {heads.map((head) => <th key={head} scope="col">{head}</th>)}
          </tr>
        </thead>
      )}
      <tbody>
        {isSame && (
          <tr>
            <td colSpan={3}>{text.value.compare.same}</td>
          </tr>
        )}
        {names.map((name) => (
          <tr key={name}>
            <th scope="row">{labels[name] ?? name}</th>
            {settings.map((one, i) => <td key={i}>{shown(one[name])}</td>)}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function shown(value: unknown): string {
  const words: Readonly<Record<string, string>> = text.value.form.choices;
  if (typeof value === "boolean" || typeof value === "string") {
    return words[String(value)] ?? String(value);
  }
  return value === undefined || value === null
    ? "–"
    : Array.isArray(value)
    ? value.join(", ")
    : String(value);
}
