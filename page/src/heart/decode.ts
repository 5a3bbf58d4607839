/** From the page's text to its runs. The format is told in `breadth.report.page.payload`. */

import { type Columns, type Facts, Unit } from "./unit.ts";

/** The format that is read here. */
const FORMAT = 1;

interface Described {
  readonly name: string;
  readonly type: "int" | "float";
  readonly step: number;
  readonly shape: readonly number[];
}

interface Header {
  readonly format: number;
  readonly units: readonly (Facts & { readonly columns: readonly Described[] })[];
}

/**
 * Read the runs of a page.
 *
 * @throws Error where the text is of another format
 */
export async function decode(text: string): Promise<Unit[]> {
  const stream = await inflate(Uint8Array.from(atob(text), (byte) => byte.charCodeAt(0)));
  const size = new DataView(stream.buffer).getUint32(0, true);
  let at = 4 + size;
  const header = JSON.parse(new TextDecoder().decode(stream.subarray(4, at))) as Header;
  if (header.format !== FORMAT) {
    throw new Error(`this page reads format ${FORMAT}, but its data have ${header.format}`);
  }
  return header.units.map(({ columns: described, ...facts }) => {
    const columns: Record<string, Int32Array | Float32Array> = {};
    for (const each of described) {
      const count = each.shape.reduce((product, length) => product * length, 1);
      columns[each.name] = column(stream.subarray(at, (at += 4 * count)), each);
    }
    return new Unit(facts, columns satisfies Columns);
  });
}

async function inflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(inflated).arrayBuffer());
}

/** A column from its bytes: words split by byte, each less the one before it. */
function column(bytes: Uint8Array, { type, step }: Described): Int32Array | Float32Array {
  const count = bytes.length / 4;
  const words = new Int32Array(count);
  let word = 0;
  for (let index = 0; index < count; index++) {
    word +=
      bytes[index] |
      (bytes[count + index] << 8) |
      (bytes[2 * count + index] << 16) |
      (bytes[3 * count + index] << 24);
    words[index] = word |= 0;
  }
  if (type === "float") return new Float32Array(words.buffer);
  return step === 1 ? words : Float32Array.from(words, (each) => each * step);
}
