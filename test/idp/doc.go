// Package idp has the gateway and its logins meet an identity provider that we
// did not write: npm's oidc-provider, which provider.mjs starts. Its tests are
// the requirements of MCP's authorization on resource servers, one by one, and
// what threatens them, over sockets. They run where STAGEDOOR_TEST_IDP is a folder
// with provider.mjs and its node_modules (make idp).
package idp
