/**
 * Configs and tokenizers are checked when a model is converted, as on loading.
 */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { parsePythonJson } from "../src/weights/json.ts";
import { type Folder, TEXT, VOCAB } from "./support/checkpoint_folder.ts";
import { convertComponent, withFolder } from "./support/convert_component.ts";

const training = {
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
};

Deno.test("schedulers: what DDIM cannot do is refused by file and key", async (t) => {
  await withFolder(async (folder) => {
    const name = "scheduler/scheduler_config.json";
    const cases: [object, string][] = [
      [
        { _class_name: "DDIMScheduler", timestep_spacing: "sgm_uniform" },
        'it has timestep_spacing "sgm_uniform", expected leading, trailing, linspace',
      ],
      [
        { _class_name: "DDIMScheduler", thresholding: true },
        "it has thresholding true",
      ],
      [
        { _class_name: "DDIMScheduler", prediction_type: "sample" },
        'it has prediction_type "sample", expected "epsilon" or "v_prediction"',
      ],
      [
        { _class_name: "DDIMScheduler", rescale_betas_zero_snr: 1 },
        "it has rescale_betas_zero_snr 1",
      ],
      [
        { _class_name: "PNDMScheduler", beta_schedule: "squaredcos_cap_v2" },
        'it has beta_schedule "squaredcos_cap_v2"',
      ],
      [{ _class_name: "EDMScheduler" }, 'it has _class_name "EDMScheduler"'],
    ];
    for (const [json, message] of cases) {
      await t.step(message, async () => {
        await folder.write(name, { ...training, ...json });
        const error = await assertRejects(
          () => convertComponent(folder, "unet"),
          MasterWeaverError,
          `Cannot use ${folder.path}/${name}: ${message}`,
        );
        assertEquals(error.code, "bad-checkpoint");
      });
    }
  });
});

Deno.test("schedulers: another sampler's config is used, with a warning", async (t) => {
  await withFolder(async (folder) => {
    for (
      const name of [
        "PNDMScheduler",
        "EulerDiscreteScheduler",
        "DPMSolverMultistepScheduler",
        "DEISMultistepScheduler",
      ]
    ) {
      await t.step(name, async () => {
        const json = { _class_name: name, ...training };
        await folder.write("scheduler/scheduler_config.json", json);
        const { lines, config } = await convertComponent(folder, "unet");
        assertEquals(config.scheduler, json);
        assertStringIncludes(
          lines[0],
          `names ${name}; DDIM takes its place, with the same training noise`,
        );
      });
    }
  });
});

Deno.test("schedulers: settings of another sampler are ignored, with a warning", () =>
  withFolder(async (folder) => {
    // As Python writes it; JSON itself has no infinite numbers.
    await folder.write(
      "scheduler/scheduler_config.json",
      `{"_class_name": "DPMSolverMultistepScheduler",
        "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
        "lambda_min_clipped": -Infinity, "solver_order": 2, "solver_p": null,
        "thresholding": false, "timestep_spacing": "linspace",
        "use_karras_sigmas": true}`,
    );
    const { lines } = await convertComponent(folder, "unet");
    assertStringIncludes(
      lines[0],
      "names DPMSolverMultistepScheduler; DDIM takes its place, with the same " +
        "training noise; settings of DPMSolverMultistepScheduler are ignored: " +
        "timestep_spacing, use_karras_sigmas, lambda_min_clipped, " +
        "solver_order",
    );
    await folder.write(
      "scheduler/scheduler_config.json",
      '{"_class_name": "EulerDiscreteScheduler", "beta_start": NaN}',
    );
    await assertRejects(
      () => convertComponent(folder, "unet"),
      MasterWeaverError,
      "it has beta_start NaN, expected a number between 0 and 1",
    );
  }));

Deno.test("json: Python's infinite numbers are read, but not inside strings", () => {
  const read = (text: string) =>
    parsePythonJson(new TextEncoder().encode(text));
  assertEquals(
    read(
      '{"a": [-Infinity, Infinity,NaN], "NaN": "-Infinity \\" NaN", "b": 1}',
    ),
    { a: [-Infinity, Infinity, NaN], NaN: '-Infinity " NaN', b: 1 },
  );
  for (
    const text of [
      "1Infinity",
      "-NaN",
      "+Infinity",
      "NaN1",
      "[Infinity",
      "infinity",
    ]
  ) {
    assertThrows(() => read(text), SyntaxError);
  }
});

Deno.test("tokenizers: missing merges, or merges that are not pairs, are refused by file", async (t) => {
  const model = {
    type: "BPE",
    end_of_word_suffix: "</w>",
    vocab: VOCAB,
    merges: [["a", "b</w>"]] as unknown[],
  };
  const one = (change: object) => ({
    "tokenizer.json": { model: { ...model, ...change } },
  });
  const cases: [string, Record<string, object | string>][] = [
    ["merges.txt: it has no merges, expected pairs", { "merges.txt": "" }],
    ["merges.txt: it has no merges", { "merges.txt": "#version: 0.2\n" }],
    ["merges.txt: its merge 1 is a b c, expected two symbols", {
      "merges.txt": "#version: 0.2\na b</w>\na b c\n",
    }],
    ["tokenizer.json: it has no merges", one({ merges: [] })],
    ["tokenizer.json: its merge 0 is", one({ merges: [[1, 2]] })],
    ["tokenizer.json: its merge 1 is 7", one({ merges: ["a b</w>", 7] })],
    ["tokenizer.json: its merge 0 is", one({ merges: [["a b</w>"]] })],
    [
      "tokenizer.json: its model's type is Unigram, expected BPE",
      one({
        type: "Unigram",
      }),
    ],
    [
      "its model's end_of_word_suffix is undefined, expected </w>",
      one({
        end_of_word_suffix: undefined,
      }),
    ],
    ["its model's byte_fallback is true", one({ byte_fallback: true })],
    ["its model's dropout is 0.1", one({ dropout: 0.1 })],
  ];
  for (const [message, files] of cases) {
    await t.step(message, () =>
      withFolder(async (folder) => {
        if (files["tokenizer.json"]) {
          await Deno.remove(`${folder.path}/tokenizer/vocab.json`);
        }
        for (const [name, content] of Object.entries(files)) {
          await folder.write(`tokenizer/${name}`, content);
        }
        const error = await assertRejects(
          () => convertComponent(folder, "text_encoder"),
          MasterWeaverError,
          message,
        );
        assertEquals(error.code, "bad-checkpoint");
      }));
  }
});

Deno.test("tokenizers: added tokens are kept, wherever they are written", async (t) => {
  // The embedding of a model that was trained on two words more.
  const grown = { ...TEXT, vocab_size: 7 };
  const added = { "<sks>": 5, "<dog>": 6 };
  const decoder = Object.fromEntries(
    Object.entries(added).map((
      [content, id],
    ) => [id, { content, special: false, single_word: false }]),
  );
  const oneFile = {
    added_tokens: Object.entries({ ...added, "<|endoftext|>": 4 })
      .map(([content, id]) => ({ content, id, special: false })),
    model: {
      type: "BPE",
      end_of_word_suffix: "</w>",
      vocab: VOCAB,
      merges: [["a", "b</w>"], ["#", "a"]],
    },
  };
  const places: Record<string, [string, object][]> = {
    "added_tokens.json": [["added_tokens.json", added]],
    "added_tokens_decoder": [["tokenizer_config.json", {
      added_tokens_decoder: decoder,
      pad_token: { content: "<|endoftext|>" },
    }]],
    "both": [
      ["added_tokens.json", added],
      ["tokenizer_config.json", { added_tokens_decoder: decoder }],
    ],
    "tokenizer.json alone": [["tokenizer.json", oneFile]],
  };
  for (const [what, files] of Object.entries(places)) {
    await t.step(what, () =>
      withFolder(async (folder) => {
        await grow(folder, grown);
        if (what === "tokenizer.json alone") {
          await Deno.remove(`${folder.path}/tokenizer/vocab.json`);
          await Deno.remove(`${folder.path}/tokenizer/merges.txt`);
        }
        for (const [name, json] of files) {
          await folder.write(`tokenizer/${name}`, json);
        }
        const { config } = await convertComponent(folder, "text_encoder");
        assertEquals(config.tokenizer, {
          vocab: ["a", "#", "b</w>", "<|startoftext|>", "<|endoftext|>"],
          merges: ["a b</w>", "# a"],
          added,
        });
      }));
  }
});

Deno.test("tokenizers: unsupported settings are refused by name", async (t) => {
  const token = { content: "<sks>", single_word: true };
  const cases: [string, object | string, string][] = [
    [
      "added_tokens.json",
      { "<sks>": 5 },
      "tokenizer: it has 6 tokens, the text encoder 5",
    ],
    [
      "added_tokens.json",
      { "<sks>": 2 },
      'tokenizer: it has the added token "<sks>" with the number 2',
    ],
    ["added_tokens.json", "[", "added_tokens.json: it is not JSON"],
    [
      "tokenizer_config.json",
      { added_tokens_decoder: { 5: token } },
      "its added token <sks> only counts as a whole word",
    ],
    [
      "tokenizer_config.json",
      { pad_token: "!" },
      "tokenizer_config.json: its pad_token is !, expected <|endoftext|>",
    ],
    [
      "special_tokens_map.json",
      { additional_special_tokens: ["<new>"] },
      "its additional special token <new> has no number",
    ],
    [
      "vocab.json",
      { a: 0, b: 1 },
      "it has no token <|startoftext|>, expected it in the vocabulary",
    ],
  ];
  for (const [name, json, message] of cases) {
    await t.step(message, () =>
      withFolder(async (folder) => {
        await folder.write(`tokenizer/${name}`, json);
        const error = await assertRejects(
          () => convertComponent(folder, "text_encoder"),
          MasterWeaverError,
          message,
        );
        assertEquals(error.code, "bad-checkpoint");
      }));
  }
});

Deno.test("tokenizers: an embedding with more tokens is refused, or left unused with a warning", () =>
  withFolder(async (folder) => {
    await grow(folder, { ...TEXT, vocab_size: 7 });
    await assertRejects(
      () => convertComponent(folder, "text_encoder"),
      MasterWeaverError,
      "it has 5 tokens, the text encoder 7; give the tokenizer that it was " +
        "trained with, added_tokens.json included; --allow-unused",
    );
    const { lines } = await convertComponent(folder, "text_encoder", true);
    assertStringIncludes(lines[0], "Warning: text_encoder: 2 of its 7 tokens");
  }));

/** Gives the text encoder an embedding of another size. */
async function grow(folder: Folder, json: typeof TEXT): Promise<void> {
  const name = "text_model.embeddings.token_embedding.weight";
  const { shape: [, width] } = folder.tensors.text_encoder[name];
  await folder.write("text_encoder/config.json", {
    model_type: "clip_text_model",
    ...json,
  });
  await folder.write("text_encoder/model.safetensors", {
    ...folder.tensors.text_encoder,
    [name]: {
      shape: [json.vocab_size, width],
      data: Array(json.vocab_size * width).fill(1),
    },
  });
}

Deno.test("preprocessors: an unsupported one is refused by file", () =>
  withFolder(async (folder) => {
    const name = "image_encoder/preprocessor_config.json";
    await folder.write(name, { size: 4, do_center_crop: false });
    const error = await assertRejects(
      () => convertComponent(folder, "image_encoder"),
      MasterWeaverError,
      `Cannot use ${folder.path}/${name}: `,
    );
    assert(error.message.includes("do_center_crop"), error.message);
  }));
