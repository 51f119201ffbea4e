/**
 * Says what went wrong: in the page's language, and in the server's words where
 * they say more.
 *
 * @module
 */
import type { Strings } from "../strings.ts";

/** What went wrong. */
export function errorText(
  { code, message }: { readonly code: string; readonly message: string },
  { errors, run }: Strings,
): string {
  const known: Readonly<Record<string, string>> = {
    "offline": errors.offline,
    "queue-full": errors.queueFull,
    "shutting-down": errors.shuttingDown,
    "bad-image": errors.badImage,
    "no-face": errors.noFace,
    "too-large": errors.tooLarge,
    "timeout": errors.timeout,
    "out-of-memory": errors.outOfMemory,
    "worker": errors.worker,
    "internal": errors.internal,
    "unauthorized": errors.unauthorized,
    "files-gone": errors.filesGone,
    "gone": run.gone,
  };
  const own = known[code];
  if (own === undefined) return message;
  // What the server found out about a photo or a job is worth reading.
  const saysMore = ["bad-image", "too-large", "timeout", "worker"]
    .includes(code);
  return saysMore && message ? `${own}: ${message}` : own;
}
