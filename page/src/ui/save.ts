/** Saving what is seen: a chart as SVG or PNG, its numbers as CSV. */

import { h } from "./dom.ts";

/** Columns by name, of equal length. */
export type Table = Readonly<Record<string, readonly (string | number | boolean)[]>>;

/** The three buttons below a chart. */
export function savers(name: string, svg: SVGSVGElement, data: () => Table): HTMLElement {
  const button = (form: string, save: () => void | Promise<void>) =>
    h("button", { type: "button", title: `Save as ${form}`, onclick: () => void save() }, form);
  return h(
    "span",
    { class: "savers" },
    button("SVG", () =>
      download(`${name}.svg`, new Blob([standalone(svg)], { type: "image/svg+xml" })),
    ),
    button("PNG", async () => download(`${name}.png`, await raster(svg))),
    button("CSV", () => download(`${name}.csv`, new Blob([csv(data())], { type: "text/csv" }))),
  );
}

function download(name: string, blob: Blob): void {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

const STYLED = [
  "fill",
  "stroke",
  "stroke-width",
  "stroke-dasharray",
  "opacity",
  "font-size",
  "font-family",
];

/** A chart by itself, as it looks now: the page's styles are written into it. */
export function standalone(svg: SVGSVGElement): string {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const originals = svg.querySelectorAll<SVGElement>("*");
  copy.querySelectorAll<SVGElement>("*").forEach((element, index) => {
    const style = getComputedStyle(originals[index]);
    for (const property of STYLED) element.setAttribute(property, style.getPropertyValue(property));
  });
  const { width, height } = svg.viewBox.baseVal;
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", String(width));
  copy.setAttribute("height", String(height));
  const paper = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  paper.setAttribute("width", "100%");
  paper.setAttribute("height", "100%");
  paper.setAttribute("fill", getComputedStyle(document.body).backgroundColor);
  copy.prepend(paper);
  return new XMLSerializer().serializeToString(copy);
}

async function raster(svg: SVGSVGElement): Promise<Blob> {
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([standalone(svg)], { type: "image/svg+xml" }));
  await image.decode();
  const canvas = h("canvas");
  canvas.width = 2 * svg.viewBox.baseVal.width;
  canvas.height = 2 * svg.viewBox.baseVal.height;
  canvas.getContext("2d")!.drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(image.src);
  return new Promise((resolve) => canvas.toBlob((blob) => resolve(blob!), "image/png"));
}

/** Comma-separated values; text is quoted. */
export function csv(table: Table): string {
  const names = Object.keys(table);
  const cell = (value: string | number | boolean) =>
    typeof value === "string" ? `"${value.replaceAll('"', '""')}"` : String(value);
  const rows = Array.from({ length: table[names[0]]?.length ?? 0 }, (_, row) =>
    names.map((name) => cell(table[name][row])).join(","),
  );
  return [names.join(","), ...rows].join("\n") + "\n";
}
