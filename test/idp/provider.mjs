// An OpenID provider to test against: npm's oidc-provider, with users who are
// whoever they say they are. Its settings come as one JSON object on the command
// line, all optional:
//
//   port        where it listens, on 127.0.0.1; 0 is any
//   resources   URLs of the resources that it issues tokens for (RFC 8707);
//               none: of every one on 127.0.0.1
//   scopes      scopes that a resource has
//   lifetime    of access tokens, in seconds
//   opaque      access tokens that only introspection can read
//
// It prints its issuer in one line when it is ready. Users whose names begin with
// "admin" are in the group admins; all are in the group dev.
import { createServer } from 'node:net'
import Provider, { errors } from 'oidc-provider'

const settings = {
  port: 0,
  resources: [],
  scopes: 'mcp:read mcp:write mcp:destructive billing:admin',
  lifetime: 300,
  opaque: false,
  ...JSON.parse(process.argv[2] ?? '{}'),
}

const freePort = () =>
  new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address()
      probe.close(() => resolve(port))
    })
  })

const port = settings.port || (await freePort())
const issuer = `http://127.0.0.1:${port}`
const groupsOf = (name) => (name.startsWith('admin') ? ['admins', 'dev'] : ['dev'])
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'

const isKnown = (resource) =>
  settings.resources.length === 0
    ? new URL(resource).hostname === '127.0.0.1'
    : settings.resources.includes(resource)

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'stagedoor-cli',
      token_endpoint_auth_method: 'none',
      application_type: 'native',
      redirect_uris: ['http://127.0.0.1/callback'],
      response_types: ['code'],
      grant_types: ['authorization_code', 'refresh_token', deviceGrant],
    },
    {
      client_id: 'robot',
      client_secret: 'robot-secret',
      redirect_uris: [],
      response_types: [],
      grant_types: ['client_credentials'],
    },
    {
      client_id: 'gateway',
      client_secret: 'gateway-secret',
      redirect_uris: [],
      response_types: [],
      grant_types: ['client_credentials'],
    },
  ],
  pkce: { required: () => true },
  scopes: ['openid', 'offline_access', ...settings.scopes.split(' ')],
  claims: { openid: ['sub'], profile: ['name', 'groups'] },
  findAccount: async (_ctx, name) => ({
    accountId: name,
    claims: async () => ({ sub: name, name, groups: groupsOf(name) }),
  }),
  extraTokenClaims: async (_ctx, token) =>
    token.accountId ? { groups: groupsOf(token.accountId) } : undefined,
  ttl: { AccessToken: settings.lifetime, ClientCredentials: settings.lifetime, DeviceCode: 600 },
  features: {
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: async (_ctx, _client, oneOf) => oneOf,
      useGrantedResource: async () => true,
      getResourceServerInfo: async (_ctx, resource) => {
        if (!isKnown(resource)) throw new errors.InvalidTarget()
        return {
          scope: settings.scopes,
          audience: resource,
          accessTokenTTL: settings.lifetime,
          accessTokenFormat: settings.opaque ? 'opaque' : 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }
      },
    },
  },
})
provider.on('server_error', (_ctx, error) => console.error(error))
provider.listen(port, '127.0.0.1', () => console.log(issuer))
