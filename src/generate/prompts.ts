/**
 * Prompts as they are typed → what the text tower is given.
 *
 * @module
 */
import type { ByteSource } from "../base/bytes.ts";
import { compositionWarnings } from "../options/other_program_warnings.ts";
import { MasterWeaverError } from "../base/errors.ts";
import type { CallOptions } from "../base/progress.ts";
import { readTextEmbedding } from "../checkpoints/text_embedding_file.ts";
import type { PromptSyntax } from "../options/settings.ts";
import { encodeA1111 } from "../text/a1111_prompt.ts";
import {
  type ExtraNetwork,
  splitExtraNetworks,
  withoutComments,
} from "../text/extra_networks.ts";
import { type TextEmbedding, TextEmbeddings } from "../text/text_embeddings.ts";
import type { ClipTokenizer } from "../text/tokenizer.ts";
import { printable } from "../weights/brief.ts";
import type { PromptText } from "./text_conditions.ts";

/** Prompts as they are typed. */
export interface TypedPrompts {
  /** What the image shows. */
  readonly prompt: string;
  /** What it should not show. */
  readonly negativePrompt: string;
  /** What the prompts mean beside their words. */
  readonly promptSyntax: PromptSyntax;
  /** Denoising steps. */
  readonly steps: number;
}

/** Embeddings of textual inversion, by the names that stand for them in prompts. */
export type EmbeddingFiles = Readonly<Record<string, ByteSource>>;

/** A model's text tower, as far as prompts are concerned. */
export interface TextTower {
  /** Turns prompts into token ids. */
  readonly tokenizer: ClipTokenizer;
  /** Numbers of a token's embedding, C. */
  readonly channels: number;
}

/** Prompts that have been read. */
export interface ReadPrompts {
  /** Both prompts, for the text tower. */
  readonly text: PromptText;
  /** The end of the prompt that did not fit; empty where all of it did. */
  readonly truncatedPrompt: string;
  /** Networks that the prompt asks for beside the model, such as LoRAs. */
  readonly extraNetworks: readonly ExtraNetwork[];
}

/**
 * Reads prompts, and the embeddings that they name.
 *
 * @throws {MasterWeaverError} `bad-option`, `bad-checkpoint`, `cannot-read`
 */
export async function readPrompts(
  typed: TypedPrompts,
  tower: TextTower,
  embeddings: EmbeddingFiles = {},
  onWarning?: CallOptions["onWarning"],
): Promise<ReadPrompts> {
  if (typed.promptSyntax === "plain") {
    if (Object.keys(embeddings).length > 0) {
      throw new MasterWeaverError(
        "bad-option",
        "Option embeddings needs the promptSyntax a1111, got plain; give that, or no embeddings",
      );
    }
    return readPlain(typed, tower, onWarning);
  }
  const { text: prompt, extraNetworks } = splitExtraNetworks(
    withoutComments(typed.prompt),
  );
  const unknown = extraNetworks.filter(({ kind }) => !KNOWN.includes(kind));
  if (unknown.length > 0) onWarning?.(unknownWarning(unknown));
  const negative = withoutComments(typed.negativePrompt);
  for (const warning of compositionWarnings([prompt, negative])) {
    onWarning?.(warning);
  }
  const named = await readNamed(
    [prompt, negative],
    typed.steps,
    tower,
    embeddings,
  );
  const { tokenizer } = tower;
  return {
    text: {
      prompt: (steps) => encodeA1111(prompt, steps, tokenizer, named),
      negative: (steps) => encodeA1111(negative, steps, tokenizer, named),
    },
    truncatedPrompt: "",
    extraNetworks,
  };
}

/** Reads prompts of which every character is text; warns where one does not fit. */
function readPlain(
  { prompt, negativePrompt }: TypedPrompts,
  { tokenizer }: TextTower,
  onWarning: CallOptions["onWarning"],
): ReadPrompts {
  const encode = (name: string, text: string) => {
    const encoded = tokenizer.encode(text);
    const { truncated } = encoded;
    if (truncated !== "") {
      onWarning?.(truncationWarning(name, truncated, tokenizer.maxLength));
    }
    return encoded;
  };
  const signs = [prompt, negativePrompt].flatMap((text) =>
    text.match(A1111_SIGNS) ?? []
  );
  if (signs.length > 0) onWarning?.(plainWarning(signs));
  const { ids, truncated } = encode("prompt", prompt);
  const negative = encode("negative prompt", negativePrompt).ids;
  return {
    text: { prompt: ids, negative },
    truncatedPrompt: truncated,
    extraNetworks: [],
  };
}

/** Reads those embeddings that a prompt names at some step. */
async function readNamed(
  prompts: readonly string[],
  steps: number,
  { tokenizer, channels }: TextTower,
  files: EmbeddingFiles,
): Promise<TextEmbeddings> {
  const places = new TextEmbeddings(
    tokenizer,
    Object.keys(files).map((name) => standIn(name)),
  );
  const names = new Set<string>();
  // Samplers may call the denoiser once or twice a step.
  for (const calls of [steps, 2 * steps]) {
    for (const prompt of prompts) {
      const { variants } = encodeA1111(prompt, calls, tokenizer, places);
      for (const { embeddings } of variants.flat()) {
        for (const { embedding } of embeddings) names.add(embedding.name);
      }
    }
  }
  const read: TextEmbedding[] = [];
  for (const name of names) {
    read.push({ name, ...await readTextEmbedding(files[name], channels) });
  }
  return new TextEmbeddings(tokenizer, read);
}

/** An embedding whose file has not been read. */
function standIn(name: string): TextEmbedding {
  return { name, tokens: 1, vectors: new Float32Array() };
}

/**
 * What nobody writes who means these characters: tags of additional networks, and
 * weights as numbers. Takes linear time.
 */
const A1111_SIGNS =
  /<(?:lora|lyco|hypernet):[^<>]{1,80}>|\([^()[\]:]{1,80}: {0,3}\d?\.\d{1,4}\)/g;

function plainWarning(signs: readonly string[]): string {
  const shown = [...new Set(signs)].slice(0, 10).map(printable).join(", ");
  return `Read as plain text: ${shown}; promptSyntax a1111 reads it as AUTOMATIC1111 does`;
}

/** Kinds of additional networks that whoever calls adds to the model. */
const KNOWN: readonly string[] = ["lora", "lyco"];

function unknownWarning(networks: readonly ExtraNetwork[]): string {
  const tags = networks.slice(0, 10).map(({ kind, name }) =>
    `<${printable(`${kind}:${name}`.slice(0, 60))}>`
  );
  return `The prompt asks for what is not supported here: ${tags.join(", ")}`;
}

function truncationWarning(
  name: string,
  truncated: string,
  length: number,
): string {
  const shown = truncated.length > 200
    ? `${printable(truncated.slice(0, 200))}…`
    : printable(truncated);
  return `The ${name} is longer than ${length} tokens; what did not fit: ${shown}`;
}
