/**
 * The Worker with the GPU, which dies after the first step of an image whose
 * prompt is "die".
 *
 * @module
 */
import "../../src/studio/engine/gpu_worker.ts";
import type { FromWorker, ToWorker } from "../../src/studio/engine/messages.ts";
import type {
  GenerateInput,
  GpuEvent,
} from "../../src/studio/engine/gpu_calls.ts";

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<ToWorker>) => void;
  postMessage: (message: FromWorker, transfer: Transferable[]) => void;
};
const { onmessage, postMessage } = scope;
let dies = false;

scope.onmessage = (event) => {
  const { data } = event;
  if (data.type === "call" && data.name === "generate") {
    dies = (data.input as GenerateInput).settings.prompt === "die";
  }
  onmessage.call(scope, event);
};

scope.postMessage = (message, transfer) => {
  postMessage.call(scope, message, transfer);
  if (!dies || message.type !== "event") return;
  const event = message.event as GpuEvent;
  if (event.type !== "progress") return;
  const { stage, done } = event.progress;
  if (stage !== "denoise" || done === 0) return;
  setTimeout(() => {
    throw new Error("The GPU is on fire");
  });
};
