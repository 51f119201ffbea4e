/**
 * Conditioning: encodes text and, where there is one, identity as the keys and values of every
 * cross-attention, once per image.
 *
 * @module
 */
import { type CallOptions, networkProgress } from "../base/progress.ts";
import type { IdentityTokens } from "../identity/identity.ts";
import { callPace, type GeneratorContext } from "./context.ts";
import { conditionGraph } from "./graphs/conditions.ts";
import type { Handover } from "./handover.ts";
import { noFaults } from "./health.ts";
import type { RunShape } from "./run_shape.ts";
import { planKey } from "./plan_key.ts";

/** Token ids of a prompt and of the negative prompt, each (T). */
export interface PromptIds {
  /** What the image should show. */
  readonly prompt: Int32Array;
  /** What the image should not show. */
  readonly negative: Int32Array;
}

/** What an image is conditioned on. */
export interface Conditions {
  /** Token ids of the prompts. */
  readonly ids: PromptIds;
  /** Tokens of the person's identity; without them, nobody in particular. */
  readonly identity?: IdentityTokens;
}

/**
 * Writes keys and values to the handover, and marks in its health any that are not
 * finite.
 *
 * @throws {MasterWeaverError} `aborted`, `bad-model`, `cannot-read`, `out-of-memory`, `device-lost`, `gpu`
 */
export async function encodeConditions(
  { gpu, storage, components, networks }: GeneratorContext,
  { images, guided, identity: hasIdentity, controls }: Pick<
    RunShape,
    "images" | "guided" | "identity" | "controls"
  >,
  handover: Handover,
  conditions: Conditions,
  options: CallOptions,
): Promise<void> {
  const details = { images, guided, identity: hasIdentity, controls };
  const { ids, identity } = conditionInputs(conditions, guided);
  await networks.condition.use({
    plans: {
      condition: {
        key: planKey({ graph: "condition", storage, details }),
        graph: () => conditionGraph(storage, components, details),
        bindings: handover.bindings,
      },
    },
    ...networkProgress("text encoder", options),
  }, async ({ condition }) => {
    condition.write("ids", ids);
    if (identity) condition.write("identity", identity);
    condition.write("health", noFaults());
    await condition.runPaced(callPace(gpu, options));
  });
}

/**
 * Token ids (B, T) and identity tokens (B, S, C), where there is an identity. The
 * conditional half comes first, so that it can be used alone.
 */
function conditionInputs(
  { ids, identity }: Conditions,
  guided: boolean,
): { ids: Uint32Array; identity?: Float32Array } {
  if (!guided) {
    return { ids: Uint32Array.from(ids.prompt), identity: identity?.tokens };
  }
  return {
    ids: Uint32Array.from([...ids.prompt, ...ids.negative]),
    identity: identity &&
      Float32Array.from([...identity.tokens, ...identity.unconditional]),
  };
}
