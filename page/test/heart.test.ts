/** Laws of the heart on its own; `tests/test_page_heart.py` holds its numbers against Python's. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import * as heart from "../src/heart/index.ts";

const { measures, parseRule } = heart;
const units = await heart.decode(readFileSync("test/sample.txt", "utf8"));

const RULES = [
  "temperature=1",
  "temperature=0.1,top_p=0.9",
  "temperature=5,top_p=0.9",
  "top_k=40,min_p=0.02,temperature=3",
  "temperature=2,typical_p=0.8,top_h=0.5",
  "temperature=0.3,xtc=0.01:0.5,epsilon_cutoff=0.001",
  "temperature=3,eta_cutoff=0.0003,top_n_sigma=2",
  "temperature=0",
  "temperature=2,oracle_size",
  "temperature=0,oracle_validity",
  "temperature=4,oracle_validity",
  "oracle_shape",
];

function isClose(found: number, expected: number, tolerance = 1e-9): void {
  const room = tolerance * (1 + Math.abs(expected));
  assert.ok(Math.abs(found - expected) <= room, `${found} is not ${expected}`);
}

const sum = (values: Iterable<number>) => [...values].reduce((total, each) => total + each, 0);

test("another format is refused", async () => {
  const text = Buffer.from('{"format":0,"units":[]}');
  const size = Buffer.alloc(4);
  size.writeUInt32LE(text.length);
  const { deflateSync } = await import("node:zlib");
  const stream = deflateSync(Buffer.concat([size, text])).toString("base64");
  await assert.rejects(heart.decode(stream), /reads format 1/);
});

test("every bound holds for every rule", () => {
  for (const unit of units) {
    for (const rule of RULES) {
      const outcome = unit.outcome(rule);
      for (const share of [outcome.validity, outcome.recall, outcome.precision]) {
        assert.ok(share >= 0 && share <= 1, rule);
      }
      if (outcome.recall > 0) {
        assert.ok(outcome.diversity >= 1 / unit.answers.length - 1e-12, rule);
        assert.ok(outcome.diversity <= outcome.recall + 1e-12, rule);
      }
      assert.ok(outcome.coverage >= 0 && outcome.coverage <= 1 + 1e-12, rule);
      isClose(sum(outcome.leak), 1 - outcome.validity);
      assert.equal(outcome.unknown, 0);
    }
  }
});

test("what was computed before does not matter", () => {
  const [unit] = units;
  const once = RULES.map((rule) => unit.outcome(rule).edgeLogp);
  const again = RULES.toReversed().map((rule) => unit.outcome(rule).edgeLogp).toReversed();
  assert.deepEqual(again, once);
});

test("oracles are what they say", () => {
  for (const unit of units) {
    const shape = unit.outcome("oracle_shape");
    isClose(shape.validity, 1);
    isClose(shape.diversity, 1);
    isClose(shape.coverage, 1);
    isClose(unit.outcome("temperature=2,oracle_validity").validity, 1);
  }
});

test("mass, rank and gap undo each other", () => {
  for (const { ranked } of units) {
    for (let row = 0; row < ranked.length; row++) {
      for (const beta of [0.2, 1, 10]) {
        const masses = new heart.Masses(ranked);
        const mass = masses.at(row, beta, 0);
        const last = ranked.columns.nFinite[row];
        let before = 0;
        for (const rank of [1, 2, 50, ranked.head, ranked.head + 1, 700, 3000, last]) {
          if (rank > last) continue;
          const upto = mass.upto(rank);
          assert.ok(upto >= before);
          before = upto;
          assert.ok(mass.above(mass.gapAt(rank)) >= rank - 1);
          if (upto < mass.total * (1 - 1e-9)) {
            assert.ok(Math.abs(mass.reach(upto * (1 - 1e-12)) - rank) <= 1);
          }
        }
        isClose(mass.upto(last), mass.total);
        assert.equal(mass.reach(2 * mass.total), last);
        isClose(masses.at(row, beta, 4).entropy(4, 5), 0);
      }
    }
  }
});

test("rules are printed as they are read", () => {
  for (const text of ["temperature=1.5,min_p=0.1", "xtc=0.1:0.5,temperature=2", "oracle_shape"]) {
    assert.equal(String(parseRule(text)), text);
  }
  assert.equal(String(parseRule("top_k=0, top_p = 1")), "temperature=1");
  assert.equal(
    parseRule("temperature=3,min_p=0.1", "llama.cpp").label,
    "min_p=0.1,temperature=3 [llama.cpp]",
  );
  assert.equal(String(parseRule("llama.cpp")), heart.ENGINES.get("llama.cpp")!.defaults);
  assert.throws(() => parseRule("topp=1"), new heart.RuleError(
    "rule 'topp=1': topp is unknown; did you mean top_p?",
  ));
});

test("every step names its range and what it keeps", () => {
  for (const [name, Kind] of heart.STEPS) {
    const step = new Kind(0.5);
    assert.equal(step.name, name);
    assert.ok(step.accepts && step.summary);
  }
});

test("a step's probabilities are the outcome's and sum to 1", () => {
  for (const unit of units) {
    for (const text of RULES) {
      const rule = parseRule(text);
      const outcome = unit.outcome(rule);
      for (const node of unit.ranked.columns.node) {
        const view = heart.stepAt(outcome, node)!;
        const valid = view.places.filter((place) => place.child >= 0);
        assert.equal(valid.length, unit.trie.childCount[node]);
        for (const place of valid) {
          isClose(place.probability, Math.exp(outcome.edgeLogp[place.child]));
        }
        isClose(sum(valid.map((place) => place.fair)), 1);
        isClose(sum(valid.map((place) => place.probability)), view.validMass);
        isClose(sum(view.places.map((place) => place.probability)) + view.rest, 1);
        if (rule.isCutoff) {
          const [window] = view.windows;
          for (const { rank, kept } of view.places) assert.equal(kept === 1, rank <= window.high);
        }
      }
    }
  }
});

test("measures have their closed forms", () => {
  const even = new Float64Array(8).fill(Math.log(0.1));
  isClose(measures.validity(even), 0.8);
  isClose(measures.diversity(even), 1);
  isClose(measures.expectedDistinct(even, 3), 8 * (1 - 0.9 ** 3));
  isClose(measures.idealDistinct(8, 3), 8 * (1 - (7 / 8) ** 3));
  assert.equal(measures.samplesForDistinct(even, 0.5), 7);
  assert.equal(measures.samplesForDistinct(even, 1), null);
  const tiny = Float64Array.of(-4000, -4000);
  assert.equal(measures.validity(tiny), 0);
  isClose(measures.diversity(tiny), 1);
  const none = Float64Array.of(-Infinity, -Infinity);
  assert.ok(Number.isNaN(measures.diversity(none)));
  assert.equal(measures.samplesForDistinct(none, 0.5), null);
  const sure = Float64Array.of(0);
  assert.equal(measures.samplesForDistinct(sure, 1), 1);
  assert.equal(measures.coverage(sure), 1);
});

test("a front has no point that another beats", () => {
  const points = [
    { validity: 1, diversity: 0.1 },
    { validity: 0.9, diversity: 0.4 },
    { validity: 0.9, diversity: 0.3 },
    { validity: 0.5, diversity: 0.4 },
    { validity: 0.2, diversity: NaN },
    { validity: 0.1, diversity: 0.9 },
  ];
  assert.deepEqual(measures.paretoFront(points), [points[0], points[1], points[5]]);
  assert.equal(measures.bestAt(points, 0.4), points[1]);
  assert.equal(measures.bestAt(points, 2), undefined);
});
