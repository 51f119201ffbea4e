/**
 * Extra files that a client chose: that one of them cannot be used is the client's
 * fault, not the server's, whose model may be a bad one by the same code.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import type { AskedExtras, CallExtras } from "../../host/call_extras.ts";

/**
 * Opens the files.
 *
 * @throws {MasterWeaverError} `bad-option` where one is missing or holds something else; `cannot-read`, `bad-checkpoint`
 */
export async function openChosen(
  host: { openExtras(asked: AskedExtras): Promise<CallExtras> },
  asked: AskedExtras,
): Promise<CallExtras> {
  try {
    return await host.openExtras(asked);
  } catch (error) {
    throw isBadModel(error) ? badChoice(error) : error;
  }
}

/**
 * Works with the files, of which the library opens some itself, and checks whether
 * they go with the model.
 *
 * @throws what `work` throws; {MasterWeaverError} `bad-option` where one of the files is the reason
 */
export async function withChosen<T>(
  { controls, upscalers }: Pick<CallExtras, "controls" | "upscalers">,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const files = [
      ...controls.map(({ net }) => net),
      ...Object.values(upscalers),
    ];
    const isOfFile = isBadModel(error) &&
      files.some(({ name }) =>
        ["Cannot use ", "Cannot use the ControlNet "].some((start) =>
          error.message.startsWith(start + name)
        )
      );
    throw isOfFile ? badChoice(error) : error;
  }
}

function isBadModel(error: unknown): error is MasterWeaverError {
  return error instanceof MasterWeaverError && error.code === "bad-model";
}

function badChoice(error: MasterWeaverError): MasterWeaverError {
  return new MasterWeaverError("bad-option", error.message, { cause: error });
}
