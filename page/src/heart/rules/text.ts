/** Numbers and names as Python reads and writes them, so that a rule has one text on both sides. */

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const SPECIAL = /^([+-]?)(inf|infinity|nan)$/i;

/** The shortest text that reads back as the number: 1, 0.1, 1e-05. */
export function numberText(value: number, digits = 16): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  const [mantissa, power] = value.toExponential().split("e");
  const exponent = Number(power);
  if (exponent >= -4 && exponent < digits) return String(value);
  return `${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

/** A number to six digits. */
export function shortText(value: number): string {
  return numberText(Number(value.toPrecision(6)), 6);
}

/** A text as a number; undefined where it is none. */
export function readNumber(text: string): number | undefined {
  const trimmed = text.trim();
  if (NUMBER.test(trimmed)) return Number(trimmed);
  const special = SPECIAL.exec(trimmed);
  if (!special) return undefined;
  return special[2].toLowerCase() === "nan" ? NaN : special[1] === "-" ? -Infinity : Infinity;
}

/** A text in quotes. */
export function quoted(text: string): string {
  return text.includes("'") && !text.includes('"') ? `"${text}"` : `'${text.replace(/'/g, "\\'")}'`;
}

/** The known name most like `name`, or undefined where none is like it (as `difflib` judges). */
export function closest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let most = 0.6;
  for (const each of known) {
    const likeness = (2 * matched(each, name)) / (each.length + name.length);
    const isBetter = best === undefined ? likeness >= most : likeness > most;
    if (isBetter || (likeness === most && best !== undefined && each > best)) {
      best = each;
      most = likeness;
    }
  }
  return best;
}

/** Characters in common: the longest common stretch, and the same to its left and its right. */
function matched(a: string, b: string): number {
  let [start, other, size] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    for (let j = 0; j < b.length; j++) {
      let length = 0;
      while (i + length < a.length && j + length < b.length && a[i + length] === b[j + length]) {
        length++;
      }
      if (length > size) [start, other, size] = [i, j, length];
    }
  }
  if (size === 0) return 0;
  const before = matched(a.slice(0, start), b.slice(0, other));
  return before + size + matched(a.slice(start + size), b.slice(other + size));
}
