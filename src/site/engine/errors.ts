/**
 * Errors of the studio's engine as the page's components take them.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { ApiError } from "../../studio/errors.ts";
import { EngineError } from "../../studio/page/engine/engine.ts";
import type { ErrorResource } from "../../studio/wire/resources.ts";
import { siteText } from "../strings.ts";

/** What a damaged file's message ends with; visitors of a site convert nothing. */
const DAMAGE = /^Cannot use (\S+): .*(; convert or copy the file again)$/;

/** The name of the file that an error says is damaged; null where it is another error. */
export function damagedFile({ message }: ErrorResource): string | null {
  return DAMAGE.exec(message)?.[1] ?? null;
}

/** A message of damage, with what the page does about it. */
export function withRemedy(message: string): string {
  const remedy = DAMAGE.exec(message)?.[2] ?? "";
  return message.slice(0, message.length - remedy.length) +
    "; the page fetches the file again: when the model is ready, try again";
}

/** An error of any kind; an abort is thrown on as it is. */
export function toEngineError(error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  if (error instanceof ApiError) {
    const { code, message, more } = error;
    return new EngineError(code, message, more);
  }
  if (error instanceof MasterWeaverError) {
    return new EngineError(error.code, error.message);
  }
  return new EngineError("bug", bugText(error));
}

/** A job's error, in words that fit a page without a server. */
export function shownError(error: ErrorResource, bug: unknown): ErrorResource {
  return error.code === "internal"
    ? { code: "bug", message: bugText(bug) }
    : error;
}

function bugText(error: unknown): string {
  const why = error instanceof Error ? error.message : String(error);
  return `${siteText.value.bug}: ${why.split("\n")[0]}`;
}
