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

// serveEntity is the place that the registered location points at.
async function serveEntity() {
  const entity = `apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: sdk-smoke-service
  description: Registered by a test.
spec: {type: service, lifecycle: experimental, owner: payments, dependsOn: ["resource:orders-db"]}
`;
  const server = http.createServer((request, response) => {
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
  await writeFile(path.join(dir, "config.yaml"), text.replace(embedded, `${embedded}    allowedURLs: ["${origin}/"]\n`));
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

async function connect(url, server) {
  const client = new Client({ name: "stagedoor-sdk-smoke", version: "1.0.0" });
  const transport = new StreamableHTTPClientTransport(new URL(`${url}/mcp/${server}`));
  await client.connect(transport);
  check(`${server}: a session`, Boolean(transport.sessionId), transport.sessionId);
  check(`${server}: instructions`, client.getInstructions()?.length > 0, client.getInstructions());
  return {
    name: server,
    client,
    call: (tool, args) => client.callTool({ name: `catalog_${tool}`, arguments: args }),
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
  if (origin) await register(admin, origin);

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
