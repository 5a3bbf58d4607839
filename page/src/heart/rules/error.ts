/** A text that is no rule; its message is for the reader. Mirrors `breadth.errors.RuleError`. */
export class RuleError extends Error {
  override readonly name = "RuleError";
}
