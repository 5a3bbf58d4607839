// Answers questions about a page's runs, one JSON line each, with what the heart computes.
//
//   node answer.mjs HEART
//
// A question names a payload (kept until the next one), and asks for outcomes, a step or a parse.

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const heart = await import(pathToFileURL(process.argv[2]).href);

/** Columns as base64 of float64: JSON has no infinity. */
const coded = (column) => Buffer.from(Float64Array.from(column).buffer).toString("base64");

const COLUMNS = [
  "edgeLogp", "edgeUniformLogp", "edgeEventLogp", "reachLogp", "answerLogp", "leak", "validMass",
  "localPrecision", "localRecall",
];
const NUMBERS = [
  "validity", "diversity", "recall", "precision", "eventPrecision", "coverage", "unknown",
];
const { hillNumber } = heart.measures;

function outcomeOf(unit, { rule, engine }) {
  const outcome = unit.outcome(heart.parseRule(rule, engine ?? undefined));
  const lost = heart.attribute(unit.trie, outcome.edgeLogp);
  return {
    attribution: lost && {
      reach: coded(lost.reach),
      validity_lost: coded(lost.validityLost),
      diversity_lost: coded(lost.diversityLost),
    },
    columns: Object.fromEntries(COLUMNS.map((name) => [name, coded(outcome[name])])),
    numbers: {
      ...Object.fromEntries(NUMBERS.map((name) => [name, outcome[name]])),
      hill_2: hillNumber(outcome.answerLogp, 2),
      hill_inf: hillNumber(outcome.answerLogp, Infinity),
      ...Object.fromEntries([1, 10, 1000].map((n) => [`distinct_${n}`, outcome.distinct(n)])),
    },
    samples: heart.SHARES.map((share) => outcome.samplesFor(share)),
    cutInTail: outcome.cutInTail,
  };
}

function parsed({ rule, engine }) {
  try {
    const read = heart.parseRule(rule, engine ?? undefined);
    const { family, temperature, isCutoff, label } = read;
    return { rule: String(read), family, temperature, isCutoff, label };
  } catch (error) {
    if (!(error instanceof heart.RuleError)) throw error;
    return { error: error.message };
  }
}

let units = [];
for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line);
  if (question.payload) units = await heart.decode(question.payload);
  const unit = units[question.unit ?? 0];
  const answer = {
    outcomes: question.outcomes?.map((each) => outcomeOf(unit, each)),
    parsed: question.parse?.map(parsed),
    steps: question.steps?.map(({ rule, engine, node }) =>
      heart.stepAt(unit.outcome(heart.parseRule(rule, engine ?? undefined)), node),
    ),
    texts: question.texts && Array.from(unit.trie.parent.keys(), (node) => unit.prefixText(node)),
  };
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
