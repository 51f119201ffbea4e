/**
 * Identities that a script passes in: those of another model are refused, and
 * those from JSON or clones are used, or refused by name.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readImage } from "../src/host/files.ts";
import { checkIdentity } from "../src/identity/input.ts";
import { MasterWeaver } from "../src/host/masterweaver.ts";
import { gpuTest } from "./support/gpu.ts";
import { miniWeaver, repositoryPath } from "./support/model.ts";
import { changedModel, withHeader } from "./support/model_folder.ts";

const expected = { length: 4, modelHash: "aa11", adapterHash: "bb22" };
const right = {
  tokens: Float32Array.of(1, 2, 3, 4),
  unconditional: Float32Array.of(0, 0.5, 0, 0),
  modelHash: "aa11",
  adapterHash: "bb22",
};

Deno.test("identity input: floats and lists of numbers are accepted, and copied", () => {
  for (
    const identity of [
      right,
      structuredClone(right),
      { ...right, tokens: [1, 2, 3, 4], unconditional: [0, 0.5, 0, 0] },
      { ...right, tokens: Float64Array.of(1, 2, 3, 4) },
      JSON.parse(JSON.stringify({
        ...right,
        tokens: [...right.tokens],
        unconditional: [...right.unconditional],
      })),
    ]
  ) {
    const { tokens, unconditional } = checkIdentity(identity, expected);
    assertEquals(tokens, right.tokens);
    assertEquals(unconditional, right.unconditional);
    assert(tokens !== identity.tokens);
  }
});

Deno.test("identity input: anything else is refused by name", () => {
  const sparse = new Array(4);
  const cases: [identity: unknown, why: string][] = [
    [undefined, "is undefined: make it with encodeIdentity"],
    [null, "is null"],
    ["identity.json", "is string"],
    [Promise.resolve(right), "is a promise: write await before"],
    [{}, "does not say which adapter made it (no adapterHash)"],
    [{ ...right, modelHash: undefined }, "no modelHash"],
    [
      { ...right, adapterHash: "cc" },
      "made by another adapter (adapterHash cc",
    ],
    [{ ...right, modelHash: "cc" }, "made by another model (modelHash cc"],
    [{ ...right, modelHash: 7 }, "no modelHash"],
    [
      JSON.parse(JSON.stringify(right)),
      "has tokens that are an object, expected a Float32Array or a list of numbers: JSON keeps a Float32Array only as a list: save Array.from(identity.tokens)",
    ],
    [{ ...right, tokens: undefined }, "has tokens that are undefined"],
    [{ ...right, tokens: null }, "has tokens that are null"],
    [{ ...right, tokens: "1234" }, "has tokens that are a string"],
    [{ ...right, tokens: new Uint8Array(16) }, "expected a Float32Array"],
    [{ ...right, tokens: right.tokens.subarray(1) }, "has 3 numbers as tokens"],
    [
      { ...right, unconditional: [1] },
      "1 numbers as unconditional, expected 4",
    ],
    [{ ...right, tokens: [1, 2, NaN, 4] }, "has NaN as number 2 of tokens"],
    [{ ...right, tokens: [1, 2, 3, 1e39] }, "has 1e+39 as number 3 of tokens"],
    [{ ...right, tokens: [1, 2, null, 4] }, "has null as number 2"],
    [{ ...right, tokens: ["1", 2, 3, 4] }, "has 1 as number 0"],
    [{ ...right, tokens: [1n, 2, 3, 4] }, "has 1 as number 0"],
    [{ ...right, tokens: sparse }, "has undefined as number 0"],
    [
      { ...right, unconditional: Float32Array.of(0, 0, 0, -Infinity) },
      "has -Infinity as number 3 of unconditional",
    ],
  ];
  for (const [identity, why] of cases) {
    const error = assertThrows(
      () => checkIdentity(identity, expected),
      MasterWeaverError,
      why,
    );
    assertEquals(error.code, "bad-option");
  }
});

gpuTest(
  "generate: only identities of the same model, lists of numbers too",
  async () => {
    const weaver = await miniWeaver("f32");
    const photo = await readImage(repositoryPath("weights/mini/demo.png"));
    const identity = await weaver.encodeIdentity([photo]);
    assertEquals(identity.modelHash, weaver.hash);
    const once = { prompt: "a man", steps: 1, width: 64, height: 64 };
    const { images: [image] } = await weaver.generate({ ...once, identity });
    const saved = JSON.parse(JSON.stringify({
      ...identity,
      tokens: [...identity.tokens],
      unconditional: [...identity.unconditional],
      references: undefined,
    }));
    const again = await weaver.generate({ ...once, identity: saved });
    assertEquals(again.images[0].data, image.data);

    const folder = await Deno.makeTempDir();
    try {
      for (
        const [file, part] of [
          ["identity_adapter.weave", "adapter"],
          ["vae.weave", "model"],
        ]
      ) {
        // The same numbers under another header: another file all the same.
        const model = await changedModel(
          folder,
          file,
          (bytes) => withHeader(bytes, () => {}),
        );
        await using other = await MasterWeaver.load(model, { tune: "off" });
        const error = await assertRejects(
          () => other.generate({ ...once, identity }),
          MasterWeaverError,
          `Identity was made by another ${part}`,
        );
        assertEquals(error.code, "bad-option");
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);
