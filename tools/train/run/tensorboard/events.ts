/**
 * TensorBoard's events: protocol buffers of `tensorflow.Event` in TFRecord
 * framing.
 *
 * @module
 */
import { joinBytes } from "../../../../src/host/codecs/bytes.ts";
import { maskedCrc32c } from "./crc32c.ts";
import { encode, type Field, type Message } from "./protobuf.ts";

/** When an event was, and of which step. */
export interface EventTime {
  /** Seconds since 1970. */
  readonly wallTime: number;
  /** Steps that were done. */
  readonly step: number;
}

/** An image of an event. */
export interface EventImage {
  /** Its name. */
  readonly tag: string;
  /** Pixels per row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** A PNG file. */
  readonly png: Uint8Array;
}

/** What a file of events begins with; TensorBoard drops restarted steps from version 2 on. */
const FILE_VERSION = "brain.Event:2";
/** `tensorflow.SessionLog.START`. */
const SESSION_START = 1;
/** Channels of an image without alpha. */
const RGB = 3;

const int = (value: number): Field => ({ kind: "int", value });
const text = (value: string): Field => ({ kind: "text", value });
const message = (value: Message): Field => ({ kind: "message", value });

/** The first record of a file. */
export function versionEvent(wallTime: number): Uint8Array<ArrayBuffer> {
  return record([
    [1, { kind: "double", value: wallTime }],
    [3, text(FILE_VERSION)],
  ]);
}

/**
 * Says that training begins at a step: TensorBoard then forgets what earlier
 * files say of this step and later ones.
 */
export function startEvent(time: EventTime): Uint8Array<ArrayBuffer> {
  return event(time, [7, message([[1, int(SESSION_START)]])]);
}

/** Values of a step by name; those that are not finite are shown as such. */
export function scalarEvent(
  time: EventTime,
  values: Readonly<Record<string, number>>,
): Uint8Array<ArrayBuffer> {
  return summary(
    time,
    Object.entries(values).map(([tag, value]) => [
      [1, text(tag)],
      [2, { kind: "float", value }],
    ]),
  );
}

/** An image of a step. */
export function imageEvent(
  time: EventTime,
  { tag, width, height, png }: EventImage,
): Uint8Array<ArrayBuffer> {
  return summary(time, [[
    [1, text(tag)],
    [
      4,
      message([
        [1, int(height)],
        [2, int(width)],
        [3, int(RGB)],
        [4, { kind: "bytes", value: png }],
      ]),
    ],
  ]]);
}

function summary(
  time: EventTime,
  values: readonly Message[],
): Uint8Array<ArrayBuffer> {
  return event(time, [
    5,
    message(values.map((value) => [1, message(value)] as const)),
  ]);
}

function event(
  { wallTime, step }: EventTime,
  what: Message[number],
): Uint8Array<ArrayBuffer> {
  return record([
    [1, { kind: "double", value: wallTime }],
    [2, int(step)],
    what,
  ]);
}

/** A TFRecord: length (u64), its checksum, the data, its checksum. */
function record(content: Message): Uint8Array<ArrayBuffer> {
  const data = encode(content);
  const head = new Uint8Array(12);
  const view = new DataView(head.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc32c(head.subarray(0, 8)), true);
  const tail = new Uint8Array(4);
  new DataView(tail.buffer).setUint32(0, maskedCrc32c(data), true);
  return joinBytes([head, data, tail]);
}
