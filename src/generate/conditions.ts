/**
 * Conditioning: encodes text and, where there is one, identity as the keys and values of every
 * cross-attention, once per image.
 *
 * @module
 */
import { type CallOptions, networkProgress } from "../base/progress.ts";
import type { IdentityTokens } from "../identity/identity.ts";
import { callPace, type GeneratorContext } from "./context.ts";
import { conditionGraph, type ConditionShape } from "./graphs/conditions.ts";
import type { Handover } from "./handover.ts";
import { noFaults } from "./health.ts";
import { planKey } from "./plan_key.ts";
import type {
  PromptText,
  TextConditions,
  TextShape,
} from "./text_conditions.ts";

/** What an image is conditioned on. */
export interface Conditions {
  /** The prompts. */
  readonly text: PromptText;
  /** Tokens of the person's identity; without them, nobody in particular. */
  readonly identity?: IdentityTokens;
}

/** The same, with the text laid out for a call. */
export interface LaidOutConditions extends Pick<Conditions, "identity"> {
  /** The rows that the text tower reads. */
  readonly text: TextConditions;
}

/**
 * Writes keys and values to the handover, and marks in its health any that are not
 * finite.
 *
 * @throws {MasterWeaverError} `aborted`, `bad-model`, `cannot-read`, `out-of-memory`, `device-lost`, `gpu`
 */
export async function encodeConditions(
  { gpu, storage, components, networks, contents, adapted }: GeneratorContext,
  shape: Omit<ConditionShape, keyof TextShape>,
  handover: Handover,
  { text, identity }: LaidOutConditions,
  options: CallOptions,
): Promise<void> {
  const { images, guided, identity: hasIdentity, clipSkip, controls } = shape;
  const given = { images, guided, identity: hasIdentity, clipSkip, controls };
  const details = { ...given, ...text.shape };
  await networks.condition.use({
    plans: {
      condition: {
        key: planKey({ graph: "condition", storage, adapted, details }),
        graph: () => conditionGraph(storage, components, details),
        bindings: handover.bindings,
      },
    },
    contents,
    ...networkProgress("text encoder", options),
  }, async ({ condition }) => {
    for (const [name, values] of Object.entries(text.inputs)) {
      condition.write(name, values);
    }
    if (identity) {
      condition.write("identity", identityOf(text.halves, identity));
    }
    condition.write("health", noFaults());
    await condition.runPaced(callPace(gpu, options));
  });
}

/** The identity tokens (B, S, C) of conditions of either half of guidance. */
function identityOf(
  halves: readonly number[],
  { tokens, unconditional }: IdentityTokens,
): Float32Array {
  if (halves.length === 1) return tokens;
  const all = new Float32Array(halves.length * tokens.length);
  for (const [row, half] of halves.entries()) {
    all.set(half === 0 ? tokens : unconditional, row * tokens.length);
  }
  return all;
}
