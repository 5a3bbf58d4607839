/** The page: reads its data, and keeps every view up with the reader's choice. */

import { decode, type Unit } from "../heart/index.ts";
import { about, copyAs } from "./about.ts";
import { answersView } from "./answers.ts";
import { NARROW } from "./chart.ts";
import { controls } from "./controls.ts";
import { type Child, h, replace } from "./dom.ts";
import { frontier } from "./frontier.ts";
import { lost } from "./lost.ts";
import { overview } from "./overview.ts";
import { sampling } from "./sampling.ts";
import { State } from "./state.ts";
import { stepView } from "./step.ts";
import { summary } from "./summary.ts";
import { count, visible } from "./words.ts";

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
  const lasting = new Map<string, Lasting>();
  /** A view that is made once for each run, and follows the rule from then on. */
  const kept = (id: string, make: (state: State, unit: Unit) => Lasting) => (unit: Unit) => {
    const key = `${id} ${state.units.indexOf(unit)}`;
    const known = lasting.get(key);
    if (known) known.follow();
    const view = known ?? make(state, unit);
    lasting.set(key, view);
    return view.element;
  };
  const each = (view: (unit: Unit) => Child) => () =>
    state.open.map((unit) =>
      h("div", { class: "column" }, state.open.length > 1 && h("h3", {}, name(unit)), view(unit)),
    );
  const runs = ["shown", "beside"];
  const rule = [...runs, "rule"];
  const sections = [
    ...(state.units.length > 1
      ? [new Section("overview", "All runs", ["shown"], () => overview(state))]
      : []),
    new Section(
      "summary",
      "Diagnosis",
      [...rule, "samples"],
      each((unit) => summary(state, unit)),
    ),
    new Section(
      "step",
      "The next token",
      [...rule, "node"],
      each((unit) => stepView(state, unit)),
    ),
    new Section("frontier", "Validity against diversity", rule, each(kept("plane", frontier))),
    new Section("answers", "Answers", [...rule, "samples"], each(kept("answers", answersView))),
    new Section(
      "sampling",
      "Sampling more",
      [...rule, "samples"],
      each((unit) => sampling(state, unit)),
    ),
    new Section(
      "lost",
      "Where it is lost",
      rule,
      each((unit) => lost(state, unit)),
    ),
    new Section("copy-as", "This rule, for an engine", ["rule"], () => copyAs(state)),
    new Section(
      "about",
      "Where the numbers come from",
      runs,
      each((unit) => about(unit)),
    ),
  ];
  for (const section of sections) section.draw();
  const later = new Later(sections);
  state.onChange((changed) => {
    for (const section of sections) section.isStale ||= section.dependsOn(changed);
    later.draw();
  });
  const [first, ...others] = sections.map(({ element }) => element);
  NARROW.addEventListener("change", () => {
    lasting.clear();
    for (const section of sections) section.isStale = true;
    later.draw();
  });
  return [chooser(state), first, controls(state), ...others];
}

/** A part of the page, redrawn when something that it depends on has changed. */
class Section {
  readonly element: HTMLElement;
  isStale = true;
  private readonly body = h("div", { class: "columns" });

  constructor(
    id: string,
    title: string,
    private readonly needs: readonly string[],
    private readonly content: () => Child,
  ) {
    const heading = h("h2", { id: `${id}-title` }, title);
    this.element = h("section", { id, "aria-labelledby": heading.id }, heading, this.body);
  }

  dependsOn(changed: ReadonlySet<string>): boolean {
    return this.needs.some((name) => changed.has(name));
  }

  get isSeen(): boolean {
    const { top, bottom } = this.element.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  }

  draw(): void {
    replace(this.body, this.content());
    this.isStale = false;
  }
}

/** Draws at once what is seen, and the rest when the reader pauses. */
class Later {
  private timer = 0;

  constructor(private readonly sections: readonly Section[]) {}

  draw(): void {
    for (const section of this.stale()) if (section.isSeen) section.draw();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.rest(), 60) as unknown as number;
  }

  private rest(): void {
    const [next] = this.stale();
    if (!next) return;
    next.draw();
    this.timer = setTimeout(() => this.rest(), 0) as unknown as number;
  }

  private stale(): Section[] {
    return this.sections.filter(({ isStale }) => isStale);
  }
}

function name(unit: Unit): string {
  return visible(`${unit.model} on ${unit.task}`);
}

/** Which run is shown, which beside it, and how many samples are counted. */
function chooser(state: State): HTMLElement {
  const options = state.units.map((unit, index) => h("option", { value: index }, name(unit)));
  const shown = h(
    "select",
    {
      id: "shown",
      onchange: () => state.show(Number(shown.value)),
    },
    options,
  );
  const beside = h(
    "select",
    {
      id: "beside",
      onchange: () =>
        state.change({ beside: beside.value === "" ? undefined : Number(beside.value) }),
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
    shown.value = String(state.now.shown);
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
