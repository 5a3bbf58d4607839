/** The page: reads its data, and keeps every view up with the reader's choice. */

import { decode, type Unit } from "../heart/index.ts";
import { about, copyAs } from "./about.ts";
import { answersView } from "./answers.ts";
import { controls } from "./controls.ts";
import { type Child, h, replace } from "./dom.ts";
import { frontier } from "./frontier.ts";
import { lost } from "./lost.ts";
import { sampling } from "./sampling.ts";
import { State } from "./state.ts";
import { stepView } from "./step.ts";
import { summary } from "./summary.ts";
import { count } from "./words.ts";

/** A view that keeps its elements, and is told when the rule changes. */
interface Lasting {
  readonly element: HTMLElement;
  readonly follow: () => void;
}

async function start(): Promise<void> {
  const data = document.getElementById("data")!;
  const units = await decode(data.textContent!.trim());
  data.remove();
  const state = new State(units, {
    shown: 0,
    beside: undefined,
    rule: units[0].defaultRule,
    samples: 100,
  });
  replace(document.querySelector("main")!, page(state));
}

function page(state: State): Child[] {
  const sentence = section("Diagnosis", "summary");
  const step = section("The next token", "step");
  const plane = section("Validity against diversity", "frontier");
  const answers = section("Answers", "answers");
  const more = section("Sampling more", "sampling");
  const where = section("Where it is lost", "lost");
  const copies = section("This rule, for an engine", "copy-as");
  const origin = section("Where the numbers come from", "about");
  const lasting = new Map<Unit, { plane: Lasting; answers: Lasting }>();

  const kept = (unit: Unit) => {
    const known = lasting.get(unit) ?? { plane: frontier(state, unit), answers: answersView(state, unit) };
    lasting.set(unit, known);
    return known;
  };
  const columns = (view: (unit: Unit) => Child) =>
    state.open.map((unit) =>
      h("div", { class: "column" }, state.open.length > 1 && h("h3", {}, name(unit)), view(unit)),
    );
  const draw = (changed: ReadonlySet<string>) => {
    const runs = changed.has("shown") || changed.has("beside");
    const rule = runs || changed.has("rule");
    const samples = rule || changed.has("samples");
    if (samples) replace(sentence.body, columns((unit) => summary(state, unit)));
    if (rule || changed.has("node")) replace(step.body, columns((unit) => stepView(state, unit)));
    if (runs) {
      replace(plane.body, columns((unit) => kept(unit).plane.element));
      replace(answers.body, columns((unit) => kept(unit).answers.element));
      replace(origin.body, columns((unit) => about(unit)));
    }
    if (samples) {
      for (const unit of state.open) {
        kept(unit).plane.follow();
        kept(unit).answers.follow();
      }
      replace(more.body, columns((unit) => sampling(state, unit)));
    }
    if (rule) {
      replace(where.body, columns((unit) => lost(state, unit)));
      replace(copies.body, copyAs(state));
    }
  };
  state.onChange(draw);
  draw(new Set(["shown"]));
  return [
    chooser(state),
    controls(state),
    ...[sentence, step, plane, answers, more, where, copies, origin].map(({ element }) => element),
  ];
}

function section(title: string, id: string): { element: HTMLElement; body: HTMLElement } {
  const body = h("div", { class: "columns" });
  return { element: h("section", { id, "aria-labelledby": `${id}-title` }, h("h2", { id: `${id}-title` }, title), body), body };
}

function name(unit: Unit): string {
  return `${unit.model} on ${unit.task}`;
}

/** Which run is shown, which beside it, and how many samples are counted. */
function chooser(state: State): HTMLElement {
  const options = state.units.map((unit, index) => h("option", { value: index }, name(unit)));
  const shown = h(
    "select",
    {
      id: "shown",
      onchange: () => {
        const index = Number(shown.value);
        const isDefault = String(state.now.rule) === String(state.units[state.now.shown].defaultRule);
        const rule = isDefault ? state.units[index].defaultRule : state.now.rule;
        state.change({ shown: index, rule });
      },
    },
    options,
  );
  const beside = h(
    "select",
    {
      id: "beside",
      onchange: () => state.change({ beside: beside.value === "" ? undefined : Number(beside.value) }),
    },
    h("option", { value: "" }, "nothing"),
    options.map((option) => option.cloneNode(true)),
  );
  const samples = h("input", {
    id: "samples",
    type: "number",
    min: 1,
    max: 1e9,
    value: state.now.samples,
    onchange: () => {
      const wanted = Math.round(Number(samples.value));
      if (wanted >= 1) state.change({ samples: wanted });
      else samples.value = String(state.now.samples);
    },
  });
  const facts = h("p", { class: "facts" });
  const tell = () => {
    const unit = state.units[state.now.shown];
    replace(
      facts,
      `${count(unit.answers.length)} valid answers, ${count(unit.trie.length - unit.trie.leaves.length)} prefixes, `,
      `vocabulary of ${count(unit.ranked.vocabSize)}.`,
    );
  };
  state.onChange(tell);
  tell();
  return h(
    "header",
    {},
    h("h1", {}, "breadth"),
    h("label", { for: "shown" }, "Run ", shown),
    state.units.length > 1 && h("label", { for: "beside" }, "beside ", beside),
    h("label", { for: "samples" }, "samples ", samples),
    facts,
  );
}

start().catch((error: unknown) => {
  replace(
    document.querySelector("main")!,
    h("p", { class: "error", role: "alert" }, `This page cannot be shown: ${String(error)}`),
  );
});
