package gateway

import "time"

// Verifier is one way in which callers prove who they are; set one.
type Verifier struct {
	Use           string                `koanf:"use" plain:"true" enum:"none" doc:"\"none\" takes everybody for the same anonymous principal. Alone in its list, and only on a loopback address."`
	Static        StaticVerifier        `koanf:"static" doc:"One token, of a principal that is said here."`
	JWT           JWTVerifier           `koanf:"jwt" doc:"Access tokens of an identity provider that are JWTs (RFC 9068)."`
	Introspection IntrospectionVerifier `koanf:"introspection" doc:"Access tokens that only their issuer can read: it is asked (RFC 7662)."`
	Backstage     BackstageVerifier     `koanf:"backstage" doc:"Tokens of a Backstage: of its users, of its plugins with and without a user behind them, and of those whom it lets in from outside. They hold for all of Backstage, and are not bound to a server."`
}

// StaticVerifier is a token that the operator gave to somebody.
type StaticVerifier struct {
	Token   Secret            `koanf:"token" doc:"The token, at least 16 characters, for example the output of openssl rand -hex 24."`
	Subject string            `koanf:"subject" doc:"Who has it. The principal is a service."`
	Groups  []string          `koanf:"groups" doc:"Groups that the principal is in."`
	Scopes  []string          `koanf:"scopes" doc:"Scopes that the token has, for example mcp:read."`
	Claims  map[string]Scalar `koanf:"claims" doc:"Further claims, for rules and bound arguments."`
}

// JWTVerifier takes signed access tokens.
type JWTVerifier struct {
	Issuer      string            `koanf:"issuer" doc:"The issuer, exactly as its tokens and its metadata name it."`
	JWKS        string            `koanf:"jwks" doc:"URL of its keys. Default: as its metadata says (RFC 8414, OpenID Connect Discovery)."`
	Audiences   []string          `koanf:"audiences" doc:"What of aud one has to be. Default: the URL of the server, for example https://stagedoor.example.com/mcp/catalog."`
	Algorithms  []string          `koanf:"algorithms" enum:"RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA" doc:"Signatures that are taken. Default: RS256, PS256, ES256 and EdDSA."`
	Types       []string          `koanf:"types" doc:"What typ may be; none is a token without. Default: at+jwt, JWT and none. ID tokens are refused in any case."`
	Subject     string            `koanf:"subject" doc:"Claim that names the principal. Default: sub. One that is the client itself makes the principal a service (as do gty: client-credentials and idtyp: app), any other one a user. Like those below, a name with dots is a path, for example realm_access.roles."`
	Groups      string            `koanf:"groups" doc:"Claim with its groups, a list or one text. Default: groups."`
	Scopes      string            `koanf:"scopes" doc:"Claim with the token's scopes, a list or a text with spaces. Default: scope, or else scp, or else scopes."`
	Claims      map[string]Scalar `koanf:"claims" doc:"Claims that a token has to have, with their values, for example tid."`
	GrantScopes []string          `koanf:"grantScopes" doc:"Scopes that each token has beside its own, for issuers that know none of ours."`
}

// IntrospectionVerifier asks the issuer about tokens.
type IntrospectionVerifier struct {
	URL          string            `koanf:"url" doc:"The introspection endpoint."`
	Issuer       string            `koanf:"issuer" doc:"The authorization server that clients are sent to, and that iss has to be where the answer has one. Default: clients are sent nowhere, and the issuer of the principals is url."`
	ClientID     string            `koanf:"clientID" doc:"Who the gateway is there."`
	ClientSecret Secret            `koanf:"clientSecret" doc:"What it proves that with."`
	Audiences    []string          `koanf:"audiences" doc:"What of aud one has to be. Default: the URL of the server."`
	Subject      string            `koanf:"subject" doc:"Member of the answer that names the principal. Default: sub."`
	Groups       string            `koanf:"groups" doc:"Member with its groups. Default: groups."`
	Scopes       string            `koanf:"scopes" doc:"Member with the token's scopes. Default: scope."`
	Claims       map[string]Scalar `koanf:"claims" doc:"Members that the answer has to have, with their values."`
	GrantScopes  []string          `koanf:"grantScopes" doc:"Scopes that each token has beside its own."`
	Cache        time.Duration     `koanf:"cache" doc:"How long an answer holds at most; so long a revoked token may still be taken. Default: 60s."`
}

// BackstageVerifier takes the tokens of a Backstage.
type BackstageVerifier struct {
	BaseURL             string            `koanf:"baseURL" doc:"URL of the backend (its backend.baseUrl), for example https://backstage.example.com."`
	Issuer              string            `koanf:"issuer" doc:"What iss of its users' tokens has to be, for example https://backstage.example.com/api/auth. Default: it is not looked at, as Backstage itself does not: its keys are the proof."`
	PluginID            string            `koanf:"pluginID" doc:"Who the gateway is to plugins of Backstage: what aud of their tokens has to be. At /api/{plugin} the plugin's name does as well. Default: stagedoor."`
	Plugins             []string          `koanf:"plugins" doc:"Ids of the plugins of Backstage that may call, for example scaffolder and mcp-actions. Default: none."`
	PluginURLs          map[string]string `koanf:"pluginURLs" doc:"Base URLs of plugins that are not at {baseURL}/api/{plugin}."`
	External            []BackstageAccess `koanf:"external" doc:"Whom Backstage lets in from outside, as in backend.auth.externalAccess there."`
	Scopes              []string          `koanf:"scopes" doc:"Scopes that each of its tokens has. Default: mcp:destructive, actions:destructive and what they include: Backstage itself knows none."`
	AuthorizationServer string            `koanf:"authorizationServer" enum:"on,off" doc:"Whether clients are sent to Backstage for a token, as they may be where its auth plugin registers MCP clients. Default: off."`
}

// BackstageAccess is a service that is no plugin of Backstage; set one of
// static, jwks and legacy.
type BackstageAccess struct {
	Static BackstageStatic `koanf:"static" doc:"A token that is compared as it is."`
	JWKS   BackstageJWKS   `koanf:"jwks" doc:"JWTs of another issuer."`
	Legacy BackstageLegacy `koanf:"legacy" doc:"Tokens made with a shared secret, as old Backstages do."`
}

// BackstageStatic is externalAccess of the type static.
type BackstageStatic struct {
	Token   Secret `koanf:"token" doc:"The token, at least 8 characters, none of them white space."`
	Subject string `koanf:"subject" doc:"Who has it."`
}

// BackstageJWKS is externalAccess of the type jwks.
type BackstageJWKS struct {
	URL           string   `koanf:"url" doc:"URL of the keys."`
	Algorithms    []string `koanf:"algorithms" doc:"Signatures that are taken. Default: RS256 and ES256."`
	Issuers       []string `koanf:"issuers" doc:"What iss has to be one of. Default: it is not looked at."`
	Audiences     []string `koanf:"audiences" doc:"What of aud one has to be. Default: it is not looked at: say it, or any token of that issuer is taken."`
	SubjectPrefix string   `koanf:"subjectPrefix" doc:"Put before the subject: external:{prefix}:{sub}."`
}

// BackstageLegacy is externalAccess of the type legacy.
type BackstageLegacy struct {
	Secret  Secret `koanf:"secret" doc:"The secret, in base64."`
	Subject string `koanf:"subject" doc:"Who has it."`
}

// Scopes are what tokens need for actions. Who may write may read, and who may
// destroy may do both.
type Scopes struct {
	Read        string            `koanf:"read" doc:"Scope for actions that are readOnly; none: there is none. Default: mcp:read."`
	Write       string            `koanf:"write" doc:"Scope for actions that are neither readOnly nor destructive. Default: mcp:write."`
	Destructive string            `koanf:"destructive" doc:"Scope for destructive actions. Default: mcp:destructive."`
	Names       map[string]string `koanf:"names" doc:"What tokens call the scopes that actions name in x-action. Default: the same. none: it is not needed."`
	Challenge   string            `koanf:"challenge" enum:"needed,union" doc:"What a caller with too few scopes is told to get: those that the call needs, or with them those that the token has, for clients that forget what they had. Default: needed."`
}

// AccessRule allows or denies; set one. Deny counts more than allow. Once there
// is any rule, what none allows is denied, and looks as if it did not exist.
type AccessRule struct {
	Allow *Grant `koanf:"allow" doc:"Who may call what."`
	Deny  *Grant `koanf:"deny" doc:"Who may not call what."`
}

// Grant says who and what a rule is about. What it does not say it does not
// ask for.
type Grant struct {
	Everyone bool              `koanf:"everyone" doc:"The rule is about every principal, for rules that say nothing else."`
	Subject  string            `koanf:"subject" doc:"Subject of the principal, or a glob of subjects: user:default/*, where * is any run of characters."`
	Group    string            `koanf:"group" doc:"Group that the principal is in, or a glob of groups."`
	Client   string            `koanf:"client" doc:"OAuth client that the token was given to."`
	Issuer   string            `koanf:"issuer" doc:"Issuer of the token; static for tokens of the config."`
	Kind     string            `koanf:"kind" enum:"user,service" doc:"Whether the principal is a user or a service."`
	Claims   map[string]Scalar `koanf:"claims" doc:"Claims of the token with their values. A claim that is a list has to have the value in it."`
	Servers  []string          `koanf:"servers" doc:"Names of servers, or globs of them; actions-api is the actions API. For rules at the top level."`
	Actions  []Rule            `koanf:"actions" doc:"Actions of which one of these is true. Default: every action."`
	Unless   *Exception        `koanf:"unless" doc:"Principals that the rule is not about."`
}

// Exception is who a rule is not about: all that it says has to be true.
type Exception struct {
	Subject string            `koanf:"subject" doc:"Subject of the principal, or a glob."`
	Group   string            `koanf:"group" doc:"Group that the principal is in, or a glob."`
	Client  string            `koanf:"client" doc:"OAuth client that the token was given to."`
	Issuer  string            `koanf:"issuer" doc:"Issuer of the token."`
	Kind    string            `koanf:"kind" enum:"user,service" doc:"Whether the principal is a user or a service."`
	Claims  map[string]Scalar `koanf:"claims" doc:"Claims of the token with their values."`
}

// ArgumentRule binds and limits arguments of actions, as one server has them.
type ArgumentRule struct {
	Actions []Rule            `koanf:"actions" doc:"Actions of which one of these is true. Default: all of the server's. One that is named by its whole id has to have the arguments."`
	Bind    map[string]Scalar `koanf:"bind" doc:"Arguments that the server fills in: models neither see them nor can give them. {claims.org}, {subject}, {issuer} and {client} are the principal's; {{ and }} are braces."`
	Limit   map[string]Limit  `koanf:"limit" doc:"Arguments that are narrower than the document says."`
}

// Limit narrows an argument, in the words of JSON Schema.
type Limit struct {
	Enum      []Scalar `koanf:"enum" doc:"All values that it may have."`
	Minimum   Scalar   `koanf:"minimum" doc:"Least number."`
	Maximum   Scalar   `koanf:"maximum" doc:"Greatest number."`
	MaxLength int      `koanf:"maxLength" doc:"Most characters of a text."`
	MaxItems  int      `koanf:"maxItems" doc:"Most items of a list."`
	Pattern   string   `koanf:"pattern" doc:"Regular expression (RE2) that a text has to match."`
}

// CallLimits bound what one principal may do by one way in, on one replica.
type CallLimits struct {
	CallsPerMinute int `koanf:"callsPerMinute" json:"callsPerMinute,omitempty" doc:"Calls in a minute, on average. More get 429. Default: no bound."`
	Burst          int `koanf:"burst" json:"burst,omitempty" doc:"How many of them may come at once. Default: a tenth of callsPerMinute, at least 1."`
	Concurrent     int `koanf:"concurrent" json:"concurrent,omitempty" doc:"Calls under way at once. More get 429. Default: no bound."`
}

// Operator guards what is for those who run the gateway.
type Operator struct {
	Auth  []Verifier `koanf:"auth" doc:"How operators prove who they are at /metrics, at the lists of /registry/v1/plugins and at /catalog-info.yaml. Default: as at the top level."`
	Scope string     `koanf:"scope" doc:"Scope that their tokens need; none: there is none. Default: operator:read."`
}

// Audit says what is kept of calls, those that were refused among them.
type Audit struct {
	Arguments string        `koanf:"arguments" enum:"none,fingerprint,redacted" doc:"What is kept of a call's arguments: nothing, a fingerprint that tells the same arguments from others, or the arguments, without values whose names are those of secrets."`
	Database  string        `koanf:"database" enum:"on,off" doc:"Whether records go into the database, beside the log. stagedoor audit reads them."`
	Retention time.Duration `koanf:"retention" doc:"How long the database keeps them."`
}

// QueryAuth is an API key in the query.
type QueryAuth struct {
	Name  string `koanf:"name" doc:"Name of the parameter."`
	Value Secret `koanf:"value" doc:"Its value. It may end up in logs of the plugin and of what is between; a header is better."`
}

// ClientCredentials is the OAuth grant of that name (RFC 6749, section 4.4).
type ClientCredentials struct {
	TokenURL     string   `koanf:"tokenURL" doc:"The token endpoint."`
	ClientID     string   `koanf:"clientID" doc:"Who the gateway is there."`
	ClientSecret Secret   `koanf:"clientSecret" doc:"What it proves that with."`
	Scopes       []string `koanf:"scopes" doc:"Scopes to ask for."`
	Audience     string   `koanf:"audience" doc:"Audience to ask for, where the issuer wants one."`
	Resource     string   `koanf:"resource" doc:"Resource to ask for (RFC 8707)."`
	SecretIn     string   `koanf:"secretIn" enum:"header,body" doc:"Where the client's secret goes. Default: header (client_secret_basic)."`
}

// TokenExchange is OAuth's token exchange (RFC 8693): the caller's token is
// shown to this token service, which gives one for the plugin.
type TokenExchange struct {
	TokenURL     string   `koanf:"tokenURL" doc:"The token endpoint of the service, which the callers' tokens are from or which trusts who issued them."`
	ClientID     string   `koanf:"clientID" doc:"Who the gateway is there."`
	ClientSecret Secret   `koanf:"clientSecret" doc:"What it proves that with."`
	Issuers      []string `koanf:"issuers" doc:"Issuers whose tokens are shown to it. Calls of other principals are refused."`
	Scopes       []string `koanf:"scopes" doc:"Scopes to ask for."`
	Audience     string   `koanf:"audience" doc:"Audience to ask for: the plugin."`
	Resource     string   `koanf:"resource" doc:"Resource to ask for (RFC 8707)."`
	SecretIn     string   `koanf:"secretIn" enum:"header,body" doc:"Where the client's secret goes. Default: header (client_secret_basic)."`
}

// Assertion is a JWT, signed by the gateway, that says who calls.
type Assertion struct {
	Header   string   `koanf:"header" doc:"Header that it is sent in. Default: Stagedoor-Assertion. Authorization: as a bearer token."`
	Audience string   `koanf:"audience" doc:"Its aud. Default: the plugin's name."`
	Claims   []string `koanf:"claims" doc:"Claims of the caller's token that it repeats below the claim claims."`
}

// BackstageAuth is a token as plugins of Backstage have them, with the user
// behind the call in it.
type BackstageAuth struct {
	PluginID string `koanf:"pluginID" doc:"Who the gateway is: a plugin id that discovery.endpoints of Backstage maps to the gateway's publicURL. Default: stagedoor."`
	Target   string `koanf:"target" doc:"Id of the plugin that is called. Default: backstage.plugin, or else the plugin's name."`
	OnBehalf string `koanf:"onBehalf" enum:"required,possible,never" doc:"Whether the call is made for the user who came with a token of this Backstage: only so, if there is one, or never. Default: required."`
	Issuer   string `koanf:"issuer" doc:"baseURL of the backstage verifier whose users are passed on. Default: the only one in the config."`
}

// TLS is how the gateway and a plugin prove themselves to each other.
type TLS struct {
	CertFile   string `koanf:"certFile" doc:"The gateway's certificate for this plugin (PEM), read again when it changes. Relative to the config file."`
	KeyFile    string `koanf:"keyFile" doc:"Its private key (PEM)."`
	CAFile     string `koanf:"caFile" doc:"Certificates of who may vouch for the plugin (PEM). Default: the system's."`
	ServerName string `koanf:"serverName" doc:"Name in the plugin's certificate. Default: the base URL's host."`
}
