// Drives the gateway with MCP's official TypeScript client.
//
//   node smoke.mjs BINARY CONFIG   starts the gateway with the config and does everything
//   node smoke.mjs URL             asks a running gateway (http://127.0.0.1:8080), changes nothing
//
// The last line is "N passed, N failed".
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

let passed = 0;
let failed = 0;

function check(what, ok, got) {
  if (ok) {
    passed++;
    return;
  }
  failed++;
  console.error(`failed: ${what}${got === undefined ? "" : `\n  got ${JSON.stringify(got)?.slice(0, 2000)}`}`);
}

// answers describes a plugin with every kind of answer. Its thing breaks its own
// schema, which has a regular expression that JavaScript does not know.
const answers = `openapi: 3.1.0
info: {title: Answers, version: "1"}
paths:
  /thing:
    get: {operationId: thing, responses: {"200": {description: ok, content: {application/json: {schema: {type: object, required: [name], properties: {name: {type: string, pattern: "(?i)x"}}}}}}}}
  /image:
    get: {operationId: image, responses: {"200": {description: ok, content: {image/png: {}}}}}
  /file:
    get: {operationId: file, responses: {"200": {description: ok, content: {application/zip: {}}}}}
  /note:
    get: {operationId: note, responses: {"200": {description: ok, content: {application/json: {schema: {type: object}}}}, "202": {description: ok, content: {text/plain: {}}}}}
  /page:
    get:
      operationId: page
      parameters: [{name: limit, in: query, schema: {type: integer}}]
      responses: {"200": {description: ok, content: {application/json: {schema: {type: object}}}}}
  /events:
    get: {operationId: events, responses: {"200": {description: ok, content: {text/event-stream: {}}}}}
`;

const answerOf = {
  "/thing": ["application/json", '{"name":null}'],
  "/image": ["image/png", Buffer.from("\x89PNG\r\n\x1a\n\x00", "latin1")],
  "/file": ["application/zip", Buffer.from("PK\x03\x04\x00", "latin1")],
  "/note": ["text/plain; charset=iso-8859-1", Buffer.from("caf\xe9", "latin1")],
  "/page": ["application/json", JSON.stringify({ items: Array.from({ length: 1000 }, (_, id) => ({ id })) })],
  "/events": ["text/event-stream", 'data: "one"\n\ndata: "two"\n\n'],
};

// serveEntity is the place that the registered location points at, and the
// plugin of answers.
async function serveEntity() {
  const entity = `apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: sdk-smoke-service
  description: Registered by a test.
spec: {type: service, lifecycle: experimental, owner: payments, dependsOn: ["resource:orders-db"]}
`;
  const server = http.createServer((request, response) => {
    const answer = answerOf[request.url];
    if (answer) {
      response.writeHead(200, { "Content-Type": answer[0], "X-RateLimit-Remaining": "3" });
      response.end(answer[1]);
      return;
    }
    const known = request.url === "/catalog-info.yaml";
    response.writeHead(known ? 200 : 404, { "Content-Type": "text/yaml" });
    response.end(known ? entity : "not found\n");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { origin: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

// startGateway runs the binary with the config, allowing registrations from
// the origin, and learns the address from its log.
async function startGateway(binary, config, origin) {
  const dir = await mkdtemp(path.join(tmpdir(), "stagedoor-sdk-"));
  const text = await readFile(config, "utf8");
  const embedded = "    embedded: catalog\n";
  if (!text.includes(embedded)) throw new Error(`${config}: no line "${embedded.trim()}" to add allowedURLs after`);
  await writeFile(path.join(dir, "answers.yaml"), answers);
  await writeFile(path.join(dir, "config.yaml"), text
    .replace(embedded, `${embedded}    allowedURLs: ["${origin}/"]\n`)
    .replace(/^plugins:\n/m, `plugins:\n  answers: {spec: answers.yaml, baseURL: "${origin}", actions: all, maxResponse: 1KiB}\n`)
    .replace(/^servers:\n/m, "servers:\n  answers: {instructions: Every kind., actions: {include: ['answers:*']}}\n"));
  const child = spawn(path.resolve(binary), ["serve", "--config", "config.yaml"], {
    cwd: dir,
    env: { ...process.env, STAGEDOOR_LISTEN: "127.0.0.1:0" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const exited = once(child, "exit");
  const log = [];
  const address = new Promise((resolve, reject) => {
    createInterface({ input: child.stderr }).on("line", (line) => {
      log.push(line);
      try {
        const record = JSON.parse(line);
        if (record.msg === "serving") resolve(record.address);
      } catch {
        // a config fault is plain text; it is shown below
      }
    });
    exited.then(([code]) => reject(new Error(`the gateway exited with ${code}:\n${log.join("\n")}`)));
    setTimeout(() => reject(new Error(`the gateway did not start:\n${log.join("\n")}`)), 30_000).unref();
  });
  const stop = async () => {
    child.kill("SIGTERM");
    const [code] = await exited;
    await rm(dir, { recursive: true, force: true });
    return code;
  };
  try {
    return { url: `http://${await address}`, stop };
  } catch (error) {
    child.kill("SIGKILL");
    await rm(dir, { recursive: true, force: true });
    throw error;
  }
}

async function connect(url, server, plugin = "catalog") {
  const client = new Client({ name: "stagedoor-sdk-smoke", version: "1.0.0" });
  const transport = new StreamableHTTPClientTransport(new URL(`${url}/mcp/${server}`));
  await client.connect(transport);
  check(`${server}: a session`, Boolean(transport.sessionId), transport.sessionId);
  check(`${server}: instructions`, client.getInstructions()?.length > 0, client.getInstructions());
  return {
    name: server,
    client,
    call: (tool, args, options) => client.callTool({ name: `${plugin}_${tool}`, arguments: args }, undefined, options),
    close: async () => {
      await transport.terminateSession();
      await client.close();
    },
  };
}

// listTools also compiles each output schema: the client then holds every
// result of callTool to it.
async function listTools(server) {
  const { tools, nextCursor } = await server.client.listTools();
  check(`${server.name}: one page of tools`, tools.length > 0 && nextCursor === undefined, nextCursor);
  for (const tool of tools) {
    const hints = tool.annotations ?? {};
    check(`${server.name}: ${tool.name} has a name for every model`, /^[a-zA-Z0-9_-]{1,64}$/.test(tool.name));
    check(`${server.name}: ${tool.name} has title and description`, Boolean(tool.title && tool.description));
    check(`${server.name}: ${tool.name} takes a closed object`, tool.inputSchema.additionalProperties === false, tool.inputSchema);
    check(`${server.name}: ${tool.name} has an output schema`, tool.outputSchema?.type === "object", tool.outputSchema);
    for (const hint of ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"]) {
      check(`${server.name}: ${tool.name} says ${hint}`, typeof hints[hint] === "boolean", hints);
    }
  }
  return new Map(tools.map((tool) => [tool.name, tool]));
}

async function rejection(promise) {
  try {
    return { result: await promise };
  } catch (error) {
    return { error };
  }
}

async function read(server) {
  const entity = await server.call("get-catalog-entity", { kind: "component", name: "checkout-service" });
  const relations = entity.structuredContent?.relations ?? [];
  check("the entity says who owns it",
    relations.some((r) => r.type === "ownedBy" && r.targetRef === "group:default/payments"), entity);
  check("the text is the structured content once more",
    JSON.stringify(JSON.parse(entity.content?.[0]?.text ?? "null")) === JSON.stringify(entity.structuredContent), entity.content);

  const related = async (relation) => {
    const answer = await server.call("get-catalog-related-entities", { entityRef: "component:default/checkout-service", relation });
    return (answer.structuredContent?.entities ?? []).map((e) => e.entityRef);
  };
  const owners = await related("ownedBy");
  check("who owns the checkout service", owners.length === 1 && owners[0] === "group:default/payments", owners);
  const needs = await related("dependsOn");
  for (const ref of ["component:default/identity-service", "component:default/payment-service", "resource:default/event-bus", "resource:default/orders-db"]) {
    check(`the checkout service depends on ${ref}`, needs.includes(ref), needs);
  }
  const apis = await related("consumesApi");
  check("the checkout service consumes the products API", apis.includes("api:default/products"), apis);

  const page = await server.call("query-catalog-entities", {
    query: { kind: "component", "relations.ownedby": "group:default/payments" }, fields: ["kind", "metadata.name"], limit: 2,
  });
  check("a page of what payments owns",
    page.structuredContent?.items?.length === 2 && page.structuredContent.hasMoreEntities === true, page);

  const missing = await server.call("get-catalog-entity", { name: "no-such-service" });
  check("an unknown entity is an error that a model can act on",
    missing.isError === true && missing.content[0].text.includes("query-catalog-entities"), missing);
  const misspelt = await server.call("get-catalog-entity", { nmae: "checkout-service" });
  check("a misspelt argument is told",
    misspelt.isError === true && misspelt.content[0].text.includes("name is missing"), misspelt);
}

async function register(admin, origin) {
  const name = "sdk-smoke-service";
  const locations = async () => (await admin.call("list-catalog-locations", {})).structuredContent?.locations ?? [];
  const added = await admin.call("register-entity", { locationUrl: `${origin}/catalog-info.yaml` });
  const locationId = added.structuredContent?.locationId;
  check("registered", typeof locationId === "string" && locationId !== "", added);
  check("the location is listed", (await locations()).some((l) => l.id === locationId), await locations());
  const found = await admin.call("get-catalog-entity", { name });
  check("the registered entity is found", found.structuredContent?.metadata?.name === name, found);
  const again = await admin.call("register-entity", { locationUrl: `${origin}/catalog-info.yaml` });
  check("registering twice is a conflict", again.isError === true && again.content[0].text.includes("409"), again);

  const removed = await admin.call("unregister-entity", { type: { locationId } });
  check("unregistered", !removed.isError, removed);
  check("the location is gone", !(await locations()).some((l) => l.id === locationId), await locations());
  const gone = await admin.call("get-catalog-entity", { name });
  check("its entity is gone", gone.isError === true, gone);
}

// everyKind asks for each kind of answer. The client knows the tools' output
// schemas, so it would throw where a result does not fit.
async function everyKind(server) {
  const { tools } = await server.client.listTools();
  check("the tools are listed, odd regular expressions and all", tools.length === 6, tools);
  const thing = await server.call("thing", {});
  check("a result that breaks its document arrives", thing.structuredContent?.name === null && !thing.isError, thing);
  const about = thing._meta?.["io.github.stagedoor/http"];
  check("the rate limit is in _meta", about?.headers["x-ratelimit-remaining"] === "3", thing._meta);
  const [image] = (await server.call("image", {})).content;
  check("an image", image.type === "image" && image.mimeType === "image/png" && image.data === "iVBORw0KGgoA", image);
  const [file] = (await server.call("file", {})).content;
  check("a file", file.type === "resource" && file.resource.mimeType === "application/zip" && file.resource.blob === "UEsDBAA=", file);
  const note = await server.call("note", {});
  check("text in another charset, of a typed tool", note.content[0].text === "café" && note.structuredContent?.result === "café", note);
  const page = await server.call("page", {});
  check("a page that was cut", page.structuredContent?.items?.length > 50 && page.content[1]?.text.includes("Ask for less with limit."), page);
  const progress = [];
  const events = await server.call("events", {}, { onprogress: (p) => progress.push(`${p.progress} ${p.message}`) });
  check("progress", progress.join() === "1 one,2 two", progress);
  check("events", events.structuredContent?.result?.[1]?.data === "two", events);
}

async function run(url, origin) {
  const catalog = await connect(url, "catalog");
  const admin = await connect(url, "catalog-admin");
  const [tools, adminTools] = [await listTools(catalog), await listTools(admin)];
  check("catalog shows nothing destructive", [...tools.values()].every((t) => t.annotations.destructiveHint === false));
  check("only catalog-admin unregisters",
    !tools.has("catalog_unregister-entity") && adminTools.get("catalog_unregister-entity")?.annotations.destructiveHint === true,
    [...adminTools.keys()]);
  check("catalog-admin has all of catalog's tools", [...tools.keys()].every((t) => adminTools.has(t)));

  await read(catalog);
  const { error } = await rejection(catalog.call("unregister-entity", { type: { locationId: "x" } }));
  check("unregister-entity is an unknown tool of catalog", error?.code === -32602 && error.message.includes("unknown tool"), String(error));
  if (origin) {
    await register(admin, origin);
    const answers = await connect(url, "answers", "answers");
    await everyKind(answers);
    await answers.close();
  }

  await catalog.close();
  await admin.close();
  const other = await rejection(connect(url, "no-such-server"));
  check("an unknown server is refused", Boolean(other.error));
}

const [first, config] = process.argv.slice(2);
if (!first || (!first.startsWith("http") && !config)) {
  console.error("usage: node smoke.mjs BINARY CONFIG | node smoke.mjs URL");
  process.exit(2);
}
let files, gateway;
try {
  if (first.startsWith("http")) {
    await run(first.replace(/\/$/, ""));
  } else {
    files = await serveEntity();
    gateway = await startGateway(first, config, files.origin);
    await run(gateway.url, files.origin);
  }
} catch (error) {
  check("no exception", false, error?.stack ?? String(error));
} finally {
  if (gateway) {
    const code = await gateway.stop();
    check("SIGTERM ends the gateway with exit code 0", code === 0, code);
  }
  files?.close();
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
