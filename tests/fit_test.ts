/**
 * References that are not square: warnings say what is done to them, and they
 * are returned as the encoder saw them.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readImage, writePng } from "../src/host/files.ts";
import {
  cropToSeen,
  type FitOptions,
  fitReference,
} from "../src/identity/fit.ts";
import { clipPreprocess, seenRegion } from "../src/image/clip_preprocess.ts";
import type { Image } from "../src/image/image.ts";
import { resizeImage } from "../src/image/resize.ts";
import { checkOptions } from "../src/options/checks.ts";
import { command } from "./support/command.ts";
import { largestDifference } from "./support/compare.ts";
import { cut, flat } from "./support/faces.ts";
import { gpuTest } from "./support/gpu.ts";
import { miniWeaver, repositoryPath } from "./support/model.ts";

const portrait = await readImage(
  repositoryPath("tests/goldens/portraits/portrait-1.png"),
);
const preprocess: FitOptions["preprocess"] = {
  size: 112,
  crop: 112,
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
};

/** The portrait in the middle of something wider or higher. */
function beside(width: number, height: number, value = 200): Image {
  const image = flat(width, height, value);
  const left = (width - portrait.width) >> 1;
  const top = (height - portrait.height) >> 1;
  for (let y = 0; y < portrait.height; y++) {
    const row = y * portrait.width * 4;
    image.data.set(
      portrait.data.subarray(row, row + portrait.width * 4),
      ((top + y) * width + left) * 4,
    );
  }
  return image;
}

async function fitted(image: Image, options: Partial<FitOptions>) {
  const warnings: string[] = [];
  const fit = await fitReference(image, "Reference 1", {
    parse: false,
    preprocess,
    onWarning: (warning) => warnings.push(warning),
    ...options,
  });
  return { fit, warnings };
}

Deno.test("fit: an image is cropped to the pixels that are seen", () => {
  const region = (width: number, height: number, more = {}) => {
    const { left, top, ...size } = seenRegion({ width, height }, {
      ...preprocess,
      ...more,
    });
    return [left, top, size.width, size.height];
  };
  assertEquals(region(300, 300), [0, 0, 300, 300]);
  assertEquals(region(300, 200), [50, 0, 200, 200]);
  assertEquals(region(200, 300), [0, 50, 200, 200]);
  // A model that crops squares, too.
  assertEquals(region(256, 256, { size: 256, crop: 224 }), [16, 16, 224, 224]);
  assertEquals(region(16384, 16), [8184, 0, 16, 16]);
  for (let width = 16; width < 200; width += 7) {
    for (let height = 16; height < 200; height += 5) {
      const [left, top, across, down] = region(width, height, { crop: 111 });
      assert(left >= 0 && top >= 0 && across >= 1 && down >= 1);
      assert(left + across <= width && top + down <= height);
      assert(Math.abs(across - down) <= Math.min(width, height) / 50 + 2);
    }
  }
});

Deno.test("fit: the seen region is what preprocessing keeps", async () => {
  const image = beside(300, 220);
  const { left, top, width, height } = seenRegion(image, preprocess);
  const kept = await clipPreprocess(image, preprocess);
  // What is outside has no influence, except within the filter's reach.
  const changed = flat(300, 220, 0);
  const reach = 8;
  for (
    let y = Math.max(top - reach, 0);
    y < Math.min(top + height + reach, 220);
    y++
  ) {
    for (let x = left - reach; x < left + width + reach; x++) {
      const at = (y * 300 + x) * 4;
      changed.data.set(image.data.subarray(at, at + 4), at);
    }
  }
  assertEquals(await clipPreprocess(changed, preprocess), kept);
  changed.data.fill(77, (110 * 300 + left + 2) * 4, (110 * 300 + left + 5) * 4);
  assert(
    (await clipPreprocess(changed, preprocess)).some((x, i) => x !== kept[i]),
  );
});

Deno.test("fit: square references are unchanged, without a warning", async () => {
  for (const fit of [undefined, "crop", "pad"] as const) {
    for (const parse of [true, false]) {
      const { fit: same, warnings } = await fitted(portrait, { fit, parse });
      assertEquals([same === portrait, warnings], [true, []]);
    }
  }
});

Deno.test("fit: without parsing the middle is used, and a warning says how much is lost", async () => {
  for (const fit of [undefined, "crop"] as const) {
    const image = flat(300, 200);
    const { fit: same, warnings } = await fitted(image, { fit });
    assertEquals(same === image, true);
    assertEquals(warnings, [
      'Reference 1: of its 300×200 pixels only the middle 200×200 are used, 33 % are cut off; fit: "pad" keeps all of it',
    ]);
  }
});

Deno.test("fit: parsing squeezes, as the reference does, with a warning", async () => {
  const image = flat(300, 200);
  const { fit: same, warnings } = await fitted(image, { parse: true });
  assertEquals(same === image, true);
  assertEquals(warnings, [
    'Reference 1: its 300×200 pixels are squeezed to a square, as the reference implementation does; fit: "pad" or fit: "crop" keeps the proportions',
  ]);
  const { fit: cropped, warnings: said } = await fitted(beside(300, 128), {
    parse: true,
    fit: "crop",
  });
  assertEquals([cropped.width, cropped.height], [128, 128]);
  assertEquals(
    cropped,
    cut(beside(300, 128), {
      left: 86,
      top: 0,
      right: 213,
      bottom: 127,
    }),
  );
  assertEquals(said.length, 1);
  assert(said[0].includes("57 % are cut off"), said[0]);
});

Deno.test("fit: padding keeps all of the image, centred on black", async () => {
  for (const [width, height] of [[301, 200], [200, 301]]) {
    const image = flat(width, height, 90);
    const { fit: padded, warnings } = await fitted(image, { fit: "pad" });
    assertEquals([padded.width, padded.height, warnings], [301, 301, []]);
    const pixel = (x: number, y: number) => [
      ...padded.data.subarray((y * 301 + x) * 4, (y * 301 + x) * 4 + 4),
    ];
    const wide = width > height;
    for (const at of [0, 49, 250, 300]) {
      const shown = at === 0 || at === 49 || at === 300 ? 0 : 90;
      const value = at === 250 ? 0 : shown;
      assertEquals(
        wide ? pixel(150, at) : pixel(at, 150),
        [value, value, value, 255],
        `${width}×${height} at ${at}`,
      );
    }
    assertEquals(wide ? pixel(150, 50) : pixel(50, 150), [90, 90, 90, 255]);
    assertEquals(wide ? pixel(150, 249) : pixel(249, 150), [90, 90, 90, 255]);
  }
  // The thinnest that is read: no gigabyte of black.
  const { fit: thin } = await fitted(flat(16384, 16), { fit: "pad" });
  assertEquals([thin.width, thin.height], [2048, 2048]);
});

Deno.test("fit: unknown values are refused", () => {
  for (const fit of ["squeeze", "", null, 1, ["crop"]]) {
    const error = assertThrows(
      () => checkOptions("encodeIdentity", { fit }),
      MasterWeaverError,
    );
    assertEquals(error.code, "bad-option");
  }
});

gpuTest("library: references are what the encoder saw", async () => {
  const weaver = await miniWeaver("f32");
  const image = beside(portrait.width * 2, portrait.height);
  const encode = async (options: object) => {
    const warnings: string[] = [];
    const onWarning = (warning: string) => warnings.push(warning);
    const identity = await weaver.encodeIdentity([image], {
      align: false,
      onWarning,
      ...options,
    });
    return { ...identity, warnings };
  };
  const square = await weaver.encodeIdentity([portrait], {
    align: false,
    parse: false,
  });
  const plain = await encode({ parse: false });
  // The portrait alone was seen, and the numbers are its own.
  assertEquals(plain.references, [portrait]);
  assert(largestDifference(plain.tokens, square.tokens) < 0.05);
  assertEquals(plain.warnings.length, 1);
  assert(plain.warnings[0].includes("50 % are cut off"), plain.warnings[0]);
  assertEquals(
    (await encode({ parse: false, fit: "crop" })).tokens,
    plain.tokens,
  );

  const padded = await encode({ parse: false, fit: "pad" });
  assertEquals(padded.warnings, []);
  const side = portrait.width * 2;
  assertEquals([padded.references[0].width, padded.references[0].height], [
    side,
    side,
  ]);
  assert(largestDifference(padded.tokens, plain.tokens) > 0.05);

  // Parsed: squeezed, unless it is made square before.
  const squeezed = await encode({});
  assert(squeezed.warnings[0].includes("squeezed"), squeezed.warnings[0]);
  const parsed = await weaver.encodeIdentity([portrait], { align: false });
  const cropped = await encode({ fit: "crop" });
  assertEquals(cropped.references, parsed.references);
  assertEquals(cropped.tokens, parsed.tokens);
  assert(largestDifference(squeezed.tokens, parsed.tokens) > 0.05);
  const whole = await encode({ fit: "pad" });
  assertEquals(whole.references[0].width, parsed.references[0].width);
  assert(largestDifference(whole.tokens, squeezed.tokens) > 0.05);
});

gpuTest(
  "command: --save-references shows the crop, --fit is checked",
  async () => {
    const folder = await Deno.makeTempDir();
    try {
      const image = beside(portrait.width * 2, portrait.height);
      await writePng(`${folder}/wide.png`, image);
      const once = ["--ref=wide.png", "--steps=1", "--width=64", "--height=64"];
      const run = (...args: string[]) =>
        command([...once, "--quiet", "--save-references", ...args], {
          cwd: folder,
        });
      const { code, err } = await run("--no-parse", "--no-align");
      assertEquals(code, 0, err.join("\n"));
      assertEquals(err.length, 1);
      assert(err[0].includes("50 % are cut off"), err[0]);
      const shown = await readImage(`${folder}/output.reference-0.png`);
      assertEquals(shown, portrait);
      const padded = await run("--no-parse", "--no-align", "--fit=pad");
      assertEquals([padded.code, padded.err], [0, []]);
      const { width, height } = await readImage(
        `${folder}/output.reference-0.png`,
      );
      assertEquals([width, height], [portrait.width * 2, portrait.width * 2]);
      const wrong = await run("--fit=stretch");
      assertEquals(wrong.code, 2);
      assert(wrong.err[0].includes("crop or pad, got stretch"), wrong.err[0]);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

Deno.test("fit: a square is not cropped", async () => {
  const image = await resizeImage(portrait, 97, 97, "bicubic");
  assertEquals(await cropToSeen(image, preprocess) === image, true);
});
