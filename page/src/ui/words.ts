/** Numbers and token text as a person reads them. */

import { h } from "./dom.ts";

/** A number with a few digits, small ones in powers of ten; a dash for none. */
export function number(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size > 0 && size < 10 ** -digits) return value.toExponential(1).replace("-", "−");
  return (size >= 1000 ? Math.round(value).toLocaleString("en") : value.toFixed(digits)).replace(
    "-",
    "−",
  );
}

/** A share in percent. */
export function percent(value: number): string {
  if (Number.isNaN(value)) return "–";
  const shown = 100 * value;
  return `${shown > 0 && shown < 0.1 ? shown.toExponential(1).replace("-", "−") : shown.toFixed(1)} %`;
}

/** A whole number with separators. */
export function count(value: number): string {
  return value.toLocaleString("en");
}

const NAMED: Readonly<Record<string, string>> = { "\n": "⏎", "\t": "⇥", " ": "␣" };

/** Text with everything that does not show, or that would turn its surroundings round, spelled out. */
export function visible(text: string, spaces = false): string {
  return Array.from(text, (character) => {
    if (character === " " && !spaces) return character;
    if (character in NAMED) return NAMED[character];
    return /[\p{C}\p{Zl}\p{Zp}]/u.test(character)
      ? `\\u${character.codePointAt(0)!.toString(16).padStart(4, "0")}`
      : character;
  }).join("");
}

/** A token on the page: by itself, whatever its script's direction. */
export function token(text: string): HTMLElement {
  return h("bdi", { class: "token" }, text === "⏹" ? "end of answer" : visible(text, true));
}

/** The answer so far at a prefix. */
export function prefix(text: string): string {
  return text ? visible(text.replace(/^ /, "")) : "(start)";
}
