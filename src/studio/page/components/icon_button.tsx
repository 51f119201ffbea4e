/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * A button that is an icon.
 *
 * @module
 */
import { Icon, type IconName } from "./icons.tsx";

/** A button that is an icon; what it does is its label, seen while it is pointed at. */
export function IconButton(
  { icon, label, className = "icon-button", onClick }: {
    icon: IconName;
    label: string;
    className?: string;
    onClick: () => void;
  },
) {
  return (
    <button
      type="button"
      class={className}
      aria-label={label}
      title={label}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}
