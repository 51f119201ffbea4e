/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * The top of the page: what it is, the model, language and colours.
 *
 * @module
 */
import type { ComponentChildren } from "../preact.tsx";
import type { Language } from "../strings.ts";
import {
  chooseLanguage,
  chooseTheme,
  language,
  text,
  type Theme,
  theme,
} from "../state/preferences.ts";
import { useStudio } from "./use_studio.tsx";
import { IconButton } from "./icon_button.tsx";
import { Mark } from "./icons.tsx";

/** Each language in its own words. */
const languages: Readonly<Record<Language, string>> = {
  "en": "English",
  "zh-CN": "中文",
};

const themes: readonly Theme[] = ["auto", "light", "dark"];

/** Leads to the API's documentation. */
export function ApiLink() {
  return <a href="/docs">{text.value.header.docs}</a>;
}

/** The top of the page, with links to elsewhere. */
export function Header({ links }: { links: ComponentChildren }) {
  const { header, title } = text.value;
  return (
    <header class="header">
      <p class="brand">
        <Mark />
        <span>{title}</span>
      </p>
      <ModelName />
      <nav class="header-links" aria-label={title}>
        {links}
      </nav>
      <select
        class="quiet"
        aria-label={header.language}
        value={language.value}
        onChange={({ currentTarget }) =>
          chooseLanguage(currentTarget.value as Language)}
      >
        {Object.entries(languages).map(([code, name]) => (
          <option key={code} value={code} lang={code}>{name}</option>
        ))}
      </select>
      <ThemeButton />
    </header>
  );
}

function ModelName() {
  const model = useStudio().connection.model.value;
  if (!model) return null;
  const details = [model.gpu, model.dtype].filter(Boolean).join(", ");
  return (
    <p class="model" title={details}>
      <span class="unseen">{text.value.header.model}</span> {model.name}
    </p>
  );
}

/** Goes through the colours. */
function ThemeButton() {
  const { header } = text.value;
  const label = `${header.theme}: ${header.themes[theme.value]}`;
  const next = themes[(themes.indexOf(theme.value) + 1) % themes.length];
  return (
    <IconButton
      icon={theme.value}
      label={label}
      onClick={() => chooseTheme(next)}
    />
  );
}
