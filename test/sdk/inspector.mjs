// Runs the MCP Inspector's command line against a gateway that has the
// conformance plugin behind it, over each transport.
//
//   conformance -gateway bin/stagedoor node test/sdk/inspector.mjs
//
// The last line is "N passed, N failed".
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const { GATEWAY, GATEWAY_CONFIG, GATEWAY_URL, CONFORMANCE_PLUGIN } = process.env;
const inspector = fileURLToPath(new URL("node_modules/.bin/mcp-inspector", import.meta.url));
const home = await mkdtemp(path.join(tmpdir(), "stagedoor-inspector-")); // it keeps a catalog there

const transports = {
  http: [[`${GATEWAY_URL}/mcp/everything`, "--transport", "http"], []],
  sse: [[`${GATEWAY_URL}/mcp/everything/sse`, "--transport", "sse"], []],
  stdio: [
    ["-e", `CONFORMANCE_PLUGIN=${CONFORMANCE_PLUGIN}`, "--cwd", path.dirname(GATEWAY_CONFIG)],
    ["--", GATEWAY, "serve", "--config", GATEWAY_CONFIG, "--stdio", "everything"],
  ],
};

const text = (answer) => answer.content?.[0]?.text;
const calls = [
  [["tools/list", "--strict"], (a) => a.tools.some((t) => t.name === "greet")],
  [["tools/call", "--tool-name", "greet", "--tool-arg", "name=Ada"], (a) => text(a) === "Hello, Ada!"],
  [["tools/call", "--tool-name", "slow_compute", "--tool-args-json", '{"seconds":0.1,"label":"x"}'], (a) => text(a).includes('"label":"x"')],
  [["tools/call", "--tool-name", "test_tool_with_logging"], (a) => text(a) === "Three messages were logged."],
  [["resources/list"], (a) => a.resources.some((r) => r.uri === "test://static-text")],
  [["resources/templates/list"], (a) => a.resourceTemplates.some((t) => t.uriTemplate === "test://template/{id}/data")],
  [["resources/read", "--uri", "test://template/7/data"], (a) => a.contents[0].text.includes('"id":"7"')],
  [["prompts/list"], (a) => a.prompts.some((p) => p.name === "test_simple_prompt")],
  [["prompts/get", "--prompt-name", "test_prompt_with_arguments", "--prompt-args", "arg1=paris", "arg2=b"], (a) => a.messages[0].content.text.includes("arg1='paris', arg2='b'")],
  [["logging/setLevel", "--log-level", "warning"], () => true],
];

let passed = 0;
let failed = 0;
for (const [name, [before, after]] of Object.entries(transports)) {
  for (const [call, good] of calls) {
    const args = [inspector, "--cli", ...before, "--method", ...call, ...after];
    try {
      const { stdout } = await promisify(execFile)(process.execPath, args, { env: { ...process.env, HOME: home }, timeout: 30_000 });
      if (!good(JSON.parse(stdout))) throw new Error(stdout);
      passed++;
    } catch (error) {
      failed++;
      console.error(`failed: ${name}: ${call.join(" ")}\n  ${String(error).slice(0, 1000)}`);
    }
  }
}
await rm(home, { recursive: true });
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
