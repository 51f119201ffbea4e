/**
 * Errors as the engine's.
 *
 * @module
 */
import { EngineError } from "../engine/engine.ts";

/** Any error as an engine's. */
export function toEngineError(error: unknown): EngineError {
  return error instanceof EngineError
    ? error
    : new EngineError("internal", String(error));
}
