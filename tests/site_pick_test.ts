/**
 * A model's folder that somebody picks in the page, where the browser does not
 * give it or a file of it.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { pickFolder } from "../src/site/model/pick.ts";

/** Picks with a picker of the test's own. */
async function pickWith(picker: () => Promise<unknown>) {
  const place = globalThis as { showDirectoryPicker?: unknown };
  place.showDirectoryPicker = picker;
  try {
    return await pickFolder();
  } finally {
    delete place.showDirectoryPicker;
  }
}

/** A folder with one file. */
function folder(name: string, getFile: () => Promise<File>) {
  return {
    name: "picked",
    async *values() {
      await Promise.resolve();
      yield { kind: "file", name, getFile };
    },
  };
}

function refusal(name: string): DOMException {
  return new DOMException("Must be handling a user gesture.", name);
}

Deno.test("site pick: a folder's files, and none where nobody chose one", async () => {
  const file = new File(["a"], "vae.weave");
  const picked = await pickWith(() =>
    Promise.resolve(folder("vae.weave", () => Promise.resolve(file)))
  );
  assertEquals(picked?.files["vae.weave"], file);
  // What is no model's file is not even asked for.
  const other = await pickWith(() =>
    Promise.resolve(folder("secret.txt", () => Promise.reject(refusal("No"))))
  );
  assertEquals(other?.files, {});
  const none = await pickWith(() => Promise.reject(refusal("AbortError")));
  assertEquals(none, null);
});

Deno.test("site pick: what the browser does not give is said in one line", async () => {
  const failures = [
    [
      () => Promise.reject(refusal("SecurityError")),
      /^Cannot read the folder: the browser does not give it \(Must be/,
    ],
    [
      () =>
        Promise.resolve(
          folder(
            "vae.weave",
            () => Promise.reject(refusal("NotReadableError")),
          ),
        ),
      /^Cannot read vae\.weave: the browser may not read it .*pick a copy/,
    ],
  ] as const;
  for (const [picker, said] of failures) {
    const { code, message } = await assertRejects(
      () => pickWith(picker),
      MasterWeaverError,
    );
    assertEquals(code, "cannot-read");
    assert(said.test(message), message);
  }
});
