// The official TypeScript clients, connected to the gateway in GATEWAY_URL, or
// over stdio to one that they start themselves (GATEWAY, GATEWAY_CONFIG), or over
// stdio and stagedoor connect to the running one, and made
// alike: the old package and the new one differ in how handlers are set and calls
// are made.
import path from "node:path";

import * as modern from "@modelcontextprotocol/client";
import { StdioClientTransport as ModernStdio } from "@modelcontextprotocol/client/stdio";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import * as types from "@modelcontextprotocol/sdk/types.js";

const { GATEWAY, GATEWAY_CONFIG, GATEWAY_URL, CONFORMANCE_PLUGIN } = process.env;
const endpoint = new URL(`${GATEWAY_URL}/mcp/everything`);
const sse = new URL(`${GATEWAY_URL}/mcp/everything/sse`);
const stdio = {
  command: GATEWAY,
  args: ["serve", "--config", GATEWAY_CONFIG, "--stdio", "everything"],
  env: { CONFORMANCE_PLUGIN },
  cwd: path.dirname(GATEWAY_CONFIG),
  stderr: "ignore",
};

// bridge is the program that carries a stdio client's messages to the running gateway.
const bridge = { command: GATEWAY, args: ["connect", endpoint.href, "--token-env", "ANY_TOKEN"], env: { ANY_TOKEN: "any" }, stderr: "inherit" };

const info = { name: "stagedoor-test", version: "1.0.0" };
const capabilities = { elicitation: {}, sampling: {}, roots: {} };

// The old package names messages by their schemas.
const schemas = {
  "elicitation/create": types.ElicitRequestSchema,
  "sampling/createMessage": types.CreateMessageRequestSchema,
  "roots/list": types.ListRootsRequestSchema,
  "notifications/message": types.LoggingMessageNotificationSchema,
  "notifications/tools/list_changed": types.ToolListChangedNotificationSchema,
  "notifications/prompts/list_changed": types.PromptListChangedNotificationSchema,
};

// answers gives a client's user, model and roots.
function answers(server, handle) {
  handle("elicitation/create", async () =>
    server.decline
      ? { action: "decline" }
      : { action: "accept", content: { username: "alice", email: "alice@example.org", name: "alice", color: "blue", confirm: true } });
  handle("sampling/createMessage", async (request) => ({
    role: "assistant",
    model: "none",
    content: { type: "text", text: `${request.params.messages[0].content.text}, indeed` },
  }));
  handle("roots/list", async () => ({ roots: [{ uri: "file:///work", name: "work" }] }));
}

// oldClient connects a client of the old package.
function oldClient(transportOf) {
  return async ({ able, ...options }) => {
    const client = new Client(info, { capabilities: able ? capabilities : {} });
    const transport = transportOf(options);
    const server = {
      client,
      transport,
      call: (name, args = {}, options = {}, _meta) => client.callTool({ name, arguments: args, ...(_meta && { _meta }) }, undefined, options),
      // resume is a call that goes on with another's stream, whose answer has that one's id.
      resume: (name, args, options) => client.request({ method: "tools/call", params: { name, arguments: args } }, types.CallToolResultSchema, options),
      on: (method, handler) => client.setNotificationHandler(schemas[method], handler),
      log: (level) => client.setLoggingLevel(level),
      listen: async (tools, prompts) => {
        server.on("notifications/tools/list_changed", tools);
        server.on("notifications/prompts/list_changed", prompts);
        return async () => {};
      },
      close: () => client.close(),
    };
    if (able) answers(server, (method, handler) => client.setRequestHandler(schemas[method], handler));
    await client.connect(transport);
    server.info = client.getServerVersion();
    server.instructions = client.getInstructions();
    return server;
  };
}

// newClient connects a client of the new package, in the era that mode says.
function newClient(mode, transportOf) {
  return async ({ able }) => {
    const client = new modern.Client(info, { capabilities: able ? capabilities : {}, versionNegotiation: { mode } });
    const transport = transportOf();
    const server = {
      client,
      transport,
      call: (name, args = {}, options = {}, _meta) => client.callTool({ name, arguments: args, ...(_meta && { _meta }) }, options),
      on: (method, handler) => client.setNotificationHandler(method, handler),
      log: async (level) => { if (!server.modern) await client.setLoggingLevel(level); },
      listen: async (tools, prompts) => {
        server.on("notifications/tools/list_changed", tools);
        server.on("notifications/prompts/list_changed", prompts);
        if (!server.modern) return async () => {};
        const subscription = await client.listen({ toolsListChanged: true, promptsListChanged: true });
        return () => subscription.close();
      },
      close: () => client.close(),
    };
    if (able) answers(server, (method, handler) => client.setRequestHandler(method, handler));
    await client.connect(transport);
    server.modern = client.getProtocolEra() === "modern";
    if (server.modern !== (mode !== "legacy")) throw new Error(`mode ${JSON.stringify(mode)} became ${client.getNegotiatedProtocolVersion()}`);
    server.info = client.getServerVersion();
    server.instructions = client.getInstructions();
    return server;
  };
}

const pinned = { pin: "2026-07-28" };

// kinds are all clients, by name.
export const kinds = [
  { name: "old-http", resumes: true, connect: oldClient((options) => new StreamableHTTPClientTransport(endpoint, options)) },
  { name: "old-sse", connect: oldClient(() => new SSEClientTransport(sse)) },
  { name: "old-stdio", connect: oldClient(() => new StdioClientTransport(stdio)) },
  { name: "new-http-sessions", connect: newClient("legacy", () => new modern.StreamableHTTPClientTransport(endpoint)) },
  { name: "new-http", connect: newClient(pinned, () => new modern.StreamableHTTPClientTransport(endpoint)) },
  { name: "new-http-auto", connect: newClient("auto", () => new modern.StreamableHTTPClientTransport(endpoint)) },
  { name: "new-sse", connect: newClient("legacy", () => new modern.SSEClientTransport(sse)) },
  { name: "new-stdio-sessions", connect: newClient("legacy", () => new ModernStdio(stdio)) },
  { name: "new-stdio", connect: newClient("auto", () => new ModernStdio(stdio)) },
  { name: "old-connect", connect: oldClient(() => new StdioClientTransport(bridge)) },
  { name: "new-connect-sessions", connect: newClient("legacy", () => new ModernStdio(bridge)) },
  { name: "new-connect", connect: newClient("auto", () => new ModernStdio(bridge)) },
];
