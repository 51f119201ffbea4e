/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * The page's icons, drawn on a grid of 24.
 *
 * @module
 */

const paths = {
  close: "M6 6l12 12M18 6L6 18",
  earlier: "M15 5l-7 7 7 7",
  later: "M9 5l7 7-7 7",
  download: "M12 4v11m-5-5l5 5 5-5M5 20h14",
  compare: "M12 3v18M9 6H4v12h5M15 6h5v12h-5",
  again: "M4 12a8 8 0 1 0 2.5-5.8M4 4v4.5h4.5",
  remove: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  photo: "M4 6h16v13H4zM4 16l5-5 4 4 3-3 4 4M15.5 10h.01",
  arrow: "M4 12h15m-5-5l5 5-5 5",
  auto: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
  light:
    "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M19 5l-1.4 1.4M6.4 17.6L5 19",
  dark: "M19 14.5A8 8 0 0 1 9.5 5 7.5 7.5 0 1 0 19 14.5z",
  brush:
    "M4 20c3 .5 6-.5 6-3.5a2.5 2.5 0 0 0-5 0c0 1.5-.5 2.5-1 3.5M9.5 14L19 4.5l1 1L10.5 15",
  start: "M4 6h11v13H4zM4 16l4-4 4 4M15 12h6m-3-3l3 3-3 3",
  stop: "M7 7h10v10H7z",
} as const;

/** The name of an icon. */
export type IconName = keyof typeof paths;

/** An icon; what it means is said beside it, or by the button's label. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}

/** The mark of the project: threads over and under. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <path class="warp" d="M9 3v26M23 3v26" />
      <path class="weft" d="M3 9h26M3 23h26" />
      <path class="warp" d="M9 3v12M23 17v12" />
    </svg>
  );
}
