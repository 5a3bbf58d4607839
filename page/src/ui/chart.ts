/** The frame of every chart: size, scales, axes with their units, and saving what is seen. */

import { scaleLinear, scaleLog, type ScaleContinuousNumeric } from "d3-scale";
import { line } from "d3-shape";

import { type Child, h, s } from "./dom.ts";
import { savers, type Table } from "./save.ts";

export type Scale = ScaleContinuousNumeric<number, number>;

/** One axis: what it shows, from where to where. */
export interface Axis {
  readonly label: string;
  readonly domain: readonly [number, number];
  readonly log?: boolean;
  readonly format?: (value: number) => string;
}

/** Whether the page is as narrow as a telephone. */
export const NARROW = matchMedia("(max-width: 700px)");

/** Width of a chart in its own units, so that its text is legible at the size it is shown. */
export function chartWidth(): number {
  return NARROW.matches ? 370 : 640;
}

const MARGIN = { top: 10, right: 24, bottom: 42, left: 56 };

/** A chart to draw into: `x` and `y` map data to pixels. */
export class Chart {
  readonly svg: SVGSVGElement;
  readonly x: Scale;
  readonly y: Scale;
  private readonly plane: SVGGElement;

  constructor(
    readonly width: number,
    readonly height: number,
    x: Axis,
    y: Axis,
    label: string,
  ) {
    this.x = scale(x, [MARGIN.left, width - MARGIN.right]);
    this.y = scale(y, [height - MARGIN.bottom, MARGIN.top]);
    this.plane = s("g");
    this.svg = s(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, class: "chart" },
      this.xAxis(x),
      this.yAxis(y),
      this.plane,
    );
  }

  /** Add marks, in pixels. */
  add(...children: Child[]): void {
    for (const child of children.flat() as Child[])
      if (child instanceof Node) this.plane.append(child);
  }

  /** A line through points in data units; it breaks where one is not finite. */
  path(
    points: readonly (readonly [number, number])[],
    attributes: Readonly<Record<string, unknown>>,
  ): void {
    const draw = line<readonly [number, number]>(
      ([x]) => this.x(x),
      ([, y]) => this.y(y),
    ).defined(([x, y]) => Number.isFinite(this.x(x)) && Number.isFinite(this.y(y)));
    this.add(s("path", { d: draw([...points]) ?? "", fill: "none", ...attributes }));
  }

  private xAxis(axis: Axis): SVGGElement {
    const y = this.height - MARGIN.bottom;
    return s(
      "g",
      { class: "axis" },
      s("path", { d: `M${MARGIN.left},${y}H${this.width - MARGIN.right}` }),
      ticks(this.x, axis, this.width < 420 ? 4 : 7).map((value) => [
        s("path", { d: `M${this.x(value)},${y}v5`, class: "tick" }),
        s("path", { d: `M${this.x(value)},${y}V${MARGIN.top}`, class: "grid" }),
        s("text", { x: this.x(value), y: y + 17, "text-anchor": "middle" }, shown(axis, value)),
      ]),
      s(
        "text",
        {
          x: (MARGIN.left + this.width) / 2,
          y: this.height - 6,
          "text-anchor": "middle",
          class: "label",
        },
        axis.label,
      ),
    );
  }

  private yAxis(axis: Axis): SVGGElement {
    const x = MARGIN.left;
    const middle = (MARGIN.top + this.height - MARGIN.bottom) / 2;
    return s(
      "g",
      { class: "axis" },
      s("path", { d: `M${x},${MARGIN.top}V${this.height - MARGIN.bottom}` }),
      ticks(this.y, axis, 6).map((value) => [
        s("path", { d: `M${x},${this.y(value)}h-5`, class: "tick" }),
        s("path", { d: `M${x},${this.y(value)}H${this.width - MARGIN.right}`, class: "grid" }),
        s("text", { x: x - 8, y: this.y(value) + 4, "text-anchor": "end" }, shown(axis, value)),
      ]),
      s(
        "text",
        {
          x: -middle,
          y: 13,
          transform: "rotate(-90)",
          "text-anchor": "middle",
          class: "label",
        },
        axis.label,
      ),
    );
  }
}

/** A chart with its caption and the buttons that save it. */
export function figure(
  name: string,
  caption: Child,
  svg: SVGSVGElement,
  data: () => Table,
): HTMLElement {
  return h("figure", {}, svg, h("figcaption", {}, caption, savers(name, svg, data)));
}

function scale(axis: Axis, range: [number, number]): Scale {
  return (axis.log ? scaleLog() : scaleLinear()).domain(axis.domain).range(range).clamp(false);
}

function ticks(scale: Scale, axis: Axis, about: number): number[] {
  const values = scale.ticks(about);
  if (!axis.log) return values;
  const powers = values.filter((value) => Math.abs(Math.log10(value) % 1) < 1e-9);
  if (powers.length < 2)
    return values.filter((_, index) => index % Math.ceil(values.length / about) === 0);
  return powers.filter((_, index) => index % Math.ceil(powers.length / about) === 0);
}

const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹";

function shown(axis: Axis, value: number): string {
  if (axis.format) return axis.format(value);
  if (!axis.log) return Number(value.toPrecision(6)).toLocaleString("en");
  const exponent = Math.round(Math.log10(value));
  if (value >= 1 && value < 1e6) return value.toLocaleString("en");
  if (value >= 0.001 && value < 1) return String(Number(value.toPrecision(3)));
  const digits = Array.from(String(Math.abs(exponent)), (digit) => SUPERSCRIPT[Number(digit)]).join(
    "",
  );
  return `10${exponent < 0 ? "⁻" : ""}${digits}`;
}
