/**
 * TensorBoard's event files, compared with those of the Python package.
 */
import { assert, assertEquals } from "@std/assert";
import { crc32c, maskedCrc32c } from "../tools/train/run/tensorboard/crc32c.ts";
import { EventFile } from "../tools/train/run/tensorboard/event_file.ts";
import {
  imageEvent,
  scalarEvent,
  startEvent,
  versionEvent,
} from "../tools/train/run/tensorboard/events.ts";
import { inFolder, namesIn } from "./support/file_systems.ts";
import { join } from "./support/weights.ts";

/**
 * What tensorboard 2.21.0 writes for these events: `RecordWriter`, with
 * `Event(…).SerializeToString()`.
 */
const GOLDEN =
  "1800000000000000a37f4b220900001040fc54d9411a0d627261696e2e4576" +
  "656e743a32338d2fe9100000000000000095fbfe180900006040fc54d94110d10f3a0208" +
  "01187f62d03b000000000000001a23ac5c0900008040fc54d94110d10f2a2d0a150a0e74" +
  "7261696e2f6c6f73735f6d6c65150000003e0a140a0d747261696e2f6772c3b6c39f6515" +
  "000060c00dbf472e290000000000000037ff5f00090000c040fc54d94110b5b8f0fe2d2a" +
  "180a160a0467726964220e08c80110ac021803220489504e475d5d7e3a";

const second = 1_700_000_000;

Deno.test("tensorboard: events are the Python package's, byte for byte", () => {
  const bytes = join([
    versionEvent(second + 0.25),
    startEvent({ wallTime: second + 1.5, step: 2001 }),
    scalarEvent({ wallTime: second + 2, step: 2001 }, {
      "train/loss_mle": 0.125,
      "train/größe": -3.5,
    }),
    // A step of more than 32 bits.
    imageEvent({ wallTime: second + 3, step: 12345678901 }, {
      tag: "grid",
      width: 300,
      height: 200,
      png: new Uint8Array([137, 80, 78, 71]),
    }),
  ]);
  assertEquals(bytes.toHex(), GOLDEN);
});

Deno.test("tensorboard: CRC-32C is that of RFC 3720", () => {
  const text = new TextEncoder().encode("123456789");
  assertEquals(crc32c(text), 0xe3069283);
  assertEquals(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assertEquals(crc32c(new Uint8Array(32).fill(255)), 0x62a8ab43);
  assertEquals(maskedCrc32c(new Uint8Array()), 0xa282ead8);
});

/** Payloads of a file's records, each with its checksums compared. */
function payloads(file: Uint8Array): Uint8Array[] {
  const found: Uint8Array[] = [];
  const view = new DataView(file.buffer, file.byteOffset);
  for (let at = 0; at < file.length;) {
    const length = Number(view.getBigUint64(at, true));
    const data = file.subarray(at + 12, at + 12 + length);
    assertEquals(
      view.getUint32(at + 8, true),
      maskedCrc32c(file.subarray(at, at + 8)),
    );
    assertEquals(view.getUint32(at + 12 + length, true), maskedCrc32c(data));
    found.push(data);
    at += 16 + length;
  }
  return found;
}

Deno.test("tensorboard: a run that goes on begins a file that follows", () =>
  inFolder(async (folder) => {
    let now = second;
    const warnings: string[] = [];
    const open = (step: number) =>
      EventFile.open(folder, step, (line) => warnings.push(line), () => now);
    {
      using events = await open(0);
      events.scalars(1, { loss: 1 });
      events.scalars(2, { loss: NaN, other: Infinity });
    }
    // The clock has been set back.
    now -= 100;
    {
      using events = await open(1);
      events.scalars(2, { loss: 3 });
    }
    const names = await namesIn(`${folder}/tensorboard`);
    assertEquals(names, [
      "events.out.tfevents.1700000000.masterweaver",
      "events.out.tfevents.1700000001.masterweaver",
    ]);
    const [first, next] = await Promise.all(
      names.map((name) => Deno.readFile(`${folder}/tensorboard/${name}`)),
    );
    assertEquals(payloads(first).length, 3);
    const records = payloads(next);
    assertEquals(records.length, 3);
    // Events from step 2 on are forgotten.
    const start = startEvent({ wallTime: now, step: 2 });
    assertEquals(records[1], payloads(start)[0]);
    assert(records[2].length > 0);
    assertEquals(warnings, []);
  }));
