/** Where the numbers come from, and the current rule as each engine takes it. */

import { ENGINES, type Rule, type Unit } from "../heart/index.ts";
import { h } from "./dom.ts";
import type { State } from "./state.ts";
import { visible } from "./words.ts";

/** A rule in an engine's own words. */
interface Spelled {
  readonly engine: string;
  readonly text: string;
  /** What the engine cannot do. */
  readonly notes: readonly string[];
}

export function about(unit: Unit): HTMLElement {
  return h(
    "article",
    {},
    h(
      "dl",
      { class: "provenance" },
      Object.entries(unit.facts.provenance).map(([name, value]) => [
        h("dt", {}, name.replaceAll("_", " ")),
        h("dd", {}, h("code", {}, told(value))),
      ]),
    ),
  );
}

/** A value of the provenance in words; the lines of a prompt stay lines. */
function told(value: unknown): string {
  if (typeof value === "object" && value !== null) {
    const parts = Object.entries(value).map(([name, each]) =>
      Array.isArray(value) ? told(each) : `${name}: ${told(each)}`,
    );
    return parts.join("; ") || "(none)";
  }
  const text = String(value);
  return text === ""
    ? "(nothing)"
    : text
        .split("\n")
        .map((line) => visible(line))
        .join("⏎\n");
}

export function copyAs(state: State): HTMLElement {
  return h(
    "article",
    { class: "copy-as" },
    spellings(state.now.rule).map(({ engine, text, notes }) => {
      const code = h("code", {}, text);
      const done = h("span", { role: "status" });
      const copy = async () => {
        await navigator.clipboard.writeText(text).catch(() => select(code));
        done.textContent = " copied";
        setTimeout(() => (done.textContent = ""), 1500);
      };
      return h(
        "div",
        { class: "spelled" },
        h("h4", {}, engine),
        h("pre", {}, code),
        h("button", { type: "button", onclick: () => void copy() }, "Copy"),
        done,
        notes.map((note) => h("p", { class: "note" }, note)),
      );
    }),
  );
}

/** Where the clipboard is not allowed, what is to be copied is selected. */
function select(element: Element): void {
  getSelection()?.selectAllChildren(element);
}

/** The rule for transformers, vLLM, llama.cpp and OpenAI's parameters. */
export function spellings(rule: Rule): Spelled[] {
  const given = rule.steps.map((step) => {
    const [name, value] = String(step).split("=");
    return { name, value };
  });
  const value = (name: string) => given.find((step) => step.name === name)?.value;
  const twice = given.map(({ name }) => name).filter((name, at, all) => all.indexOf(name) !== at);
  const notes = (engine: string, known: readonly string[], order: readonly string[]) => {
    const found: string[] = [];
    if (rule.oracle) found.push(`${rule.oracle} is a diagnostic: no engine can run it.`);
    const missing = given.filter(({ name }) => !known.includes(name)).map(({ name }) => name);
    if (missing.length) found.push(`${engine} has no ${missing.join(", ")}: left out.`);
    if (twice.length) found.push(`${engine} applies ${twice.join(", ")} once only.`);
    const kept = given.map(({ name }) => name).filter((name) => order.includes(name));
    const sorted = kept.slice().sort((a, b) => order.indexOf(a) - order.indexOf(b));
    if (kept.join() !== sorted.join()) {
      found.push(`${engine} applies ${sorted.join(" → ")}, whatever the order here.`);
    }
    return found;
  };
  const python = (names: readonly string[], first: readonly string[] = []) =>
    [
      ...first,
      ...names.flatMap((name) => (value(name) === undefined ? [] : [`${name}=${value(name)}`])),
    ].join(", ");
  const order = (engine: string) => ENGINES.get(engine)!.order;

  const transformers = order("transformers");
  const greedy = rule.temperature === 0;
  const own = transformers.filter((name) => !(greedy && name === "temperature"));
  const topK = value("top_k") === undefined ? ["top_k=0"] : [];
  const vllm = order("vllm");
  const llama = order("llama.cpp");
  const flags = llama.flatMap((name) => {
    const set = value(name);
    if (name === "temperature") return [`--temp ${set ?? 1}`];
    if (name === "xtc") {
      const [threshold, probability] = (set ?? "0.1:0").split(":");
      return set ? [`--xtc-threshold ${threshold} --xtc-probability ${probability}`] : [];
    }
    const flag = {
      top_k: "--top-k",
      top_p: "--top-p",
      min_p: "--min-p",
      typical_p: "--typical",
      top_n_sigma: "--top-nsigma",
    }[name]!;
    const off = { top_k: "0", top_p: "1", min_p: "0", typical_p: "1", top_n_sigma: "-1" }[name]!;
    return set || ["top_k", "top_p", "min_p"].includes(name) ? [`${flag} ${set ?? off}`] : [];
  });
  const samplers: Readonly<Record<string, string>> = { typical_p: "typ_p" };
  const sequence = given
    .filter(({ name }) => llama.includes(name))
    .map(({ name }) => samplers[name] ?? name);
  const openai = ["temperature", "top_p"];
  return [
    {
      engine: "transformers",
      text: `model.generate(**inputs, ${python(own, [`do_sample=${greedy ? "False" : "True"}`, ...topK])})`,
      notes: notes("transformers", transformers, transformers),
    },
    {
      engine: "vLLM",
      text: `SamplingParams(${python(vllm)})`,
      notes: notes("vLLM", vllm, vllm),
    },
    {
      engine: "llama.cpp",
      text: `llama-cli ${[...flags, ...(sequence.length > 1 ? [`--samplers "${sequence.join(";")}"`] : [])].join(" ")}`,
      notes: notes("llama.cpp", llama, sequence.length > 1 ? [] : llama),
    },
    {
      engine: "OpenAI parameters",
      text: JSON.stringify(
        Object.fromEntries(
          openai.flatMap((name) => (value(name) ? [[name, Number(value(name))]] : [])),
        ),
      ),
      notes: notes("An OpenAI-style endpoint", openai, openai),
    },
  ];
}
