// Drives a gateway that has the conformance plugin behind it with MCP's official
// TypeScript clients: the old package and the new one, over every transport, in
// every era. What they are, and how they are called, is in connect.mjs.
//
//   conformance -gateway bin/stagedoor node test/sdk/clients.mjs [NAME…]
//
// The last line is "N passed, N failed".
import { kinds } from "./connect.mjs";

let passed = 0;
let failed = 0;
let kind;

function check(what, ok, got) {
  if (ok) {
    passed++;
    return;
  }
  failed++;
  console.error(`failed: ${kind.name}: ${what}${got === undefined ? "" : `\n  got ${JSON.stringify(got)?.slice(0, 1000)}`}`);
}

const rejection = (promise) => promise.then((value) => ({ value }), (error) => ({ error }));
const textOf = (result) => result.content?.[0]?.text;

// until asks again until the answer is good, or ten seconds have passed.
async function until(ask, good) {
  const end = Date.now() + 10_000;
  for (;;) {
    const answer = await ask();
    if (good(answer) || Date.now() > end) return answer;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function tools(server) {
  check("the server has a name and instructions", server.info.name === "everything" && server.instructions?.includes("conformance"), [server.info, server.instructions]);
  const names = (await server.client.listTools()).tools.map((t) => t.name);
  check("the tools are listed", names.includes("test_simple_text") && !names.includes("test_added_tool"), names);
  check("text", textOf(await server.call("test_simple_text")) === "This is a simple text response for testing.");
  const [image] = (await server.call("test_image_content")).content;
  check("an image", image.type === "image" && image.mimeType === "image/png" && image.data.startsWith("iVBOR"), image);
  const [audio] = (await server.call("test_audio_content")).content;
  check("audio", audio.type === "audio" && audio.mimeType === "audio/wav", audio);
  const mixed = await server.call("test_multiple_content_types");
  check("several contents", mixed.content.map((c) => c.type).join() === "text,image,resource", mixed);
  const error = await server.call("test_error_handling");
  check("an error of the plugin", error.isError === true && textOf(error).includes("intentionally"), error);
  check("a mirrored argument", textOf(await server.call("test_mirrored_header", { region: "süd 1" })) === "süd 1");
  const unknown = await rejection(server.call("no_such_tool"));
  check("an unknown tool", unknown.error?.code === -32602, unknown);
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => server.call("greet", { name: `caller ${i}` })));
  check("each of many calls at once has its own answer", answers.every((a, i) => textOf(a) === `Hello, caller ${i}!`), answers);
}

async function progress(server) {
  const told = [];
  await server.call("test_tool_with_progress", {}, { onprogress: (p) => told.push(`${p.progress}/${p.total}`) });
  check("progress", told.join() === "0/100,50/100,100/100", told);
}

async function cancellation(server) {
  const abort = new AbortController();
  const running = async () => (await server.call("count_computations")).structuredContent.running;
  const before = await running();
  const call = rejection(server.call("slow_compute", { seconds: 100 }, { signal: abort.signal, onprogress: () => abort.abort("enough") }));
  check("a cancelled call is rejected", Boolean((await call).error));
  check("the plugin's work ends with it", (await until(running, (n) => n === before)) === before);
}

async function logging(server) {
  const said = [];
  server.on("notifications/message", (note) => said.push(note.params.data));
  await server.log("error");
  await server.call("test_tool_with_logging", {}, {}, server.modern ? { "io.modelcontextprotocol/logLevel": "error" } : undefined);
  check("no messages below the level", said.length === 0, said);
  await server.log("debug");
  await server.call("test_tool_with_logging", {}, {}, server.modern ? { "io.modelcontextprotocol/logLevel": "debug" } : undefined);
  const all = await until(() => said, (list) => list.length >= 3);
  check("log messages", all.join() === "Tool execution started,Tool processing data,Tool execution completed", all);
}

async function prompts(server) {
  const names = (await server.client.listPrompts()).prompts.map((p) => p.name);
  check("the prompts are listed", names.includes("test_prompt_with_arguments"), names);
  const filled = await server.client.getPrompt({ name: "test_prompt_with_arguments", arguments: { arg1: "paris", arg2: "two" } });
  check("a prompt is filled in", filled.messages[0].content.text === "Prompt with arguments: arg1='paris', arg2='two'", filled);
  const embeds = await server.client.getPrompt({ name: "test_prompt_with_embedded_resource", arguments: { resourceUri: "test://example-resource" } });
  check("a prompt embeds a resource", embeds.messages[0].content.resource?.text === "Embedded resource content for testing.", embeds);
  const shows = await server.client.getPrompt({ name: "test_prompt_with_image" });
  check("a prompt has an image", shows.messages[0].content.mimeType === "image/png", shows);
  const { error } = await rejection(server.client.getPrompt({ name: "test_prompt_with_arguments", arguments: { arg1: "paris" } }));
  check("a missing argument is refused", error?.code === -32602 && error.message.includes("arg2"), String(error));
  const completed = await server.client.complete({ ref: { type: "ref/prompt", name: "test_prompt_with_arguments" }, argument: { name: "arg1", value: "PAR" } });
  check("an argument is completed", completed.completion.values.join() === "paris,park,party", completed);
}

async function resources(server) {
  const uris = (await server.client.listResources()).resources.map((r) => r.uri);
  check("the resources are listed", uris.includes("test://static-text"), uris);
  const templates = (await server.client.listResourceTemplates()).resourceTemplates.map((t) => t.uriTemplate);
  check("the templates are listed", templates.includes("test://template/{id}/data"), templates);
  const read = async (uri) => (await server.client.readResource({ uri })).contents[0];
  check("a text is read", (await read("test://static-text")).text === "This is the content of the static text resource.");
  check("an image is read", (await read("test://static-binary")).blob?.startsWith("iVBOR"));
  check("a template is read", JSON.parse((await read("test://template/a%20b/data")).text).id === "a b");
  check("an action's document is read", (await read("stagedoor://actions/conformance:greet")).text.includes("Greet somebody"));
  const { error } = await rejection(read("test://no-such"));
  check("an unknown resource", [-32602, -32002].includes(error?.code), [error?.code, String(error)]);
}

async function questions(server) {
  check("elicitation", textOf(await server.call("test_elicitation", { message: "Who?" })).includes('"username":"alice"'));
  check("two rounds", textOf(await server.call("test_input_required_result_multi_round")) === "alice likes blue.");
  check("sampling", textOf(await server.call("test_sampling", { prompt: "What?" })) === "LLM response: What?, indeed");
  check("roots", textOf(await server.call("test_input_required_result_list_roots")).includes("file:///work"));
  server.decline = true;
  check("the user declines", textOf(await server.call("test_elicitation", { message: "Who?" })).includes("action=decline"));
  server.decline = false;
  const many = await Promise.all(Array.from({ length: 5 }, (_, i) => server.call("confirm_delete", { filename: `f${i}` })));
  check("each of many questions has its own answer", many.every((a, i) => textOf(a).startsWith(`Deleted f${i}: action=accept`)), many);
}

// A client that can be asked nothing is told so, and the tool does nothing.
async function unable() {
  const server = await kind.connect({});
  const { value, error } = await rejection(server.call("test_elicitation", { message: "Who?" }));
  check("who cannot be asked is refused", server.modern ? error?.code === -32021 : Boolean(error) || value.isError === true, value ?? String(error));
  await server.close();
}

async function changes(server) {
  const heard = { tools: 0, prompts: 0 };
  const stop = await server.listen(() => heard.tools++, () => heard.prompts++);
  const names = async () => (await server.client.listTools()).tools.map((t) => t.name);
  await server.call("test_trigger_tool_change");
  check("a change of the tools is told", (await until(() => heard.tools, (n) => n > 0)) > 0);
  check("the new tool is listed", (await names()).includes("test_added_tool"));
  check("the new tool answers", textOf(await server.call("test_added_tool")) === "This tool was not here before.");
  check("the prompts did not change", heard.prompts === 0, heard);
  await server.call("test_trigger_tool_change");
  check("the tool goes again", !(await until(names, (list) => !list.includes("test_added_tool"))).includes("test_added_tool"));
  await server.call("test_trigger_prompt_change");
  check("a change of the prompts is told", (await until(() => heard.prompts, (n) => n > 0)) > 0);
  await server.call("test_trigger_prompt_change");
  await until(() => heard.prompts, (n) => n > 1);
  await stop();
}

async function session(server) {
  await server.client.ping();
  await server.client.subscribeResource({ uri: "test://watched-resource" });
  await server.client.unsubscribeResource({ uri: "test://watched-resource" });
  const { error } = await rejection(server.client.subscribeResource({ uri: "test://no-such" }));
  check("an unknown resource cannot be watched", Boolean(error));
}

// The connection breaks in the middle of a call; another one takes its stream up
// again, and has what was missing, and nothing twice.
async function resumption() {
  const first = await kind.connect({});
  const told = [];
  let token;
  const lost = rejection(first.call("slow_compute", { seconds: 3, label: "resumed" }, {
    onprogress: (p) => told.push(p.progress),
    onresumptiontoken: (t) => { token = t; },
  }));
  await until(() => told.length, (n) => n >= 3);
  const id = first.transport.sessionId;
  await first.transport.close();
  await lost;
  const before = told.length;
  const second = await kind.connect({ sessionId: id, protocolVersion: first.transport.protocolVersion });
  const result = await second.resume("slow_compute", { seconds: 3, label: "resumed" }, { resumptionToken: token, onprogress: (p) => told.push(p.progress) });
  check("the answer of a broken connection arrives", result.structuredContent?.label === "resumed", result);
  check("it broke in the middle", before >= 3 && before < 10, before);
  await second.transport.terminateSession();
  await second.close();
  const third = await kind.connect({ sessionId: id, protocolVersion: second.transport.protocolVersion });
  const gone = await rejection(third.call("greet", { name: "x" }));
  check("a session that was ended is gone", gone.error?.code === 404, String(gone.error));
  await third.close();
}

async function run() {
  const able = await kind.connect({ able: true });
  const parts = [tools, progress, cancellation, logging, prompts, resources, questions, changes, unable];
  if (!able.modern) parts.push(session);
  if (kind.resumes) parts.push(resumption);
  for (const part of parts) {
    const { error } = await rejection(part(able));
    check(`${part.name}: no exception`, !error, error?.stack);
  }
  await able.close();
}

const wanted = process.argv.slice(2);
for (kind of kinds.filter((k) => wanted.length === 0 || wanted.includes(k.name))) {
  const [before, start] = [passed, Date.now()];
  const { error } = await rejection(run());
  check("no exception", !error, error?.stack);
  console.log(`${kind.name}: ${passed - before} passed in ${Date.now() - start} ms`);
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 || passed === 0 ? 1 : 0);
