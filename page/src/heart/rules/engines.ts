/** The order in which engines apply their steps. Mirrors `breadth.rules.engines`. */

/** An engine preset. */
export interface Engine {
  /** Step names, first to last. */
  readonly order: readonly string[];
  /** The engine's default rule. */
  readonly defaults: string;
  /** Whether top_k keeps exactly k tokens when several tie. */
  readonly exactTopK: boolean;
}

/** Engine presets by name. The steps that an engine lacks are refused under its name. */
export const ENGINES: ReadonlyMap<string, Engine> = new Map([
  [
    "transformers",
    {
      order: [
        "temperature",
        "top_h",
        "top_k",
        "top_p",
        "min_p",
        "typical_p",
        "epsilon_cutoff",
        "eta_cutoff",
      ],
      defaults: "temperature=1,top_k=50",
      exactTopK: false,
    },
  ],
  [
    "vllm",
    {
      order: ["temperature", "min_p", "top_k", "top_p"],
      defaults: "temperature=1",
      exactTopK: false,
    },
  ],
  [
    "llama.cpp",
    {
      order: ["top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "xtc", "temperature"],
      defaults: "top_k=40,top_p=0.95,min_p=0.05,temperature=0.8",
      exactTopK: true,
    },
  ],
]);
