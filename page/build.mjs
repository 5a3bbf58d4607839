// The page as one file with two gaps, {{title}} and {{data}}, which Python fills.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const out = process.argv[2] ?? "../src/breadth/report/page/page.html";
const bundled = await build({
  entryPoints: ["src/ui/main.ts"],
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  charset: "utf8",
  write: false,
});
const styled = await build({ entryPoints: ["src/style.css"], minify: true, write: false });
// Inside <script> nothing may look like its end.
const script = bundled.outputFiles[0].text.replaceAll("</", "<\\/").trim();
const style = styled.outputFiles[0].text.trim();
const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const policy = [
  "default-src 'none'",
  `script-src ${hash(script)}`,
  `style-src ${hash(style)}`,
  "img-src blob: data:",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");
const parts = { policy, style, script };
const page = readFileSync("src/page.html", "utf8").replace(
  /\{\{(policy|style|script)\}\}/g,
  (_, name) => parts[name],
);
writeFileSync(out, page);
